"""Checks of arguments that many parts take."""

from __future__ import annotations

import re
from typing import NoReturn

from greenproc.errors import InvalidArgument

_ORIGIN = re.compile(
    r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.IGNORECASE
)
_DEFAULT_PORT = re.compile(r"\A(?:(http://[^/]*):80|(https://[^/]*):443)\Z")


def whole_number(name: str, value: object, *, least: int) -> int:
    """Return *value* if it is a whole number of at least *least*; *name* is for the error.

    Raises:
        InvalidArgument: it is something else. True and False are no numbers here.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidArgument(f"expected {name} to be a whole number from {least}, got {value!r}")
    return value


def check_callable(value: object) -> None:
    """Refuse what cannot be called, here rather than where it would be called.

    Raises:
        InvalidArgument: *value* cannot be called.
    """
    if not callable(value):
        raise InvalidArgument(f"expected a function to call, got {value!r}")


def check_origin(origin: object) -> str:
    """Return an origin in the form in which browsers send it.

    Raises:
        InvalidArgument: *origin* is none, such as ``https://example.org/`` with its slash.

    Source: RFC 6454 section 6.2.
    """
    if not isinstance(origin, str) or not _ORIGIN.fullmatch(origin):
        raise InvalidArgument(
            "expected an origin as browsers send it, such as 'https://example.org', without a "
            f"path and a slash at its end, got {origin!r:.200}"
        )
    lower = origin.lower()
    match = _DEFAULT_PORT.match(lower)
    return lower if match is None else match[1] or match[2]


def how_to_install(extra: str) -> str:
    """Return the command that installs an *extra* of greenproc, also for a checkout."""
    return f"pip install 'greenproc[{extra}]', or in a checkout pip install '.[{extra}]'"


def refuse_method(value: object) -> NoReturn:
    """Refuse *value*, which was given as a method to call and cannot be called.

    Raises:
        InvalidArgument: always.
    """
    raise InvalidArgument(
        f"expected a method or a function to call, got {value!r}: if that is what a call returned, "
        "pass the method itself and its arguments after it, as in "
        "dispatch(pid, Class.method, argument)"
    )


def refuse_to_spawn(value: object) -> NoReturn:
    """Refuse *value*, which was given to be spawned and is no process.

    Raises:
        InvalidArgument: always.
    """
    advice = f": make one, as in spawn({value.__name__}())" if isinstance(value, type) else ""
    raise InvalidArgument(f"expected a Process to spawn, got {value!r}{advice}")


class Elsewhere:
    """Stands in a class for an attribute that is often looked for there; says where it is.

    ``hasattr`` is false of it. A ``__getattr__`` could say it of every name, but Python looks up
    all attributes of a class that has one several times slower.

    Args:
        place: where to find it, such as ``future.get``.
    """

    __slots__ = ("name", "place")

    def __init__(self, place: str) -> None:
        self.place = place
        self.name = place.rpartition(".")[2]

    def __get__(self, thing: object, kind: type) -> NoReturn:
        told = f"{kind.__name__!r} object has no attribute {self.name!r}: use {self.place}"
        raise AttributeError(told, name=self.name, obj=kind if thing is None else thing)
