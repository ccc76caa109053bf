"""A queue that hands its items to waiting greenlets, futures and threads."""

from __future__ import annotations

from collections import deque
from typing import Generic, Self, TypeVar

from greenproc.checks import whole_number
from greenproc.errors import Closed, StateError, WaitTimeout
from greenproc.future.future import Future
from greenproc.future.waiting import describe_timeout, explain_wait, watch_hub
from greenproc.hub.native import allocate_lock
from greenproc.sync.waitqueue import Waiter, WaitQueue, abandon_all

T = TypeVar("T")


class Queue(Generic[T]):
    """Items in the order in which they were put; each goes to the getter that has waited longest.

    ::

        queue.get().then(work)           # this greenlet does not wait
        item = queue.wait_get()          # this one does
        for item in queue: ...           # until the queue is closed and empty

    An item is handed over: `put` gives it to the getter, and no other code can take it in between.
    `put` never waits. The queue may be used from any native thread, unlike those of gevent. An
    item may be anything, also a future, which is not followed.

    The garbage collection of a queue abandons the futures that wait for an item.

    Args:
        capacity: how many items may be stored. None, as in libprocess, means no bound. A `put`
            does not wait, so at a bound it can only refuse.

    Raises:
        InvalidArgument: *capacity* is not a whole number from 1.

    Source: libprocess include/process/queue.hpp.
    """

    __slots__ = ("__weakref__", "_capacity", "_guard", "_is_closed", "_items", "_waiters", "_put")

    def __init__(self, *, capacity: int | None = None) -> None:
        if capacity is not None:
            whole_number("capacity", capacity, least=1)
        self._guard = allocate_lock()
        self._waiters: WaitQueue[T] = WaitQueue(self._guard)
        self._items: deque[T] = deque()
        self._capacity = capacity
        self._is_closed = False
        self._put = 0

    def put(self, item: T) -> None:
        """Give *item* to the first waiter, whose callbacks run before this returns, or store it.

        Raises:
            StateError: the queue is full, and stays as it was.
            Closed: the queue was closed.
        """
        with self._guard:
            if self._is_closed:
                raise Closed("expected an open queue, but it was closed")
            # With a waiter there are no stored items, so the item cannot overtake any.
            waiter = self._waiters.pop(item)
            if waiter is None:
                if self._capacity is not None and len(self._items) >= self._capacity:
                    raise StateError(f"expected a queue with room, got {self!r}")
                self._items.append(item)
            self._put += 1
        if waiter is not None:
            waiter.deliver()

    def get(self) -> Future[T]:
        """Return the future of an item.

        A discard request leaves the queue of waiters, so it loses no item.

        Raises:
            Closed: the queue was closed, and is empty.
        """
        waiter = self._waiters.future_waiter()
        if self._take_or_wait(waiter):
            waiter.deliver()
        return waiter.future

    def wait_get(self, timeout: float | None = None) -> T:
        """Wait for an item and return it.

        Args:
            timeout: seconds of the current clock, which a test can pause; None means for ever.

        Raises:
            WaitTimeout: the time is over.
            Closed: the queue was closed, before or meanwhile, and is empty.
        """
        waiter = self._waiters.blocking_waiter()
        watch = None
        if not self._take_or_wait(waiter):
            # Started now, since it tells afterwards whether the producer's hub has run meanwhile.
            watch = None if timeout is None else watch_hub()
            try:
                self._waiters.wait(waiter, timeout)
            except BaseException:
                # Killed with an item in its hands, which must not be lost.
                if waiter.is_served:
                    self._put_back(waiter.value)
                raise
        if waiter.is_served:
            return waiter.value
        if waiter.has_left:
            raise WaitTimeout(
                f"there was no item {describe_timeout(timeout)}{explain_wait(watch)}"
            )
        raise Closed("the queue was closed while an item was waited for")

    def get_nowait(self) -> T:
        """Return a stored item.

        Raises:
            WaitTimeout: the queue is empty.
            Closed: the queue is empty and was closed.
        """
        with self._guard:
            if self._items:
                return self._items.popleft()
            if self._is_closed:
                raise Closed("expected an open queue, but it was closed")
        raise WaitTimeout("the queue is empty, and get_nowait does not wait")

    def size(self) -> int:
        """Count the stored items."""
        return len(self._items)

    qsize = size

    def close(self) -> None:
        """Refuse items from now on, and abandon all waiters. Stored items can still be taken."""
        with self._guard:
            self._is_closed = True
            waiters = self._waiters.clear()
        abandon_all(waiters)

    def statistics(self) -> dict[str, float]:
        """Count the stored items, the waiters, and all items that were ever put."""
        return {"items": len(self._items), "waiting": len(self._waiters), "put": self._put}

    def __len__(self) -> int:
        return len(self._items)

    def __bool__(self) -> bool:
        """Return True, also when empty, as the queues of gevent do."""
        return True

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        try:
            return self.wait_get()
        except Closed:  # the end of the items is no error for a loop over them
            raise StopIteration from None

    def __repr__(self) -> str:
        state = "closed, " if self._is_closed else ""
        room = "" if self._capacity is None else f" of {self._capacity}"
        return f"<Queue {state}{len(self._items)}{room} items, {len(self._waiters)} waiting>"

    def _take_or_wait(self, waiter: Waiter[T]) -> bool:
        """Serve *waiter* with the first item and return True, or queue it."""
        # Items before the end: a closed queue gives what it has.
        with self._guard:
            if self._items:
                waiter.value = self._items.popleft()
                waiter.is_served = True
                return True
            if self._is_closed:
                raise Closed("expected an open queue, but it was closed")
            self._waiters.append(waiter)
            return False

    def _put_back(self, item: T) -> None:
        """Give *item* to another waiter, or store it again as the first."""
        with self._guard:
            waiter = self._waiters.pop(item)
            # Back to the front, even past the capacity: it was taken from there.
            if waiter is None:
                self._items.appendleft(item)
        if waiter is not None:
            waiter.deliver()
