"""`VerbatimResponse`: a response whose header lines are sent unchanged, except for its framing."""

from __future__ import annotations

from typing import Any

from greenproc.http.headers import Headers
from greenproc.http.request import Request
from greenproc.http.response import Response
from greenproc.http.status import Status
from greenproc.http.writer import may_have_body

_FRAMING = frozenset(("connection", "content-length", "transfer-encoding"))


class VerbatimResponse(Response):
    """A response of another framework, such as a WSGI app.

    Its reason phrase and its header lines stay as they are, and its body is not compressed. The
    server adds the framing of the body; ``Connection: close`` closes the connection.

    Args:
        status: the code and the reason phrase, such as ``200 OK``.
        headers: the lines.
        body: the whole body.
        reader: the reading end of a pipe, or a `FileBody`, in place of *body*.
        length: of the body, in bytes; None if it is unknown. A reader that ends earlier must fail.
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
        # Not by Response.__init__, which would add a media type.
        self.status = int(status[:3])
        self._body = body
        self.path = None
        self.headers = headers
        self.line = status
        self.reader = reader
        self.length = length


def encode_verbatim(response: VerbatimResponse, request: Request, *, is_last: bool) -> bytes:
    """Encode a response whose body is in memory.

    Args:
        response: the response.
        request: that it answers; HEAD gets no body.
        is_last: whether the connection is closed after it.
    """
    head = encode_verbatim_head(response, request, is_last=is_last)
    return head + response.body if takes_body(response, request) else head


def encode_verbatim_head(response: VerbatimResponse, request: Request, *, is_last: bool) -> bytes:
    """Encode the head of a response.

    Args:
        response: the response.
        request: that it answers; its version decides between chunks and the end of the connection.
        is_last: whether the connection is closed after it.

    Source: PEP 3333, "Handling the Content-Length Header"; RFC 9112 section 6.
    """
    status, length, fields = response.status, response.length, response.headers.fields
    # The length in a 304 is that of the body in the client's cache. RFC 9110 section 8.6.
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
    """Whether a response of that *status*, which may be an interim one, has a body."""
    return status >= Status.OK and status != Status.RESET_CONTENT and may_have_body(status)


def takes_body(response: VerbatimResponse, request: Request) -> bool:
    """Whether the body of a response is sent.

    Args:
        response: the response, whose status may have no body.
        request: that it answers, which may be HEAD.
    """
    return request.method != "HEAD" and may_have_content(response.status)
