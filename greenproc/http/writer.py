"""Encoding requests and responses."""

from __future__ import annotations

import re
import time
from functools import lru_cache
from typing import TypeAlias

from greenproc.errors import LocalProtocolError
from greenproc.http.content_coding import MIN_GZIP_BYTES, gzip_compress
from greenproc.http.headers import Fields
from greenproc.http.request import Request
from greenproc.http.response import Response
from greenproc.http.status import Status, status_line_text
from greenproc.timestamp import NANOSECONDS, rfc1123
from greenproc.tracing import TraceContext

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
"""The interim response that a client with ``Expect: 100-continue`` waits for."""
LAST_CHUNK = b"0\r\n\r\n"
"""The end of a body in chunks."""

_NOT_IN_TARGET = re.compile(r"[\x00-\x20\x7f]")
_STRIPPED = frozenset(("date", "transfer-encoding"))
_WRITTEN = frozenset(("host", "content-length", "transfer-encoding"))
_WRITTEN_AT_CLOSE = _WRITTEN | {"connection"}
# RFC 9112 section 6.3: a client parses the bytes after these as the next response.
_WITHOUT_BODY = frozenset((204, 304))
_MAX_KNOWN_STATUSES = 64
_MAX_KNOWN_FIELDS = 64  # distinct sets of header lines: most handlers send few, again and again

EncodedFields: TypeAlias = tuple[bytes, bytes, str | None]
"""The encoded lines before ``Content-Length``, those after it, and its value."""


def encode_response(
    response: Response, request: Request | None = None, *, now: float | None = None
) -> bytes:
    """Encode a response whose body is in memory.

    The body is compressed with gzip when it has 1024 bytes or more, the request accepts that, and
    the handler has set no ``Content-Encoding``. A ``Content-Length`` of the handler truncates it.

    Args:
        response: the response.
        request: that it answers; HEAD gets no body.
        now: seconds since 1970, for ``Date``; None for the system's clock.

    Raises:
        LocalProtocolError: the body comes from a file or a pipe, see `encode_response_head`, or
            the status is not that of a final response.

    Source: libprocess src/encoder.hpp, HttpResponseEncoder, and the order of its lines.
    Differs: libprocess sends a body to HEAD, lengths that are too large, and bodies of statuses
    that have none.
    """
    if not response.is_whole:
        raise LocalProtocolError(f"expected a response with its body, got {response!r}")
    status = response.status
    before, after, length = _encode_fields(response.headers.fields)
    body = coding = length_line = b""
    if may_have_body(status):
        body = response.body
        # A body of another length than its header would desynchronise the connection.
        if length is not None:
            body = _cut(body, length)
        if len(body) >= MIN_GZIP_BYTES and _should_compress(response, request):
            body = gzip_compress(body)
            coding = b"Content-Encoding: gzip\r\n"
        length_line = b"Content-Length: %d\r\n" % len(body)
        if request is not None and request.method == "HEAD":
            body = b""
    return b"".join(
        (_status_line(status), coding, _date(now), before, length_line, after, b"\r\n", body)
    )


def encode_response_head(
    response: Response,
    *,
    size: int | None = None,
    is_chunked: bool = True,
    now: float | None = None,
) -> bytes:
    """Encode the head of a response whose body comes from a file or a pipe.

    Args:
        response: the response.
        size: of the body, in bytes; None if it is unknown.
        is_chunked: whether a body of unknown size follows in chunks, or else until the end of the
            connection.
        now: seconds since 1970, for ``Date``; None for the system's clock.

    Raises:
        LocalProtocolError: the status is not that of a final response.

    Source: libprocess src/http_proxy.cpp.
    """
    # The length of the handler may be wrong, and beside chunks it would be malformed.
    headers = response.headers.copy()
    headers.pop("Content-Length", None)
    framing = b""
    if size is not None:
        framing = b"Content-Length: %d\r\n" % size
    elif is_chunked:
        framing = b"Transfer-Encoding: chunked\r\n"
    lines, _, _ = _encode_fields(headers.fields)
    return b"".join((_status_line(response.status), _date(now), framing, lines, b"\r\n"))


