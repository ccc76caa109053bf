"""Protocol Buffers messages as bodies, as in libprocess.

The library is not imported here: a program that defines protobuf messages has already imported it.
"""

from __future__ import annotations

import sys
from inspect import isclass
from typing import Any

from greenproc.errors import InvalidArgument, InvalidMessage
from greenproc.failures import FAILURES

MAX_FIELDS = 10  # missing fields that an error names


def is_protobuf(type: Any) -> bool:
    """Return whether *type* is a class of protobuf messages."""
    library = sys.modules.get("google.protobuf.message")
    return library is not None and isclass(type) and issubclass(type, library.Message)


def full_name(type: Any) -> str:
    """Return the full name of the message type, with its package."""
    return str(type.DESCRIPTOR.full_name)


def encode_protobuf(value: Any) -> bytes:
    """Encode a protobuf message.

    Raises:
        InvalidArgument: a required field is missing, or the message is too large.
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
    """Decode a protobuf message. Unknown fields are preserved, as protobuf does.

    Args:
        type: the message class.
        body: the encoded message.

    Raises:
        InvalidMessage: *body* is malformed, or lacks a required field, which is the error's path.
    """
    try:
        value = type.FromString(body)
    except FAILURES as error:
        raise InvalidMessage(f"expected {full_name(type)}: {error}") from None
    if not value.IsInitialized():  # the parser does not check required fields
        first = value.FindInitializationErrors()[0]
        raise InvalidMessage(
            f"expected a whole {full_name(type)}, got one without {_missing(value)}", f"$.{first}"
        )
    return value


def _missing(value: Any) -> str:
    return ", ".join(value.FindInitializationErrors()[:MAX_FIELDS])
