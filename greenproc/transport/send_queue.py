"""`SendQueue`: the messages of one peer connection, queued, or sent and not answered yet.

It does no I/O; `greenproc.transport.peer_connection` writes its batches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import chain, islice

from greenproc.message import Message
from greenproc.transport.buffered_writer import UnsentBytes

# What a queue may hold before it is counted for the node. A queue that its peer keeps short never
# touches the shared count, and 10 000 connections that do not are 640 MB.
FREE_BYTES = 64 * 1024

MAX_BATCH_BYTES = 256 * 1024  # of one send: more did not make a loopback connection any faster


class SendQueue:
    """A bounded queue of encoded messages, and a bounded memory of what was sent.

    A batch that was taken counts as sent, since how much of it arrived is not known. Responses
    come in the order of the messages, so a count of them tells which messages the peer has.

    Args:
        max_bytes: bound of the queue, and of the batches that are remembered.
        unsent: bounds all queues of a node together.
    """

    __slots__ = (
        "_answered",
        "_data",
        "_free_bytes",
        "_mark",
        "_max_bytes",
        "_max_sent_bytes",
        "_messages",
        "_sent",
        "_sent_bytes",
        "_unknown",
        "_unsent",
        "queued_bytes",
        "taken",
    )

    def __init__(self, max_bytes: int, unsent: UnsentBytes | None = None) -> None:
        self._max_bytes = self._max_sent_bytes = max_bytes
        self._unsent = UnsentBytes(max_bytes) if unsent is None else unsent
        # What the queue may hold before more has to be counted. It is doubled each time, so that a
        # queue which grows asks for the shared count seldom.
        self._free_bytes = self._mark = min(FREE_BYTES, max_bytes)
        self._data: deque[bytes] = deque()
        self._messages: deque[Message] = deque()
        self.queued_bytes = 0
        # Each batch in the order of sending, with its size. Of the first, `_answered` messages
        # have their responses.
        self._sent: deque[tuple[deque[Message], int]] = deque()
        self._sent_bytes = 0
        self._answered = 0
        # Messages that were sent, are not answered, and were too many bytes to be remembered.
        self._unknown = 0
        self.taken = 0
        """How many messages were taken to be sent."""

    def __len__(self) -> int:
        """Return how many messages are waiting to be sent."""
        return len(self._data)

    @property
    def unanswered(self) -> int:
        """How many messages were sent and have no response."""
        return sum(len(batch) for batch, _ in self._sent) - self._answered + self._unknown

    @property
    def is_answered(self) -> bool:
        """Whether every message that was sent has its response."""
        return not self._sent and not self._unknown

    def append(self, message: Message, data: bytes) -> bool:
        """Queue *message*, encoded as *data*; return False if there is no room for it."""
        queued_bytes = self.queued_bytes + len(data)
        if queued_bytes > self._mark and not self._raise_mark(queued_bytes):
            return False
        self.queued_bytes = queued_bytes
        self._data.append(data)
        self._messages.append(message)
        return True

    def take_batch(self) -> bytes:
        """Remove what goes into one send from the queue, and remember its messages as sent."""
        # The usual case takes the whole queue, without a loop over its messages.
        if self.queued_bytes <= MAX_BATCH_BYTES:
            batch = b"".join(self._data)
            messages = self._messages
            self._data.clear()
            self._messages = deque()
            self.queued_bytes = 0
            if self._mark != self._free_bytes:
                self._lower_mark()
        else:
            batch, messages = self._take_part()
        self.taken += len(messages)
        self._sent.append((messages, len(batch)))
        self._sent_bytes += len(batch)
        while self._sent_bytes > self._max_sent_bytes and len(self._sent) > 1:
            self._unknown += self._forget_oldest()
        return batch

    def limit_sent(self, most: int) -> None:
        """Remember no more than *most* bytes of what was sent."""
        self._max_sent_bytes = min(most, self._max_sent_bytes)

    def find_sent(self, places: Sequence[int]) -> list[Message]:
        """Return the messages at *places* among those that have no response, the oldest being 0.

        Messages that are not remembered are left out.
        """
        # Places count from the oldest message without a response, which may not be remembered.
        first = self._answered - self._unknown
        wanted = {place + first for place in places if place >= self._unknown}
        messages = chain.from_iterable(batch for batch, _ in self._sent)
        known = islice(messages, max(wanted, default=-1) + 1)
        return [message for place, message in enumerate(known) if place in wanted]

    def answer(self, count: int) -> None:
        """Note that the *count* oldest of the unanswered messages have their responses."""
        known = max(count - self._unknown, 0)
        self._unknown = max(self._unknown - count, 0)
        self._answered += known
        while self._sent and self._answered >= len(self._sent[0][0]):
            self._answered -= len(self._sent[0][0])
            self._sent_bytes -= self._sent.popleft()[1]
        if not self._sent:
            self._answered = 0

    def forget_sent(self, *, but_last: bool = False) -> None:
        """Forget what was sent: the responses of this connection are not counted.

        Args:
            but_last: whether to go on remembering the last batch.
        """
        while len(self._sent) > but_last:
            self._sent_bytes -= self._sent.popleft()[1]
            self._answered = 0
        self._unknown = 0

    def move_unsent(self, to: SendQueue) -> None:
        """Move all that waits to be sent to the empty queue *to*."""
        to._data, self._data = self._data, deque()
        to._messages, self._messages = self._messages, deque()
        to.queued_bytes, self.queued_bytes = self.queued_bytes, 0
        to._mark, self._mark = self._mark, self._free_bytes

    def drain_unsent(self) -> Iterable[Message]:
        """Empty the queue and return what was in it."""
        messages, self._messages = self._messages, deque()
        self._data.clear()
        self.queued_bytes = 0
        self._lower_mark()
        return messages

    def drain_sent(self) -> Iterable[Message]:
        """Forget what was sent, and return the part that is remembered and has no response."""
        messages = chain.from_iterable(batch for batch, _ in self._sent)
        remaining = list(messages)[self._answered :]
        self.forget_sent()
        return remaining

    def _raise_mark(self, least: int) -> bool:
        """Let the queue hold twice as much, or *least* at least, if there is room for that."""
        is_empty = not self._data  # then it takes a message of any size, which would never be sent
        # Twice as much, so that growth is amortized; the least when the node has hardly any room.
        for mark in (max(least, min(2 * self._mark, self._max_bytes)), least):
            is_allowed = mark <= self._max_bytes or is_empty
            if is_allowed and self._unsent.take(mark - self._mark):
                self._mark = mark
                return True
        return False

    def _lower_mark(self) -> None:
        self._unsent.give_back(self._mark - self._free_bytes)
        self._mark = self._free_bytes

    def _take_part(self) -> tuple[bytes, deque[Message]]:
        """Take as many messages as fill a batch, at least one."""
        # At least one: a message may be larger than a batch.
        data = [self._data.popleft()]
        size = len(data[0])
        while self._data and size + len(self._data[0]) <= MAX_BATCH_BYTES:
            data.append(self._data.popleft())
            size += len(data[-1])
        taken = self._messages.popleft
        messages = deque([taken() for _ in data])
        self.queued_bytes -= size
        if not self._data:
            self._lower_mark()
        return b"".join(data), messages

    def _forget_oldest(self) -> int:
        """Drop the oldest batch and return how many of its messages have no response."""
        messages, size = self._sent.popleft()
        self._sent_bytes -= size
        unanswered = len(messages) - self._answered
        self._answered = 0
        return unanswered
