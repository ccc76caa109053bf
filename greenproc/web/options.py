"""The options of requests and the limits of connections of the HTTP client."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, fields
from typing import Any, Self, TypedDict

from greenproc.checks import whole_number
from greenproc.errors import InvalidArgument
from greenproc.http.limits import DEFAULT_LIMITS


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLimits:
    """The time limits of each phase, and the size limit of a response.

    Times are seconds of the current clock, which a test can pause; None is for ever.

    Raises:
        InvalidArgument: a value is out of its range.
    """

    connect_timeout: float | None = 10.0
    """Resolving the name and connecting, as `Settings.connect_timeout`."""
    send_timeout: float | None = 30.0
    """The time in which the server accepts no byte of a request, as `Settings.answer_timeout`."""
    first_byte_timeout: float | None = None
    """From the last byte of a request to the first one of its response."""
    read_timeout: float | None = None
    """Between two reads of one response."""
    max_body_bytes: int = DEFAULT_LIMITS.max_body_bytes
    """The body of a response that is read whole, before and after decompression."""

    def __post_init__(self) -> None:
        for name in TIMEOUTS:
            check_seconds(name, getattr(self, name))
        whole_number("max_body_bytes", self.max_body_bytes, least=0)


TIMEOUTS = tuple(one.name for one in fields(ClientLimits) if one.name.endswith("_timeout"))
LIMITS = frozenset(one.name for one in fields(ClientLimits))


class LimitKeywords(TypedDict, total=False):
    """The keyword arguments of `connect`; see `ClientLimits`."""

    connect_timeout: float | None
    send_timeout: float | None
    first_byte_timeout: float | None
    read_timeout: float | None
    max_body_bytes: int


class RequestKeywords(LimitKeywords, total=False):
    """The keyword arguments of `request` and its like; see `RequestOptions` and `ClientLimits`."""

    stream: bool
    timeout: float | None
    max_redirects: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOptions:
    """The options of one request.

    Raises:
        InvalidArgument: a value is out of its range.
    """

    stream: bool = False
    """Whether the response is ready after its head, with the body in ``response.reader``."""
    timeout: float | None = None
    """The limit for the whole response, redirects included."""
    max_redirects: int = 0
    """The number of redirects to follow; with 0 a redirect is the response."""
    limits: ClientLimits = field(default_factory=ClientLimits)

    def __post_init__(self) -> None:
        check_seconds("timeout", self.timeout)
        whole_number("max_redirects", self.max_redirects, least=0)

    @classmethod
    def of(cls, arguments: RequestKeywords) -> Self:
        """Return the options for keyword *arguments*.

        Raises:
            InvalidArgument: a value is out of its range.
            TypeError: an argument has an unknown name.
        """
        given: dict[str, Any] = dict(arguments)
        check_names("request", given, RequestKeywords.__annotations__)
        limits = {name: given.pop(name) for name in LIMITS & given.keys()}
        return cls(**given, limits=ClientLimits(**limits))


def check_names(function: str, given: Iterable[str], known: Collection[str]) -> None:
    """Check the names of keyword arguments.

    Args:
        function: the name of the function, for the error.
        given: the names of the call.
        known: the names that the function has.

    Raises:
        TypeError: a name is unknown; the text is Python's, with the known names.
    """
    for name in given:
        if name not in known:
            *others, last = sorted(known)
            raise TypeError(
                f"{function}() got an unexpected keyword argument {name!r}: "
                f"expected {', '.join(others)} or {last}"
            )


def check_seconds(name: str, seconds: object) -> None:
    """Check a timeout.

    Args:
        name: of the argument, for the error.
        seconds: zero or more, or None.

    Raises:
        InvalidArgument: it is something else.
    """
    is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if seconds is not None and not (is_number and seconds >= 0):  # type: ignore[operator]
        raise InvalidArgument(f"expected seconds, zero or more, as {name}, got {seconds!r}")
