"""Conversion and checks of the arguments of send, ask, dispatch and delay."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from greenproc.clock.microseconds import check_duration
from greenproc.errors import InvalidArgument
from greenproc.failures import FAILURES, name_of
from greenproc.pid import UPID
from greenproc.process.record import ProcessRecord
from greenproc.typed import codec_of, encode


def as_upid(target: Any) -> UPID:
    """Return the address of *target*, a UPID or a process.

    Raises:
        InvalidArgument: it is neither.
    """
    if isinstance(target, UPID):
        return target
    if _is_process(target):
        return target.pid  # type: ignore[no-any-return]
    raise InvalidArgument(f"expected a UPID or a Process, got {target!r}{_advise(target)}")


def as_receiver(target: Any) -> UPID:
    """Return the address of *target*, a UPID or a process, to which messages can be sent.

    Raises:
        InvalidArgument: it is neither, or it is empty.
    """
    pid = as_upid(target)
    if pid.is_empty:
        raise InvalidArgument(
            "expected the address of a process, got the empty PID, which spawn() returns when it "
            "refuses a process"
        )
    return pid


def check_delay(name: str, seconds: Any, target: object) -> int:
    """Return *seconds* as whole microseconds, for a function called *name* that takes *target* after them.

    Raises:
        InvalidArgument: *seconds* is not a duration; the text points out swapped arguments.
    """
    try:
        return check_duration(seconds)
    except InvalidArgument:
        if isinstance(seconds, UPID) or _is_process(seconds):
            raise InvalidArgument(
                f"expected {name}(seconds, target, method), got the target first: write "
                f"{name}({target!r}, target, method)"
            ) from None
        raise


def _is_process(target: Any) -> bool:
    return isinstance(getattr(target, "_Process__record", None), ProcessRecord)


def _advise(target: object) -> str:
    if not isinstance(target, str):
        return ""
    if "@" in target:
        return f": use UPID.parse({target!r})"
    return (
        f": an id alone is no address, use what spawn() returned, or UPID({target!r}, "
        "greenproc.address())"
    )


def as_message(to: Any, name: Any, body: Any) -> tuple[UPID, str, bytes]:
    """Return receiver, name and body of a message from the arguments of `Process.send`.

    Args:
        to: the receiver, a UPID or a process.
        name: the name of the message, or the value that is the whole message.
        body: bytes or a value with an encoding.

    Raises:
        InvalidArgument: an argument has another type, or the value has no encoding.
    """
    if isinstance(body, Struct) and type(name) is str and isinstance(to, UPID):
        return to, name, encode(body)  # the common case of what follows, without its checks
    return as_upid(to), *as_named_body(name, body)


def as_named_body(name: Any, body: Any) -> tuple[str, bytes]:
    """Return the name and the body of a message, both given or both of the value *name*.

    Raises:
        InvalidArgument: a value has no encoding, or its type gives no name.
    """
    if isinstance(name, str):
        return name, as_body(body)
    if isinstance(name, (bytes, int, type(None))) or body != b"":
        raise InvalidArgument(f"expected the name of a message as a text, got {name!r}")
    return codec_of(type(name)).name, encode(name)


def as_body(body: Any) -> bytes:
    """Return *body* as bytes: a buffer unchanged, any other value encoded.

    A text is refused: a forgotten ``encode()`` is the usual reason for one.

    Raises:
        InvalidArgument: it is a text, or has no encoding.
    """
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body)
    if isinstance(body, str):
        raise InvalidArgument(
            f"expected the body of a message as bytes or a value with a type, got {body!r}: use "
            "text.encode(), or greenproc.typed.encode(text) for a handler that takes a str"
        )
    return encode(body)


def label(method: object) -> str:
    """Return the name of *method* for an error text.

    This runs while an error is reported, so a name or a `repr` that raises must not replace it.
    """
    try:
        return name_of(method) or repr(method)
    except FAILURES:
        return f"a {type(method).__name__}"
