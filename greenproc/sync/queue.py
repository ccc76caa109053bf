"""A queue whose items are handed to those who wait for them."""

from __future__ import annotations

from collections import deque
from typing import Generic, Self, TypeVar

from greenproc.checks import whole_number
from greenproc.errors import Closed, StateError, WaitTimeout
from greenproc.future.future import Future
from greenproc.future.state import allocate_lock
from greenproc.future.waiting import describe_timeout, explain_wait, watch_hub
from greenproc.sync.line import Line
from greenproc.sync.seat import Seat, abandon_all

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

    __slots__ = ("__weakref__", "_capacity", "_guard", "_is_closed", "_items", "_line", "_put")

    def __init__(self, *, capacity: int | None = None) -> None:
        if capacity is not None:
            whole_number("capacity", capacity, least=1)
        self._guard = allocate_lock()
        self._line: Line[T] = Line(self._guard)
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
            seat = self._line.pop(item)
            if seat is None:
                if self._capacity is not None and len(self._items) >= self._capacity:
                    raise StateError(f"expected a queue with room, got {self!r}")
                self._items.append(item)
            self._put += 1
        if seat is not None:
            seat.deliver()

    def get(self) -> Future[T]:
        """Return the future of an item.

        A discard request gives the place in the line up, so no item is lost to it.

        Raises:
            Closed: it was closed, and is empty.
        """
        claim = self._line.claim()
        if self._take_or_join(claim):
            claim.deliver()
        return claim.future

    def wait_get(self, timeout: float | None = None) -> T:
        """Wait for an item and return it.

        Args:
            timeout: seconds of the current clock, which a test can pause; None means for ever.

        Raises:
            WaitTimeout: the time is over.
            Closed: it was closed, before or meanwhile, and is empty.
        """
        sleeper = self._line.sleeper()
        watch = None
        if not self._take_or_join(sleeper):
            watch = None if timeout is None else watch_hub()
            try:
                self._line.wait(sleeper, timeout)
            except BaseException:
                if sleeper.is_given:
                    self._put_back(sleeper.value)
                raise
        if sleeper.is_given:
            return sleeper.value
        if sleeper.has_left:
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
            seats = self._line.clear()
        abandon_all(seats)

    def statistics(self) -> dict[str, float]:
        """Count the items that are stored, those who wait for one, and all that were ever put."""
        return {"items": len(self._items), "waiting": len(self._line), "put": self._put}

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
        return f"<Queue {state}{len(self._items)}{room} items, {len(self._line)} waiting>"

    def _take_or_join(self, seat: Seat[T]) -> bool:
        """Give the first item to *seat* and return True, or put it in the line."""
        with self._guard:
            if self._items:
                seat.value = self._items.popleft()
                seat.is_given = True
                return True
            if self._is_closed:
                raise Closed("expected an open queue, but it was closed")
            self._line.join(seat)
            return False

    def _put_back(self, item: T) -> None:
        """Pass on what a greenlet was given that was killed before it could take it."""
        with self._guard:
            seat = self._line.pop(item)
            if seat is None:
                self._items.appendleft(item)
        if seat is not None:
            seat.deliver()
