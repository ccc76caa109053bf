"""The signals of a runtime: blinker signals for observers; no part of greenproc depends on them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from blinker import ANY, Signal

from greenproc.address import Address
from greenproc.failures import FAILURES, log_failure
from greenproc.message import Message
from greenproc.pid import UPID
from greenproc.process.event import Event, MessageEvent
from greenproc.process.flow import POLICIES
from greenproc.process.ports import LATE_ANSWER
from greenproc.process.quota import MAILBOX_FULL, NODE_FULL
from greenproc.process.recording import Recorder
from greenproc.process.typed import UNDECODED
from greenproc.transport.hooks import (
    ANSWERS_NOT_READ,
    BODY_TOO_SLOW,
    HEAD_TOO_SLOW,
    HOST_NOT_ALLOWED,
    MADE_ROOM,
    TOO_MANY,
    TOO_MANY_OF_ADDRESS,
    TOO_MUCH_UNSENT,
)

if TYPE_CHECKING:
    from greenproc.runtime.dead_letters import DeadLetters
    from greenproc.runtime.runtime import Runtime

logger = logging.getLogger("greenproc.runtime")

Direction: TypeAlias = Literal["inbound", "outbound"]
"""Where a connection comes from: a client, or this node."""

UNSENT = "not sent"
REASONS = (
    "no such process",
    "no handler",
    UNDECODED,
    MAILBOX_FULL,
    NODE_FULL,
    "process terminated",
    LATE_ANSWER,
    UNSENT,
)
"""The reasons of dropped messages, counted from the start, so that metrics show zeros."""

REFUSALS = (
    TOO_MUCH_UNSENT,
    TOO_MANY,
    TOO_MANY_OF_ADDRESS,
    MADE_ROOM,
    HEAD_TOO_SLOW,
    BODY_TOO_SLOW,
    ANSWERS_NOT_READ,
    HOST_NOT_ALLOWED,
)
"""The reasons of refused clients; likewise."""


class IsolatedSignal(Signal):
    """A signal with strong references to its receivers, which are isolated from each other.

    Plain blinker holds receivers weakly, so a connected lambda vanishes at once, and a receiver
    that raises keeps the ones after it from being called.
    """

    def __init__(self, doc: str | None = None) -> None:
        super().__init__(doc)
        self._changed: Callable[[], object] = lambda: None

    def watch(self, changed: Callable[[], object]) -> None:
        """Call *changed*, and nothing else, after each time that a receiver comes or goes."""
        self._changed = changed

    def connect(self, receiver: Any, sender: Any = ANY, weak: bool = False) -> Any:
        """Call *receiver* with the runtime and keyword arguments each time; it must not wait."""
        connected = super().connect(receiver, sender, weak)
        self._changed()
        return connected

    def disconnect(self, receiver: Any, sender: Any = ANY) -> None:
        """Call *receiver* no more."""
        super().disconnect(receiver, sender)
        self._changed()

    def emit(self, sender: Any, **values: Any) -> None:
        """Call each receiver; the error of one is logged, and does not affect the remaining ones."""
        for receiver in self.receivers_for(sender):
            try:
                receiver(sender, **values)
            except FAILURES:
                log_failure(logger, "receiver %r of signal %s failed", receiver, self.__doc__)


class Signals:
    """The signals of one runtime. Each is sent with the runtime as the sender.

    Receivers run in the greenlet that sends the signal, which may be the hub: they must not wait.
    """

    def __init__(self) -> None:
        self.process_spawned = IsolatedSignal("process_spawned(pid)")
        self.process_terminated = IsolatedSignal("process_terminated(pid, reason)")
        self.process_failed = IsolatedSignal("process_failed(pid, event, error)")
        self.message_sent = IsolatedSignal("message_sent(message)")
        """A process or the program sends a message, to a process here or on another node."""
        self.message_delivered = IsolatedSignal("message_delivered(message)")
        """A message is in the mailbox of a process here; it came from here or another node."""
        self.message_dropped = IsolatedSignal("message_dropped(message, reason)")
        self.dead_letter = IsolatedSignal("dead_letter(letter)")
        """A message, dispatch or request was dropped: see `DeadLetters`."""
        self.connection_opened = IsolatedSignal("connection_opened(peer, direction)")
        """A connection stands: ``"inbound"``, from a client, or ``"outbound"``, to a node. The peer
        is its address, None at a Unix socket."""
        self.connection_closed = IsolatedSignal("connection_closed(peer, direction)")
        """One that stood is gone."""
        self.mailbox_full = IsolatedSignal("mailbox_full(pid, policy)")
        """A process is at its `MailboxLimit`: sent for each event that finds no room."""
        self.client_refused = IsolatedSignal("client_refused(client, reason)")
        self.link_made = IsolatedSignal("link_made(linker, linkee)")
        self.link_lost = IsolatedSignal("link_lost(linker, linkee)")
        self.child_started = IsolatedSignal("child_started(supervisor, id, pid, incarnation)")
        self.child_ended = IsolatedSignal("child_ended(supervisor, id, pid, reason, next)")
        self.child_start_failed = IsolatedSignal(
            "child_start_failed(supervisor, id, error, attempt)"
        )
        self.child_restarting = IsolatedSignal(
            "child_restarting(supervisor, id, reason, delay, count)"
        )
        self.child_stop_failed = IsolatedSignal("child_stop_failed(supervisor, id, pid, reason)")
        self.supervisor_gave_up = IsolatedSignal("supervisor_gave_up(supervisor, id, error)")
        self.hub_blocked = IsolatedSignal("hub_blocked(pid, seconds, stack)")
        self.runtime_started = IsolatedSignal("runtime_started()")
        self.runtime_draining = IsolatedSignal("runtime_draining()")
        """The node finishes its requests before it stops: streams should end now."""
        self.runtime_stopping = IsolatedSignal("runtime_stopping()")
        self.runtime_stopped = IsolatedSignal("runtime_stopped(killed)")

    def __repr__(self) -> str:
        listened = [name for name, signal in vars(self).items() if signal.receivers]
        return f"<Signals listened to: {', '.join(listened) or 'none'}>"


class SignalObserver:
    """Sends signals for the reports of the process manager; a signal without receivers costs little."""

    def __init__(self, runtime: Runtime, signals: Signals, dead_letters: DeadLetters) -> None:
        self._runtime = runtime
        self._signals = signals
        self.dead_letters = dead_letters
        self.dropped = dict.fromkeys(REASONS, 0)
        """How many messages were dropped, by reason."""
        self.full: dict[str, int] = dict.fromkeys(POLICIES, 0)
        """How often an event found a mailbox at the limit of its process, by policy."""
        self.refused = dict.fromkeys(REFUSALS, 0)
        """The number of refused clients, by reason."""
        self.recorder: Recorder | None = None
        self._changed: Callable[[], None] = lambda: None

    @property
    def wants_sent(self) -> bool:
        """Whether there is a receiver of `message_sent`, or a recorder."""
        return self.recorder is not None or bool(self._signals.message_sent.receivers)

    @property
    def wants_delivered(self) -> bool:
        """Whether there is a receiver of `message_delivered`, or a recorder."""
        return self.recorder is not None or bool(self._signals.message_delivered.receivers)

    def use_recorder(self, recorder: Recorder | None) -> None:
        """Let *recorder* look at every event from now on; None ends that."""
        self.recorder = recorder
        self._changed()

    def watch_wants(self, changed: Callable[[], None]) -> None:
        """Call *changed* each time that a receiver of those two, or a recorder, came or went."""
        self._changed = changed
        self._signals.message_sent.watch(changed)
        self._signals.message_delivered.watch(changed)

    def message_sent(self, message: Message) -> None:
        """A process, or the program, sends a message."""
        if self.recorder is not None:
            try:
                self.recorder.sent(message)
            except FAILURES:
                log_failure(logger, "the recorder failed on a message to %s", message.to)
        self._signals.message_sent.emit(self._runtime, message=message)

    def message_delivered(self, message: Message) -> None:
        """A message is in the mailbox of a process."""
        self._signals.message_delivered.emit(self._runtime, message=message)

    def connection_opened(self, direction: Direction, peer: Address | None) -> None:
        """A connection stands."""
        signal = self._signals.connection_opened
        if signal.receivers:
            signal.emit(self._runtime, peer=peer, direction=direction)

    def connection_closed(self, direction: Direction, peer: Address | None) -> None:
        """A connection that stood is gone."""
        signal = self._signals.connection_closed
        if signal.receivers:
            signal.emit(self._runtime, peer=peer, direction=direction)

    def process_spawned(self, pid: UPID) -> None:
        """A process was registered."""
        if self._signals.process_spawned.receivers:
            self._signals.process_spawned.emit(self._runtime, pid=pid)

    def process_terminated(self, pid: UPID, reason: BaseException | None) -> None:
        """A process is over."""
        if self._signals.process_terminated.receivers:
            self._signals.process_terminated.emit(self._runtime, pid=pid, reason=reason)

    def process_failed(self, pid: UPID, event: object, error: BaseException) -> None:
        """A handler raised."""
        if self._signals.process_failed.receivers:
            self._signals.process_failed.emit(self._runtime, pid=pid, event=event, error=error)

    def message_dropped(self, message: Message, reason: str) -> None:
        """A message will not be handled."""
        self.dropped[reason] = self.dropped.get(reason, 0) + 1
        self._tell_dropped(message, reason)

    def message_unsent(self, message: Message, reason: str) -> None:
        """A message did not leave, or may not have arrived; *reason* says more than its kind."""
        self.dropped[UNSENT] += 1
        self._tell_dropped(message, reason)

    def _tell_dropped(self, message: Message, reason: str) -> None:
        self.dead_letters.add_message(self._runtime, message, reason)
        if self._signals.message_dropped.receivers:
            self._signals.message_dropped.emit(self._runtime, message=message, reason=reason)

    def event_dropped(self, to: UPID, event: Event, sender: UPID, reason: str) -> None:
        """A dispatch or request will not be served."""
        if isinstance(event, MessageEvent):
            self.message_dropped(event.message, reason)
            return
        self.dead_letters.add_event(self._runtime, to, event, sender, reason)

    def mailbox_full(self, pid: UPID, policy: str) -> None:
        """An event found no room."""
        self.full[policy] += 1
        if self._signals.mailbox_full.receivers:
            self._signals.mailbox_full.emit(self._runtime, pid=pid, policy=policy)

    def client_refused(self, client: Address | None, reason: str) -> None:
        """A connection was refused, or closed for what its client did."""
        self.refused[reason] = self.refused.get(reason, 0) + 1
        if self._signals.client_refused.receivers:
            self._signals.client_refused.emit(self._runtime, client=client, reason=reason)

    def link_made(self, linker: UPID, linkee: UPID) -> None:
        """A process watches another."""
        if self._signals.link_made.receivers:
            self._signals.link_made.emit(self._runtime, linker=linker, linkee=linkee)

    def link_lost(self, linker: UPID, linkee: UPID) -> None:
        """An exit event was queued for a linker."""
        if self._signals.link_lost.receivers:
            self._signals.link_lost.emit(self._runtime, linker=linker, linkee=linkee)

    def hub_blocked(self, pid: UPID | None, seconds: float, stack: str) -> None:
        """The hub runs again after a process, or another greenlet, blocked it."""
        if self._signals.hub_blocked.receivers:
            self._signals.hub_blocked.emit(self._runtime, pid=pid, seconds=seconds, stack=stack)
