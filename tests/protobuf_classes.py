"""Classes of protobuf messages that are made at run time, where protobuf is installed."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

FIELD = descriptor_pb2.FieldDescriptorProto


def make_classes() -> dict[str, Any]:
    """Return the classes of a file in proto2: Register has a required name and Registers below."""
    file = descriptor_pb2.FileDescriptorProto(name="test.proto", package="mesos.internal")
    register = file.message_type.add(name="Register")
    register.field.add(name="name", number=1, type=FIELD.TYPE_STRING, label=FIELD.LABEL_REQUIRED)
    register.field.add(name="port", number=2, type=FIELD.TYPE_INT32, label=FIELD.LABEL_OPTIONAL)
    register.field.add(
        name="below",
        number=3,
        type=FIELD.TYPE_MESSAGE,
        type_name=".mesos.internal.Register",
        label=FIELD.LABEL_REPEATED,
    )
    file.message_type.add(name="Nothing")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    names = "mesos.internal.Register", "mesos.internal.Nothing"
    return {
        name.rpartition(".")[2]: message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
        for name in names
    }


CLASSES = make_classes()
Register, Nothing = CLASSES["Register"], CLASSES["Nothing"]
