"""`Exchange`: a request of a client, and the promise of its response."""

from __future__ import annotations

from types import GeneratorType
from typing import Any

from greenproc.errors import InvalidArgument, LocalProtocolError
from greenproc.future import Promise
from greenproc.http.request import Request
from greenproc.http.response import Response, encode_body
from greenproc.http.writer import encode_request
from greenproc.sync.pipe import Reader
from greenproc.tracing import TRACING, current_trace
from greenproc.web.origin import Origin, with_authority


class Exchange:
    """An encoded request, and the promise of its response.

    Args:
        request: the request.
        origin: the server.
        promise: of the response.
        streamed: whether the promise is completed after the head of the response.

    Raises:
        LocalProtocolError: the request cannot be encoded.
    """

    __slots__ = ("body", "data", "is_last", "is_sent", "method", "promise", "streamed")

    data: bytes
    """The whole request, or the head before a streamed body."""
    body: Any
    """The pieces of a streamed body, else None."""
    is_last: bool
    """Whether the connection is closed after its response."""
    is_sent: bool
    """Whether its last byte was written."""

    def __init__(
        self, request: Request, origin: Origin, promise: Promise[Response], *, streamed: bool
    ) -> None:
        # Encoded at once: the caller may change the request later, and gets errors right here.
        self.method = request.method
        self.body = request.reader
        self.data = _encode(request, origin)
        self.is_last = not request.keep_alive
        self.is_sent = False
        self.promise = promise
        self.streamed = streamed

    def close_body(self) -> None:
        """Close a streamed body, of which no more is sent."""
        close_body(self.body)

    def __repr__(self) -> str:
        return f"<Exchange {self.method} {self.promise.future}>"


def _encode(request: Request, origin: Origin) -> bytes:
    try:
        url = with_authority(request.url, origin)
        return encode_request(
            Request(
                request.method,
                url,
                request.headers,
                request.body,
                request.reader,
                keep_alive=request.keep_alive,
            ),
            current_trace() if TRACING.is_active else None,
        )
    except UnicodeError as error:
        raise LocalProtocolError(f"the request cannot be encoded: {error}") from error


def close_body(body: object) -> None:
    """Close *body* if it is a reader or a generator, so that its producer stops."""
    if isinstance(body, (Reader, GeneratorType)):
        body.close()


def as_piece(piece: object) -> bytes:
    """Return a piece of a streamed body as bytes.

    Raises:
        LocalProtocolError: it is neither a str nor bytes.
    """
    try:
        return piece if isinstance(piece, bytes) else encode_body(piece)
    except InvalidArgument as error:
        text = f"expected bytes as a piece of the body, got {piece!r}"
        raise LocalProtocolError(text) from error
