"""The extension types of MessagePack that bodies use beside its own timestamp."""

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
"""The extension type of a UPID: its text, ``id@ip:port``, in UTF-8."""

BIG_INTEGER = 2
"""The extension type of an integer beyond 64 bits: two's complement, the highest byte first."""

MAX_INTEGER_BYTES = 1024
"""The longest integer, 8192 bits: printing one takes time that grows with its square."""

_SMALLEST, _LARGEST = -(2**63), 2**64 - 1


class BigInteger:
    """An integer that MessagePack has no form for, in the place of itself."""

    __slots__ = ("value",)

    def __init__(self, value: int) -> None:
        self.value = value


def to_extension(value: object) -> Ext:
    """Return *value*, of a class that msgspec does not know, as an extension.

    Raises:
        InvalidArgument: a UPID or an integer has no such form.
        TypeError: there is none for its class.
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
    """Return the value that an extension stands for.

    Raises:
        ValueError: its number is not known here, or its data is malformed.
    """
    if number == UPID_NUMBER:
        text = str(data, "utf-8")
        pid = UPID.lenient(text)
        if str(pid) != text:
            raise ValueError(f"expected a UPID such as id@ip:port, got {text!r:.80}")
        return pid
    if number == BIG_INTEGER:
        if not 0 < len(data) <= MAX_INTEGER_BYTES:
            raise ValueError(
                f"expected an integer of 1 to {MAX_INTEGER_BYTES} bytes, got {len(data)}"
            )
        return int.from_bytes(data, "big", signed=True)
    raise ValueError(f"expected extension {UPID_NUMBER} or {BIG_INTEGER}, got {number}")


def to_type(type: Any, value: object) -> Any:
    """Return *value*, decoded without a type, as the class *type* that msgspec does not know.

    A `PID` is taken only for a process of this node, which it promises to name.

    Raises:
        ValueError: it is another one.
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
    """Whether values of *type*, which msgspec does not know, have an extension."""
    return getattr(type, "__origin__", type) in (UPID, PID)


def with_big_integers(value: Any) -> Any:
    """Return a copy of *value* with `BigInteger` in the place of what has more than 64 bits."""
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
