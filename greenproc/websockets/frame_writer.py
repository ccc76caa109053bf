"""What leaves on one WebSocket: in order, within a bound, without a wait for the sender."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from gevent import get_hub

from greenproc.transport.buffered_writer import UnsentBytes, write_some

SEND_BYTES = 256 * 1024
"""How much is joined into one send."""


class FrameWriter:
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
        "_is_writing",
        "_max_bytes",
        "_pong",
        "_socket",
        "_spawn",
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
        self._max_bytes = max_bytes
        self._unsent = unsent
        self._evicted = evicted
        self._spawn = spawn
        self._changed = changed
        self._socket: Any = None
        self._frames: deque[bytes] = deque()
        self._pong: bytes | None = None
        self._is_due = self._is_writing = self._is_finished = False
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
        self._frames.clear()
        self._changed()

    def evict(self) -> None:
        """See `BytesHolder`."""
        self._evicted()

    def _queue(self, frame: bytes) -> None:
        self.queued_bytes += len(frame)
        self._frames.append(frame)
        if self._is_writing:
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
        """Send what can leave without waiting, and leave the rest to a greenlet."""
        self._is_due = False
        if self._is_writing or self._socket is None or self.error is not None:
            return
        while data := self._take():
            try:
                sent = write_some(self._socket, data)
            except OSError as error:
                self.close(error)
                return
            self._count(sent)
            if sent < len(data):
                self._is_writing = True
                self._hold()
                self._spawn(self._write, memoryview(data)[sent:])
                return
        self._changed()

    def _write(self, rest: memoryview) -> None:
        """Write *rest* and what follows, as the only one that writes."""
        try:
            while rest and self.error is None:
                sent = self._socket.send(rest)
                self._count(sent)
                self._hold()
                rest = rest[sent:] or memoryview(self._take())
        except OSError as error:
            self.close(error)
        finally:
            self._is_writing = False
            self._unsent.release(self)
            self._changed()

    def _hold(self) -> None:
        """Count what waits while the client is waited for."""
        self._unsent.release(self)
        self._unsent.hold(self, self.queued_bytes)
