"""Timers and the queue that orders them. Nothing here waits or reads the time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Protocol
from weakref import ref

from greenproc.clock.microseconds import to_seconds

MIN_CANCELLED = 256  # fewer cancelled timers cost less memory than a sweep costs time


class Canceller(Protocol):
    """An object that can cancel a timer: its queue, or the `CrossThreadClock` that made it."""

    def cancel(self, timer: Timer) -> bool:
        """Keep *timer* from firing; return whether that was still possible."""


class Timer:
    """A function to be called once, at a time; equal to itself only.

    Source: libprocess include/process/timer.hpp.
    """

    # Clocks set the slots themselves, because the call of an __init__ is a sixth of what a timer
    # costs. Nothing else makes timers.
    __slots__ = ("_canceller", "_is_queued", "_maker", "_microseconds", "_thunk")

    _canceller: Canceller
    """The object that `cancel` goes to."""
    _maker: ref[object] | None
    """The weak reference behind `creator`, which the timer does not keep alive."""
    _microseconds: float
    """The due time of its clock; the queue rounds it when it orders the timers."""
    _thunk: Callable[[], object] | None
    """The function to call; None after the call, or a cancellation."""
    _is_queued: bool
    """Whether it is in a TimerQueue; the queue resets it."""

    @property
    def creator(self) -> object | None:
        """The owner that made it; None if there was none, or it is garbage."""
        return None if self._maker is None else self._maker()

    @property
    def due(self) -> float:
        """The time at which it is due, in seconds since 1970 by its clock."""
        return to_seconds(round(self._microseconds))

    @property
    def is_pending(self) -> bool:
        """Whether it has neither fired nor been cancelled."""
        return self._thunk is not None

    def cancel(self) -> bool:
        """Keep it from firing; return whether that was still possible."""
        return self._canceller.cancel(self)

    def __repr__(self) -> str:
        return f"<Timer {'due' if self.is_pending else 'over, was due'} {self.due!r}>"


MIN_DEAD = 64  # fewer cancelled timers before a live one cost less to skip than to remove


class TimerQueue:
    """Pending timers, ordered by due time and then by age.

    Most timers are cancelled soon after they were made. So a new timer is appended to a list, and
    put in order only when the next due time is needed. A cancelled timer stays where it is,
    without its thunk, until it comes first or too many are cancelled, which sweeps all of them
    out. So cancelling is cheap, and cancelled timers do not pile up.

    Due times are kept in a heap, the timers of each of them in a dictionary. Compared with a heap
    of tuples this makes no object that the garbage collector has to look at.

    Source: libprocess src/clock.cpp, whose timers are a map from due time to list.
    """

    __slots__ = (
        "_at",
        "_cancelled",
        "_heap",
        "_is_sorted",
        "_max_cancelled",
        "_placed",
        "_young",
        "emptied",
        "push",
    )

    emptied: Callable[[], object] | None
    """Called when the last pending timer is cancelled, if set."""

    push: Callable[[Timer], None]
    """Add a timer that is in no queue, with `_is_queued` set."""

    def __init__(self) -> None:
        self._young: list[Timer] = []
        self.push = self._young.append
        self._heap: list[int] = []
        self._at: dict[int, Timer | list[Timer]] = {}
        self._placed = 0
        self._is_sorted = True
        self._cancelled = 0
        self._max_cancelled = MIN_CANCELLED
        self.emptied = None

    def __len__(self) -> int:
        return self._placed + len(self._young) - self._cancelled

    def cancel(self, timer: Timer) -> bool:
        """Cancel *timer*; return whether it was pending.

        A popped timer whose thunk was not taken yet can be cancelled too.
        """
        if timer._thunk is None:
            return False
        timer._thunk = None
        # A popped timer is out of the counts: the clock holds it, and skips it without a thunk.
        if timer._is_queued:
            self._cancelled += 1
            # Else timeouts of a busy server, nearly all cancelled, would pile up until they are
            # due.
            if self._cancelled > self._max_cancelled:
                self._sweep()
            if self.emptied is not None and not len(self):
                self.emptied()
        return True

    def next_due(self) -> int | None:
        """Return the earliest due time, in microseconds; None without timers."""
        self._place()
        heap = self._heap
        while heap:
            due = heap[0]
            timers = self._at[due]
            # A due time with one timer has no list, which is the common case and costs no object.
            if isinstance(timers, Timer):
                timers = [timers]
            dead = 0
            for timer in timers:
                if timer._thunk is not None:
                    break
                dead += 1
            if dead < len(timers):
                if dead >= MIN_DEAD:
                    del timers[:dead]
                    self._drop(dead)
                return due
            heappop(heap)
            del self._at[due]
            self._is_sorted = False
            self._drop(dead)
        return None

    def pop_due(self, now: int) -> list[Timer]:
        """Remove and return, in order, the timers that are due at *now* or before."""
        self._place()
        timers: list[Timer] = []
        pop = self._at.pop
        for due in self._cut(now):
            found = pop(due)
            if isinstance(found, Timer):
                timers.append(found)
            else:
                timers += found
        self._placed -= len(timers)
        for timer in timers:
            timer._is_queued = False
        # Without cancelled timers, a second list would cost as much as the popping.
        if self._cancelled:
            live = [timer for timer in timers if timer._thunk is not None]
            self._cancelled -= len(timers) - len(live)
            return live
        return timers

    def clear(self) -> None:
        """Cancel all timers."""
        # One by one, as programs may hold the timers, and must see that they are over.
        for timer in self._all_placed() + self._young:
            timer._thunk = None
            timer._is_queued = False
        self._heap.clear()
        self._at.clear()
        self._young.clear()
        self._placed = self._cancelled = 0
        self.emptied = None

    def _all_placed(self) -> list[Timer]:
        timers: list[Timer] = []
        for found in self._at.values():
            timers += [found] if isinstance(found, Timer) else found
        return timers

    def _drop(self, count: int) -> None:
        """Subtract *count* removed cancelled timers from the counts."""
        self._placed -= count
        self._cancelled -= count

    def _place(self) -> None:
        """Order the new timers; the index in the list is the age."""
        heap, at, young = self._heap, self._at, self._young
        # Pops keep a heap but not its order; an empty one is sorted again.
        if not heap:
            self._is_sorted = True
        is_sorted, last = self._is_sorted, heap[-1] if heap else 0
        cancelled = 0
        for timer in young:
            if timer._thunk is None:
                cancelled += 1
                continue
            # Rounded here and not by the clock, for the many timers that are cancelled before.
            due = round(timer._microseconds)
            found = at.get(due)
            if found is None:
                at[due] = timer
                if is_sorted and due >= last:
                    heap.append(due)
                    last = due
                else:
                    is_sorted = False
                    heappush(heap, due)
            elif isinstance(found, Timer):
                at[due] = [found, timer]
            else:
                found.append(timer)
        self._is_sorted = is_sorted
        self._placed += len(young) - cancelled
        self._cancelled -= cancelled
        young.clear()

    def _cut(self, now: int) -> list[int]:
        """Remove and return the due times up to *now*, in order."""
        heap = self._heap
        # Timers are often made in the order in which they are due; then the heap is sorted, and
        # cutting an eighth of it or more costs less than so many pops.
        if self._is_sorted and heap and heap[len(heap) // 8] <= now:
            end = bisect_right(heap, now)
            times = heap[:end]
            del heap[:end]
            return times
        times = []
        while heap and heap[0] <= now:
            times.append(heappop(heap))
            self._is_sorted = False
        return times

    def _sweep(self) -> None:
        self._young[:] = [timer for timer in self._young if timer._thunk is not None]
        placed, self._at = self._at, {}
        self._placed = self._cancelled = 0
        for due, found in placed.items():
            timers = [found] if isinstance(found, Timer) else found
            live = [timer for timer in timers if timer._thunk is not None]
            if live:
                self._at[due] = live[0] if len(live) == 1 else live
                self._placed += len(live)
        self._heap = [due for due in self._heap if due in self._at]
        heapify(self._heap)
        # As many as are pending, so that sweeps take a constant time for each cancellation.
        self._max_cancelled = max(MIN_CANCELLED, len(self))
