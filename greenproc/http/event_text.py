"""Encoding Server-Sent Events, the media type ``text/event-stream``."""

from __future__ import annotations

import re

from greenproc.errors import InvalidArgument

EVENT_STREAM = "text/event-stream"
"""The media type of an event stream, whose encoding is always UTF-8."""

EMPTY_COMMENT = b":\n\n"
"""A comment, which clients ignore: a heartbeat that keeps proxies from closing the connection."""

_LINE_END = re.compile(r"\r\n|\r|\n")
_NOT_IN_NAME = re.compile(r"[\r\n]")
_NOT_IN_ID = re.compile(r"[\r\n\0]")


def encode_event(
    data: str | None = "",
    *,
    event: str | None = None,
    id: str | None = None,
    retry: float | None = None,
) -> bytes:
    """Encode one event, with the empty line that makes a client dispatch it.

    Args:
        data: text of any number of lines; a client gets them separated by LF. None encodes the
            other fields alone, and dispatches no event.
        event: the type of the event; without one it is a ``message``.
        id: the ``Last-Event-ID`` of a client that reconnects; an empty one resets it.
        retry: seconds after which a client that lost the stream reconnects.

    Raises:
        InvalidArgument: *event* or *id* has a line end, *id* has a NUL, *retry* is negative, or
            an argument has another type.

    Source: HTML standard, section 9.2.6, "Interpreting an event stream".
    """
    lines = []
    if event is not None:
        lines.append(f"event: {_checked('event', event, _NOT_IN_NAME)}\n")
    if id is not None:
        lines.append(f"id: {_checked('id', id, _NOT_IN_ID)}\n")
    if retry is not None:
        if not isinstance(retry, (int, float)) or not 0 <= retry < float("inf"):
            raise InvalidArgument(f"expected seconds until a reconnection, got {retry!r}")
        lines.append(
            f"retry: {round(retry * 1000)}\n"
        )  # the standard has milliseconds, digits only
    if data is not None:
        if not isinstance(data, str):
            raise InvalidArgument(f"expected the data of an event as str, got {data!r:.200}")
        lines.extend(f"data: {line}\n" for line in _LINE_END.split(data))
    lines.append("\n")
    # A lone surrogate has no UTF-8, and its bytes would end the stream in a strict client.
    return "".join(lines).encode("utf-8", "replace")


def _checked(name: str, text: object, refused: re.Pattern[str]) -> str:
    if not isinstance(text, str):
        raise InvalidArgument(f"expected the {name} of an event as str, got {text!r:.200}")
    found = refused.search(text)
    if found is not None:
        raise InvalidArgument(
            f"the {name} of an event must not contain {found[0]!r}, got {text!r:.200}"
        )
    return text
