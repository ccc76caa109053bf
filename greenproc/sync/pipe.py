"""A pipe: a stream of byte strings with a writer and a reader.

`greenproc.web` makes a pipe the body of a request or a response.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Self

from greenproc.checks import whole_number
from greenproc.clock.current import current_clock
from greenproc.errors import Closed, Failure, InvalidArgument, WaitTimeout
from greenproc.future.delivery import call_all
from greenproc.future.future import Future
from greenproc.future.loop import Break, Continue, Flow, loop
from greenproc.future.promise import Promise
from greenproc.future.waiting import describe_timeout, explain_wait, watch_hub
from greenproc.hub.lifetime import TurnWatch
from greenproc.hub.native import allocate_lock
from greenproc.sync.cancellable_timer import CancellableTimer

MAX_PIPE_BYTES = 64 * 1024 * 1024
"""How many bytes may be unread before the pipe breaks: as many as a whole body may have."""
HIGH_WATER_BYTES = 256 * 1024
"""From how many unread bytes on a writer should wait: some reads of a socket, so neither
starves."""


class _End(Enum):
    """The state of one end of a pipe."""

    OPEN = "open"
    CLOSED = "closed"
    FAILED = "failed"


class Pipe:
    """A stream of byte strings, written at one end and read at the other.

    One read gets what one write brought, in order; nothing is joined or split. Writing never
    waits. A writer that may be faster than the reader should wait for `Writer.writable`.

    The ends may be used from different greenlets, and from any native thread.

    Args:
        max_pipe_bytes: how many bytes may be unread. A write beyond that breaks the pipe, and both
            ends fail.
        ends_by_itself: whether the writer ends the stream soon, as one that writes the pieces of
            an iterator does. A server that drains waits for such a stream, and cuts any other.

    Raises:
        InvalidArgument: *max_pipe_bytes* is not a whole number from 1.

    Source: libprocess include/process/http.hpp, class Pipe.
    Differs: libprocess has neither a bound nor anything that a writer could wait for.
    """

    __slots__ = ("_channel", "reader", "writer")

    reader: Reader
    writer: Writer

    def __init__(
        self, *, max_pipe_bytes: int = MAX_PIPE_BYTES, ends_by_itself: bool = False
    ) -> None:
        self._channel = _Channel(whole_number("max_pipe_bytes", max_pipe_bytes, least=1))
        self.reader = Reader(self._channel, ends_by_itself=ends_by_itself)
        self.writer = Writer(self._channel)

    def statistics(self) -> dict[str, int]:
        """Count the bytes and pieces that are unread, and the reads that wait."""
        return self._channel.statistics()

    def __repr__(self) -> str:
        return f"<Pipe {self._channel!r}>"


class Reader:
    """The reading end of a `Pipe`. Iterating waits for each piece, until the end of the stream."""

    __slots__ = ("__weakref__", "_channel", "ends_by_itself")

    ends_by_itself: bool
    """Whether the writer is expected to end the stream soon. Read-only."""

    def __init__(self, channel: _Channel, *, ends_by_itself: bool = False) -> None:
        self._channel = channel
        self.ends_by_itself = ends_by_itself

    def read(self, timeout: float | None = None) -> Future[bytes]:
        """Return the future of the next piece; ``b""`` is the end of the stream.

        Pieces that were written before the writer closed or failed are read first. Reads are
        served in their order. A discard request has no effect: the read takes the next piece.

        Args:
            timeout: seconds of the current clock, which a test can pause; then the read fails with
                `WaitTimeout` and takes nothing. `after` tells of threads without a hub.

        Raises:
            InvalidArgument: *timeout* is no number. Nothing was taken.
            StateError: the clock was stopped. Nothing was taken.
        """
        read: Promise[bytes] = Promise()
        future = read.future
        if not self._channel.take_or_wait(read) and timeout is not None:
            expire = partial(self._channel.expire, read, timeout, watch_hub())
            try:
                timer = CancellableTimer(current_clock(), timeout, expire)
            except BaseException:
                self._channel.leave(read)
                raise
            # Else the timer would keep the hub alive after a read that was served in time.
            future.on_any(lambda _: timer.cancel())
        return future

    def read_all(self) -> Future[bytes]:
        """Return the future of all pieces up to the end, joined. It fails if a read fails.

        Source: libprocess src/http.cpp, Pipe::Reader::readAll.
        """
        pieces: list[bytes] = []

        def gather(piece: bytes) -> Flow[bytes]:
            if not piece:
                return Break(b"".join(pieces))
            pieces.append(piece)
            return Continue()

        # Inline, since the pieces come by themselves, and yielding between them gains nothing.
        return loop(self.read, gather, inline=True)

    def close(self) -> bool:
        """Close this end; return whether it was open.

        Unread pieces are dropped, and pending reads fail like all later ones.
        """
        return self._channel.close_reader()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        read: Promise[bytes] = Promise()
        try:
            self._channel.take_or_wait(read)
            piece = read.future.get()
        except BaseException:  # a kill must not cost a piece that the next read should get
            self._channel.leave(read)
            raise
        if not piece:
            raise StopIteration
        return piece

    def __repr__(self) -> str:
        return f"<Reader of {self._channel!r}>"


class Writer:
    """The writing end of a `Pipe`.

    Source: libprocess include/process/http.hpp, class Pipe::Writer.
    """

    __slots__ = ("__weakref__", "_channel")

    def __init__(self, channel: _Channel) -> None:
        self._channel = channel

    def write(self, data: bytes) -> bool:
        """Pass a piece to the reader; return whether both ends were still open.

        An empty piece is not written, since a reader would take it for the end.

        Raises:
            InvalidArgument: *data* is neither bytes, bytearray nor memoryview.
        """
        if type(data) is not bytes:
            if not isinstance(data, (bytes, bytearray, memoryview)):
                raise InvalidArgument(f"expected bytes to write, got {data!r}")
            data = bytes(data)  # a copy: the program may change its buffer before it is read
        return self._channel.write(data)

    def close(self) -> bool:
        """End the stream; return whether it was open."""
        return self._channel.close_writer(_End.CLOSED, None)

    def fail(self, error: BaseException | str) -> bool:
        """End the stream with an error; return whether it was open.

        Args:
            error: what reads fail with, once everything is read. A text becomes a `Failure`.

        Raises:
            InvalidArgument: *error* is neither an exception nor a text.
        """
        if isinstance(error, str):
            error = Failure(error)
        elif not isinstance(error, BaseException):
            raise InvalidArgument(f"expected an exception or a text, got {error!r}")
        return self._channel.close_writer(_End.FAILED, error)

    def writable(self) -> Future[None]:
        """Return a future that is ready when the reader has caught up, or has closed its end.

        It is ready at once unless 256 KiB are unread, or the bound of the pipe if that is less.
        """
        return self._channel.writable()

    @property
    def reader_closed(self) -> Future[None]:
        """Ready once the reader has closed; discarded if the writer ended the stream before."""
        return self._channel.reader_closed.future

    def statistics(self) -> dict[str, int]:
        """Count the bytes and pieces that are unread, and the reads that wait."""
        return self._channel.statistics()

    def __repr__(self) -> str:
        return f"<Writer of {self._channel!r}>"


class _Channel:
    """The state that both ends share. Promises are completed after the lock is free."""

    __slots__ = (
        "reads",
        "error",
        "guard",
        "high_water",
        "max_bytes",
        "pieces",
        "reader",
        "reader_closed",
        "room",
        "unread",
        "writer",
    )

    def __init__(self, max_bytes: int) -> None:
        self.guard = allocate_lock()
        self.max_bytes = max_bytes
        self.high_water = min(max_bytes, HIGH_WATER_BYTES)
        self.pieces: deque[bytes] = deque()
        self.unread = 0
        # Pending reads. They have no bound: each belongs to a future that the program has made.
        self.reads: deque[Promise[bytes]] = deque()
        self.room: list[Promise[None]] = []
        self.reader = _End.OPEN
        self.writer = _End.OPEN
        self.error: BaseException | None = None
        self.reader_closed: Promise[None] = Promise()

    # In all methods below, callbacks of completed promises may use this very pipe. So each of them
    # decides under the lock what is to happen, and completes promises when the lock is free.

    def take_or_wait(self, read: Promise[bytes]) -> bool:
        """Complete *read* and return True, or let it wait for a piece."""
        room: list[Promise[None]] = []
        piece = b""
        with self.guard:
            if self.reader is not _End.OPEN:
                error: BaseException | None = Closed("closed")
            elif self.pieces:
                error = None
                piece = self.pieces.popleft()
                self.unread -= len(piece)
                # Below the mark and not at zero, so that the writer refills before a read waits.
                if self.unread < self.high_water:
                    room, self.room = self.room, room
            elif self.writer is _End.OPEN:
                self.reads.append(read)
                return False
            else:
                # The end, or the error, comes after the last piece and stays for later reads.
                error = self.error
        if error is None:
            read.set(piece)
        else:
            read.fail(error)
        call_all(_notifications(room))
        return True

    def leave(self, read: Promise[bytes]) -> None:
        """Withdraw *read*; a piece that it was given goes to the next read."""
        with self.guard:
            if read in self.reads:
                self.reads.remove(read)
                return
            # It was served while its greenlet was killed; the end and errors cost no other read.
            piece = read.future.value
            if not piece or self.reader is not _End.OPEN:
                return
            successor = self.reads.popleft() if self.reads else None
            if successor is None:
                self.pieces.appendleft(piece)
                self.unread += len(piece)
        if successor is not None:
            successor.set(piece)

    def expire(
        self, read: Promise[bytes], timeout: float, watch: TurnWatch | None, has_expired: bool
    ) -> None:
        """Fail a pending *read*; *has_expired* is False if the clock was stopped instead."""
        with self.guard:
            if read not in self.reads:
                return
            self.reads.remove(read)
        if has_expired:
            read.fail(
                WaitTimeout(
                    f"nothing was written {describe_timeout(timeout)}{explain_wait(watch)}"
                )
            )
        else:
            read.abandon()

    def write(self, data: bytes) -> bool:
        with self.guard:
            if self.writer is not _End.OPEN or self.reader is not _End.OPEN:
                return False
            if not data:
                return True
            # A pending read means that nothing is unread, so it takes the piece past the bound.
            read = self.reads.popleft() if self.reads else None
            is_full = read is None and self.unread >= self.max_bytes
            if read is None and not is_full:
                self.pieces.append(data)
                self.unread += len(data)
        if read is not None:
            read.set(data)
        elif is_full:
            # Dropping the piece alone would be a gap that the reader cannot see.
            text = f"the reader is too slow: {self.max_bytes} bytes or more were unread"
            self.close_writer(_End.FAILED, Failure(text))
            return False
        return True

    def close_writer(self, end: _End, error: BaseException | None) -> bool:
        with self.guard:
            if self.writer is not _End.OPEN:
                return False
            self.writer = end
            self.error = error
            reads = list(self.reads)
            self.reads.clear()
            room, self.room = self.room, []
        if error is None:
            ends = [partial(read.set, b"") for read in reads]
        else:
            ends = [partial(read.fail, error) for read in reads]
        call_all([*ends, *_notifications(room)])
        return True

    def close_reader(self) -> bool:
        with self.guard:
            if self.reader is not _End.OPEN:
                return False
            self.reader = _End.CLOSED
            is_early = self.writer is _End.OPEN
            reads = list(self.reads)
            self.reads.clear()
            self.pieces.clear()
            self.unread = 0
            room, self.room = self.room, []
        ends = [partial(read.fail, Closed("closed")) for read in reads]
        promise = self.reader_closed
        # After the pending reads, so that callbacks of the writer find them over.
        last = partial(promise.set, None) if is_early else promise.discard
        call_all([*ends, *_notifications(room), last])
        return True

    def writable(self) -> Future[None]:
        promise: Promise[None] = Promise()
        with self.guard:
            is_open = self.writer is _End.OPEN and self.reader is _End.OPEN
            must_wait = is_open and self.unread >= self.high_water
            if must_wait and self.room:
                # One promise for all waits: those that were given up would pile up otherwise.
                promise = self.room[0]
            elif must_wait:
                self.room.append(promise)
        if not must_wait:
            promise.set(None)
        return promise.future

    def statistics(self) -> dict[str, int]:
        return {
            "unread_bytes": self.unread,
            "unread_pieces": len(self.pieces),
            "waiting": len(self.reads),
        }

    def __repr__(self) -> str:
        ends = f"writer {self.writer.value}, reader {self.reader.value}"
        return f"{ends}, {self.unread} bytes unread, {len(self.reads)} waiting"


def _notifications(promises: list[Promise[None]]) -> list[Callable[[], bool]]:
    return [partial(promise.set, None) for promise in promises]
