"""Decoding and encoding JSON bodies, with errors that name the path of the fault."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from datetime import date, time
from decimal import Decimal
from enum import Enum
from math import isfinite
from os import PathLike
from typing import Any

import msgspec

from greenproc.errors import InvalidArgument, InvalidBody
from greenproc.pid import UPID

MAX_SEARCHED = 100_000
"""The values that are searched for the fault, in about 0.2 s; beyond it the error names no path."""

MAX_PATH = 20
"""The first steps of the path that an error shows."""

_PLAIN = (str, int, type(None))
_KEYS = (str, int, float, type(None))


def decode_json(body: bytes, request: object = None) -> Any:
    """Decode a body.

    Args:
        body: JSON in UTF-8, UTF-16 or UTF-32.
        request: the request that has the body, which the error carries; None for a response.

    Raises:
        InvalidBody: *body* is not JSON, or nested too deeply.

    Source: RFC 8259.
    """
    try:
        # Not by msgspec, which reads UTF-8 only.
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        fault = "an empty body" if not body else error
        raise InvalidBody(f"expected JSON: {fault}", request) from error


def encode_json(value: object) -> str:
    """Encode *value* as JSON, without blanks.

    A `msgspec.Struct` or a dataclass, at any depth, is encoded as msgspec does it, with the times,
    enumerations, sets and bytes in its fields.

    Raises:
        InvalidArgument: a value has no JSON; the text names its path, its type, and a remedy.
    """
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False, default=_to_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgument(f"expected a value for JSON, {_find_fault(value, error)}") from error


def is_record(value: object) -> bool:
    """Whether *value* is a `msgspec.Struct` or a dataclass, which becomes a JSON object."""
    return isinstance(value, msgspec.Struct) or (
        dataclasses.is_dataclass(value) and not isinstance(value, type)
    )


def _to_plain(value: object) -> Any:
    """Convert a record to the types that JSON has.

    Raises:
        TypeError: *value* is not a record, or msgspec cannot convert one of its fields.
    """
    if not is_record(value):
        return _to_text(value)
    return msgspec.to_builtins(value, str_keys=True, enc_hook=_to_text)


def _to_text(value: object) -> str:
    """Convert a `UPID`, the only class besides records that is encoded.

    Raises:
        TypeError: *value* is something else.
    """
    if isinstance(value, UPID):
        return str(value)
    raise TypeError(f"{_type_name(value)} is not supported")


def _find_fault(value: object, error: Exception) -> str:
    """Describe the first value below *value* that has no JSON, in the order of the encoding."""
    seen: set[int] = set()
    pending: list[tuple[tuple[str, ...], object, bool]] = [((), value, False)]
    while pending and len(seen) < MAX_SEARCHED:
        path, one, is_field = pending.pop()
        if isinstance(one, dict) and not is_field:
            bad = [key for key in one if not isinstance(key, _KEYS)]
            if bad:
                return (
                    f"got a key of type {_type_name(bad[0])} at {_join(path)} "
                    f"({bad[0]!r:.80}): use a text"
                )
        elif not isinstance(one, (dict, list, tuple)) and not is_record(one):
            if isinstance(one, UPID) or _is_plain(one) or (is_field and _is_known(one)):
                continue
            what = f"got a {_type_name(one)} at {_join(path)} ({one!r:.80})"
            return f"{what}: {_advice(one)}"
        if id(one) not in seen:
            seen.add(id(one))
            # Cut to the length that is shown: copies of growing paths would take quadratic time.
            kept = path[:MAX_PATH]
            is_field = is_field or is_record(one)
            pending += reversed([((*kept, step), below, is_field) for step, below in _below(one)])
    return f"but it holds itself or is nested too deeply: {error}"


def _below(value: Any) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, one in value.items():
            is_name = isinstance(key, str) and key.isidentifier()
            yield (f".{key}" if is_name else f"[{key!r:.40}]"), one
    elif is_record(value):
        for name in getattr(value, "__struct_fields__", None) or value.__dataclass_fields__:
            yield f".{name}", getattr(value, name, None)
    else:
        for index, one in enumerate(value):
            yield f"[{index}]", one


def _join(path: tuple[str, ...]) -> str:
    return "$" + "".join(path[:MAX_PATH]) + ("..." if len(path) > MAX_PATH else "")


def _is_plain(value: object) -> bool:
    return isfinite(value) if isinstance(value, float) else isinstance(value, _PLAIN)


def _is_known(value: object) -> bool:
    """Whether msgspec can encode *value*, which is in a field of a record."""
    if isinstance(value, float):
        return False  # a NaN or an infinity
    try:
        msgspec.to_builtins(value, str_keys=True, enc_hook=_to_text)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _type_name(value: object) -> str:
    return type(value).__name__


def _advice(value: object) -> str:
    """Return the remedy for *value*."""
    for kinds, advice in _ADVICE:
        if isinstance(value, kinds):
            return advice
    if isinstance(value, Iterable):
        return "use list(value)"
    return "use a dict, list, text, number, bool or None, such as str(value)"


_ADVICE: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (float, "JSON has no such number, use None"),
    ((date, time), "use a text, such as value.isoformat()"),
    ((bytes, bytearray, memoryview), "use a text, such as value.decode() or value.hex()"),
    (Decimal, "use float(value), or str(value) to keep each digit"),
    (Enum, "use value.value"),
    (PathLike, "use str(value)"),
)
