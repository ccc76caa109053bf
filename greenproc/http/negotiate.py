"""Content negotiation: the codings and media types that a request accepts.

Source: RFC 9110 section 12.5.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from greenproc.http.request import Request


class MediaType(Enum):
    """The media types that a page is served as, by the value of ``format`` in a query."""

    HTML = "html"
    MARKDOWN = "markdown"
    JSON = "json"


TERMINALS = ("curl/", "HTTPie/", "Wget/")
"""Prefixes of the User-Agent of clients that print a response to a terminal."""

_TYPES = {
    "text/html": MediaType.HTML,
    "application/xhtml+xml": MediaType.HTML,
    "application/json": MediaType.JSON,
    "text/markdown": MediaType.MARKDOWN,
    "text/x-markdown": MediaType.MARKDOWN,
    "text/plain": MediaType.MARKDOWN,
}

_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+")
_BLANKS = str.maketrans("", "", " \t\n")


def accepts_encoding(header: str | None, coding: str) -> bool:
    """Whether ``Accept-Encoding`` allows a content coding.

    Args:
        header: the value; a missing or empty one allows no coding.
        coding: such as ``gzip``; its own item takes precedence over ``*``.

    Source: libprocess src/http.cpp, Request::acceptsEncoding.
    """
    return bool(header) and _accepts(header or "", (coding, "*"))


def accepts_media_type(header: str | None, media_type: str) -> bool:
    """Whether ``Accept`` allows a media type.

    Args:
        header: the value; a missing one allows everything, an empty one nothing.
        media_type: such as ``text/html``.

    Source: libprocess src/http.cpp, Request::acceptsMediaType.
    """
    kind, slash, subtype = media_type.partition("/")
    if not slash or "/" in subtype:
        return False
    return header is None or _accepts(header, (media_type, f"{kind}/*", "*/*"))


def negotiate(request: Request) -> MediaType:
    """Return the media type that the query selects, else the Accept header, else the User-Agent.

    Wildcards of an Accept header are ignored. A request without any preference gets HTML.

    Source: libprocess src/help.cpp for ``format=json`` and the User-Agent.
    Differs: it does not look at Accept.
    """
    selected = request.url.query.get("format")
    if selected in [one.value for one in MediaType]:
        return MediaType(selected)
    named = [
        # The highest quality is first; sorting keeps the order of equals.
        (-quality, served)
        for media_type, quality in _accepted(request.headers.get("Accept", ""))
        if (served := _TYPES.get(media_type)) is not None and quality > 0
    ]
    if named:
        return min(named, key=lambda pair: pair[0])[1]
    agent = request.headers.get("User-Agent", "")
    return MediaType.MARKDOWN if agent.startswith(TERMINALS) else MediaType.HTML


def _accepts(header: str, candidates: Iterable[str]) -> bool:
    """Whether the first candidate that *header* names is allowed by its q value."""
    items = [item.split(";") for item in header.translate(_BLANKS).split(",")]
    for candidate in candidates:
        for name, *parameters in items:
            if name.lower() == candidate.lower():
                return _is_positive(parameters)
    return False


def _is_positive(parameters: list[str]) -> bool:
    """Whether the q value of an item is above 0; none, or more than one, counts as 1."""
    values = [value for key, _, value in (p.partition("=") for p in parameters) if key == "q"]
    if len(values) != 1:
        return True
    return bool(_NUMBER.fullmatch(values[0])) and float(values[0]) > 0


def _accepted(header: str) -> list[tuple[str, float]]:
    """Return each media type that *header* names with its quality. Source: RFC 9110, 12.5.1."""
    found = []
    for part in header.split(","):
        media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 0.0  # a malformed weight excludes the type
        found.append((media_type, quality))
    return found
