"""What a caller may say about a request or a connection besides where it goes and what it says."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, fields
from typing import Any, Self, TypedDict

from greenproc.checks import whole_number
from greenproc.errors import InvalidArgument
from greenproc.http.limits import DEFAULT_LIMITS


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLimits:
    """How long a client waits in each phase, and how much it takes.

    Times are seconds of the current clock, which a test can pause; None is for ever.

    Raises:
        InvalidArgument: a value is out of its range.
    """

    connect_timeout: float | None = 10.0
    """Finding the address and connecting, as `Settings.connect_timeout`."""
    send_timeout: float | None = 30.0
    """The server takes no byte of what is to be sent, as `Settings.answer_timeout`."""
    first_byte_timeout: float | None = None
    """All is sent, and no byte of the response comes."""
    read_timeout: float | None = None
    """A response has begun, and no further byte of it comes."""
    max_body_bytes: int = DEFAULT_LIMITS.max_body_bytes
    """The body of a response that is read whole, also after unpacking."""

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
    """What a caller says about one request.

    Raises:
        InvalidArgument: a value is out of its range.
    """

    stream: bool = False
    """The response is there after its head, and its body is read from ``response.reader``."""
    timeout: float | None = None
    """All together: until the response is there."""
    max_redirects: int = 0
    """How many redirects are followed; with 0 they are responses like others."""
    limits: ClientLimits = field(default_factory=ClientLimits)

    def __post_init__(self) -> None:
        check_seconds("timeout", self.timeout)
        whole_number("max_redirects", self.max_redirects, least=0)

    @classmethod
    def of(cls, arguments: RequestKeywords) -> Self:
        """Return the options that keyword *arguments* say.

        Raises:
            InvalidArgument: a value is out of its range.
            TypeError: there is no such argument.
        """
        given: dict[str, Any] = dict(arguments)
        check_names("request", given, RequestKeywords.__annotations__)
        limits = {name: given.pop(name) for name in LIMITS & given.keys()}
        return cls(**given, limits=ClientLimits(**limits))


def check_names(function: str, given: Iterable[str], known: Collection[str]) -> None:
    """Check that *function* takes the keyword arguments that are *given*.

    Raises:
        TypeError: it does not, in Python's words and with those it takes.
    """
    for name in given:
        if name not in known:
            *others, last = sorted(known)
            raise TypeError(
                f"{function}() got an unexpected keyword argument {name!r}: "
                f"expected {', '.join(others)} or {last}"
            )


def check_seconds(name: str, seconds: object) -> None:
    """Check that *seconds* is a time one can wait, or None.

    Raises:
        InvalidArgument: it is neither.
    """
    is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if seconds is not None and not (is_number and seconds >= 0):  # type: ignore[operator]
        raise InvalidArgument(f"expected seconds, zero or more, as {name}, got {seconds!r}")
