"""The queue in front of a process.

It holds events and, for messages, which are by far the most, the bare `Message`: the event around
it is made only for those who look at events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from gevent.queue import SimpleQueue

from greenproc.message import Message
from greenproc.process.event import Event, MessageEvent, TerminateEvent

if TYPE_CHECKING:
    from collections import deque

Item = Event | Message
"""What a mailbox holds."""


class Mailbox(SimpleQueue[Item]):
    """A gevent queue whose owner is woken by the scheduler instead of by a waiter.

    Everything one may ask of a gevent queue works (``len``, ``peek``, iteration); `put` goes
    through *deliver* and so wakes the process. The runtime itself appends to ``queue``, the
    deque inside, because that is the hot path.
    """

    def __init__(self, deliver: Callable[[Item], object]) -> None:
        super().__init__()
        self._deliver = deliver

    def put(self, item: Item, block: bool = True, timeout: float | None = None) -> None:
        """Deliver *item* as if it had been sent. Never blocks: a full mailbox drops it."""
        self._deliver(item)

    def put_nowait(self, item: Item) -> None:
        """Deliver *item* as if it had been sent."""
        self._deliver(item)


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
