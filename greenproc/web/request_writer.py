"""`RequestWriter`: writes the requests of a client connection in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gevent import get_hub, getcurrent, socket

from greenproc.errors import Abandoned
from greenproc.failures import FAILURES
from greenproc.http.writer import LAST_CHUNK, encode_chunk
from greenproc.hub.iteration_budget import yield_if_spent
from greenproc.transport.buffered_writer import BufferedWriter
from greenproc.web.dial import bound_spawn
from greenproc.web.exchange import Exchange, as_piece
from greenproc.web.timeouts import WatchdogTimer

BATCH_BYTES = 256 * 1024  # of requests that are joined into one send, as for batches of messages


@dataclass(frozen=True, slots=True)
class WriterHooks:
    """The callbacks of a writer. They must not wait, since the hub calls some of them."""

    begun: Callable[[Exchange], None]
    """Called before the first byte of a request is written."""
    sent: Callable[[], None]
    """Called after the last byte of one or more requests is written."""
    refused: Callable[[OSError], None]
    """Called when the socket accepts no more bytes."""
    failed: Callable[[BaseException], None]
    """Called when a streamed body cannot be completed."""


class RequestWriter(BufferedWriter):
    """Writes requests in order.

    The requests of one iteration of the hub leave in one send, which the hub makes. Only a peer
    that does not read, or a streamed body, costs a greenlet, which ends with the queue.

    Args:
        connected: the socket.
        hooks: the callbacks.
        timer: runs while the peer does not read.
    """

    __slots__ = (
        "_current",
        "_hooks",
        "_loop",
        "_queue",
        "_running",
        "_scheduled",
        "_timer",
    )

    def __init__(self, connected: socket.socket, hooks: WriterHooks, timer: WatchdogTimer) -> None:
        # Bound here, since the hub, where it is called, has no current runtime.
        super().__init__(bound_spawn(), connected)
        self._hooks = hooks
        self._timer = timer
        self._loop = get_hub().loop
        self._queue: deque[Exchange] = deque()
        self._current: Exchange | None = None  # its body is streamed
        self._scheduled = self._running = False

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def is_streaming(self) -> bool:
        """Whether a body is being written piece by piece."""
        return self._current is not None

    def put(self, exchange: Exchange) -> None:
        """Queue *exchange*. Never waits."""
        self._queue.append(exchange)
        # Once per iteration of the hub, so that all requests of that time leave in one send.
        if not self._scheduled and not self.is_writing:
            self._scheduled = True
            self._loop.run_callback(self._flush)

    def drop_unsent(self) -> list[Exchange]:
        """Empty the queue, and return its requests. A partly written one is completed."""
        unsent = list(self._queue)
        self._queue.clear()
        for exchange in unsent:
            exchange.close_body()
        return unsent

    def close(self) -> list[Exchange]:
        """Stop writing, and return the requests in the queue."""
        self.is_closed = True
        greenlet, self._greenlet = self._greenlet, None
        if greenlet is not None and greenlet is not getcurrent():
            greenlet.kill(block=False)
            if self._current is not None and not self._running:
                self._current.close_body()  # a greenlet that never started has no finally block
        return self.drop_unsent()

    def _flush(self) -> None:
        self._scheduled = False
        if self._queue:
            self._flush_now()

    def _take(self) -> bytes:
        """Return the bytes of the next send, up to the next streamed body."""
        pieces = []
        size = 0
        while self._queue and self._current is None and size < BATCH_BYTES:
            exchange = self._queue.popleft()
            if exchange.body is None:
                exchange.is_sent = True
            else:
                self._current = exchange
            pieces.append(exchange.data)
            size += len(exchange.data)
            exchange.data = b""  # a large body must not stay in memory until its response
            self._hooks.begun(exchange)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _has_more(self) -> bool:
        return self._current is not None or bool(self._queue)

    def _write(self, rest: memoryview) -> None:
        self._running = True
        try:
            super()._write(rest)
        except BaseException:
            if not self.is_closed:  # killed within a body, so its response will never arrive
                self._hooks.failed(Abandoned("the greenlet that sends the body was killed"))
            raise
        finally:
            self._running = False
            self._finish_body()

    def _write_next(self) -> bool:
        if self._current is not None and not self._stream(self._current):
            return False
        if not self._queue:
            return False
        self._hooks.sent()
        self._send(memoryview(self._take()))
        return True

    def _flushed(self) -> None:
        if not self.is_closed:
            self._hooks.sent()

    def _stream(self, exchange: Exchange) -> bool:
        """Write a body piece by piece, and return whether it is complete."""
        for data in self._pieces(exchange):
            if data is None or self.is_closed:
                return False
            self._send(data)
            yield_if_spent()
        exchange.is_sent = True
        self._finish_body()
        return True

    def _pieces(self, exchange: Exchange) -> Iterator[bytes | None]:
        """Yield the chunks of a body; None when it fails."""
        try:
            for piece in exchange.body:
                data = as_piece(piece)
                if data:  # an empty chunk would end the body
                    yield encode_chunk(data)
        except FAILURES as error:
            self.is_closed = True  # the server would parse the next request as part of this body
            self._hooks.failed(error)
            yield None
        else:
            yield LAST_CHUNK

    def _send(self, data: bytes | memoryview) -> None:
        sent = self._write_some(data) if data else 0
        if sent == len(data):
            return
        rest = memoryview(data)
        while sent < len(data):
            self._timer.start()
            sent += self._socket.send(rest[sent:])
        self._timer.stop()

    def _finish_body(self) -> None:
        exchange, self._current = self._current, None
        if exchange is not None:
            exchange.close_body()

    def _write_failed(self, error: OSError) -> None:
        if not self.is_closed:
            self.is_closed = True
            self._hooks.refused(error)

    def __repr__(self) -> str:
        state = "closed" if self.is_closed else "streaming" if self._current else "open"
        return f"<RequestWriter {state}, {len(self._queue)} queued>"
