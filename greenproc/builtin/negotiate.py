"""Content negotiation of pages: HTML, Markdown or JSON."""

from __future__ import annotations

from enum import Enum

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


def negotiate(request: Request) -> MediaType:
    """Return the media type that the query selects, else the Accept header, else the User-Agent.

    Wildcards of an Accept header are ignored. A request without any preference gets HTML.

    Source: libprocess src/help.cpp for ``format=json`` and the User-Agent.
    Differs: it does not look at Accept.
    """
    asked = request.url.query.get("format")
    if asked in [one.value for one in MediaType]:
        return MediaType(asked)
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
                    quality = 0.0
        found.append((media_type, quality))
    return found
