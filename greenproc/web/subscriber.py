"""`Subscriber`: one client of an `EventStream`, with its queue of events."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Protocol

from greenproc.clock.current import current_clock
from greenproc.http.event_text import EMPTY_COMMENT, encode_event
from greenproc.http.request import Request
from greenproc.hub.native import allocate_lock
from greenproc.process.base import Process
from greenproc.process.connections import end_with, forget_connection
from greenproc.sync.cancellable_timer import CancellableTimer
from greenproc.sync.pipe import Pipe, Reader

BATCH_BYTES = 64 * 1024  # of events that are joined into one piece of the response
TIMER_TOLERANCE = 0.001  # seconds by which a timer may be early, by the rounding of floats
GAP = "gap"


class EventPublisher(Protocol):
    """The port from a subscriber to its stream."""

    heartbeat: float
    max_waiting_bytes: int

    @property
    def keeps_slow(self) -> bool:
        """Whether a slow subscriber loses its oldest events, rather than its stream."""

    def slow(self, subscriber: Subscriber, dropped: int) -> None:
        """Called when *subscriber* has lost *dropped* events."""

    def gone(self, subscriber: Subscriber) -> None:
        """Called when the stream of *subscriber* has ended."""


class Subscriber:
    """A client of an `EventStream`; it can also get events of its own.

    Args:
        owner: the stream.
        request: of the client.
        last_event_id: the id of the last event that it received, if it reconnects.
        process: ends the stream when it terminates; None for none.
    """

    __slots__ = (
        "__weakref__",
        "_beat_timer",
        "_clock",
        "_events",
        "_guard",
        "_has_gap",
        "_is_ending",
        "_is_gone",
        "_is_writing",
        "_last_at",
        "_owner",
        "_process",
        "_replay",
        "_waiting_bytes",
        "_writer",
        "last_event_id",
        "reader",
        "request",
    )

    reader: Reader
    """The body of the response."""

    def __init__(
        self,
        owner: EventPublisher,
        request: Request,
        last_event_id: str | None,
        process: Process | None = None,
    ) -> None:
        self.request = request
        """The request that started the stream."""
        self.last_event_id = last_event_id
        """The id of the last event before a reconnection; None for a new client."""
        self._owner = owner
        self._process = process
        # The pipe holds one piece, so that the queue is here, where events can be counted and
        # dropped.
        pipe = Pipe(max_pipe_bytes=1)
        self.reader = pipe.reader
        self._writer = pipe.writer
        # A native lock: the garbage collector of any thread may close the reader of the pipe.
        self._guard = allocate_lock()
        self._replay: deque[bytes] = deque()
        self._events: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._has_gap = False
        self._is_writing = False
        self._is_ending = False
        self._is_gone = False
        self._clock = current_clock()
        self._last_at = self._clock.now()
        self._beat_timer: CancellableTimer | None = None

    def start(self, first: bytes, replay: Iterable[bytes]) -> None:
        """Send the beginning of the stream, and start the heartbeats.

        Args:
            first: encoded fields.
            replay: encoded events of the history, whose bound they have kept.
        """
        self._replay.append(first)
        self._replay.extend(replay)
        self._write()
        self._schedule_heartbeat(self._owner.heartbeat)
        self._writer.reader_closed.on_ready(lambda _: self._finish())
        if self._process is not None and not end_with(self._process, self):
            self.close()

    def process_ended(self) -> None:
        """See `greenproc.process.routes.ProcessConnection`."""
        self.close()

    @property
    def is_open(self) -> bool:
        """Whether the stream is open, as far as is known."""
        return not (self._is_ending or self._is_gone)

    @property
    def waiting_bytes(self) -> int:
        """The bytes that are queued until the client reads."""
        return self._waiting_bytes

    def send(self, data: str = "", *, event: str | None = None, id: str | None = None) -> bool:
        """Send an event to this client alone, and return whether its stream is still open.

        The event is not in the history.

        Args:
            data: the text of the event.
            event: the type of the event; ``message`` if None.
            id: the new last id of the client; None keeps the current one.

        Raises:
            InvalidArgument: see `greenproc.http.encode_event`.
        """
        return self.push(encode_event(data, event=event, id=id))

    def push(self, text: bytes) -> bool:
        """Queue encoded events, and return whether the stream is still open."""
        with self._guard:
            if not self.is_open:
                return False
            self._events.append(text)
            self._waiting_bytes += len(text)
        self._last_at = self._clock.now()
        self._write()
        if self._waiting_bytes > self._owner.max_waiting_bytes:
            self._drop_oldest()
        return self.is_open

    def close(self, *, retry: float | None = None) -> None:
        """End the stream after the queued events.

        Args:
            retry: seconds after which the browser should reconnect; None for no change.
        """
        with self._guard:
            if not self.is_open:
                return
            self._is_ending = True
            if retry is not None:
                self._events.append(encode_event(None, retry=retry))
        self._write()
        self._finish()

    # Writing

    def _write(self) -> None:
        """Write the next piece to the pipe if that is empty."""
        while True:
            with self._guard:
                if self._is_writing:
                    return
                piece = self._next_piece()
                if not piece and not self._is_ending:
                    return
                self._is_writing = True
            if not piece:
                self._writer.close()
                return
            self._writer.write(piece)
            room = self._writer.writable()
            if not room.ready():
                room.on_ready(lambda _: self._resume())
                return
            self._is_writing = False

    def _resume(self) -> None:
        self._is_writing = False
        self._write()

    def _next_piece(self) -> bytes:
        """Remove the events of the next piece from the queues. The caller must hold the lock."""
        taken: list[bytes] = []
        size = 0
        while self._replay and size < BATCH_BYTES:
            taken.append(self._replay.popleft())
            size += len(taken[-1])
        if not self._replay and self._has_gap:
            self._has_gap = False
            taken.append(encode_event("too slow", event=GAP))
        while not self._replay and self._events and size < BATCH_BYTES:
            taken.append(self._events.popleft())
            size += len(taken[-1])
            self._waiting_bytes -= len(taken[-1])
        # A single event is not copied: all subscribers share its bytes.
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def _drop_oldest(self) -> None:
        """Drop the oldest events of a slow client, or all of them with its stream."""
        dropped = 0
        with self._guard:
            keeps = self._owner.keeps_slow
            limit = self._owner.max_waiting_bytes if keeps else 0
            while self._waiting_bytes > limit:
                self._waiting_bytes -= len(self._events.popleft())
                dropped += 1
            self._has_gap = keeps
            self._replay.clear()
        if not keeps:
            self.close()
        self._owner.slow(self, dropped)

    # Time, and the end

    def _schedule_heartbeat(self, seconds: float) -> None:
        if self.is_open:
            self._beat_timer = CancellableTimer(self._clock, seconds, self._send_heartbeat)

    def _send_heartbeat(self, has_fired: bool) -> None:
        """Send a comment after silence, for proxies that close idle connections. The write also
        detects a lost client.
        """
        if not has_fired:
            self.close()
            return
        silence = self._clock.now() - self._last_at
        if silence < self._owner.heartbeat - TIMER_TOLERANCE:
            self._schedule_heartbeat(self._owner.heartbeat - silence)
            return
        if not self._is_writing:  # else the client has unread bytes already
            self.push(EMPTY_COMMENT)
        self._schedule_heartbeat(self._owner.heartbeat)

    def _finish(self) -> None:
        with self._guard:
            if self._is_gone:
                return
            self._is_gone = True
            if not self._is_ending:
                self._replay.clear()
                self._events.clear()
                self._waiting_bytes = 0
        timer, self._beat_timer = self._beat_timer, None
        if timer is not None:
            timer.cancel()
        process, self._process = self._process, None
        if process is not None:
            forget_connection(process, self)
        self._owner.gone(self)

    def __repr__(self) -> str:
        state = "open" if self.is_open else "closed"
        return f"<Subscriber {self.request.client} {state}, {self._waiting_bytes} bytes wait>"
