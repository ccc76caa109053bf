"""`Retries`: retransmission, with back-off, of messages that another node refused with 503."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from gevent.hub import Hub

from greenproc.address import Address
from greenproc.message import Message, TracedMessage
from greenproc.pid import UPID
from greenproc.tracing import TraceContext

FIRST_DELAY = 0.01  # seconds; a process that makes progress has served some events by then
MAX_DELAY = 1.0
MAX_BURST = 1024  # messages sent at once after a series of bursts without a refusal

FULL = "{} was answered 503 for {:g} seconds"
TOO_MANY = "too much waits for {}, which answers 503"


IsAnswered = Callable[[], bool]


class RetriedMessage(Message, frozen=True, gc=False):
    """A refused message that is retried until its deadline."""

    deadline: float
    trace: TraceContext | None

    def as_it_was(self) -> Message:
        """Return the original message."""
        if self.trace is None:
            return Message(self.name, self.sender, self.to, self.body)
        return TracedMessage(self.name, self.sender, self.to, self.body, self.trace)


class _Receiver:
    """The retry state of one process on another node."""

    __slots__ = ("burst", "delay", "is_answered", "messages", "timer", "was_refused")

    def __init__(self, is_answered: IsAnswered) -> None:
        self.is_answered = is_answered
        self.messages: deque[RetriedMessage] = deque()
        self.timer: Any = None
        self.delay = FIRST_DELAY
        self.burst = 1
        self.was_refused = False


class Retries:
    """Queues messages for processes whose nodes answer 503, and retries them with back-off.

    After the first refusal, all messages to that process are queued here, in order. When a delay
    has passed and everything sent has been answered, the first message is retried. The burst
    doubles after each one without a refusal, and the delay doubles after each refusal. A message
    that has been queued for *timeout* seconds, or that exceeds *max_bytes*, is dropped and
    reported.

    Args:
        hub: the hub of the runtime, for the timers.
        timeout: the seconds after which a message is dropped; 0 drops it at the first refusal.
        max_bytes: the bound of all queued messages together.
        send: passes a message to the connection of its address; called in the hub.
        mark: returns a function that returns whether all messages sent to an address so far have
            been answered.
        drop: reports a dropped message with a reason.
    """

    def __init__(
        self,
        hub: Hub,
        *,
        timeout: float,
        max_bytes: int,
        send: Callable[[Message], None],
        mark: Callable[[Address], IsAnswered],
        drop: Callable[[Message, str], None],
    ) -> None:
        self._hub = hub
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._send = send
        self._mark = mark
        self._drop = drop
        self._bytes = 0
        self.receivers: dict[UPID, _Receiver] = {}
        """Receivers with queued messages, or with retries whose outcome is pending."""

    def __len__(self) -> int:
        """Return the number of queued messages."""
        return sum(len(one.messages) for one in self.receivers.values())

    def __repr__(self) -> str:
        return f"<Retries, {len(self)} messages of {len(self.receivers)} receivers>"

    def takes(self, message: Message) -> bool:
        """Queue *message* and return True if others are queued for its receiver; else False."""
        if not self.receivers or isinstance(message, RetriedMessage):
            return False
        receiver = self.receivers.get(message.to)
        if receiver is None:
            return False
        self._append(receiver, message)
        return True

    def add(self, refused: Sequence[Message]) -> None:
        """Queue refused messages, which are in the order in which they were sent."""
        again: dict[UPID, list[RetriedMessage]] = {}
        for message in refused:
            receiver = self.receivers.get(message.to)
            if receiver is None:
                receiver = self.receivers[message.to] = _Receiver(self._mark(message.to.address))
                self._start(receiver, message.to)
            receiver.was_refused = True
            if isinstance(message, RetriedMessage):
                again.setdefault(message.to, []).append(message)
            else:
                self._append(receiver, message)
        for to, messages in again.items():
            # Retried messages are older than all queued ones.
            self.receivers[to].messages.extendleft(reversed(messages))
            self._bytes += sum(_weight(message) for message in messages)

    def close(self, reason: str) -> None:
        """Drop all queued messages with *reason*."""
        receivers, self.receivers = self.receivers, {}
        self._bytes = 0
        for receiver in receivers.values():
            receiver.timer.close()
            for message in receiver.messages:
                self._drop(message, reason)

    def disown(self) -> None:
        """Discard the queues in a forked child: they belong to the parent process."""
        for receiver in self.receivers.values():
            receiver.timer.close()
        self.receivers.clear()

    def _append(self, receiver: _Receiver, message: Message) -> None:
        weight = _weight(message)
        if not self._timeout:
            self._drop(message, FULL.format(message.to, self._timeout))
        elif self._bytes + weight > self._max_bytes:
            self._drop(message, TOO_MANY.format(message.to))
        else:
            self._bytes += weight
            deadline = monotonic() + self._timeout
            receiver.messages.append(
                RetriedMessage(
                    message.name,
                    message.sender,
                    message.to,
                    message.body,
                    deadline,
                    message.trace,
                )
            )

    def _start(self, receiver: _Receiver, to: UPID) -> None:
        receiver.timer = self._hub.loop.timer(receiver.delay)
        receiver.timer.start(self._try_again, to)

    def _try_again(self, to: UPID) -> None:
        """Retry the messages to *to*, in the hub; remove the receiver when none are left."""
        receiver = self.receivers[to]
        receiver.timer.close()
        is_over = False
        try:
            self._drop_late(receiver)
            if receiver.is_answered():
                is_over = not self._send_next(receiver, to)
        finally:  # the next attempt must be scheduled even if a receiver of reports is killed
            if is_over:
                del self.receivers[to]
            else:
                self._start(receiver, to)

    def _send_next(self, receiver: _Receiver, to: UPID) -> bool:
        """Send the next burst; return False if all messages to *receiver* were accepted."""
        if receiver.was_refused:
            receiver.delay = min(2 * receiver.delay, MAX_DELAY)
            receiver.burst = max(receiver.burst // 2, 1)
        elif not receiver.messages:
            return False
        else:
            receiver.delay = FIRST_DELAY
            receiver.burst = min(2 * receiver.burst, MAX_BURST)
        receiver.was_refused = False
        self._send_burst(receiver)
        receiver.is_answered = self._mark(to.address)
        return True

    def _drop_late(self, receiver: _Receiver) -> None:
        """Drop the messages whose deadline has passed, which are at the front."""
        now = monotonic()
        while receiver.messages and receiver.messages[0].deadline <= now:
            message = receiver.messages.popleft()
            self._bytes -= _weight(message)
            self._drop(message, FULL.format(message.to, self._timeout))

    def _send_burst(self, receiver: _Receiver) -> None:
        for _ in range(min(receiver.burst, len(receiver.messages))):
            message = receiver.messages.popleft()
            self._bytes -= _weight(message)
            self._send(message)


def _weight(message: Message) -> int:
    return len(message.body) + len(message.name) + 64
