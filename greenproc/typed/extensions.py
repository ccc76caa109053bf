"""The MessagePack extension types of message bodies, besides the standard timestamp."""

from __future__ import annotations

import dataclasses
from copy import copy
from typing import Any

import msgspec
from msgspec.msgpack import Ext

from greenproc.current import find_runtime
from greenproc.errors import InvalidArgument
from greenproc.pid import PID, UPID

UPID_NUMBER = 1
"""The extension type of a UPID: the text ``id@ip:port`` in UTF-8."""

BIG_INTEGER = 2
"""The extension type of an integer beyond 64 bits: big-endian two's complement."""

MAX_INTEGER_BYTES = 1024
"""The maximum size of an integer, 8192 bits: converting one to text takes quadratic time."""

MAX_BIG_INTEGERS = 1000
"""The maximum number of integers beyond 64 bits in one body. A peer can choose them with equal
hashes, so that a dictionary or a set of them takes quadratic time: 5 ms for this number."""

_SMALLEST, _LARGEST = -(2**63), 2**64 - 1


class BigIntegerFound(ValueError):
    """The body has an integer beyond 64 bits, and must be decoded by `BoundedExtensions`."""


class BigInteger:
    """A stand-in for an integer beyond 64 bits, which makes msgspec call the encoding hook."""

    __slots__ = ("value",)

    def __init__(self, value: int) -> None:
        self.value = value


def to_extension(value: object) -> Ext:
    """Encode *value*, of a class that msgspec does not support, as an extension.

    Raises:
        InvalidArgument: a UPID that cannot be parsed back, or an integer over the maximum size.
        TypeError: the class has no extension type.
    """
    if isinstance(value, UPID):
        text = str(value)
        if UPID.lenient(text) != value:
            raise InvalidArgument(f"expected a UPID with an id that can be parsed, got {value!r}")
        return Ext(UPID_NUMBER, text.encode())
    if isinstance(value, BigInteger):
        size = value.value.bit_length() // 8 + 1
        if size > MAX_INTEGER_BYTES:
            raise InvalidArgument(f"expected an integer of {MAX_INTEGER_BYTES} bytes, got {size}")
        return Ext(BIG_INTEGER, value.value.to_bytes(size, "big", signed=True))
    raise TypeError(f"{type(value).__name__} has no form in MessagePack")


def from_extension(number: int, data: memoryview) -> object:
    """Decode an extension, but for integers, which have a bound in each body.

    Args:
        number: the extension type.
        data: the payload.

    Raises:
        ValueError: the extension type is unknown, or the payload is malformed.
        BigIntegerFound: the extension is an integer.
    """
    if number == UPID_NUMBER:
        text = str(data, "utf-8")
        pid = UPID.lenient(text)
        if str(pid) != text:
            raise ValueError(f"expected a UPID such as id@ip:port, got {text!r:.80}")
        return pid
    if number == BIG_INTEGER:
        raise BigIntegerFound
    raise ValueError(f"expected extension {UPID_NUMBER} or {BIG_INTEGER}, got {number}")


class BoundedExtensions:
    """Decodes the extensions of one body, integers included; see `from_extension`."""

    __slots__ = ("_big_integers",)

    def __init__(self) -> None:
        self._big_integers = 0

    def __call__(self, number: int, data: memoryview) -> object:
        if number != BIG_INTEGER:
            return from_extension(number, data)
        self._big_integers += 1
        if self._big_integers > MAX_BIG_INTEGERS:
            raise ValueError(f"expected at most {MAX_BIG_INTEGERS} integers beyond 64 bits")
        if not 0 < len(data) <= MAX_INTEGER_BYTES:
            raise ValueError(
                f"expected an integer of 1 to {MAX_INTEGER_BYTES} bytes, got {len(data)}"
            )
        return int.from_bytes(data, "big", signed=True)


def to_type(type: Any, value: object) -> Any:
    """Convert a decoded value to a class that msgspec does not support.

    Only the address of a process of this node converts to `PID`.

    Args:
        type: the annotated class, `UPID` or `PID`.
        value: the value decoded without a type.

    Raises:
        ValueError: *value* does not convert to *type*.
    """
    expected = getattr(type, "__origin__", type)
    if is_known(type) and isinstance(value, UPID):
        if expected is UPID:
            return value
        runtime = find_runtime()
        if runtime is not None and value.address == runtime.address:
            return PID(value.id, value.address)
        raise ValueError(f"expected the PID of a process of this node, got {str(value)!r:.80}")
    raise ValueError(f"expected {expected.__name__}, got {_kind(value)}")


def is_known(type: Any) -> bool:
    """Return whether *type*, which msgspec does not support, has an extension type."""
    return getattr(type, "__origin__", type) in (UPID, PID)


def with_big_integers(value: Any) -> Any:
    """Return a copy of *value* in which `BigInteger` replaces integers beyond 64 bits."""
    kind = type(value)
    if kind is int:
        return value if _SMALLEST <= value <= _LARGEST else BigInteger(value)
    if kind is dict:
        return {key: with_big_integers(one) for key, one in value.items()}
    if kind in (list, tuple, set, frozenset):
        return [with_big_integers(one) for one in value]
    if isinstance(value, msgspec.Struct):
        changed = copy(value)
        for name in value.__struct_fields__:
            one = with_big_integers(getattr(value, name))
            msgspec.structs.force_setattr(changed, name, one)
        return changed
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        record = copy(value)
        for field in dataclasses.fields(value):
            one = with_big_integers(getattr(value, field.name))
            object.__setattr__(record, field.name, one)
        return record
    return value


def _kind(value: object) -> str:
    return type(value).__name__
