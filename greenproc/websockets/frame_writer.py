"""`FrameWriter`: the frames that wait for one client, in order and within a bound."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from gevent import get_hub

from greenproc.transport.buffered_writer import BufferedWriter, UnsentBytes

SEND_BYTES = 256 * 1024
"""The bytes that are joined into one send, as for batches of messages to other nodes."""


class FrameWriter(BufferedWriter):
    """The queue of frames to a client, and their writing.

    The frames of one iteration of the hub leave in one send, which the hub makes. Only a client
    that does not read costs a greenlet, which ends with the queue.

    Args:
        max_bytes: the bound of the queue; one frame of any size fits into an empty queue.
        unsent: the bound for all clients of the node together.
        spawn: starts a greenlet.
        changed: called when the queue is empty, or the connection is lost. Must not wait.
        evicted: called when *unsent* needs the memory of this client. Must not wait.
    """

    __slots__ = (
        "_changed",
        "_evicted",
        "_frames",
        "_is_due",
        "_is_finished",
        "_max_bytes",
        "_pong",
        "_unsent",
        "error",
        "queued_bytes",
        "sent_bytes",
    )

    def __init__(
        self,
        max_bytes: int,
        unsent: UnsentBytes,
        spawn: Callable[..., Any],
        changed: Callable[[], object],
        evicted: Callable[[], object],
    ) -> None:
        super().__init__(spawn)
        self._max_bytes = max_bytes
        self._unsent = unsent
        self._evicted = evicted
        self._changed = changed
        self._frames: deque[bytes] = deque()
        self._pong: bytes | None = None
        self._is_due = self._is_finished = False
        self.queued_bytes = 0
        """The bytes that the socket has not accepted yet."""
        self.sent_bytes = 0
        """The bytes that the socket has accepted."""
        self.error: OSError | None = None
        """The reason why nothing is sent any more."""

    @property
    def is_empty(self) -> bool:
        """Whether the queue is empty, or nothing is sent any more."""
        return not self.queued_bytes or self.error is not None

    def attach(self, socket: Any) -> None:
        """Start to write to *socket*, after the 101 was sent."""
        self._socket = socket
        self._flush()

    def add(self, frame: bytes) -> bool:
        """Queue a frame, and return whether it fits. After the last frame it is dropped."""
        if self._is_finished:
            return True
        if self.queued_bytes and self.queued_bytes + len(frame) > self._max_bytes:
            return False
        self._queue(frame)
        return True

    def add_pong(self, frame: bytes) -> None:
        """Queue a Pong ahead of the frames, in place of a Pong that is still queued.

        A client may send Pings faster than it reads; RFC 6455 section 5.5.3 allows to answer the
        last one only, so Pongs never take more than 127 bytes.
        """
        if self._is_finished:
            return
        self.queued_bytes += len(frame) - len(self._pong or b"")
        self._pong = frame
        self._flush()

    def finish(self, frame: bytes, *, drops: bool = False) -> None:
        """Queue the last frame.

        Args:
            frame: a Close.
            drops: whether it replaces the queue; a frame that is partly written is completed.
        """
        if self._is_finished:
            return
        if drops:
            self.queued_bytes -= sum(map(len, self._frames)) + len(self._pong or b"")
            self._frames.clear()
            self._pong = None
        self._is_finished = True
        self._queue(frame)
        self._flush()

    def close(self, error: OSError) -> None:
        """Drop the queue, and send nothing any more, because of *error*."""
        if self.error is None:
            self.error = error
        self.is_closed = True
        self._frames.clear()
        self._changed()

    def evict(self) -> None:
        """See `BytesHolder`."""
        self._evicted()

    def _queue(self, frame: bytes) -> None:
        self.queued_bytes += len(frame)
        self._frames.append(frame)
        if self.is_writing:
            self._hold()
        elif not self._is_due:
            self._is_due = True
            get_hub().loop.run_callback(self._flush)

    def _count(self, sent: int) -> None:
        self.queued_bytes -= sent
        self.sent_bytes += sent

    def _take(self) -> bytes:
        """Remove the bytes of the next send from the queue."""
        frames = self._frames
        # A Pong first, so that a client that pings behind a long queue does not time out.
        if self._pong is not None:
            frames.appendleft(self._pong)
            self._pong = None
        if len(frames) == 1:
            return frames.popleft()
        parts: list[bytes] = []
        size = 0
        while frames and size < SEND_BYTES:
            parts.append(frames.popleft())
            size += len(parts[-1])
        return b"".join(parts)

    def _flush(self) -> None:
        self._is_due = False
        if self._socket is not None:
            self._flush_now()

    def _write_some(self, data: bytes | memoryview) -> int:
        sent = super()._write_some(data)
        self._count(sent)
        return sent

    def _has_more(self) -> bool:
        return bool(self._frames)

    def _write(self, rest: memoryview) -> None:
        try:
            super()._write(rest)
        finally:
            self._unsent.release(self)

    def _send(self, data: memoryview) -> None:
        self._hold()
        while data and not self.is_closed:
            sent = self._socket.send(data)
            self._count(sent)
            self._hold()
            data = data[sent:]

    def _write_next(self) -> bool:
        data = self._take()
        if not data:
            return False
        self._send(memoryview(data))
        return True

    def _flushed(self) -> None:
        self._changed()

    def _write_failed(self, error: OSError) -> None:
        self.close(error)

    def _hold(self) -> None:
        """Update the share of this client in the bytes of the node."""
        self._unsent.release(self)
        self._unsent.hold(self, self.queued_bytes)