def encode_chunk(data: bytes) -> bytes:
    """Encode *data* as one chunk. It must not be empty, as an empty chunk ends the body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


@lru_cache(maxsize=2)
def accepted_response(now_second: int) -> bytes:
    """Return the response to a message: ``202 Accepted`` without a body.

    Args:
        now_second: seconds since 1970, for ``Date``.
    """
    return _status_line(Status.ACCEPTED) + _date(now_second) + b"Content-Length: 0\r\n\r\n"


def encode_request(request: Request, trace: TraceContext | None = None) -> bytes:
    """Encode a request; only its head if it has a reader.

    Args:
        request: the request.
        trace: the trace context to send, unless the headers have one of their own.

    Raises:
        LocalProtocolError: the method is malformed, the target has a blank or a control character,
            there is no host, or both a body and a reader.

    Source: libprocess src/http.cpp, encode(Request), and the order of its lines.
    Differs: a fragment is not sent.
    """
    method, target = request.method, request.url.target
    if not method.isascii() or not method.replace("-", "").isalpha():
        raise LocalProtocolError(f"expected a method, got {method!r}")
    host = request.url.authority or request.headers.get("Host")
    if host is None:
        raise LocalProtocolError("expected a URL with a host, or a Host header")
    # A line end in a URL of the user's input could smuggle a second request.
    bad = _NOT_IN_TARGET.search(target) or _NOT_IN_TARGET.search(host)
    if bad is not None:
        raise LocalProtocolError(f"a URL must not contain {bad[0]!r}, got {str(request.url)!r}")
    if request.reader is None:
        framing = f"Content-Length: {len(request.body)}"
    elif request.body:
        raise LocalProtocolError("expected either a body or a reader")
    else:
        framing = "Transfer-Encoding: chunked"
    connection = "" if request.keep_alive else "Connection: close\r\n"
    head = f"{method} {target} HTTP/1.1\r\n{connection}{framing}\r\nHost: {host}\r\n"
    rest = _encode_request_fields(request.headers.fields, request.keep_alive)
    if trace is not None and not any(name in request.headers for name in trace.headers):
        rest += trace.lines
    return b"".join((head.encode("utf-8", "surrogateescape"), rest, b"\r\n", request.body))


def _cut(body: bytes, length: str) -> bytes:
    """Truncate *body* to the *length* of the handler, if that is a smaller number."""
    if length.isascii() and length.isdigit() and int(length) < len(body):
        return body[: int(length)]
    return body


def may_have_body(status: int) -> bool:
    """Whether a final response of that *status* has a body."""
    return status not in _WITHOUT_BODY


def _should_compress(response: Response, request: Request | None) -> bool:
    return (
        "Content-Encoding" not in response.headers
        and request is not None
        and request.accepts_encoding("gzip")
    )


@lru_cache(maxsize=_MAX_KNOWN_STATUSES)
def _status_line(status: int) -> bytes:
    if not 200 <= status <= 999:
        raise LocalProtocolError(f"expected the status of an answer, 200 to 999, got {status!r}")
    return f"HTTP/1.1 {status_line_text(status)}\r\n".encode()


def date_now() -> str:
    """Return the current value of ``Date``."""
    return _date(None)[6:-2].decode()


def _date(now: float | None) -> bytes:
    return _date_of_second(int(time.time() if now is None else now))


@lru_cache(maxsize=2)
def _date_of_second(second: int) -> bytes:
    return f"Date: {rfc1123(second * NANOSECONDS)}\r\n".encode()


@lru_cache(maxsize=_MAX_KNOWN_FIELDS)
def _encode_request_fields(fields: Fields, keep_alive: bool) -> bytes:
    """Encode the lines of a request, except those that the writer adds itself."""
    written = _WRITTEN if keep_alive else _WRITTEN_AT_CLOSE
    lines = [f"{name}: {value}\r\n" for name, value in fields if name.lower() not in written]
    return "".join(lines).encode("latin-1")


@lru_cache(maxsize=_MAX_KNOWN_FIELDS)
def _encode_fields(fields: Fields) -> EncodedFields:
    before: list[str] = []
    after: list[str] = []
    lines, length = before, None
    for name, value in fields:
        lowered = name.lower()
        if lowered == "content-length":
            lines, length = after, value
        elif lowered not in _STRIPPED:
            lines.append(f"{name}: {value}\r\n")
    return "".join(before).encode("latin-1"), "".join(after).encode("latin-1"), length
