"""Timers and the queue that orders them. Nothing here waits or knows what time it is."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from operator import itemgetter
from typing import Protocol
from weakref import ref

from greenproc.clock.microseconds import to_seconds

MIN_CANCELLED = 256  # with fewer cancelled timers, it costs more to sweep than to keep them


class Canceller(Protocol):
    """Who can take a timer back: the clock that made it."""

    def cancel(self, timer: Timer) -> bool:
        """Keep *timer* from firing; tell whether that was still possible."""


class Timer:
    """A function to be called once, at a time; equal to itself only.

    Source: libprocess include/process/timer.hpp.
    """

    # Only clocks make timers. They set the slots themselves, because an __init__ would take a
    # sixth of the time that a timer costs.
    __slots__ = ("clock", "is_queued", "maker", "microseconds", "thunk")

    clock: Canceller
    """The clock that made it."""
    maker: ref[object] | None
    """Where `creator` is found, which the timer does not keep."""
    microseconds: float
    """When it is due, as the clock counts; the queue rounds it when it looks at it."""
    thunk: Callable[[], object] | None
    """What it calls; None once it has been called or cancelled."""
    is_queued: bool
    """Whether it waits in a TimerQueue; the queue unsets it."""

    @property
    def creator(self) -> object | None:
        """The owner that made it; None when it was made outside of any, or that is no more."""
        return None if self.maker is None else self.maker()

    @property
    def due(self) -> float:
        """When it is due, in seconds since 1970 by its clock."""
        return to_seconds(round(self.microseconds))

    @property
    def is_pending(self) -> bool:
        """Whether it has neither fired nor been cancelled."""
        return self.thunk is not None

    def cancel(self) -> bool:
        """Keep it from firing; tell whether that was still possible."""
        return self.clock.cancel(self)

    def __repr__(self) -> str:
        return f"<Timer {'due' if self.is_pending else 'over, was due'} {self.due!r}>"


HeapEntry = tuple[int, int, Timer]
"""Due time in microseconds, age, and the timer."""

_due = itemgetter(0)


class TimerQueue:
    """Pending timers, ordered by due time and then by age.

    Most timers are cancelled soon after they were made, so a timer first goes to the end of a
    list, and gets its place in the heap when somebody asks which one is next. A cancelled timer
    stays where it is, without its thunk, until it comes to the top or there are too many of its
    kind: then all are swept out. So cancelling is cheap, and the cancelled do not pile up.

    Source: libprocess src/clock.cpp, whose timers are a map from due time to list.
    """

    __slots__ = ("_ages", "_cancelled", "_heap", "_is_sorted", "_max_cancelled", "_young", "push")

    push: Callable[[Timer], None]
    """Add a timer that is in no queue, with `is_queued` set."""

    def __init__(self) -> None:
        self._young: list[Timer] = []
        self.push = self._young.append
        self._heap: list[HeapEntry] = []
        self._is_sorted = True
        self._ages = count()
        self._cancelled = 0
        self._max_cancelled = MIN_CANCELLED

    def __len__(self) -> int:
        return len(self._heap) + len(self._young) - self._cancelled

    def cancel(self, timer: Timer) -> bool:
        """Take *timer* out; tell whether it was pending.

        A timer that was popped but whose thunk has not been taken can be cancelled too.
        """
        if timer.thunk is None:
            return False
        timer.thunk = None
        if timer.is_queued:
            self._cancelled += 1
            if self._cancelled > self._max_cancelled:
                self._sweep()
        return True

    def next_due(self) -> int | None:
        """Return when the earliest timer is due, in microseconds; None when there is none."""
        self._place()
        heap = self._heap
        while heap:
            due, _, timer = heap[0]
            if timer.thunk is not None:
                return due
            heappop(heap)
            self._is_sorted = False
            self._cancelled -= 1
        return None

    def pop_due(self, now: int) -> list[Timer]:
        """Remove and return, in order, the timers that are due at *now* or before."""
        self._place()
        timers = []
        for _, _, timer in self._cut(now):
            timer.is_queued = False
            if timer.thunk is None:
                self._cancelled -= 1
            else:
                timers.append(timer)
        return timers

    def clear(self) -> None:
        """Cancel all timers."""
        for timer in [entry[2] for entry in self._heap] + self._young:
            timer.thunk = None
            timer.is_queued = False
        self._heap.clear()
        self._young.clear()
        self._cancelled = 0

    def _place(self) -> None:
        """Move the young timers into the heap; their place in the list is their age."""
        heap = self._heap
        if not heap:
            self._is_sorted = True
        for timer in self._young:
            if timer.thunk is None:
                self._cancelled -= 1
                continue
            timer.microseconds = due = round(timer.microseconds)
            if heap and due < heap[-1][0]:
                self._is_sorted = False
            heappush(heap, (due, next(self._ages), timer))
        self._young.clear()

    def _cut(self, now: int) -> list[HeapEntry]:
        heap = self._heap
        # Timers often come in the order in which they are due, and then the heap is sorted.
        # Where an eighth of it or more is due, a slice is cheaper than many pops.
        if self._is_sorted and heap and heap[len(heap) // 8][0] <= now:
            end = bisect_right(heap, now, key=_due)
            entries = heap[:end]
            del heap[:end]
            return entries
        entries = []
        while heap and heap[0][0] <= now:
            entries.append(heappop(heap))
            self._is_sorted = False
        return entries

    def _sweep(self) -> None:
        self._young[:] = [timer for timer in self._young if timer.thunk is not None]
        self._heap = [entry for entry in self._heap if entry[2].thunk is not None]
        heapify(self._heap)
        self._cancelled = 0
        self._max_cancelled = max(MIN_CANCELLED, len(self))
