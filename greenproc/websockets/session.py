"""`Session`: one WebSocket between its socket and its process.

It is in one of these states; ``-`` leaves it there. *Close* and *fault* are what the client sent,
*served* is the end of the connection in a turn of the process, and `Session.run` starts after the
101. A lost connection, a close timeout and an unanswered Ping are an *abort*::

    state           run   message  Close           fault           served         close()        eof     abort
    --------------  ----  -------  --------------  --------------  -------------  -------------  ------  ------
    CONNECTING      OPEN  -        -               -               -              LOCAL_CLOSING  -       CLOSED
    OPEN            -     -        REMOTE_CLOSING  REMOTE_CLOSING  -              LOCAL_CLOSING  CLOSED  CLOSED
    REMOTE_CLOSING  -     -        -               -               LOCAL_CLOSING  LOCAL_CLOSING  -       CLOSED
    LOCAL_CLOSING   -     -        -               -               -              -              CLOSED  CLOSED
    CLOSED          -     -        -               -               -              -              -       -

The states are those of wsproto: REMOTE_CLOSING is between the Close of the client and the one that
answers it, LOCAL_CLOSING is after that of this side.

Source: RFC 6455 sections 5.5.1 and 7.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import IntEnum
from typing import Any

from gevent import Timeout, socket
from gevent.event import Event

from greenproc.clock import Timer
from greenproc.failures import FAILURES, FailureLog, note
from greenproc.future import Future, Promise
from greenproc.http.upgrade import UpgradedConnection
from greenproc.hub.iteration_budget import iteration_budget, yield_if_spent
from greenproc.process.base import Process, record_of
from greenproc.process.connections import end_with, forget_connection
from greenproc.process.event import DispatchEvent
from greenproc.process.ports import Delivery
from greenproc.transport.timeouts import has_ended
from greenproc.websockets.codes import CloseCode
from greenproc.websockets.connection import WebSocket
from greenproc.websockets.deflate import DeflateParameters
from greenproc.websockets.frame_encoder import encode_close, encode_ping, encode_pong
from greenproc.websockets.frame_reader import CloseReceived, FrameEvent, FrameReader, PingReceived
from greenproc.websockets.frame_writer import FrameWriter
from greenproc.websockets.options import WebSocketOptions
from greenproc.websockets.registry import WebSocketRegistry

MAX_UNSERVED_MESSAGES = 32
MAX_UNSERVED_BYTES = 64 * 1024
"""The messages of one client that may wait in the mailbox of its process. At this bound the client
is not read any more, and TCP makes it wait: enough to keep the process busy, and little enough for
thousands of clients."""

LINGER_SECONDS = 2.0
"""The limit for a client to close its side of the connection after both Close frames."""

LINGER_BYTES = 16 * 1024 * 1024
"""The bytes that are read and dropped in that time. Closing with unread bytes would send a reset,
which may discard the Close before the client has read it."""

log = logging.getLogger("greenproc.websockets")
failure_log = FailureLog(log)


class SessionState(IntEnum):
    """The states of a session, in their order; see the module."""

    CONNECTING = 0
    OPEN = 1
    REMOTE_CLOSING = 2
    """The client has sent a Close or violated the protocol. The answer follows the messages that
    are still to be served."""
    LOCAL_CLOSING = 3
    """A Close was sent."""
    CLOSED = 4


class Session:
    """Serves one connection, from the handshake to the end of the socket.

    The greenlet of `run` reads, and puts messages into the mailbox of the process. The hub
    writes. Neither of them waits for the other.

    Args:
        process: runs the callbacks of the `WebSocket` in its turns.
        options: of the route.
        deflate: the negotiated parameters; None for no compression.
        registry: the connections of the runtime.
    """

    def __init__(
        self,
        process: Process,
        options: WebSocketOptions,
        deflate: DeflateParameters | None,
        registry: WebSocketRegistry,
    ) -> None:
        self._options = options
        self._deflate = deflate
        self._registry = registry
        self._socket: WebSocket  # from bind() on
        self._connection: UpgradedConnection | None = None
        self._frames = FrameReader(options.max_message_bytes, deflate, yield_if_spent)
        self._closed: Promise[int] = Promise()
        self._emptied: Promise[None] | None = None
        self._changed: Event | None = None
        self._over = Event()
        self._timer: Timer | None = None
        self._state = SessionState.CONNECTING
        self._is_close_reported = False  # to the process
        self._has_received = self._is_pinged = self._is_reading_paused = False
        self._sent_at_ping: int | None = None  # set when the Ping is queued behind other bytes
        self._unserved = self._unserved_bytes = 0
        self._messages_in = self._messages_out = 0
        self._ends_process = False
        self._process: Process | None = None
        self._attach_process(process)
        self._writer = FrameWriter(
            options.max_send_bytes,
            registry.unsent,
            self._spawn,
            self._notify_drained,
            self._too_slow,
        )

    def bind(self, to: WebSocket) -> None:
        """Serve the connection of *to*, whose callbacks get the messages."""
        self._socket = to

    def __repr__(self) -> str:
        return f"<Session {self._state.name}, {self._writer.queued_bytes} bytes queued>"

    # The process

    def transfer_to(self, process: Process) -> None:
        """Make the running *process* the owner, which terminates when the connection is closed."""
        self._detach_process()
        self._attach_process(process)
        self._ends_process = True

    def _attach_process(self, process: Process) -> None:
        self._process = process
        record = self._record = record_of(process)
        assert record.manager is not None
        self._manager = record.manager
        self._clock = record.manager.clock
        end_with(process, self)

    def _detach_process(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            forget_connection(process, self)

    def _spawn(self, function: Callable[..., Any], *args: Any) -> Any:
        return self._record.start_greenlet(function, *args)

    def process_ended(self) -> None:
        """See `ProcessConnection`."""
        self._process = None
        self._end(CloseCode.GOING_AWAY, "")

    # For the WebSocket

    @property
    def closed(self) -> Future[int]:
        """See `WebSocket.closed`."""
        return self._closed.future

    @property
    def is_open(self) -> bool:
        """See `WebSocket.is_open`."""
        return self._state is SessionState.OPEN

    def send(self, data: str | bytes | bytearray | memoryview) -> bool:
        """See `WebSocket.send`."""
        self._manager.check_thread("WebSocket.send")
        frame = self._registry.encoder.encode(data, self._deflate)
        # RFC 6455 section 5.5.1: no data frames after a Close.
        if self._state >= SessionState.LOCAL_CLOSING:
            return False
        if not self._writer.add(frame):
            self._too_slow()
            return False
        self._messages_out += 1
        self._registry.counts["messages_out"] += 1
        return True

    def _too_slow(self) -> None:
        self._registry.counts["slow"] += 1
        log.debug("%r takes too little of what it is sent", self._socket)
        # The queue is dropped, or the Close would wait behind what the client does not read.
        self._fail(CloseCode.POLICY, "too slow", drops=True)

    def writable(self) -> Future[None]:
        """See `WebSocket.writable`."""
        self._manager.check_thread("WebSocket.writable")
        if self._writer.is_empty or self._state is SessionState.CLOSED:
            return Future(None)
        if self._emptied is None:
            self._emptied = Promise()
        return self._emptied.future

    def end(self, code: int, reason: str) -> None:
        """See `WebSocket.close`."""
        self._manager.check_thread("WebSocket.close")
        self._end(code, reason)

    def _end(self, code: int, reason: str) -> None:
        if self._state < SessionState.LOCAL_CLOSING:
            self._begin_close(code, reason)

    def statistics(self) -> dict[str, int]:
        """See `WebSocket.statistics`."""
        return {
            "messages_in": self._messages_in,
            "messages_out": self._messages_out,
            "unserved_bytes": self._unserved_bytes,
            "queued_bytes": self._writer.queued_bytes,
        }

    # The connection

    def run(self, connection: UpgradedConnection) -> None:
        """See `UpgradedProtocol`."""
        if self._state is SessionState.CLOSED:  # aborted before the 101 was sent
            return
        self._connection = connection
        self._registry.add(self)
        try:
            if self._state is SessionState.CONNECTING:
                self._state = SessionState.OPEN
                self._has_received = True
                self._schedule_ping()
            self._writer.attach(connection.socket)
            # The runtime stops: it would wait for this connection until its time limit.
            if self._registry.ending is not None:
                self._end(*self._registry.ending)
            self._read(connection)
            self._linger(connection)
        finally:
            self._finish()

    def close(self) -> None:
        """See `UpgradedProtocol`."""
        self._abort()
        if self._connection is None:
            self._finish()

    def drain(self) -> None:
        """See `UpgradedProtocol`."""
        self._end(CloseCode.GOING_AWAY, "")

    def wait_closed(self, seconds: float) -> None:
        """See `UpgradedProtocol`."""
        if self._state is not SessionState.CLOSED:
            self._over.wait(seconds)

    def _read(self, connection: UpgradedConnection) -> None:
        """Read until the end of the connection, a Close, or a violation of the protocol."""
        budget = iteration_budget()
        data = connection.trailing_data
        while self._state is not SessionState.CLOSED:
            for event in self._frames.receive(data):
                if not self._take(event):
                    return
                if budget.is_spent():
                    budget.wait()
            data = connection.read()
            if not data:
                return
            self._has_received = True

    def _take(self, event: FrameEvent) -> bool:
        """Act on an event of the client, and return whether to read on."""
        if isinstance(event, CloseReceived):
            self._take_end(event)
            return False
        # After a Close of this side only the client's Close is of interest.
        if self._state is not SessionState.OPEN:
            return True
        if isinstance(event, PingReceived):
            self._writer.add_pong(encode_pong(event.payload))
        else:
            self._deliver(event)
            self._wait_for_room()
        return True

    def _deliver(self, message: str | bytes) -> None:
        self._messages_in += 1
        self._registry.counts["messages_in"] += 1
        self._unserved += 1
        self._unserved_bytes += len(message)
        # A dropped message would be a gap in the client's stream, so a full mailbox closes it.
        event = WebSocketEvent(self._serve, self._served, message)
        if self._manager.enqueue(self._record, event) is Delivery.FULL:
            self._served(len(message))
            self._fail(CloseCode.TRY_AGAIN_LATER, "too busy")

    def _wait_for_room(self) -> None:
        """Stop reading while the bound of unserved messages is reached, so that TCP blocks the
        client.
        """
        while self._is_full and self._state is SessionState.OPEN:
            self._is_reading_paused = True
            self._wait_for_change()
            self._has_received = True  # an unread Pong must not count as a missing one
        self._is_reading_paused = False

    @property
    def _is_full(self) -> bool:
        return (
            self._unserved >= MAX_UNSERVED_MESSAGES or self._unserved_bytes >= MAX_UNSERVED_BYTES
        )

    def _take_end(self, end: CloseReceived) -> None:
        """Report a Close or a violation to the process, whose turn answers it."""
        if self._state >= SessionState.LOCAL_CLOSING:
            self._report_close(end.code, end.reason)
            return
        log.log(
            logging.DEBUG,
            "%r %s with %d: %s",
            self._socket,
            "broke a rule" if end.is_fault else "closes",
            end.code,
            end.reason,
        )
        # The process may be busy with earlier messages, but not longer than the close timeout.
        self._state = SessionState.REMOTE_CLOSING
        self._start_timer(self._options.close_timeout, self._abort)
        self._report_close(end.code, end.reason)

    def _linger(self, connection: UpgradedConnection) -> None:
        """Wait until the Close is sent, close this side, and read until the client closes its own.

        Source: RFC 6455 section 7.1.1; RFC 9112 section 9.6.
        """
        if self._state < SessionState.REMOTE_CLOSING:
            return  # the connection was lost
        while self._state < SessionState.LOCAL_CLOSING or not self._writer.is_empty:
            if self._state is SessionState.CLOSED:
                return
            self._wait_for_change()
        if self._writer.error is not None:
            return
        # RFC 6455 section 7.1.1: the server closes first, so that the client has no TIME_WAIT.
        connection.socket.shutdown(socket.SHUT_WR)
        left = LINGER_BYTES
        with Timeout(LINGER_SECONDS, False):  # type: ignore[arg-type]  # False: end quietly
            while left > 0 and (data := connection.read()):
                left -= len(data)

    def _finish(self) -> None:
        """Release everything: the connection is closed."""
        self._state = SessionState.CLOSED
        self._stop_timer()
        self._writer.close(ConnectionError("the connection is closed"))
        self._report_close(CloseCode.ABNORMAL, "")
        self._registry.remove(self)
        self._detach_process()
        self._over.set()

    # Closing

    def _begin_close(self, code: int | None, reason: str, *, drops: bool = False) -> None:
        self._state = SessionState.LOCAL_CLOSING
        self._writer.finish(encode_close(code, reason), drops=drops)
        self._start_timer(self._options.close_timeout, self._abort)
        self._notify()

    def _fail(self, code: int, reason: str, *, drops: bool = False) -> None:
        """Send a Close, and report it to the process at once, without waiting for the answer."""
        if self._state < SessionState.LOCAL_CLOSING:
            self._begin_close(code, reason, drops=drops)
            self._report_close(code, reason)

    def _abort(self) -> None:
        """Close the connection without a Close frame."""
        if self._state is SessionState.CLOSED:
            return
        self._state = SessionState.CLOSED
        self._stop_timer()
        self._writer.close(ConnectionError("the connection was given up"))
        if self._connection is not None:
            try:
                # It wakes the greenlet that reads; the server closes the socket after that.
                self._connection.socket.shutdown(socket.SHUT_RDWR)
            except OSError as error:
                log.debug("%r is lost: %s", self._socket, error)
        self._report_close(CloseCode.ABNORMAL, "")
        self._notify()

    def _report_close(self, code: int, reason: str) -> None:
        """Report the close to the process, once, after the messages that came before."""
        if self._is_close_reported:
            return
        self._is_close_reported = True
        self._socket.close_code, self._socket.close_reason = code, reason
        event = WebSocketEvent(self._serve_end, self._conclude)
        # The process does not learn of the close then, but the connection must end all the same.
        if self._manager.enqueue(self._record, event) is Delivery.FULL:
            self._conclude()

    # Silence

    def _start_timer(self, seconds: float, function: Callable[[], object]) -> None:
        self._stop_timer()
        self._timer = self._clock.timer(seconds, function)

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            self._clock.cancel(timer)

    def _schedule_ping(self) -> None:
        interval = self._options.ping_interval
        if interval is not None:
            self._start_timer(interval, self._ping)

    def _ping(self) -> None:
        """Send a Ping; abort the connection if the one before was not answered."""
        if self._state is not SessionState.OPEN:
            return
        if self._has_ping_timed_out:
            self._registry.counts["dead"] += 1
            log.debug("%r does not answer", self._socket)
            self._abort()
            return
        writer = self._writer
        self._has_received = False
        self._is_pinged = True
        self._sent_at_ping = writer.sent_bytes if writer.queued_bytes else None
        writer.add(encode_ping())
        self._schedule_ping()

    @property
    def _has_ping_timed_out(self) -> bool:
        """Whether the client has not answered the last Ping. Any byte of it counts as an answer."""
        if self._is_reading_paused:  # its Pong may be unread
            return self._connection is not None and has_ended(self._connection.socket)
        if self._has_received or not self._is_pinged:
            return False
        # A slow client that still reads the bytes ahead of the Ping is alive.
        return self._sent_at_ping in (None, self._writer.sent_bytes)

    # In a turn of the process

    def _serve(self, message: str | bytes) -> None:
        """Call the callback for a message."""
        try:
            # Messages that arrived before the client's Close are served, as they were sent first.
            if self._state in (SessionState.OPEN, SessionState.REMOTE_CLOSING):
                self._socket.handle_message(message)
        except FAILURES as error:
            self._failed(error)
        finally:
            self._served(len(message))

    def _served(self, size: int = 0) -> None:
        self._unserved -= 1
        self._unserved_bytes -= size
        if self._is_reading_paused and not self._is_full:
            self._notify()

    def _serve_end(self) -> None:
        """Call the callback for the close."""
        try:
            self._socket.handle_close()
        except FAILURES as error:
            self._failed(error)
        finally:
            self._conclude()

    def _failed(self, error: BaseException) -> None:
        """Log the exception of a callback, and close the connection; the process goes on."""
        self._registry.counts["failed"] += 1
        note(error, f"in process {self._record.pid}, serving {self._socket!r}")
        failure_log.add(f"a WebSocket of process {self._record.pid} failed", error)
        self._fail(CloseCode.INTERNAL_ERROR, "")

    def _conclude(self) -> None:
        """Answer the Close of the client; terminate the process if it owns the connection."""
        code = self._socket.close_code
        assert code is not None
        if self._state is SessionState.REMOTE_CLOSING:
            self._begin_close(None if code == CloseCode.NO_STATUS else code, "")
        self._closed.set(code)
        process = self._process
        self._detach_process()
        # Behind the events in its mailbox, some of which this connection may have caused.
        if self._ends_process and process is not None:
            process.terminate(inject=False)

    # Waiting

    def _notify_drained(self) -> None:
        """Complete the future of `writable`: the queue is empty, or the connection is lost."""
        emptied, self._emptied = self._emptied, None
        if emptied is not None:
            emptied.set(None)
        self._notify()

    def _notify(self) -> None:
        if self._changed is not None:
            self._changed.set()

    def _wait_for_change(self) -> None:
        if self._changed is None:
            self._changed = Event()
        self._changed.clear()
        self._changed.wait()


class WebSocketEvent(DispatchEvent):
    """A message or the close of a connection, as an event in the mailbox of the process.

    Args:
        method: called in a turn of the process.
        dropped: called instead of *method* when the process drops the event.
        args: of *method*.
    """

    __slots__ = ("_dropped",)

    def __init__(
        self, method: Callable[..., Any], dropped: Callable[[], object], *args: Any
    ) -> None:
        super().__init__(method, args)
        self._dropped = dropped

    def drop(self, reason: str | None = None) -> None:
        self._dropped()
