"""Permits that come at a steady rate."""

from __future__ import annotations

import math
from contextlib import suppress
from types import TracebackType
from typing import Self, TypeAlias

from gevent._hub_local import get_hub_if_exists
from gevent.hub import Hub

from greenproc.checks import whole_number
from greenproc.clock.clock import Clock
from greenproc.clock.current import find_clock
from greenproc.clock.microseconds import MAX_MICROSECONDS, from_seconds, to_seconds
from greenproc.errors import Closed, InvalidArgument, StateError
from greenproc.future.delivery import call_all
from greenproc.future.future import Future
from greenproc.future.state import allocate_lock
from greenproc.sync.cancellable_timer import CancellableTimer
from greenproc.sync.waitqueue import Waiter, WaitQueue, discard_all

ThreadClock: TypeAlias = tuple[Clock, Hub | None]
"""A clock, and the hub of the thread that waits by it: each has a timer of its own.

The timer keeps that hub from giving up, and no thread depends on the hub of another one, which may
stand still or end.
"""


class RateLimiter:
    """Grants permits, so many in a time, in the order in which they were asked for.

    ::

        limiter.acquire().then(send)     # nobody waits
        with limiter:                    # this greenlet waits
            ...

    Only the ratio counts: one permit per *seconds* / *permits*, the first at once. There is no
    burst, and what was not asked for is not saved up. The time is that of the current clock, which
    a test can pause.

    It may be used from any native thread. Its time is that of the clock of the first that uses it
    or, once that is stopped, of the next; without a runtime each thread has a clock of its own.
    A thread with another clock looks at that time by its own hub, so who waits there is
    independent of what other threads do, or of their end; but it learns up to an interval late
    that a test has advanced that time.

    A permit says nothing about when its holder acts on it, so clients that must not disturb each
    other should have a limiter each. If a clock is stopped, whoever waits by it is abandoned.
    Without a reference it goes on until nobody waits.

    Args:
        permits: how many there are in *seconds*.
        capacity: how many may wait. None, as in libprocess, is no bound.

    Source: libprocess include/process/limiter.hpp.
    Differs: a discarded waiter leaves the line at once; the end of the object discards nothing.
    """

    __slots__ = (
        "__weakref__",
        "_timers",
        "_capacity",
        "_clock",
        "_granted",
        "_guard",
        "_handed",
        "_interval",
        "_is_closed",
        "_waiters",
        "_next",
    )

    def __init__(
        self, permits: float, seconds: float = 1.0, *, capacity: int | None = None
    ) -> None:
        self._interval = _interval(permits, seconds)
        if capacity is not None:
            whole_number("capacity", capacity, least=0)
        self._capacity = capacity
        self._guard = allocate_lock()
        self._waiters: WaitQueue[None] = WaitQueue(self._guard, self._rest)
        self._clock: Clock | None = None
        self._timers: dict[ThreadClock, CancellableTimer] = {}
        self._handed: list[frozenset[object]] = []
        self._next = -MAX_MICROSECONDS
        self._granted = 0
        self._is_closed = False

    @classmethod
    def per_second(cls, rate: float, *, capacity: int | None = None) -> Self:
        """Return a limiter of *rate* permits a second."""
        return cls(rate, capacity=capacity)

    @property
    def interval(self) -> float:
        """The seconds between two permits."""
        return to_seconds(self._interval)

    def acquire(self) -> Future[None]:
        """Return a future that is ready once a permit is granted.

        A discard request gives the place in the queue up; no permit is used.

        Raises:
            Closed: it was closed.
            StateError: as many wait as may, or the clock was stopped.
        """
        clock = find_clock()
        waiter = self._waiters.future_waiter()
        return waiter.grant(None) if self._grant_or_wait(waiter, clock) else waiter.future

    def wait_acquire(self, timeout: float | None = None) -> bool:
        """Wait for a permit, and tell whether there was one in time.

        Args:
            timeout: seconds of the current clock; None means for ever.

        Raises:
            Closed: it was closed, before or meanwhile, or the clock was stopped meanwhile.
            StateError: as many wait as may, or the clock was stopped.
        """
        # This makes the hub that the clock needs, so that this thread waits by running it.
        clock = find_clock()
        waiter = self._waiters.blocking_waiter()
        if self._grant_or_wait(waiter, clock):
            return True
        self._waiters.wait(waiter, timeout)
        if self._is_closed and not waiter.is_given:
            raise Closed("the limiter was closed while it was waited for")
        if not waiter.is_given and not waiter.has_left:
            raise Closed("the clock was stopped while the limiter was waited for")
        return waiter.is_given

    def close(self) -> None:
        """Discard whoever waits, and grant nothing from now on."""
        self._is_closed = True
        with self._guard:
            waiters = self._waiters.clear()
            thread_clocks = self._hand_over(waiters)
        try:
            discard_all(waiters)
        finally:
            self._handed_over(thread_clocks)

    def statistics(self) -> dict[str, float]:
        """Tell how many wait, how many permits were granted, and the seconds between two."""
        return {
            "waiting": len(self._waiters),
            "granted": self._granted,
            "interval": self.interval,
        }

    def __enter__(self) -> None:
        self.wait_acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Do nothing: a permit is used up when it is granted."""

    def __repr__(self) -> str:
        state = "closed, " if self._is_closed else ""
        return f"<RateLimiter {state}one per {self.interval:g} s, {len(self._waiters)} waiting>"

    def _grant_or_wait(self, waiter: Waiter[None], clock: Clock) -> bool:
        """Grant a permit and return True, or put *waiter* in the queue."""
        with self._guard:
            if self._is_closed:
                raise Closed("expected an open limiter, but it was closed")
            base = self._follow(clock)
            if not len(self._waiters) and self._grant(base.now()):
                return True
            if len(self._waiters) == self._capacity:
                raise StateError(f"expected a limiter that fewer wait for, got {self!r}")
            here = clock if base.source.is_elsewhere else base
            waiter.tag = thread_clock = (here, get_hub_if_exists())
            if thread_clock not in self._timers:
                self._arm(thread_clock)
            self._waiters.append(waiter)
            return False

    def _follow(self, clock: Clock) -> Clock:
        """Return the clock whose time counts; *clock*, if there is none that was not stopped."""
        base = self._clock
        if base is None or (base.stopped and base is not clock):
            if base is not None:
                self._next += from_seconds(clock.now(None)) - from_seconds(base.now(None))
            self._clock = base = clock
        return base

    def _grant(self, time: float) -> bool:
        """Use up a permit if it is time; tell whether it was. Needs the lock."""
        # As a whole number, since the sum of two floats may miss the time of a timer.
        now = from_seconds(time)
        if now < self._next:
            return False
        self._next = now + self._interval
        self._granted += 1
        return True

    def _arm(self, thread_clock: ThreadClock) -> None:
        """Wait for the next permit. A thread_clock has a timer while it has waiters. Needs the lock."""
        clock, _ = thread_clock
        rest = self._next - from_seconds(self._follow(clock).now())
        # Without a rest nobody is in the queue; then it only keeps the hub awake.
        wait = to_seconds(rest if rest > 0 else self._interval)
        timer = CancellableTimer(
            clock, wait, lambda is_time: self._expire(thread_clock, timer, is_time)
        )
        self._timers[thread_clock] = timer

    def _expire(self, thread_clock: ThreadClock, timer: CancellableTimer, is_time: bool) -> None:
        """Grant the next permit to whose turn it is, unless another thread_clock has just done so.

        If the clock was stopped instead, abandon all who wait by it.
        """
        clock, _ = thread_clock
        granted: Waiter[None] | None = None
        with self._guard:
            if self._timers.get(thread_clock) is not timer:
                return  # another thread was cancelling it
            del self._timers[thread_clock]
            # The last who waited may have left just now, and not have stopped the timer yet.
            if is_time and len(self._waiters) and self._grant(self._follow(clock).now(None)):
                granted = self._waiters.pop(None)
            if is_time and self._is_needed(thread_clock):
                with suppress(StateError):  # stopped just now
                    self._arm(thread_clock)
            lost = [] if thread_clock in self._timers else self._waiters.take(thread_clock)
            on_the_way = self._hand_over([*lost, granted] if granted is not None else lost)
        tell = [waiter.abandon for waiter in lost]
        try:
            call_all(tell if granted is None else [granted.deliver, *tell])
        finally:
            self._handed_over(on_the_way)

    def _hand_over(self, waiters: list[Waiter[None]]) -> frozenset[object]:
        """Keep the timers of *waiters* until they have been told. Needs the lock."""
        thread_clocks = frozenset(waiter.tag for waiter in waiters)
        self._handed.append(thread_clocks)
        return thread_clocks

    def _handed_over(self, thread_clocks: frozenset[object]) -> None:
        with self._guard:
            self._handed.remove(thread_clocks)
        self._rest()

    def _is_needed(self, thread_clock: ThreadClock) -> bool:
        """Tell whether a thread may be waiting by *thread_clock*. Needs the lock."""
        return (
            any(thread_clock in thread_clocks for thread_clocks in self._handed)
            or thread_clock in self._waiters.tags()
        )

    def _rest(self) -> None:
        """Stop the timers that nobody needs any more."""
        with self._guard:
            idle = [
                thread_clock for thread_clock in self._timers if not self._is_needed(thread_clock)
            ]
            timers = [self._timers.pop(thread_clock) for thread_clock in idle]
        for timer in timers:
            timer.cancel()


def _interval(permits: float, seconds: float) -> int:
    """Return the microseconds between two permits."""
    try:
        if 0 < permits < math.inf and 0 < seconds < math.inf:
            return max(from_seconds(seconds / permits), 1)
    except (TypeError, OverflowError):
        pass
    raise InvalidArgument(
        f"expected permits and seconds above 0, got {permits!r} in {seconds!r} s"
    )
