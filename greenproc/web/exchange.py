"""A request of a client on its way, and the streamed body of the response to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import GeneratorType
from typing import Any
from weakref import ref

from gevent import get_hub

from greenproc.errors import LocalProtocolError
from greenproc.future import Future, Promise
from greenproc.http.request import Request
from greenproc.http.response import Response
from greenproc.http.writer import encode_request
from greenproc.sync.pipe import Pipe, Reader
from greenproc.web.endpoint import Endpoint, addressed


class Exchange:
    """A request that is to be sent, and the promise of its response.

    Args:
        streamed: the promise is kept after the head of the response.

    Raises:
        LocalProtocolError: the request cannot be put on the wire.
    """

    __slots__ = ("body", "data", "is_last", "is_sent", "method", "promise", "streamed")

    data: bytes
    """What is sent first: everything, or what stands before a streamed body."""
    body: Any
    """The pieces of a streamed body, else None."""
    is_last: bool
    """Whether it closes the connection."""
    is_sent: bool

    def __init__(
        self, request: Request, endpoint: Endpoint, promise: Promise[Response], *, streamed: bool
    ) -> None:
        self.method = request.method
        self.body = request.reader
        self.data = encode_request(
            Request(
                self.method,
                addressed(request.url, endpoint),
                request.headers,
                request.body,
                self.body,
                keep_alive=request.keep_alive,
            )
        )
        self.is_last = not request.keep_alive
        self.is_sent = False
        self.promise = promise
        self.streamed = streamed

    def close_body(self) -> None:
        """Tell who makes the body that no more of it is wanted."""
        if isinstance(self.body, (Reader, GeneratorType)):
            self.body.close()

    def __repr__(self) -> str:
        return f"<Exchange {self.method} {self.promise.future}>"


def as_piece(piece: object) -> bytes:
    """Return a piece of a streamed body as bytes.

    Raises:
        LocalProtocolError: it is neither text nor bytes.
    """
    if isinstance(piece, bytes):
        return piece
    if isinstance(piece, str):
        return piece.encode()
    if isinstance(piece, (bytearray, memoryview)):
        return bytes(piece)
    raise LocalProtocolError(f"expected bytes as a piece of the body, got {piece!r}")


class BodyFeed:
    """Takes the body of a streamed response from the parser to its reader.

    The parser writes in the greenlet that reads the connection, the pipe is written in the hub:
    what is called back by a read must not hold up the connection, least of all by waiting for it.

    Args:
        pipe: only its writer is held, so that a reader nobody has any more is noticed.
        unwanted: called once when the reader was closed, or nobody has it any more.
    """

    __slots__ = ("__weakref__", "_loop", "_queue", "_reader", "_unwanted", "_writer", "is_over")

    is_over: bool
    """Whether the body is complete, or never will be."""

    def __init__(self, pipe: Pipe, unwanted: Callable[[], object]) -> None:
        self.is_over = False
        self._loop: Any = get_hub().loop
        self._writer = pipe.writer
        self._queue: deque[tuple[Callable[[Any], object], Any]] = deque()
        self._unwanted: Callable[[], object] | None = unwanted
        self._reader = ref(pipe.reader, self._lose_reader)
        self._writer.reader_closed.on_ready(lambda _: self._leave())

    def write(self, data: bytes) -> None:
        """See `greenproc.http.content.BodySink`."""
        self._put(self._writer.write, data)

    def close(self) -> None:
        """See `greenproc.http.content.BodySink`."""
        self.is_over = True
        self._put(lambda _: self._writer.close(), None)

    def fail(self, error: BaseException | str) -> None:
        """See `greenproc.http.content.BodySink`."""
        self.is_over = True
        self._put(self._writer.fail, error)

    def room(self) -> Future[None]:
        """Return a future that is ready when the reader has caught up with what the hub handed on."""
        return self._writer.writable()

    def _put(self, act: Callable[[Any], object], argument: Any) -> None:
        if not self._queue:
            self._loop.run_callback(self._flush)
        self._queue.append((act, argument))

    def _flush(self) -> None:
        """Hand on what has come, in the hub."""
        while self._queue:
            act, argument = self._queue[0]
            act(argument)
            self._queue.popleft()
        if self._reader() is None:
            self._check_reads()

    def _lose_reader(self, _reference: object) -> None:
        """Note that nobody has the reader any more; called by the garbage collector, anywhere."""
        if self._loop is not None:
            self._loop.run_callback_threadsafe(self._check_reads)

    def _check_reads(self) -> None:
        """Give up unless a read still waits, whose future somebody may have."""
        if not self._writer.statistics()["waiting"]:
            self._leave()

    def _leave(self) -> None:
        unwanted, self._unwanted = self._unwanted, None
        # What waits for room must not go on waiting.
        self._writer.fail("nobody reads any more")
        if unwanted is not None and not self.is_over:
            unwanted()

    def __repr__(self) -> str:
        return f"<BodyFeed to {self._writer!r}>"
