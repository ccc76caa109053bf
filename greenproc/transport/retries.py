"""`Retries`: retransmission, with back-off, of messages that another node refused with 503."""

from __future__ import annotations

from collections import Counter, deque
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
OVERTAKEN = "{} was answered 503, and a later message of the same sender was accepted"
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

    __slots__ = (
        "burst",
        "delay",
        "is_answered",
        "messages",
        "refused",
        "senders",
        "timer",
        "was_refused",
    )

    def __init__(self, is_answered: IsAnswered) -> None:
        self.is_answered = is_answered
        self.messages: deque[RetriedMessage] = deque()
        # Refused since the last burst, so older than the queued messages; and their senders.
        self.refused: deque[RetriedMessage] = deque()
        self.senders: Counter[UPID] = Counter()
        self.timer: Any = None
        self.delay = FIRST_DELAY
        self.burst = 1
        self.was_refused = False

    def __len__(self) -> int:
        return len(self.refused) + len(self.messages)

    def put_back(self) -> None:
        """Move the refused messages to the front of the queue."""
        self.messages.extendleft(reversed(self.refused))
        self.refused.clear()
        self.senders.clear()

    def pop_late(self, now: float) -> RetriedMessage | None:
        """Remove and return the oldest message if its deadline has passed."""
        if self.refused and self.refused[0].deadline <= now:
            self.senders[self.refused[0].sender] -= 1
            return self.refused.popleft()
        if self.messages and self.messages[0].deadline <= now:
            return self.messages.popleft()
        return None

    def take_refused(self, sender: UPID) -> list[RetriedMessage]:
        """Remove and return the refused messages of *sender*."""
        taken = [one for one in self.refused if one.sender == sender]
        self.refused = deque(one for one in self.refused if one.sender != sender)
        del self.senders[sender]
        return taken


class Retries:
    """Queues messages for processes whose nodes answer 503, and retries them with back-off.

    After the first refusal, all messages to that process are queued here, in order. When a delay
    has passed and everything sent has been answered, the first message is retried. The burst
    doubles after each one without a refusal, and the delay doubles after each refusal. A message
    that has been queued for *timeout* seconds, or that exceeds *max_bytes* and is not the only one, is dropped and
    reported.

    Over a linked connection the messages from one sender to one receiver keep their order: a
    refused message is dropped and reported if a later one, sent before the refusal was known,
    has been accepted.

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
        return sum(len(one) for one in self.receivers.values())

    def __repr__(self) -> str:
        return f"<Retries, {len(self)} messages of {len(self.receivers)} receivers>"

    def is_retrying(self, address: Address) -> bool:
        """Return whether a process at *address* has refused messages that are not settled yet."""
        return any(to.address == address for to in self.receivers)

    def takes(self, message: Message) -> bool:
        """Queue *message* and return True if others are queued for its receiver; else False."""
        if not self.receivers or isinstance(message, RetriedMessage):
            return False
        receiver = self.receivers.get(message.to)
        if receiver is None:
            return False
        queued = self._enqueue(message)
        if queued is not None:
            receiver.messages.append(queued)
        return True

    def note_answers(self, answered: Sequence[Message], refused: Sequence[Message]) -> None:
        """Queue refused messages, and drop those that an accepted message has overtaken.

        Args:
            answered: the messages that were answered, in the order in which they were sent;
                without the accepted ones where the order does not matter.
            refused: those of them that were answered 503.
        """
        refusals = set(map(id, refused))
        for message in answered:
            if id(message) in refusals:
                self._enqueue_refused(message)
            else:
                self._drop_overtaken(message)

    def _enqueue_refused(self, message: Message) -> None:
        receiver = self.receivers.get(message.to)
        if receiver is None:
            receiver = self.receivers[message.to] = _Receiver(self._mark(message.to.address))
            self._start(receiver, message.to)
        receiver.was_refused = True
        queued = self._enqueue(message)
        if queued is not None:
            receiver.refused.append(queued)
            receiver.senders[message.sender] += 1

    def _drop_overtaken(self, accepted: Message) -> None:
        """Drop the refused messages of the sender of *accepted*, which was sent after them."""
        receiver = self.receivers.get(accepted.to)
        if receiver is None or accepted.sender not in receiver.senders:
            return
        overtaken = receiver.take_refused(accepted.sender)
        self._bytes -= sum(map(_weight, overtaken))
        for message in overtaken:
            self._drop(message, OVERTAKEN.format(message.to))

    def close(self, reason: str) -> None:
        """Drop all queued messages with *reason*."""
        receivers, self.receivers = self.receivers, {}
        self._bytes = 0
        for receiver in receivers.values():
            receiver.timer.close()
            receiver.put_back()
            for message in receiver.messages:
                self._drop(message, reason)

    def disown(self) -> None:
        """Discard the queues in a forked child: they belong to the parent process."""
        for receiver in self.receivers.values():
            receiver.timer.close()
        self.receivers.clear()

    def _enqueue(self, message: Message) -> RetriedMessage | None:
        """Return *message* as it is queued, with its bytes counted; None if it was dropped."""
        weight = _weight(message)
        if isinstance(message, RetriedMessage):
            self._bytes += weight  # without a check: it was queued before
            return message
        if not self._timeout:
            self._drop(message, FULL.format(message.to, self._timeout))
            return None
        if self._bytes and self._bytes + weight > self._max_bytes:
            self._drop(message, TOO_MANY.format(message.to))
            return None
        self._bytes += weight
        deadline = monotonic() + self._timeout
        name, sender, to, body = message.name, message.sender, message.to, message.body
        return RetriedMessage(name, sender, to, body, deadline, message.trace)

    def _start(self, receiver: _Receiver, to: UPID) -> None:
        receiver.timer = self._hub.loop.timer(receiver.delay)
        receiver.timer.start(self._try_again, to)

    def _try_again(self, to: UPID) -> None:
        """Retry the messages to *to*, in the hub; remove the receiver when none are left."""
        receiver = self.receivers[to]
        receiver.timer.close()
        is_over = False
        try:
            is_answered = receiver.is_answered()
            if is_answered:
                receiver.put_back()
            self._drop_late(receiver)
            if is_answered:
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
        """Drop the messages whose deadline has passed, also if a linked peer stopped answering."""
        now = monotonic()
        while (message := receiver.pop_late(now)) is not None:
            self._bytes -= _weight(message)
            self._drop(message, FULL.format(message.to, self._timeout))

    def _send_burst(self, receiver: _Receiver) -> None:
        for _ in range(min(receiver.burst, len(receiver.messages))):
            message = receiver.messages.popleft()
            self._bytes -= _weight(message)
            self._send(message)


def _weight(message: Message) -> int:
    return len(message.body) + len(message.name) + 64
