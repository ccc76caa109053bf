"""The connection to one address: connect, write what is queued, watch for the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from time import monotonic
from typing import Any

from gevent import Timeout, get_hub, getcurrent, sleep, socket
from greenlet import greenlet

from greenproc.address import Address
from greenproc.errors import Broken
from greenproc.http.response_counter import ResponseCounter
from greenproc.hub.fork import close_copy
from greenproc.hub.iteration_budget import iteration_budget, yield_if_spent
from greenproc.message import Message
from greenproc.settings import Settings
from greenproc.transport.buffered_writer import UnsentBytes, write_some
from greenproc.transport.connection_limit import Slots
from greenproc.transport.hooks import Spawn
from greenproc.transport.send_queue import SendQueue
from greenproc.transport.timeouts import notice_loss
from greenproc.wire.framing import MessageEncoder

READ_BYTES = 64 * 1024
YIELD_BYTES = 64 * 1024  # a batch of this size took long enough for processes to want a turn
LITTLE_BYTES = 16 * 1024  # written in the hub, which costs no switch to the writer
MIN_CHECK_SECONDS = 0.001
NOTHING = memoryview(b"")
LINGER_SECONDS = 2.0  # how long a peer may take to close after us; Apache's lingering close


class PeerState(Enum):
    """Where in its life a connection is."""

    CONNECTING = "connecting"
    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class PeerHooks:
    """What a connection needs from its owner. All but *idle* are called from greenlets."""

    spawn: Spawn
    """Start a greenlet."""
    opened: Callable[[PeerConnection], None]
    """The connection stands."""
    ended: Callable[[PeerConnection, Broken | None], None]
    """The connection is closed; called exactly once, with the error if one ended it."""
    dropped: Callable[[Message, str], None]
    """A message cannot be sent."""
    refused: Callable[[Sequence[Message]], None]
    """Messages over a temporary connection were answered 503."""
    idle: Callable[[PeerConnection], None]
    """A temporary connection has had nothing to do for a while. Also called in the hub."""
    slots: Slots
    """Which temporary connections hold while they stand, and links to claimed addresses until
    they do."""
    unsent: UnsentBytes
    """What all of them may hold together."""


class PeerConnection:
    """A connection to one address, shared by all processes that send to it.

    It is either *linked*, which means that its loss is told and that what the peer answers is
    ignored, or temporary, which means that answers are counted and that it is given up when it
    was idle for `Settings.temporary_idle`.

    Args:
        address: whose peer to connect to.
        encoder: spells the messages.
        settings: give the limits.
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
        has_slot = not needs_slot or hooks.slots.take(self)
        try:
            # What waits for a slot gets its socket with it.
            self._socket = new_socket(address) if has_slot else None
        except OSError:
            hooks.slots.release(self)
            raise
        self.address = address
        self.encoder = encoder
        self.linked = linked
        self._needs_slot = needs_slot
        self.leaving = False
        self.state = PeerState.CONNECTING
        self.queue = SendQueue(settings.max_outgoing_bytes, hooks.unsent)
        self._settings = settings
        self._hooks = hooks
        self._hub = get_hub()
        self._counter = ResponseCounter(is_spent=iteration_budget().is_spent)
        self._timer: Any = None
        self._last_used = monotonic()
        self.was_open = False
        # What the socket did not take of a batch that was written in the hub.
        self._rest = NOTHING
        # The writer while it is parked, and whether nobody has woken it yet.
        self._parked: greenlet | None = None
        self._wakeable = False

    @property
    def _open_socket(self) -> socket.socket:
        """The socket, which a connection that waits for a slot does not have yet."""
        assert self._socket is not None
        return self._socket

    @property
    def linked_socket(self) -> socket.socket | None:
        """The socket of a linked connection, if it has one already."""
        return self._socket if self.linked else None

    def __repr__(self) -> str:
        kind = "LINKED" if self.linked else "TEMPORARY"
        state = "LEAVING" if self.leaving and self.state is PeerState.OPEN else self.state.name
        return f"<PeerConnection {self.address} {kind} {state}, {len(self.queue)} queued>"

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
        elif self._wakeable:
            self._wake()

    def mark(self) -> Callable[[], bool]:
        """Return what tells whether all messages so far have their answers, or will have none."""
        queue = self.queue
        last = queue.taken + len(queue)

        def is_answered() -> bool:
            is_over = self.state is PeerState.CLOSED or self.linked
            return is_over or queue.taken - queue.unanswered >= last

        return is_answered

    def promote_to_link(self, *, is_claimed: bool) -> None:
        """Make a temporary connection a linked one.

        It needs no slot from then on, unless it is not open and its address *is_claimed*.
        """
        if not is_claimed or self.state is PeerState.OPEN:
            self._free_slot()
        if self.linked:
            return
        self.linked = True
        if self._socket is not None:
            notice_loss(self._socket, self._settings.link_timeout)
        self._stop_timer()
        if self._parked is not None:
            self.queue.forget_sent()

    def leave(self) -> None:
        """Take no more messages; write what is queued, let the peer close, then close.

        May be called in the hub if the connection is open.
        """
        if self.state is PeerState.CONNECTING and not self.queue:
            self.end(None)
        elif not self.leaving:
            self.leaving = True
            if self.state is PeerState.OPEN:
                self._watch()
            if self._wakeable:
                self._wake()

    def disown(self) -> None:
        """Close the descriptor, in a forked child; the connection is the parent's."""
        self.state = PeerState.CLOSED
        self._parked = None
        self._wakeable = False
        self._stop_timer()
        if self._socket is not None:
            close_copy(self._socket)

    def end(self, error: Broken | None) -> None:
        """Close at once. Only the first call has an effect. Must not be called in the hub."""
        if self.state is PeerState.CLOSED:
            return
        self.state = PeerState.CLOSED
        self._stop_timer()
        if self._socket is not None:
            self._socket.close()
        self._hooks.slots.release(self)
        if self._wakeable:
            self._wake()
        self._hooks.ended(self, error)

    # Writing

    def _run(self) -> None:
        """Connect, then write until there is nothing more to come."""
        error: Broken | None = None
        done = False
        try:
            self._connect()
            self._write()
            done = True
        except Broken as caught:
            error = caught
        except OSError as caught:
            error = self._broken(caught)
        finally:
            if not done:
                self.end(error)

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
                raise ConnectionRefusedError("nobody listens there")
        except OSError as error:
            # Of thousands of links to addresses of one network, all can fail at the same time.
            yield_if_spent()
            raise Broken(f"cannot connect to {self.address}: {error}") from error
        self.state = PeerState.OPEN
        self.was_open = True
        self._last_used = monotonic()
        if self.linked:
            self._free_slot()
        if not self.linked or self.leaving:
            self._watch()
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

    def _write(self) -> None:
        """Write batches; when there is nothing to write, park, or say that this was all."""
        while self.state is PeerState.OPEN:
            if self._rest or self.queue:
                self._write_batch()
            elif self.leaving:
                self._open_socket.shutdown(socket.SHUT_WR)
                return
            else:
                self._park()

    def _write_batch(self) -> None:
        """Write what is left of a batch, or the next one; waits for the peer."""
        batch = rest = self._rest or memoryview(self.queue.take_batch())
        self._rest = NOTHING
        while rest:
            rest = rest[self._open_socket.send(rest) :]
            self._last_used = monotonic()
        self._batch_written()
        if len(batch) >= YIELD_BYTES:
            # No turn for descriptors, which a writer need not give: what it writes is bounded by
            # what processes here have sent. Waiting for one in a node that is busy sending left
            # the peer without work for a quarter of the time.
            sleep(0)

    def _write_at_once(self) -> None:
        """Write the next batch in the hub, as far as the socket takes it without waiting."""
        batch = self.queue.take_batch()
        try:
            sent = write_some(self._open_socket, batch)
        except OSError:
            sent = 0  # which the writer will find out
        if sent < len(batch):
            self._rest = memoryview(batch)[sent:]
        else:
            self._last_used = monotonic()
            self._batch_written()

    def _batch_written(self) -> None:
        if self.linked:
            self.queue.forget_sent()

    def _park(self) -> None:
        """Give up the turn until there is something to write.

        Not an event of gevent: parking and waking would cost more than all the rest of a send.
        """
        self._parked = getcurrent()
        self._wakeable = True
        try:
            self._hub.switch()
        finally:
            self._parked = None
            self._wakeable = False

    def _wake(self) -> None:
        self._wakeable = False
        self._hub.loop.run_callback(self._resume)

    def _resume(self) -> None:
        """Write a little, in the hub; switch to the writer if there is more to do than that."""
        if self._parked is None:
            return  # The writer was killed in the meantime.
        if 0 < self.queue.queued_bytes <= LITTLE_BYTES and self.state is PeerState.OPEN:
            self._write_at_once()
        if self._rest or self.queue or self.leaving or self.state is not PeerState.OPEN:
            self._parked.switch()
        else:
            self._wakeable = True

    # Reading

    def _read(self) -> None:
        """Read until the peer closes: that is how the end of a connection is seen."""
        error: Broken | None = None
        try:
            while received := self._open_socket.recv(READ_BYTES):
                yield_if_spent()
                if not self.linked:
                    self._count_answers(received)
        except OSError as caught:
            error = self._broken(caught)
        finally:
            self.end(error)

    def _count_answers(self, received: bytes) -> None:
        # What sends no responses may read messages all the same. So it keeps its connection
        # until it has been silent for too long.
        self._last_used = monotonic()
        self._note_answers(received)
        while self._counter.has_more:
            yield_if_spent()
            self._note_answers(b"")
        if self._hooks.slots.waiting and self.is_idle:
            self.give_way()

    def _note_answers(self, received: bytes) -> None:
        count = self._counter.feed(received)
        if self._counter.unavailable:
            refused = self.queue.find_sent(self._counter.unavailable)
            self.queue.answer(count)
            self._hooks.refused(refused)
        else:
            self.queue.answer(count)

    def _broken(self, error: OSError) -> Broken:
        broken = Broken(f"connection to {self.address} lost: {error}")
        broken.__cause__ = error
        return broken

    # Making room for another temporary connection

    @property
    def is_idle(self) -> bool:
        """See `SlotHolder`: nothing is to be written, and no answer is missing."""
        is_open = self.state is PeerState.OPEN and not self.leaving
        return is_open and not self._rest and not self.queue and self.queue.is_answered

    def give_way(self) -> None:
        """See `SlotHolder`."""
        self._hooks.idle(self)

    # The time limits of temporary and leaving connections

    def _watch(self) -> None:
        """Check at the next moment at which the time may be up."""
        self._stop_timer()
        limit, _ = self._patience()
        remaining = self._last_used + limit - monotonic()
        if not self.leaving:
            # What is waited for may happen soon, and then the limit is the shorter one.
            remaining = min(remaining, self._settings.temporary_idle)
        self._timer = self._hub.loop.timer(max(remaining, MIN_CHECK_SECONDS))
        self._timer.start(self._check_time)

    def _check_time(self) -> None:
        """Give up, in the hub, on a peer that has been silent for too long."""
        limit, error = self._patience()
        if monotonic() < self._last_used + limit:
            self._watch()
        elif self.leaving or error is not None:
            self._hooks.spawn(self.end, error)
        else:
            self._hooks.idle(self)

    def _patience(self) -> tuple[float, Broken | None]:
        """Return how long nothing may happen, and what it means if nothing does."""
        if self.leaving:
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
    # Without it an answer of the peer can wait 40 ms for our next segment.
    fresh.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return fresh
