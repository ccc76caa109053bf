"""`RawRequest` and `RawResponse`: messages as they are on the wire, and their conversion.

The parsers return these. Decoding the headers and decompressing the body cost more than parsing,
and a message of libprocess needs neither.
"""

from __future__ import annotations

import msgspec

from greenproc.address import Address
from greenproc.http.body import BodySink
from greenproc.http.content_coding import Pause, gzip_decompress, no_pause
from greenproc.http.head import RawFields, RequestHead, ResponseHead
from greenproc.http.headers import Headers
from greenproc.http.limits import DEFAULT_LIMITS
from greenproc.http.request import Request
from greenproc.http.response import Response
from greenproc.http.url import URL


class RawRequest(msgspec.Struct, eq=False):
    """A request as on the wire. `to_request` converts it for handlers."""

    head: RequestHead
    body: bytes
    """In its content coding, such as gzip; empty when `sink` receives it."""
    sink: BodySink | None = None
    """The receiver of a streamed body; None for a body that is read whole."""

    @property
    def method(self) -> bytes:
        """Such as ``b"POST"``."""
        return self.head.method

    @property
    def target(self) -> bytes:
        """The path with its query, ``*``, or an absolute URL."""
        return self.head.target

    @property
    def headers(self) -> RawFields:
        """Name and value of each header line."""
        return self.head.headers

    @property
    def keep_alive(self) -> bool:
        """Whether the connection persists after this request."""
        return self.head.keep_alive

    @property
    def version(self) -> tuple[int, int]:
        """``(1, 1)`` or ``(1, 0)``."""
        return self.head.version

    def __repr__(self) -> str:
        return f"<RawRequest {self.method!r} {self.target!r}, {len(self.body)} bytes>"


class RawResponse:
    """A response as on the wire. `to_response` converts it for users."""

    __slots__ = ("head", "body", "sink")

    head: ResponseHead
    body: bytes
    """In its content coding, such as gzip; empty when `sink` receives it."""
    sink: BodySink | None
    """The receiver of a streamed body; None for a body that is read whole."""

    def __init__(self, head: ResponseHead) -> None:
        self.head = head
        self.body = b""
        self.sink = None

    def __repr__(self) -> str:
        return f"<RawResponse {self.head.status}, {len(self.body)} bytes>"


def to_request(
    raw: RawRequest,
    client: Address | None = None,
    *,
    max_body_bytes: int = DEFAULT_LIMITS.max_body_bytes,
    pause: Pause = no_pause,
    connection: object = None,
) -> Request:
    """Convert a request for handlers.

    A compressed body is decompressed. The headers stay as they are, ``Content-Encoding`` included.

    Args:
        raw: the request as on the wire.
        client: the address of the client.
        max_body_bytes: the limit of the decompressed body.
        pause: called between the steps of decompression.
        connection: the connection that carried it, for handlers that need it.

    Raises:
        RemoteProtocolError: an escape in the query is malformed (400), or the body cannot be
            decompressed (400, 413).
    """
    head = raw.head
    method, url, headers = head.parts or head.parse_parts()
    body = raw.body
    if head.is_gzip and raw.sink is None:
        body = gzip_decompress(body, max_body_bytes, pause)
    # Handlers may change the query and the headers; the head is shared by repeated requests.
    url = URL(url.path, {**url.query}, url.fragment)
    return Request(
        method,
        url,
        headers.copy(),
        body,
        None,
        client,
        head.keep_alive,
        head.version,
        head,
        connection,
    )


def to_raw_request(
    raw: RawRequest, client: Address | None = None, *, connection: object = None
) -> Request:
    """Convert a request for a handler that uses `Request.head` itself.

    The query, which may be malformed, is not decoded, and the body is not decompressed.

    Args:
        raw: the request as on the wire.
        client: the address of the client.
        connection: the connection that carried it.
    """
    head = raw.head
    return Request(
        head.method.decode("ascii"),
        URL(head.path),
        Headers.from_wire(head.headers),
        raw.body,
        None,
        client,
        head.keep_alive,
        head.version,
        head,
        connection,
    )


def to_response(
    raw: RawResponse,
    *,
    max_body_bytes: int = DEFAULT_LIMITS.max_body_bytes,
    pause: Pause = no_pause,
) -> Response:
    """Convert a response for users.

    A compressed body is decompressed, and the headers no longer mention its coding, so that a
    server can forward the response. The sink of a streamed body must decompress it itself.

    Args:
        raw: the response as on the wire.
        max_body_bytes: the limit of the decompressed body.
        pause: called between the steps of decompression.

    Raises:
        RemoteProtocolError: the body cannot be decompressed.
    """
    response = Response(raw.head.status)
    headers = raw.head.parsed_headers()
    body = raw.body
    if raw.head.is_gzip and raw.head.length != 0:
        # An empty body is not a gzip stream, but servers send it for empty content.
        body = gzip_decompress(body, max_body_bytes, pause) if body else body
        _remove_coding(headers, len(body) if raw.sink is None else None)
    if body:
        response.body = body  # before the headers: the setter would correct their length again
    response.headers = headers
    return response


def _remove_coding(headers: Headers, length: int | None) -> None:
    """Change *headers* to those of the decompressed body, whose *length* is None if unknown."""
    del headers["Content-Encoding"]
    if length is None:
        headers.pop("Content-Length", None)
    elif "Content-Length" in headers:
        headers["Content-Length"] = str(length)
