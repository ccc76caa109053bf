"""Messages of Protocol Buffers as bodies, as libprocess has them.

The library is not imported here: a program that has a class of messages has done that.
"""

from __future__ import annotations

import sys
from inspect import isclass
from typing import Any

from greenproc.errors import InvalidArgument, InvalidMessage
from greenproc.failures import FAILURES

MAX_FIELDS = 10  # that are missing and shown


def is_protobuf(type: Any) -> bool:
    """Whether *type* is a class of protobuf messages."""
    library = sys.modules.get("google.protobuf.message")
    return library is not None and isclass(type) and issubclass(type, library.Message)


def full_name(type: Any) -> str:
    """Return what the type is called with its package, which is the name of its messages."""
    return str(type.DESCRIPTOR.full_name)


def encode_protobuf(value: Any) -> bytes:
    """Return *value*, a protobuf message, as a body.

    Raises:
        InvalidArgument: a required field is missing, or it is too large.
    """
    if not value.IsInitialized():
        raise InvalidArgument(
            f"expected a whole {full_name(type(value))}, got one without {_missing(value)}"
        )
    try:
        body: bytes = value.SerializeToString()
    except FAILURES as error:
        raise InvalidArgument(f"{full_name(type(value))} cannot be encoded: {error}") from error
    return body


def decode_protobuf(type: Any, body: bytes) -> Any:
    """Return *body* as a message of the class *type*.

    Fields that the class does not know are kept in it, as protobuf does.

    Raises:
        InvalidMessage: it is malformed, or a required field is missing, which is its path.
    """
    try:
        value = type.FromString(body)
    except FAILURES as error:
        raise InvalidMessage(f"expected {full_name(type)}: {error}") from None
    if not value.IsInitialized():  # the parser does not look at that
        first = value.FindInitializationErrors()[0]
        raise InvalidMessage(
            f"expected a whole {full_name(type)}, got one without {_missing(value)}", f"$.{first}"
        )
    return value


def _missing(value: Any) -> str:
    return ", ".join(value.FindInitializationErrors()[:MAX_FIELDS])
