"""A queue whose items are handed to those who wait for them."""

from __future__ import annotations

from collections import deque
from typing import Generic, Self, TypeVar

from greenproc.checks import whole_number
from greenproc.errors import Closed, StateError, WaitTimeout
from greenproc.future.future import Future
from greenproc.future.state import allocate_lock
from greenproc.future.waiting import describe_timeout, explain_wait, watch_hub
from greenproc.sync.waitqueue import Waiter, WaitQueue, abandon_all

T = TypeVar("T")


class Queue(Generic[T]):
    """Items in the order in which they were put; each goes to one getter, the oldest that waits.

    ::

        queue.get().then(work)           # nobody waits
        item = queue.wait_get()          # this greenlet waits
        for item in queue: ...           # until the queue is closed and empty

    An item is handed over: from the moment of `put` it belongs to the getter, and nobody can take
    it in between. `put` never waits. It may be used from any native thread, unlike gevent's
    queues. An item may be anything, also a future, which is not waited for.

    When it is garbage, the futures of those who wait for an item are abandoned.

    Args:
        capacity: how many items may be stored. None, as in libprocess, is no bound: a `put` that
            cannot wait could only lose or refuse, and most programs know that they keep up.

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
        """Give *item* to who waits longest, whose callbacks run before this returns, or store it.

        Raises:
            StateError: as many items as may be are stored. The queue is as before.
            Closed: it was closed.
        """
        with self._guard:
            if self._is_closed:
                raise Closed("expected an open queue, but it was closed")
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

        A discard request gives the place in the queue up, so no item is lost to it.

        Raises:
            Closed: it was closed, and is empty.
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
            Closed: it was closed, before or meanwhile, and is empty.
        """
        waiter = self._waiters.blocking_waiter()
        watch = None
        if not self._take_or_wait(waiter):
            watch = None if timeout is None else watch_hub()
            try:
                self._waiters.wait(waiter, timeout)
            except BaseException:
                if waiter.is_given:
                    self._put_back(waiter.value)
                raise
        if waiter.is_given:
            return waiter.value
        if waiter.has_left:
            raise WaitTimeout(
                f"there was no item {describe_timeout(timeout)}{explain_wait(watch)}"
            )
        raise Closed("the queue was closed while an item was waited for")

    def get_nowait(self) -> T:
        """Return an item that is there.

        Raises:
            WaitTimeout: there is none, and the caller does not wait.
            Closed: there is none, and will be none: it was closed.
        """
        with self._guard:
            if self._items:
                return self._items.popleft()
            if self._is_closed:
                raise Closed("expected an open queue, but it was closed")
        raise WaitTimeout("the queue is empty, and get_nowait does not wait")

    def size(self) -> int:
        """Count the items that are stored. Those who wait for one do not count."""
        return len(self._items)

    qsize = size

    def close(self) -> None:
        """Refuse items from now on, and abandon whoever waits. What is stored can still be got."""
        with self._guard:
            self._is_closed = True
            waiters = self._waiters.clear()
        abandon_all(waiters)

    def statistics(self) -> dict[str, float]:
        """Count the items that are stored, those who wait for one, and all that were ever put."""
        return {"items": len(self._items), "waiting": len(self._waiters), "put": self._put}

    def __len__(self) -> int:
        return len(self._items)

    def __bool__(self) -> bool:
        """A queue is true, also when it is empty, as those of gevent are."""
        return True

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        try:
            return self.wait_get()
        except Closed:
            raise StopIteration from None

    def __repr__(self) -> str:
        state = "closed, " if self._is_closed else ""
        room = "" if self._capacity is None else f" of {self._capacity}"
        return f"<Queue {state}{len(self._items)}{room} items, {len(self._waiters)} waiting>"

    def _take_or_wait(self, waiter: Waiter[T]) -> bool:
        """Give the first item to *waiter* and return True, or put it in the queue."""
        with self._guard:
            if self._items:
                waiter.value = self._items.popleft()
                waiter.is_given = True
                return True
            if self._is_closed:
                raise Closed("expected an open queue, but it was closed")
            self._waiters.append(waiter)
            return False

    def _put_back(self, item: T) -> None:
        """Pass on what a greenlet was given that was killed before it could take it."""
        with self._guard:
            waiter = self._waiters.pop(item)
            if waiter is None:
                self._items.appendleft(item)
        if waiter is not None:
            waiter.deliver()
