"""The validated arguments of ``start_response``."""

from __future__ import annotations

import re
from typing import Any

from greenproc.errors import InvalidArgument
from greenproc.http.headers import Headers, checked_field
from greenproc.http.writer import date_now
from greenproc.wsgi.environ import SOFTWARE

_STATUS = re.compile(r"[1-9][0-9]{2}(?: [\t\x20-\x7e\x80-\xff]*)?")
# RFC 9110 section 7.6.1: hop-by-hop fields, which PEP 3333 forbids to apps.
_HOP_BY_HOP = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "trailers",
        "transfer-encoding",
        "upgrade",
    )
)


class ResponseHead:
    """The status and headers of an app's response.

    Hop-by-hop headers are dropped; ``Connection: close`` still takes effect.

    Raises:
        InvalidArgument: the status is no text of three digits and a reason, the headers are no
            list of pairs of texts, or one contains a line break.

    Source: PEP 3333, "The start_response() Callable".
    """

    __slots__ = ("headers", "length", "status")

    def __init__(self, status: Any, headers: Any) -> None:
        if not isinstance(status, str) or not _STATUS.fullmatch(status):
            raise InvalidArgument(
                f"expected a status such as '200 OK', three digits and a reason, got {status!r}"
            )
        if not isinstance(headers, list):
            raise InvalidArgument(f"expected a list of headers, got {headers!r:.200}")
        self.status = status
        self.length: int | None = None
        """The Content-Length of the app, or None."""
        lines: list[tuple[str, str]] = []
        named = set()
        for line in headers:
            if not isinstance(line, tuple) or len(line) != 2 or not isinstance(line[0], str):
                raise InvalidArgument(f"expected a header as a pair of texts, got {line!r:.200}")
            named.add(self._add(lines, *line))
        if "date" not in named:
            lines.append(("Date", date_now()))
        if "server" not in named:
            lines.append(("Server", SOFTWARE))
        self.headers = Headers.from_checked(lines)

    def _add(self, lines: list[tuple[str, str]], name: str, value: Any) -> str:
        """Append a header unless it is hop-by-hop, and return its name in lower case."""
        lowered = name.lower()
        if lowered in _HOP_BY_HOP:
            if lowered == "connection" and isinstance(value, str) and value.lower() == "close":
                lines.append(("Connection", "close"))
            return lowered
        if lowered == "content-length":
            self.length = self._checked_length(value)
        lines.append(checked_field(name, value))
        return lowered

    def _checked_length(self, value: Any) -> int:
        is_number = isinstance(value, str) and value.isascii() and value.isdigit()
        if not is_number or self.length is not None:
            raise InvalidArgument(f"expected one Content-Length, a number, got {value!r}")
        return int(value)
