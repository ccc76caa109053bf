"""Reading requests in every way they can arrive, for the tests of the parser."""

from __future__ import annotations

from greenproc.http.body import BodySink
from greenproc.http.head_cache import HeadCache
from greenproc.http.limits import DEFAULT_LIMITS, IsSpent, ParserLimits, never
from greenproc.http.parser import RequestParser
from greenproc.http.raw_message import RawRequest
from greenproc.testing import feeds

# A message as libprocess sends it, to stand behind a case.
SPARE = (
    b"POST /rcv/ping HTTP/1.1\r\n"
    b"User-Agent: libprocess/linker@127.0.0.1:43173\r\n"
    b"Libprocess-From: linker@127.0.0.1:43173\r\n"
    b"Connection: Keep-Alive\r\n"
    b"Host: 127.0.0.1:33885\r\n"
    b"Transfer-Encoding: chunked\r\n"
    b"\r\n"
    b"5\r\nhello\r\n0\r\n\r\n"
)


def always() -> bool:
    return True


Seen = tuple[bytes, bytes, tuple[int, int], bool, tuple[tuple[bytes, bytes], ...], bytes]


class Sink:
    """Keeps what a sink is told."""

    def __init__(self) -> None:
        self.data = b""
        self.ended: str | None = None

    def write(self, data: bytes) -> None:
        assert data and self.ended is None
        self.data += data

    def close(self) -> None:
        assert self.ended is None
        self.ended = "closed"

    def fail(self, message: str) -> None:
        assert self.ended is None
        self.ended = message


def seen(request: RawRequest) -> Seen:
    """Return all that a request says."""
    body = request.body
    if isinstance(request.sink, Sink):
        assert request.sink.ended == "closed" and not body
        body = request.sink.data
    return (
        request.method,
        request.target,
        request.version,
        request.keep_alive,
        request.headers,
        body,
    )


def read_once(
    pieces: list[bytes],
    *,
    limits: ParserLimits = DEFAULT_LIMITS,
    heads: HeadCache | None = None,
    streamed: bool = False,
    is_spent: IsSpent = never,
) -> tuple[list[RawRequest], RequestParser]:
    """Feed the pieces to a new parser, and return the requests and the parser."""

    def stream(request: RawRequest) -> BodySink:
        return Sink()

    streams = stream if streamed else None
    parser = RequestParser(limits, heads=heads, streams=streams, is_spent=is_spent)
    requests = []
    for piece in pieces:
        requests += parser.feed(piece)
        while parser.has_more:
            requests += parser.feed(b"")
    return requests, parser


def read(data: bytes, *, limits: ParserLimits = DEFAULT_LIMITS) -> tuple[list[Seen], int | None]:
    """Return the requests of *data* and the status of the error behind them, if any.

    However the bytes are cut, with heads seen before and with new ones, with bodies collected
    and with bodies streamed, at once and with stops, the result must be the same.
    """
    requests, parser = read_once([data], limits=limits)
    expected = [seen(request) for request in requests]
    status = parser.error.status if parser.error else None
    shared = HeadCache(limits)
    for pieces in feeds(data):
        for heads, is_spent in (
            (HeadCache(limits, max_heads=0), never),
            (shared, never),
            (None, always),
        ):
            requests, parser = read_once(pieces, limits=limits, heads=heads, is_spent=is_spent)
            assert [seen(request) for request in requests] == expected, pieces
            assert (parser.error.status if parser.error else None) == status, pieces
        requests, parser = read_once(pieces, limits=limits, streamed=True)
        complete = [
            r for r in requests if not isinstance(r.sink, Sink) or r.sink.ended == "closed"
        ]
        assert [seen(request) for request in complete] == expected, pieces
        assert (parser.error.status if parser.error else None) == status, pieces
    return expected, status


def read_one(data: bytes, *, limits: ParserLimits = DEFAULT_LIMITS) -> Seen:
    """Return the one good request that *data* is, alone and with another one behind it."""
    (request,), status = read(data, limits=limits)
    assert status is None
    spared, status = read(data + SPARE, limits=limits)
    assert status is None
    assert spared[0] == request
    # Nothing is read behind the last request of a connection.
    assert len(spared) == (2 if request[3] else 1)
    return request


def read_error(data: bytes, *, limits: ParserLimits = DEFAULT_LIMITS) -> int:
    """Return the status that *data* is refused with, alone and behind a good request."""
    requests, status = read(data, limits=limits)
    assert requests == [] and status is not None
    requests, behind = read(SPARE + data, limits=limits)
    assert len(requests) == 1 and behind == status
    return status
