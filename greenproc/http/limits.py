"""`ParserLimits`: the size limits of the parsers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from greenproc.http.hosts import AllowedHosts


@dataclass(frozen=True, slots=True, kw_only=True)
class ParserLimits:
    """The limits of one message.

    llhttp has none of its own: it accepted a header of 16 MB, and half a million headers.
    """

    max_header_bytes: int = 80 * 1024
    """The first line and the header together; chunk extensions and trailers have the same limit.

    Source: the limit of libprocess' parser, HTTP_MAX_HEADER_SIZE.
    """
    max_headers: int = 256
    """Header lines. Apache's default is 100, and proxies add some."""
    max_body_bytes: int = 64 * 1024 * 1024
    """A body that is read whole, before and after decompression. A streamed body has no limit."""
    hosts: AllowedHosts | None = None
    """The hosts for which requests are served; None for any."""


IsSpent: TypeAlias = Callable[[], bool]
"""Returns whether the parser has used up its time, so that it stops and keeps the rest for later.

A parser calls it after work that costs much more than its bytes: a new head, many small chunks.
"""


def never() -> bool:
    """Return False: the parser reads all bytes that it is fed."""
    return False


DEFAULT_LIMITS = ParserLimits()
"""The limits of a parser that is given none."""
