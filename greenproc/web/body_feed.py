"""`BodyFeed`: the streamed body of a response, from the connection to its reader."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any
from weakref import ref

from gevent import get_hub

from greenproc.errors import RemoteProtocolError
from greenproc.future import Future, Promise
from greenproc.http.content_coding import GzipDecoder
from greenproc.hub.iteration_budget import iteration_budget
from greenproc.sync.pipe import Pipe, Reader


def decode_failure(error: RemoteProtocolError) -> RemoteProtocolError:
    """Return the failure of a request whose response breaks HTTP."""
    failed = RemoteProtocolError(f"Failed to decode response: {error}", status=error.status)
    failed.__cause__ = error
    return failed


class BodyFeed:
    """Carries the body of a streamed response from the parser to its reader.

    The parser writes in the greenlet that reads the connection, but the hub writes to the pipe:
    a callback of a read must not block the connection, which it may wait for. A compressed body
    is decompressed as fast as it is read, since one byte can become a thousand.

    Args:
        abandoned: called once when the reader is closed or garbage, or the body cannot be
            decompressed.
        is_compressed: whether to decompress gzip for the reader.
    """

    __slots__ = (
        "__weakref__",
        "_budget",
        "_held",
        "_inflater",
        "_is_compressed",
        "_loop",
        "_queue",
        "_reader",
        "_room",
        "_abandoned",
        "_writer",
        "is_over",
    )

    is_over: bool
    """Whether the body is complete or has failed."""

    def __init__(self, abandoned: Callable[[], object], *, is_compressed: bool = False) -> None:
        self.is_over = False
        pipe = Pipe()
        self._held: Reader | None = pipe.reader
        self._reader = ref(pipe.reader, self._reader_collected)
        self._writer = pipe.writer
        self._is_compressed = is_compressed
        self._inflater: GzipDecoder | None = None  # for the first byte: an empty body has no gzip
        self._loop: Any = get_hub().loop
        self._budget = iteration_budget()
        # Steps for the reader in their order. A step is repeated until it returns True.
        self._queue: deque[tuple[Callable[[Any], bool], Any]] = deque()
        self._room: Promise[None] | None = None
        self._abandoned: Callable[[], object] | None = abandoned
        self._writer.reader_closed.on_ready(lambda _: self._abandon())

    def detach_reader(self) -> Reader:
        """Return the reader, once. From then on only the user's reference keeps it alive, and its
        collection abandons the response.
        """
        reader, self._held = self._held, None
        assert reader is not None
        return reader

    def write(self, data: bytes) -> None:
        """Queue the next piece. See `greenproc.http.body.BodySink`."""
        if not self._is_compressed:
            self._put(self._forward, data)
            return
        if self._inflater is None:
            self._inflater = GzipDecoder()
        self._put(self._decompress, self._inflater.feed(data))

    def close(self) -> None:
        """Complete the body. See `greenproc.http.body.BodySink`."""
        self.is_over = True
        self._put(self._complete, None)

    def fail(self, message: str) -> None:
        """Do nothing: the connection calls `abort`, with a more precise reason."""

    def abort(self, error: BaseException | str) -> None:
        """Fail the reader with *error*, after the pieces that are queued."""
        self.is_over = True
        self._put(self._fail, error)
        if self._room is not None:
            self._room.set(None)

    def writable(self) -> Future[None]:
        """Return a future that is ready when the reader has caught up, or the body has ended."""
        if not self._queue:
            return self._writer.writable()
        if self._room is None:
            self._room = Promise()
            self._put(self._make_room, self._room)
        return self._room.future

    def _put(self, act: Callable[[Any], bool], argument: Any) -> None:
        if not self._queue:
            self._loop.run_callback(self._flush)
        self._queue.append((act, argument))

    def _flush(self) -> None:
        """Run the steps, in the hub, within its time budget."""
        while self._queue:
            if self._budget.is_spent():
                self._budget.call_later(self._flush)
                return
            act, argument = self._queue[0]
            if not act(argument):
                break
            self._queue.popleft()
        if self._reader() is None:
            self._check_reads()

    def _forward(self, data: bytes) -> bool:
        self._writer.write(data)
        return True

    def _decompress(self, pieces: Iterator[bytes]) -> bool:
        """Forward one of *pieces*, and schedule the next one for when the pipe has room."""
        try:
            for piece in pieces:
                if piece:
                    break
                if self._budget.is_spent():
                    self._budget.call_later(self._flush)
                    return False
            else:
                return True
        except RemoteProtocolError as error:
            self._fail(decode_failure(error))
            self._abandon()
            return True
        if not self._writer.write(piece):
            return True
        # The reader may be in another thread.
        self._writer.writable().on_any(lambda _: self._loop.run_callback_threadsafe(self._flush))
        return False

    def _complete(self, _: None) -> bool:
        try:
            if self._inflater is not None:
                self._inflater.finish()
        except RemoteProtocolError as error:
            return self._fail(decode_failure(error))
        self._writer.close()
        return True

    def _fail(self, error: BaseException | str) -> bool:
        self._writer.fail(error)
        return True

    def _make_room(self, room: Promise[None]) -> bool:
        self._room = None
        room.associate(self._writer.writable())
        return True

    def _reader_collected(self, _reference: object) -> None:
        """Schedule a check. The garbage collector calls this in any thread, at any point."""
        if self._loop is not None:
            self._loop.run_callback_threadsafe(self._check_reads)

    def _check_reads(self) -> None:
        """Abandon the response unless a read is pending, whose future may be referenced."""
        if not self._writer.statistics()["waiting"]:
            self._abandon()

    def _abandon(self) -> None:
        abandoned, self._abandoned = self._abandoned, None
        # Futures of `writable` become ready by this.
        self._writer.fail("the reader is closed")
        if abandoned is not None and not self.is_over:
            abandoned()

    def __repr__(self) -> str:
        return f"<BodyFeed to {self._writer!r}>"
