"""The queue in front of a process.

It holds events and, for messages, which are by far the most, the bare `Message`: the event around
it is made only for those who look at events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from gevent.queue import SimpleQueue

from greenproc.errors import Closed
from greenproc.message import Message
from greenproc.process.event import Event, MessageEvent, TerminateEvent

if TYPE_CHECKING:
    from collections import deque

Item = Event | Message
"""What a mailbox holds."""


class AskedToTerminate(Closed):
    """A handler that takes events has taken the last one before the process terminates."""


class Mailbox(SimpleQueue[Item]):
    """A gevent queue whose owner is woken by the scheduler instead of by a waiter.

    What waits can be looked at from everywhere (``len``, `peek`). `put` goes through *deliver* and
    so wakes the process. Only the process itself takes out, by *take*, in the middle of a handler.
    The runtime itself appends to ``queue``, the deque inside, because that is the hot path.
    """

    def __init__(
        self,
        deliver: Callable[[Item], object],
        take: Callable[[bool, float | None], Item] | None = None,
        queue: deque[Item] | None = None,
    ) -> None:
        super().__init__()
        if queue is not None:
            self.queue = queue  # type: ignore[misc]  # for users it is, not for this class
        self._deliver = deliver
        self._take = take
        self.is_shown = False
        """Whether users have seen it, and may keep it: then it is the process' to the end."""

    def put(self, item: Item, block: bool = True, timeout: float | None = None) -> None:
        """Deliver *item* as if it had been sent. Never blocks: a full mailbox drops it."""
        self._deliver(item)

    def put_nowait(self, item: Item) -> None:
        """Deliver *item* as if it had been sent."""
        self._deliver(item)

    def get(self, block: bool = True, timeout: float | None = None) -> Item:
        """Take the next event out, in a handler of the process, which is to serve it itself.

        ``get_nowait`` and iteration do the same. A message comes as a bare `Message`.

        Args:
            block: wait for one; the process counts as idle meanwhile.
            timeout: of the wait, in real seconds; None is none.

        Raises:
            gevent.queue.Empty: there is none, or none came in time.
            StateError: this is not the greenlet of the process, which is the only one to take.
            Closed: the next one is the request to terminate, which is left for the process. A
                handler need not catch it: the process then terminates as usual.
        """
        if self._take is None:
            return super().get(block, timeout)
        return self._take(block, timeout)

    def peek(self, block: bool = True, timeout: float | None = None) -> Item:
        """Return the next event and leave it. Never waits, whatever is asked.

        Raises:
            gevent.queue.Empty: there is none.
        """
        return super().peek(False)


def as_event(item: Item) -> Event:
    """Return *item* as an event."""
    return MessageEvent(item) if isinstance(item, Message) else item


def count_events(items: Iterable[Item], kind: type[Event]) -> int:
    """Return how many of the queued *items* are events of *kind*."""
    return sum(isinstance(as_event(item), kind) for item in items)


def discard_until_terminate(items: deque[Item], discard: Callable[[Item], None]) -> None:
    """Take queued items out and *discard* them up to the first `TerminateEvent`, the new head.

    This is how an injected terminate goes ahead of the queue.

    Source: libprocess src/process.cpp, ProcessManager::resume.
    """
    while items and not isinstance(items[0], TerminateEvent):
        discard(items.popleft())
