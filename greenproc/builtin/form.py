"""In which form somebody wants to see a page: HTML, Markdown or JSON."""

from __future__ import annotations

from enum import Enum

from greenproc.http.request import Request


class Form(Enum):
    """How a page can be written."""

    HTML = "html"
    MARKDOWN = "markdown"
    JSON = "json"


TERMINALS = ("curl/", "HTTPie/", "Wget/")
"""What the User-Agent of programs begins with that print what they get."""

_TYPES = {
    "text/html": Form.HTML,
    "application/xhtml+xml": Form.HTML,
    "application/json": Form.JSON,
    "text/markdown": Form.MARKDOWN,
    "text/x-markdown": Form.MARKDOWN,
    "text/plain": Form.MARKDOWN,
}


def wanted_form(request: Request) -> Form:
    """Return the form that the query asks for, else the Accept header, else the User-Agent.

    Wildcards of an Accept header say nothing. Whoever says nothing at all gets HTML.

    Source: libprocess src/help.cpp for ``format=json`` and the User-Agent.
    Differs: it does not look at Accept.
    """
    asked = request.url.query.get("format")
    if asked in [form.value for form in Form]:
        return Form(asked)
    named = [
        # The highest quality is first; sorting keeps the order of equals.
        (-quality, form)
        for media_type, quality in _accepted(request.headers.get("Accept", ""))
        if (form := _TYPES.get(media_type)) is not None and quality > 0
    ]
    if named:
        return min(named, key=lambda pair: pair[0])[1]
    agent = request.headers.get("User-Agent", "")
    return Form.MARKDOWN if agent.startswith(TERMINALS) else Form.HTML


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
