"""`DeadLetters`: what a node dropped, the last of it to look at, all of it to subscribe to."""

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
"""How much of a body a dead letter shows."""

MAX_TEXT = 200
"""How many characters of a name, an id or a reason a dead letter has; they come from outside."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message, dispatch or request that no handler gets.

    It holds nothing of the body but its start, and no text in full that a sender chooses, so that
    a thousand of them are small.
    """

    number: int
    """How many were dropped before it, and itself."""
    time: float
    """When, in seconds since 1970 by the runtime's clock."""
    kind: str
    """``message``, ``dispatch`` or ``request``."""
    reason: str
    """Such as ``no such process``, ``no handler``, ``mailbox full`` or ``process terminated``."""
    sender: UPID | Address | None
    """The process that sent it, the address of the client of a request, or None if unknown."""
    receiver: UPID
    """The process that was to get it."""
    name: str
    """Of the message or method; of a request its method and path."""
    size: int
    """How many bytes the body has; 0 for a dispatch."""
    start: bytes
    """The first 64 bytes of the body."""

    def to_json(self) -> dict[str, Any]:
        """Return it as ``/dead-letters`` shows it."""
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
    """What `DeadLetters.subscribe` returns."""

    def __init__(self, signal: IsolatedSignal, receiver: Callable[[DeadLetter], object]) -> None:
        self._signal = signal
        self._receiver = receiver
        signal.connect(self)

    def __call__(self, runtime: object, letter: DeadLetter) -> None:
        """Call the receiver with *letter*, as a receiver of the signal."""
        self._receiver(letter)

    def cancel(self) -> None:
        """Stop the calls. A second call has no effect."""
        self._signal.disconnect(self)

    def __repr__(self) -> str:
        return f"<Subscription of {self._receiver!r}>"


class DeadLetters:
    """The messages, dispatches and requests that a node dropped.

    Iteration and ``len`` are about the last of them, oldest first; `subscribe` is about all that
    follow. While nothing is dropped it costs nothing; a drop costs an entry of a bounded ring, and no
    line of the log.

    A message is here whenever `Signals.message_dropped` is sent. A dispatch or request is here when
    no process takes it, or the process ends before it serves it; its future is abandoned all the
    same, and its client has got 500 or 503. Not here are requests that no route answers (404), and what an event filter drops.

    Args:
        signal: sent for each, with the `DeadLetter` as ``letter``.
        most: how many are kept.
    """

    def __init__(self, signal: IsolatedSignal, most: int) -> None:
        self._signal = signal
        self._clock: Clock | None = None
        # As tuples: to make a frozen object of each would be half of the cost of a flood.
        self._letters: deque[tuple[Any, ...]] = deque(maxlen=most)
        self._telling: set[object] = set()
        self.total = 0
        """How many were dropped so far."""
        self.counts = {"message": 0, "dispatch": 0, "request": 0}
        """How many of them are of each kind."""

    def __iter__(self) -> Iterator[DeadLetter]:
        """Return those that are kept at this moment, oldest first. Safe in every native thread."""
        return (DeadLetter(*fields) for fields in self._letters.copy())

    def __reversed__(self) -> Iterator[DeadLetter]:
        """Return the same, newest first; only those that are looked at are made."""
        return (DeadLetter(*fields) for fields in reversed(self._letters.copy()))

    def __len__(self) -> int:
        return len(self._letters)

    def __repr__(self) -> str:
        return f"<DeadLetters {self.total} dropped, the last {len(self)} kept>"

    def subscribe(self, receiver: Callable[[DeadLetter], object]) -> Subscription:
        """Call *receiver* with each dead letter from now on; it must not wait.

        It runs in the greenlet that drops, the hub included, and its errors are logged. A process
        subscribes with ``subscribe(self.defer(self.on_letter))``. What is dropped by the call itself, such as a
        dispatch to a process that has ended, is kept and counted, but not told: it would go round for ever.

        Raises:
            InvalidArgument: it cannot be called.
        """
        check_callable(receiver)
        return Subscription(self._signal, receiver)

    # For the parts of the runtime

    def use_clock(self, clock: Clock) -> None:
        """Take the time of each from *clock*."""
        self._clock = clock

    def add_message(self, runtime: object, message: Message, reason: str) -> None:
        """Note that *message* was dropped."""
        sender = None if message.sender.is_empty else _shown_pid(message.sender)
        content = message.name, len(message.body), message.body[:MAX_START_BYTES]
        self._add(runtime, "message", reason, (sender, message.to), content)

    def add_event(
        self, runtime: object, to: UPID, event: Event, sender: UPID, reason: str
    ) -> None:
        """Note that *event*, for the process *to*, was dropped, if it is one that matters."""
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
    """Return *pid*, with the start of its id where that is a long one."""
    if len(pid.id) <= MAX_TEXT:
        return pid
    # What a long id starts with may look like a whole UPID, which needs an address to be an id.
    return UPID() if pid.address.is_empty else UPID(pid.id[:MAX_TEXT], pid.address)
