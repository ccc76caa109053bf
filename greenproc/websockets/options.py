"""The options of a WebSocket route."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, TypedDict

from greenproc.checks import whole_number
from greenproc.errors import InvalidArgument

ANY_ORIGIN = "*"

MAX_MESSAGE_BYTES = 1024 * 1024
"""The default limit of a client's message, that of the library websockets."""

MAX_SEND_BYTES = 1024 * 1024
"""The default bound of the bytes that are queued for a slow client: one message of that limit."""

PING_SECONDS = 20.0
"""The default interval of Pings, that of the library websockets. Proxies close connections that
were idle for 30 to 60 seconds."""

CLOSE_SECONDS = 10.0
"""The default limit for a client to answer a Close, that of the library websockets."""

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 section 5.6.2
_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://[^/?#\s]+")


class WebSocketKeywords(TypedDict, total=False):
    """The keyword arguments of `greenproc.websocket` for the options of its connections."""

    origins: Iterable[str] | None
    subprotocols: Iterable[str]
    max_message_bytes: int
    max_send_bytes: int
    ping_interval: float | None
    close_timeout: float
    deflate: bool


@dataclass(frozen=True, slots=True)
class WebSocketOptions:
    """The validated options of one route. See `greenproc.websocket`."""

    origins: tuple[str, ...] | None = None
    subprotocols: tuple[str, ...] = ()
    max_message_bytes: int = MAX_MESSAGE_BYTES
    max_send_bytes: int = MAX_SEND_BYTES
    ping_interval: float | None = PING_SECONDS
    close_timeout: float = CLOSE_SECONDS
    deflate: bool = True

    @classmethod
    def checked(cls, options: WebSocketKeywords) -> WebSocketOptions:
        """Return the options for keyword arguments.

        Raises:
            InvalidArgument: a value is out of its range.
            TypeError: an option has an unknown name.
        """
        given = cls(**options)  # type: ignore[arg-type]  # validated and converted below
        for name in ("max_message_bytes", "max_send_bytes"):
            whole_number(name, getattr(given, name), least=1)
        for name in ("ping_interval", "close_timeout"):
            _check_seconds(name, getattr(given, name))
        if not isinstance(given.deflate, bool):
            raise InvalidArgument(f"expected deflate to be True or False, got {given.deflate!r}")
        return replace(
            given,
            origins=_checked_origins(given.origins),
            subprotocols=_checked_subprotocols(given.subprotocols),
        )


def _checked_origins(origins: Iterable[str] | None) -> tuple[str, ...] | None:
    if origins is None:
        return None
    listed = (origins,) if isinstance(origins, str) else tuple(origins)
    for origin in listed:
        if not isinstance(origin, str) or not (origin == ANY_ORIGIN or _ORIGIN.fullmatch(origin)):
            raise InvalidArgument(
                f"expected origins such as 'https://example.org', or '*', got {origin!r}"
            )
    # RFC 6454 section 6: browsers send schemes and hosts in lower case.
    return tuple(origin.lower() for origin in listed)


def _checked_subprotocols(subprotocols: Iterable[str]) -> tuple[str, ...]:
    if isinstance(subprotocols, str):
        raise InvalidArgument(f"expected a list of subprotocols, got {subprotocols!r}")
    listed = tuple(subprotocols)
    for subprotocol in listed:
        if not isinstance(subprotocol, str) or not _TOKEN.fullmatch(subprotocol):
            raise InvalidArgument(
                f"expected subprotocols such as 'chat.v1', tokens, got {subprotocol!r}"
            )
    return listed


def _check_seconds(name: str, seconds: Any) -> None:
    if seconds is None and name == "ping_interval":
        return
    is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if not is_number or not 0 < seconds < float("inf"):
        raise InvalidArgument(f"expected {name} to be a number of seconds, got {seconds!r}")
