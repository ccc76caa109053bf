"""Responses that leave as their maker wrote them, but for what frames them on the connection."""

from __future__ import annotations

from typing import Any

from greenproc.http.headers import Headers
from greenproc.http.request import Request
from greenproc.http.response import Response
from greenproc.http.status import Status
from greenproc.http.writer import may_have_body

_FRAMING = frozenset(("connection", "content-length", "transfer-encoding"))


class VerbatimResponse(Response):
    """A response of another framework, such as a WSGI app, that must not be improved.

    Its reason phrase and its lines stay as they are, and its body is not packed. The server adds
    how the body ends; a ``Connection: close`` is a wish that is granted.

    Args:
        status: the code with what follows it in the status line, such as ``200 OK``.
        body: all of it.
        reader: the reading end of a pipe, or a `FileBody`, instead.
        length: how many bytes the body has; None when that is not known. A body from a reader that
            has less must fail.
    """

    __slots__ = ("length", "line")

    def __init__(
        self,
        status: str,
        headers: Headers,
        body: bytes = b"",
        *,
        reader: Any = None,
        length: int | None = None,
    ) -> None:
        # As in Response, which would add a media type.
        self.status = int(status[:3])
        self._body = body
        self.path = None
        self.headers = headers
        self.line = status
        self.reader = reader
        self.length = length


def encode_verbatim(response: VerbatimResponse, request: Request, *, is_last: bool) -> bytes:
    """Write *response*, whose body is known; HEAD gets everything but the body.

    Args:
        is_last: whether the connection ends with it.
    """
    head = encode_verbatim_head(response, request, is_last=is_last)
    return head + response.body if takes_body(response, request) else head


def encode_verbatim_head(response: VerbatimResponse, request: Request, *, is_last: bool) -> bytes:
    """Write what stands before the body of *response*.

    Source: PEP 3333, "Handling the Content-Length Header"; RFC 9112 section 6.
    """
    status, length, fields = response.status, response.length, response.headers.fields
    # That of a 304 is the length of the body that the client has.
    has_content = may_have_content(status)
    has_length = status == Status.NOT_MODIFIED or (length is not None and has_content)
    is_length_given = False
    lines = [f"HTTP/1.1 {response.line}\r\n"]
    for name, value in fields:
        lowered = name.lower()
        if lowered not in _FRAMING:
            lines.append(f"{name}: {value}\r\n")
        elif has_length and lowered == "content-length":
            is_length_given = True
            lines.append(f"{name}: {value}\r\n")
    if status == Status.RESET_CONTENT:
        lines.append("Content-Length: 0\r\n")
    elif has_content and not is_length_given:
        if length is not None:
            lines.append(f"Content-Length: {length}\r\n")
        elif request.version >= (1, 1):
            lines.append("Transfer-Encoding: chunked\r\n")
    if is_last:
        lines.append("Connection: close\r\n")
    elif request.version < (1, 1):
        lines.append("Connection: keep-alive\r\n")
    lines.append("\r\n")
    return "".join(lines).encode("latin-1")


def may_have_content(status: int) -> bool:
    """Whether a response of that status, which may be an interim one, has a body."""
    return status >= Status.OK and status != Status.RESET_CONTENT and may_have_body(status)


def takes_body(response: VerbatimResponse, request: Request) -> bool:
    """Whether the body of *response* is sent."""
    return request.method != "HEAD" and may_have_content(response.status)
