"""What the functions that send and call are given, as what they need."""

from __future__ import annotations

from typing import Any

from greenproc.errors import InvalidArgument
from greenproc.pid import UPID
from greenproc.process.cell import Cell


def as_upid(target: Any) -> UPID:
    """Return the address of *target*, a UPID or a process.

    Raises:
        InvalidArgument: it is neither.
    """
    if isinstance(target, UPID):
        return target
    if isinstance(getattr(target, "_Process__cell", None), Cell):  # it is a Process
        return target.pid  # type: ignore[no-any-return]
    raise InvalidArgument(f"expected a UPID or a Process, got {target!r}{_advise(target)}")


def _advise(target: object) -> str:
    if not isinstance(target, str):
        return ""
    if "@" in target:
        return f": use UPID.parse({target!r})"
    return (
        f": an id alone is no address, use what spawn() returned, or UPID({target!r}, "
        "greenproc.address())"
    )


def as_body(body: Any) -> bytes:
    """Return *body* as bytes.

    Raises:
        InvalidArgument: it is neither bytes, bytearray nor memoryview.
    """
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body)
    raise InvalidArgument(f"expected the body of a message as bytes, got {body!r}")
