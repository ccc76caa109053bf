"""Requests and responses as bytes."""

from __future__ import annotations

import re
import time
from functools import lru_cache

from greenproc.errors import LocalProtocolError
from greenproc.http.content import MIN_GZIP_BYTES, gzip_compress
from greenproc.http.headers import Headers
from greenproc.http.request import Request
from greenproc.http.response import Response, ResponseKind
from greenproc.http.status import Status, status_line_text
from greenproc.timestamp import NANOSECONDS, rfc1123

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
"""What a peer that expects it waits for before it sends a body."""
LAST_CHUNK = b"0\r\n\r\n"
"""What ends a body in chunks."""

_NOT_IN_TARGET = re.compile(r"[\x00-\x20\x7f]")
_STRIPPED = frozenset(("date", "transfer-encoding"))


def encode_response(
    response: Response, request: Request | None = None, *, now: float | None = None
) -> bytes:
    """Write a response whose body is known.

    A body is packed with gzip when it has 1024 bytes, the request accepts that, and the
    handler has not packed it. A ``Content-Length`` of the handler cuts the body.

    Args:
        request: what is answered. HEAD gets everything but the body.
        now: seconds since 1970, for the date; None takes the system's clock.

    Raises:
        LocalProtocolError: the body comes from a file or a pipe, see `encode_response_head`.

    Source: libprocess src/encoder.hpp, HttpResponseEncoder, and the order of its lines.
    Differs: HEAD, and a length that is too large is corrected; statuses that cannot have a body
    get none.
    """
    if response.kind not in (ResponseKind.NONE, ResponseKind.BODY):
        raise LocalProtocolError(f"expected a response with its body, got {response!r}")
    body = _cut(response)
    first = b""
    headers = response.headers
    if _is_to_be_packed(response, body, request):
        body = gzip_compress(body)
        first = b"Content-Encoding: gzip\r\n"
    if not may_have_body(response.status):
        return _head(response.status, headers, None, now=now)
    head = _head(response.status, headers, len(body), now=now, first=first)
    return head if request is not None and request.method == "HEAD" else head + body


def encode_response_head(
    response: Response,
    *,
    size: int | None = None,
    is_chunked: bool = True,
    now: float | None = None,
) -> bytes:
    """Write what stands before a body that comes from a file or a pipe.

    Args:
        size: how many bytes follow; None if that is not known.
        is_chunked: whether they then follow as chunks; else they end with the connection.
        now: seconds since 1970, for the date; None takes the system's clock.

    Source: libprocess src/http_proxy.cpp.
    """
    headers = response.headers.copy()
    headers.pop("Content-Length", None)
    framing = b""
    if size is not None:
        framing = b"Content-Length: %d\r\n" % size
    elif is_chunked:
        framing = b"Transfer-Encoding: chunked\r\n"
    return _head(response.status, headers, None, now=now, second=framing)


def encode_chunk(data: bytes) -> bytes:
    """Write *data*, which must not be empty, as one chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


@lru_cache(maxsize=2)
def accepted_response(now_second: int) -> bytes:
    """Return the answer to a message: ``202 Accepted`` without a body.

    Args:
        now_second: seconds since 1970, for the date.
    """
    return _head(Status.ACCEPTED, Headers(), 0, now=now_second)


def encode_request(request: Request) -> bytes:
    """Write a request; of one with a reader, what stands before its chunks.

    Raises:
        LocalProtocolError: the method is none, the target has a blank or a control character,
            there is no host, or a body is given beside the reader.

    Source: libprocess src/http.cpp, encode(Request), and the order of its lines.
    Differs: a fragment is not sent.
    """
    method, target = request.method, request.url.target
    if not method.isascii() or not method.replace("-", "").isalpha():
        raise LocalProtocolError(f"expected a method, got {method!r}")
    headers = request.headers.copy()
    host = request.url.place or headers.get("Host")
    if host is None:
        raise LocalProtocolError("expected a URL with a host, or a Host header")
    bad = _NOT_IN_TARGET.search(target) or _NOT_IN_TARGET.search(host)
    if bad is not None:
        raise LocalProtocolError(f"a URL must not contain {bad[0]!r}, got {str(request.url)!r}")
    for name in ("Host", "Content-Length", "Transfer-Encoding"):
        headers.pop(name, None)
    lines = [f"{method} {target} HTTP/1.1"]
    if not request.keep_alive:
        headers.pop("Connection", None)
        lines.append("Connection: close")
    if request.reader is None:
        lines.append(f"Content-Length: {len(request.body)}")
    elif request.body:
        raise LocalProtocolError("expected either a body or a reader")
    else:
        lines.append("Transfer-Encoding: chunked")
    lines.append(f"Host: {host}")
    head = "".join(f"{line}\r\n" for line in lines).encode("utf-8", "surrogateescape")
    rest = "".join(f"{name}: {value}\r\n" for name, value in headers.lines())
    return head + rest.encode("latin-1") + b"\r\n" + request.body


def _cut(response: Response) -> bytes:
    """Return the body, cut to the length that the handler gave if that is shorter."""
    body = response.body
    length = response.headers.get("Content-Length", "")
    if length.isascii() and length.isdigit() and int(length) < len(body):
        return body[: int(length)]
    return body


def may_have_body(status: int) -> bool:
    """Whether a response of that status is followed by a body."""
    # RFC 9112 section 6.3: a client takes what follows these for the next response.
    return status >= 200 and status not in (Status.NO_CONTENT, Status.NOT_MODIFIED)


def _is_to_be_packed(response: Response, body: bytes, request: Request | None) -> bool:
    return (
        len(body) >= MIN_GZIP_BYTES
        and response.kind is ResponseKind.BODY
        and "Content-Encoding" not in response.headers
        and request is not None
        and request.accepts_encoding("gzip")
    )


def _head(
    status: int,
    headers: Headers,
    length: int | None,
    *,
    now: float | None,
    first: bytes = b"",
    second: bytes = b"",
) -> bytes:
    """Write a head; *first* stands before the date, *second* behind it.

    The length stands where the headers have one, else at the end.
    """
    second_now = int(time.time() if now is None else now)
    parts = [b"HTTP/1.1 ", status_line_text(status).encode(), b"\r\n", first, _date(second_now)]
    parts.append(second)
    length_line = b"" if length is None else b"Content-Length: %d\r\n" % length
    for name, value in headers.lines():
        lowered = name.lower()
        if lowered == "content-length":
            parts.append(length_line)
            length_line = b""
        elif lowered not in _STRIPPED:
            parts.append(f"{name}: {value}\r\n".encode("latin-1"))
    parts += (length_line, b"\r\n")
    return b"".join(parts)


@lru_cache(maxsize=2)
def _date(second: int) -> bytes:
    return f"Date: {rfc1123(second * NANOSECONDS)}\r\n".encode()
