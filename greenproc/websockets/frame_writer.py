"""What leaves on one WebSocket: in order, within a bound, without a wait for the sender."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from gevent import get_hub

from greenproc.transport.buffered_writer import BufferedWriter, UnsentBytes

SEND_BYTES = 256 * 1024
"""How much is joined into one send."""


class FrameWriter(BufferedWriter):
    """The frames that a client has not taken yet.

    Those of one iteration of the hub leave in one send. Only a client that does not read takes a
    greenlet, which ends when it has nothing to write.

    Args:
        max_bytes: how much may wait; a single message of any size may.
        unsent: bounds what waits for all clients of the node together.
        spawn: starts that greenlet.
        changed: called when everything has left, or nothing can any more. Must not wait.
        evicted: called when the client has to go for the sake of others. Must not wait.
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
        """How much the client has not taken."""
        self.sent_bytes = 0
        """How much it has."""
        self.error: OSError | None = None
        """Why nothing leaves any more."""

    @property
    def is_empty(self) -> bool:
        """Whether everything has left, or nothing can."""
        return not self.queued_bytes or self.error is not None

    def attach(self, socket: Any) -> None:
        """Begin to write to *socket*."""
        self._socket = socket
        self._flush()

    def add(self, frame: bytes) -> bool:
        """Queue a frame; tell whether there was room. After the last one nothing is sent."""
        if self._is_finished:
            return True
        if self.queued_bytes and self.queued_bytes + len(frame) > self._max_bytes:
            return False
        self._queue(frame)
        return True

    def add_pong(self, frame: bytes) -> None:
        """Queue a Pong ahead of what waits, instead of one that still waits.

        Source: RFC 6455 section 5.5.3.
        """
        if self._is_finished:
            return
        self.queued_bytes += len(frame) - len(self._pong or b"")
        self._pong = frame
        self._flush()

    def finish(self, frame: bytes, *, drops: bool = False) -> None:
        """Queue the last frame.

        Args:
            drops: instead of what waits, but for what is being written.
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
        """Send nothing any more, because of *error*."""
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
        """Remove what is to leave next."""
        frames = self._frames
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
        """Count what waits while the client is waited for."""
        self._unsent.release(self)
        self._unsent.hold(self, self.queued_bytes)
