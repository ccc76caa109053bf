"""How much a parser reads before it refuses a message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from greenproc.http.hosts import AllowedHosts


@dataclass(frozen=True, slots=True, kw_only=True)
class ParserLimits:
    """Bounds on what one message may hold.

    The parser beneath has none of its own: it took a header of 16 MB and half a million of them.
    """

    max_header_bytes: int = 80 * 1024
    """The first line and the header; also chunk extensions and trailers together.

    Source: the limit of libprocess' parser, HTTP_MAX_HEADER_SIZE.
    """
    max_headers: int = 256
    """Header lines. Apache's default is 100; proxies add some."""
    max_body_bytes: int = 64 * 1024 * 1024
    """A body that is read whole, also after unpacking. A streamed body has no bound."""
    hosts: AllowedHosts | None = None
    """The hosts for which requests are taken; None means any."""


IsSpent: TypeAlias = Callable[[], bool]
"""Tells a parser that it has worked long enough, so that it stops and keeps the rest for later.

It is asked after what costs much more than its bytes: reading a new head, a row of small chunks.
"""


def never() -> bool:
    """Let a parser read on to the end of what it was given."""
    return False


DEFAULT_LIMITS = ParserLimits()
"""The limits of a parser that is given none."""
