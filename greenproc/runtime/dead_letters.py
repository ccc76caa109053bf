"""`DeadLetters`: the most recent events that a node dropped, and subscriptions to all of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from gevent import getcurrent

from greenproc.address import Address
from greenproc.checks import check_callable
from greenproc.clock import Clock
from greenproc.message import Message
from greenproc.pid import UPID
from greenproc.process.event import Event, HttpEvent
from greenproc.runtime.signals import IsolatedSignal

MAX_START_BYTES = 64
"""The bytes of a body that a dead letter keeps."""

MAX_TEXT = 200
"""The characters of a name, an id or a reason that a dead letter keeps; a sender chooses these."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message, dispatch or request that was dropped before a handler received it.

    Its size is bounded: bodies, names and ids are truncated.
    """

    number: int
    """The serial number, from 1 since the start of the runtime."""
    time: float
    """When it was dropped, in seconds since 1970 of the runtime's clock."""
    kind: str
    """``message``, ``dispatch`` or ``request``."""
    reason: str
    """Such as ``no such process``, ``no handler``, ``mailbox full`` or ``process terminated``."""
    sender: UPID | Address | None
    """The sending process, the address of the HTTP client, or None if unknown."""
    receiver: UPID
    """The receiving process."""
    name: str
    """The name of the message or of the dispatched method, or the method and path of a request."""
    size: int
    """The size of the body in bytes; 0 for a dispatch."""
    start: bytes
    """The first 64 bytes of the body."""

    def to_json(self) -> dict[str, Any]:
        """Return the form in which ``/dead-letters`` shows it."""
        return {
            "number": self.number,
            "time": self.time,
            "kind": self.kind,
            "reason": self.reason,
            "from": "" if self.sender is None else str(self.sender),
            "to": str(self.receiver),
            "name": self.name,
            "size": self.size,
            "start": self.start.decode("utf-8", "replace"),
        }


class Subscription:
    """A subscription to dead letters, until `cancel`.

    Args:
        signal: the signal of dead letters.
        receiver: called with each `DeadLetter`.
    """

    def __init__(self, signal: IsolatedSignal, receiver: Callable[[DeadLetter], object]) -> None:
        self._signal = signal
        self._receiver = receiver
        signal.connect(self)

    def __call__(self, runtime: object, letter: DeadLetter) -> None:
        """Call the receiver with *letter*.

        Args:
            runtime: the sender of the signal, which is not passed on.
            letter: the dead letter.
        """
        self._receiver(letter)

    def cancel(self) -> None:
        """Stop the calls. A second call has no effect."""
        self._signal.disconnect(self)

    def __repr__(self) -> str:
        return f"<Subscription of {self._receiver!r}>"


class DeadLetters:
    """The messages, dispatches and requests that a node dropped.

    Iteration and ``len`` cover the most recent ones, oldest first; `subscribe` covers all that
    follow. A drop costs an entry in a bounded ring and no log record.

    Every message for which `Signals.message_dropped` is sent becomes a dead letter. A dispatch or
    request becomes one if no process accepts it, or the process ends before serving it; the future
    of the dispatch is abandoned, and the client receives 500 or 503. Requests without a matching
    route (404) and events that an event filter drops are not included.

    Args:
        signal: sent for each dead letter, with the `DeadLetter` as ``letter``.
        most: the number of dead letters to keep.
    """

    def __init__(self, signal: IsolatedSignal, most: int) -> None:
        self._signal = signal
        self._clock: Clock | None = None
        # Tuples: creating the frozen objects is half of the cost of a drop.
        self._letters: deque[tuple[Any, ...]] = deque(maxlen=most)
        self._telling: set[object] = set()
        self.total = 0
        """The number of dead letters so far."""
        self.counts = {"message": 0, "dispatch": 0, "request": 0}
        """The number of dead letters of each kind."""

    def __iter__(self) -> Iterator[DeadLetter]:
        """Return a snapshot, oldest first. Safe in every native thread."""
        return (DeadLetter(*fields) for fields in self._letters.copy())

    def __reversed__(self) -> Iterator[DeadLetter]:
        """Return the same, newest first; only those that are looked at are made."""
        return (DeadLetter(*fields) for fields in reversed(self._letters.copy()))

    def __len__(self) -> int:
        return len(self._letters)

    def __repr__(self) -> str:
        return f"<DeadLetters {self.total} dropped, the last {len(self)} kept>"

    def subscribe(self, receiver: Callable[[DeadLetter], object]) -> Subscription:
        """Call *receiver* with each dead letter from now on. The receiver must not block.

        It runs in the greenlet that drops the event, possibly the hub; its errors are logged. A
        process subscribes with ``subscribe(self.defer(self.on_letter))``. An event that the receiver
        itself causes to be dropped is kept and counted, but not reported to subscribers, which
        prevents an endless loop.

        Raises:
            InvalidArgument: *receiver* is not callable.
        """
        check_callable(receiver)
        return Subscription(self._signal, receiver)

    # For the parts of the runtime

    def use_clock(self, clock: Clock) -> None:
        """Set the clock for the times of dead letters."""
        self._clock = clock

    def add_message(self, runtime: object, message: Message, reason: str) -> None:
        """Add a dropped message.

        Args:
            runtime: the sender of the signal.
            message: the message.
            reason: the reason of the drop.
        """
        sender = None if message.sender.is_empty else _shown_pid(message.sender)
        content = message.name, len(message.body), message.body[:MAX_START_BYTES]
        self._add(runtime, "message", reason, (sender, message.to), content)

    def add_event(
        self, runtime: object, to: UPID, event: Event, sender: UPID, reason: str
    ) -> None:
        """Add a dropped event if it is a dispatch or a request.

        Args:
            runtime: the sender of the signal.
            to: the receiving process.
            event: the event; control events are ignored.
            sender: the sending process; empty if unknown.
            reason: the reason of the drop.
        """
        content = event.content
        if content is None:
            return
        if isinstance(event, HttpEvent):
            name, size, body = content
            content = name, size, body[:MAX_START_BYTES]
            self._add(runtime, "request", reason, (event.request.client, to), content)
        else:
            known = None if sender.is_empty else sender
            self._add(runtime, "dispatch", reason, (known, to), content)

    def _add(
        self,
        runtime: object,
        kind: str,
        reason: str,
        ends: tuple[UPID | Address | None, UPID],
        content: tuple[str, int, bytes],
    ) -> None:
        self.total += 1
        self.counts[kind] += 1
        name, size, start = content
        now = 0.0 if self._clock is None else self._clock.now(None)
        fields = (
            self.total,
            now,
            kind,
            reason[:MAX_TEXT],
            ends[0],
            _shown_pid(ends[1]),
            name[:MAX_TEXT],
            size,
            start,
        )
        self._letters.append(fields)
        if self._signal.receivers:
            self._tell(runtime, DeadLetter(*fields))

    def _tell(self, runtime: object, letter: DeadLetter) -> None:
        greenlet = getcurrent()
        if greenlet in self._telling:
            return
        self._telling.add(greenlet)
        try:
            self._signal.emit(runtime, letter=letter)
        finally:
            self._telling.discard(greenlet)


def _shown_pid(pid: UPID) -> UPID:
    """Return *pid* with its id truncated to `MAX_TEXT` characters."""
    if len(pid.id) <= MAX_TEXT:
        return pid
    # A truncated id may look like a whole UPID, which is only valid as an id beside an address.
    return UPID() if pid.address.is_empty else UPID(pid.id[:MAX_TEXT], pid.address)
