"""`PeerConnection`: one connection to another node: connect, write what is queued, see the end.

It is in one of these states; ``-`` leaves it there. *leave* is a call when messages are queued,
*leave empty* is one when none are::

    state       connected  leave    leave empty  eof     error   time limit
    ----------  ---------  -------  -----------  ------  ------  ----------
    CONNECTING  OPEN       -        CLOSED       -       CLOSED  CLOSED
    OPEN        -          LEAVING  LEAVING      CLOSED  CLOSED  LEAVING
    LEAVING     -          -        -            CLOSED  CLOSED  CLOSED
    CLOSED      -          -        -            -       -       -

A connection that was left takes no more messages, and writes those that are queued: so one that
is CONNECTING leaves as soon as it is OPEN. The time limits are those of `Settings.connect_timeout`
while CONNECTING, of `Settings.temporary_idle` for an idle connection without a link that is OPEN,
and of two seconds for the peer to close a connection that is LEAVING. A peer that sends no
response in `Settings.answer_timeout` is an *error*.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from time import monotonic
from typing import Any

from gevent import Timeout, get_hub, sleep, socket

from greenproc.address import Address
from greenproc.errors import Broken
from greenproc.http.response_counter import ResponseCounter
from greenproc.hub.fork import close_copy
from greenproc.hub.iteration_budget import iteration_budget, yield_if_spent
from greenproc.message import Message
from greenproc.settings import Settings
from greenproc.transport.buffered_writer import BufferedWriter, UnsentBytes, write_some
from greenproc.transport.connection_limit import Slots
from greenproc.transport.hooks import Spawn
from greenproc.transport.send_queue import SendQueue
from greenproc.transport.timeouts import notice_loss
from greenproc.wire.framing import MessageEncoder

READ_BYTES = 64 * 1024  # of responses, 300 of 202 at a time
YIELD_BYTES = 64 * 1024  # a batch of this size took long enough for processes to want a turn
MIN_CHECK_SECONDS = 0.001
MAX_LINKED_SENT_BYTES = 4 * 1024 * 1024
"""The bound of unanswered messages that a linked connection remembers: more than is in flight to a
peer that answers. A link allows peers that do not answer."""
LINGER_SECONDS = 2.0  # how long a peer may take to close after us; Apache's lingering close


class PeerState(Enum):
    """Where in its life a peer connection is."""

    CONNECTING = "connecting"
    OPEN = "open"
    LEAVING = "leaving"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class PeerHooks:
    """What a connection needs from its owner. All but *idle* are called from greenlets."""

    spawn: Spawn
    """Start a greenlet."""
    opened: Callable[[PeerConnection], None]
    """The connection is open."""
    ended: Callable[[PeerConnection, Broken | None], None]
    """The connection is closed; called exactly once, with the error if one ended it."""
    dropped: Callable[[Message, str], None]
    """A message cannot be sent."""
    answered: Callable[[Sequence[Message], Sequence[Message]], None]
    """Messages were answered, in the order in which they were sent; those of the second sequence
    with 503. Accepted ones are passed for linked connections only."""
    not_found: Callable[[Sequence[Message]], None]
    """Messages were answered 404: the peer has no process with such an id."""
    is_retrying: Callable[[Address], bool]
    """Return whether messages that an address has refused are queued to be sent again."""
    idle: Callable[[PeerConnection], None]
    """A temporary connection has had nothing to do for a while. Also called in the hub."""
    slots: Slots
    """Held by temporary connections until they are closed, and by links to claimed addresses
    until they are open."""
    unsent: UnsentBytes
    """What all of them may hold together."""


class PeerConnection(BufferedWriter):
    """A connection to one address, shared by all processes that send to it.

    It is either *linked*: its loss is reported, and the peer need not answer; or temporary: it is
    given up when it was idle for `Settings.temporary_idle`. Responses are counted in both cases,
    to find refused messages.

    Args:
        address: of the peer.
        encoder: encodes the messages.
        settings: the limits.
        hooks: the owner.
        linked: whether the connection is linked from the beginning.
        needs_slot: whether it may be opened only with a slot.

    Raises:
        OSError: no socket could be made.
    """

    def __init__(
        self,
        address: Address,
        encoder: MessageEncoder,
        settings: Settings,
        hooks: PeerHooks,
        *,
        linked: bool,
        needs_slot: bool,
    ) -> None:
        super().__init__(hooks.spawn)
        has_slot = not needs_slot or hooks.slots.take(self)
        try:
            # A connection that waits for a slot gets its socket with it.
            self._socket: socket.socket | None = new_socket(address) if has_slot else None
        except OSError:
            hooks.slots.release(self)
            raise
        self.address = address
        self.encoder = encoder
        self.linked = linked
        self._needs_slot = needs_slot
        self.state = PeerState.CONNECTING
        self._leaves_when_open = False
        self.was_open = False
        self.queue = SendQueue(settings.max_outgoing_bytes, hooks.unsent)
        self._settings = settings
        self._hooks = hooks
        self._loop = get_hub().loop
        if linked:
            self.queue.limit_sent(MAX_LINKED_SENT_BYTES)
        self._is_counting = True
        self._is_cut = False  # a batch was taken from the queue, and is not completely written
        self._counter = ResponseCounter(is_spent=iteration_budget().is_spent)
        self._timer: Any = None
        self._last_used = monotonic()
        # Whether a message that is queued has to schedule a flush. One flag for "open, and nothing
        # is being written, and no flush is due", since each message asks.
        self._is_quiet = False

    def __repr__(self) -> str:
        kind = "LINKED" if self.linked else "TEMPORARY"
        return (
            f"<PeerConnection {self.address} {kind} {self.state.name}, {len(self.queue)} queued>"
        )

    @property
    def _open_socket(self) -> socket.socket:
        """The socket, which a connection that waits for a slot does not have yet."""
        assert self._socket is not None
        return self._socket

    def start(self) -> None:
        """Begin to connect."""
        self._hooks.spawn(self._run)

    def send(self, message: Message) -> None:
        """Queue *message*. Never waits; what cannot be sent is reported as dropped."""
        try:
            data = self.encoder.encode(message)
        except ValueError as error:
            self._hooks.dropped(message, str(error))
            return
        if not self.queue.append(message, data):
            self._hooks.dropped(message, f"too much is queued for {self.address}")
        elif self._is_quiet:
            self._schedule_flush()

    def mark(self) -> Callable[[], bool]:
        """Return a function: whether all messages so far have their responses, or will have none."""
        queue = self.queue
        last = queue.taken + len(queue)

        def is_answered() -> bool:
            is_over = self.state is PeerState.CLOSED or not self._is_counting
            return is_over or queue.taken - queue.unanswered >= last

        return is_answered

    def promote_to_link(self, *, is_claimed: bool) -> None:
        """Make a temporary connection a linked one.

        Args:
            is_claimed: only the sender of a message has named the address. The connection keeps
                its slot until it is open.
        """
        if not is_claimed or self.was_open:
            self._free_slot()
        if self.linked:
            return
        self.linked = True
        if self._socket is not None:
            notice_loss(self._socket, self._settings.link_timeout)
        self._stop_timer()
        self.queue.limit_sent(MAX_LINKED_SENT_BYTES)
        self._stop_counting_at_error()

    def move_unsent(self, to: PeerConnection) -> None:
        """Move all messages that wait to be written to *to*, which has none."""
        self.queue.move_unsent(to.queue)

    def leave(self) -> None:
        """Take no more messages; write what is queued, let the peer close, then close.

        May be called in the hub if the connection is open.
        """
        if self.state is PeerState.CONNECTING and not self.queue:
            self.end(None)
            return
        if self.state is PeerState.CONNECTING:
            self._leaves_when_open = True
        elif self.state is PeerState.OPEN:
            self.state = PeerState.LEAVING
            self._watch()
            if self._is_quiet:
                self._schedule_flush()

    def disown(self) -> None:
        """Close the descriptor, in a forked child; the connection is the parent's."""
        self._close()
        if self._socket is not None:
            close_copy(self._socket)

    def end(self, error: Broken | None) -> None:
        """Close at once. Only the first call has an effect. Must not be called in the hub.

        Args:
            error: what broke the connection; None if the peer closed it, or it was given up.
        """
        if self.state is PeerState.CLOSED:
            return
        self._close()
        if self.linked:
            # A linked peer may not answer, so that only an incomplete batch is known to be lost.
            self.queue.forget_sent(but_last=self._is_cut)
        if self._socket is not None:
            self._socket.close()
        # Before the hook, which may open the next connection.
        self._hooks.slots.release(self)
        self._hooks.ended(self, error)

    def _close(self) -> None:
        self.state = PeerState.CLOSED
        self.is_closed = True
        self._is_quiet = False
        self._stop_timer()

    # Connecting

    def _run(self) -> None:
        """Connect, then write what was queued in the meantime."""
        error: Broken | None = None
        is_connected = False
        try:
            self._connect()
            is_connected = True
        except Broken as caught:
            error = caught
        finally:
            if not is_connected:
                self.end(error)
        if not self.is_closed:
            self.is_writing = True
            self._write(memoryview(b""))

    def _connect(self) -> None:
        ip, port = self.address.ip, self.address.port
        seconds = self._settings.connect_timeout
        try:
            if self._socket is None:
                self._wait_for_slot(seconds)
            if self.linked:
                notice_loss(self._open_socket, self._settings.link_timeout)
            with Timeout(seconds, TimeoutError(f"no answer within {seconds:g} seconds")):
                self._open_socket.connect((ip, port))
            # A free port of the local host can end up connected to itself: the system may pick
            # it as the source port of the attempt.
            if self._open_socket.getsockname() == self._open_socket.getpeername():
                raise ConnectionRefusedError("nothing listens there")
        except OSError as error:
            # Of thousands of links to addresses of one network, all can fail at the same time.
            yield_if_spent()
            raise Broken(f"cannot connect to {self.address}: {error}") from error
        self.state = PeerState.OPEN
        self.was_open = True
        self._last_used = monotonic()
        if self.linked:
            # An open connection has shown that there is a node at the address.
            self._free_slot()
        else:
            self._watch()
        if self._leaves_when_open:
            self.leave()
        self._hooks.spawn(self._read)
        self._hooks.opened(self)

    def _wait_for_slot(self, seconds: float) -> None:
        """Wait until the connection may have a socket, and make it."""
        has_slot = self._hooks.slots.wait(self, seconds)
        if self.state is PeerState.CLOSED or (self._needs_slot and not has_slot):
            raise ConnectionAbortedError("too many connections without a link are open")
        self._socket = new_socket(self.address)

    def _free_slot(self) -> None:
        if self._needs_slot:
            self._needs_slot = False
            self._hooks.slots.release(self)

    # Writing

    def _schedule_flush(self) -> None:
        self._is_quiet = False
        self._loop.run_callback(self._flush_now)

    def _take(self) -> bytes:
        if not self.queue.queued_bytes:
            return b""
        self._is_cut = True
        return self.queue.take_batch()

    def _has_more(self) -> bool:
        return self.queue.queued_bytes > 0

    def _write_some(self, data: bytes | memoryview) -> int:
        self._last_used = monotonic()
        return write_some(self._open_socket, data)

    def _write(self, rest: memoryview) -> None:
        is_done = False
        try:
            super()._write(rest)
            is_done = True
        finally:
            if not is_done:  # killed: what is queued would wait for ever
                self.end(None)

    def _send(self, data: memoryview) -> None:
        while data:
            data = data[self._open_socket.send(data) :]
            self._last_used = monotonic()
        self._batch_written()

    def _write_next(self) -> bool:
        if not self.queue.queued_bytes:
            return False
        self._is_cut = True
        batch = self.queue.take_batch()
        self._send(memoryview(batch))
        if len(batch) >= YIELD_BYTES:
            # No turn for descriptors, which a writer need not give: what it writes is bounded by
            # what processes here have sent. Waiting for one in a node that is busy sending left
            # the peer without work for a quarter of the time.
            sleep(0)
        return True

    def _batch_written(self) -> None:
        self._is_cut = False
        if not self._is_counting:
            self.queue.forget_sent()

    def _flushed(self) -> None:
        if self.is_closed:
            return
        self._batch_written()
        if self.state is PeerState.LEAVING:
            try:
                self._open_socket.shutdown(socket.SHUT_WR)
            except OSError as error:
                self._write_failed(error)
        else:
            self._is_quiet = True

    def _write_failed(self, error: OSError) -> None:
        if self.is_closed:
            return
        self.is_closed = True
        # The hooks that it calls must not run in the hub.
        self._hooks.spawn(self.end, self._broken(error))

    # Reading

    def _read(self) -> None:
        """Read until the peer closes: that is how the end of a connection is seen."""
        error: Broken | None = None
        try:
            while received := self._open_socket.recv(READ_BYTES):
                yield_if_spent()
                if self._is_counting:
                    self._count_responses(received)
        except OSError as caught:
            error = self._broken(caught)
        finally:
            self.end(error)

    def _count_responses(self, received: bytes) -> None:
        # A peer that sends no responses may read messages all the same. So it keeps its
        # connection until it has been silent for too long.
        self._last_used = monotonic()
        self._note_responses(received)
        while self._counter.has_more:
            yield_if_spent()
            self._note_responses(b"")
        if self._hooks.slots.waiting and self.is_idle:
            self.give_way()

    def _note_responses(self, received: bytes) -> None:
        counter = self._counter
        count = counter.feed(received)
        if counter.not_found:
            self._hooks.not_found(self.queue.find_sent(counter.not_found))
        if counter.unavailable or (self.linked and self._hooks.is_retrying(self.address)):
            refused = self.queue.find_sent(counter.unavailable)
            answered = self.queue.find_sent(range(count)) if self.linked else refused
            self.queue.answer(count)
            self._hooks.answered(answered, refused)
        else:
            self.queue.answer(count)
        self._stop_counting_at_error()

    def _stop_counting_at_error(self) -> None:
        """Ignore the responses of a linked peer from now on if they cannot be parsed."""
        counter = self._counter
        if self.linked and (counter.error is not None or counter.is_finished):
            self._is_counting = False
            self.queue.forget_sent(but_last=self._is_cut)

    def _broken(self, error: OSError) -> Broken:
        broken = Broken(f"connection to {self.address} lost: {error}")
        broken.__cause__ = error
        return broken

    # Making room for another temporary connection

    @property
    def is_idle(self) -> bool:
        """See `SlotHolder`: nothing is to be written, and no response is missing."""
        is_quiet = self.state is PeerState.OPEN and not self.is_writing
        return is_quiet and not self.queue and self.queue.is_answered

    def give_way(self) -> None:
        """See `SlotHolder`."""
        self._hooks.idle(self)

    # The time limits of temporary and leaving connections

    def _watch(self) -> None:
        """Check at the next moment at which the time may be up."""
        self._stop_timer()
        limit, _ = self._time_limit()
        remaining = self._last_used + limit - monotonic()
        if self.state is not PeerState.LEAVING:
            # The responses may come soon, and then the limit is the shorter one.
            remaining = min(remaining, self._settings.temporary_idle)
        self._timer = self._loop.timer(max(remaining, MIN_CHECK_SECONDS))
        self._timer.start(self._check_time)

    def _check_time(self) -> None:
        """Give up, in the hub, a connection whose peer has been silent for too long."""
        limit, error = self._time_limit()
        if monotonic() < self._last_used + limit:
            self._watch()
        elif self.state is PeerState.LEAVING or error is not None:
            self._hooks.spawn(self.end, error)
        else:
            self._hooks.idle(self)

    def _time_limit(self) -> tuple[float, Broken | None]:
        """Return how many seconds nothing may happen, and what it means if nothing does."""
        if self.state is PeerState.LEAVING:
            return LINGER_SECONDS, None
        if self.queue or not self.queue.is_answered:
            seconds = self._settings.answer_timeout
            return seconds, Broken(f"no answer from {self.address} within {seconds:g} seconds")
        return self._settings.temporary_idle, None

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.close()
            self._timer = None


def new_socket(address: Address) -> socket.socket:
    """Return a socket that can be connected to *address*.

    Raises:
        OSError: the system has none to give.
    """
    family = socket.AF_INET6 if address.is_ipv6 else socket.AF_INET
    fresh = socket.socket(family, socket.SOCK_STREAM)
    fresh.settimeout(None)
    # With Nagle's algorithm a response of the peer can wait 40 ms for our next segment.
    fresh.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return fresh
