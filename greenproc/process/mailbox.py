"""The queue in front of a process.

It holds events and, for messages, the bare `Message`: most items are messages, and a filter, a
recorder or an override of `serve` alone needs the event around one.
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
"""An item of a mailbox."""


class AskedToTerminate(Closed):
    """A handler that takes events has taken the last one before the process terminates."""


class Mailbox(SimpleQueue[Item]):
    """A gevent queue whose owner is woken by the scheduler instead of by a waiter.

    Any greenlet may inspect the queue (``len``, `peek`). `put` calls *deliver*, which wakes the
    process. Only a handler of the process itself removes items, by *take*. The runtime appends to
    ``queue``, the deque inside: this is the hot path, and a call would slow it down.
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
        """Whether a user may hold a reference: then the process keeps it to the end."""

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
        """Return the next event without removing it. Never waits, whatever *block* says.

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

    An injected terminate goes ahead of the queue in this way.

    Source: libprocess src/process.cpp, ProcessManager::resume.
    """
    while items and not isinstance(items[0], TerminateEvent):
        discard(items.popleft())
