"""The streamed body of a response, from the connection to its reader."""

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


def undecodable(error: RemoteProtocolError) -> RemoteProtocolError:
    """Return the error of a response that breaks HTTP, for who has asked for it."""
    failed = RemoteProtocolError(f"Failed to decode response: {error}", status=error.status)
    failed.__cause__ = error
    return failed


class BodyFeed:
    """Takes the body of a streamed response from the parser to its reader.

    The parser writes in the greenlet that reads the connection, the pipe is written in the hub:
    what is called back by a read must not hold up the connection, least of all by waiting for it.
    A packed body is unpacked no faster than it is read: one byte can become a thousand.

    Args:
        unwanted: called once when the reader was closed, or nobody has it any more, or the body
            cannot be unpacked.
        is_packed: the reader is to get unpacked what comes in gzip.
    """

    __slots__ = (
        "__weakref__",
        "_budget",
        "_held",
        "_inflater",
        "_is_packed",
        "_loop",
        "_queue",
        "_reader",
        "_room",
        "_unwanted",
        "_writer",
        "is_over",
    )

    is_over: bool
    """Whether the body is complete, or never will be."""

    def __init__(self, unwanted: Callable[[], object], *, is_packed: bool = False) -> None:
        self.is_over = False
        pipe = Pipe()
        self._held: Reader | None = pipe.reader
        self._reader = ref(pipe.reader, self._lose_reader)
        self._writer = pipe.writer
        self._is_packed = is_packed
        self._inflater: GzipDecoder | None = None  # made for the first byte: there may be none
        self._loop: Any = get_hub().loop
        self._budget = iteration_budget()
        # What is to be done for the reader; each is done again until it says that it is finished.
        self._queue: deque[tuple[Callable[[Any], bool], Any]] = deque()
        self._room: Promise[None] | None = None
        self._unwanted: Callable[[], object] | None = unwanted
        self._writer.reader_closed.on_ready(lambda _: self._leave())

    def take_reader(self) -> Reader:
        """Give the reader away, once: it is lost when who gets it has lost it."""
        reader, self._held = self._held, None
        assert reader is not None
        return reader

    def write(self, data: bytes) -> None:
        """Give the reader the next piece; see `greenproc.http.body.BodySink`."""
        if not self._is_packed:
            self._put(self._hand_on, data)
            return
        if self._inflater is None:
            self._inflater = GzipDecoder()
        self._put(self._unpack, self._inflater.feed(data))

    def close(self) -> None:
        """The body is complete; see `greenproc.http.body.BodySink`."""
        self.is_over = True
        self._put(self._complete, None)

    def fail(self, message: str) -> None:
        """Do nothing: the connection ends, and calls `break_off`, for it knows more of the reason."""

    def break_off(self, error: BaseException | str) -> None:
        """The body will never be complete, because of *error*."""
        self.is_over = True
        self._put(self._fail, error)
        if self._room is not None:
            self._room.set(None)

    def room(self) -> Future[None]:
        """Return a future that is ready when the reader has caught up, or the body is over."""
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
        """Hand on what has come, in the hub."""
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

    def _hand_on(self, data: bytes) -> bool:
        self._writer.write(data)
        return True

    def _unpack(self, pieces: Iterator[bytes]) -> bool:
        """Hand on one of *pieces*, and see to it that the next one follows when there is room."""
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
            self._fail(undecodable(error))
            self._leave()
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
            return self._fail(undecodable(error))
        self._writer.close()
        return True

    def _fail(self, error: BaseException | str) -> bool:
        self._writer.fail(error)
        return True

    def _make_room(self, room: Promise[None]) -> bool:
        self._room = None
        room.associate(self._writer.writable())
        return True

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
