"""Permits at a steady rate."""

from __future__ import annotations

import math
from contextlib import suppress
from types import TracebackType
from typing import TypeAlias

from gevent._hub_local import get_hub_if_exists
from gevent.hub import Hub

from greenproc.checks import whole_number
from greenproc.clock.clock import Clock
from greenproc.clock.cross_thread import clock_of_thread
from greenproc.clock.current import find_clock
from greenproc.clock.microseconds import MAX_MICROSECONDS, from_seconds, to_seconds
from greenproc.errors import Closed, InvalidArgument, StateError
from greenproc.future.delivery import call_all
from greenproc.future.future import Future
from greenproc.hub.native import allocate_lock
from greenproc.sync.cancellable_timer import CancellableTimer
from greenproc.sync.waitqueue import Waiter, WaitQueue, discard_all

ThreadClock: TypeAlias = tuple[Clock, Hub | None]
"""A clock, and the hub of a thread that waits by it. Each pair has a timer of its own.

The timer keeps that hub alive, and no thread depends on the hub of another one, which may be
blocked or end.
"""


class RateLimiter:
    """Grants a number of permits in a time, in the order in which they were requested.

    ::

        limiter.acquire().then(send)     # this greenlet does not wait
        with limiter:                    # this one does
            ...

    Only the ratio counts: there is one permit per *seconds* / *permits*, the first one at once.
    There is no burst, and permits that were not requested are not saved up. The time is that of
    the current clock, which a test can pause.

    The limiter may be used from any native thread. Its time is that of the clock that is current
    at its first use, or once that is stopped, at the next one; without a runtime each thread has a
    clock of its own. A thread with another clock measures that time by its own hub, independent of
    other threads and their end, and notices up to an interval late that a test has advanced it.

    A permit does not say when its holder acts on it, so clients that must not disturb each other
    should have a limiter each. Stopping a clock abandons what waits by it. A limiter without
    references goes on until nothing waits.

    Args:
        permits: how many there are in *seconds*.
        capacity: how many may wait. None, as in libprocess, means no bound.

    Raises:
        InvalidArgument: *permits* or *seconds* is not above 0, or *capacity* is not a whole number
            from 0.

    Source: libprocess include/process/limiter.hpp.
    Differs: a discarded waiter leaves the queue at once; the end of the object discards nothing.
    """

    __slots__ = (
        "__weakref__",
        "_timers",
        "_capacity",
        "_clock",
        "_granted",
        "_guard",
        "_deliveries",
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
        self._waiters: WaitQueue[None] = WaitQueue(self._guard, self._stop_idle_timers)
        self._clock: Clock | None = None
        self._timers: dict[ThreadClock, CancellableTimer] = {}
        self._deliveries: list[frozenset[object]] = []
        self._next = -MAX_MICROSECONDS  # the first permit is there at once, whatever the clock
        self._granted = 0
        self._is_closed = False

    @property
    def interval(self) -> float:
        """The seconds between two permits."""
        return to_seconds(self._interval)

    def acquire(self) -> Future[None]:
        """Return a future that is ready once a permit is granted.

        A discard request leaves the queue and uses no permit.

        Raises:
            Closed: the limiter was closed.
            StateError: the limiter is full, or the clock was stopped.
        """
        clock = find_clock()
        waiter = self._waiters.future_waiter()
        return waiter.grant(None) if self._grant_or_wait(waiter, clock) else waiter.future

    def wait_acquire(self, timeout: float | None = None) -> bool:
        """Wait for a permit, and return whether there was one in time.

        Args:
            timeout: seconds of the current clock; None means for ever.

        Raises:
            Closed: the limiter was closed, before or meanwhile, or the clock was stopped
                meanwhile.
            StateError: the limiter is full, or the clock was stopped before.
        """
        # First, since this makes the hub that the clock needs, and the waiter is for a hub.
        clock = find_clock()
        waiter = self._waiters.blocking_waiter()
        if self._grant_or_wait(waiter, clock):
            return True
        self._waiters.wait(waiter, timeout)
        if self._is_closed and not waiter.is_served:
            raise Closed("the limiter was closed while it was waited for")
        if not waiter.is_served and not waiter.has_left:
            raise Closed("the clock was stopped while the limiter was waited for")
        return waiter.is_served

    def close(self) -> None:
        """Discard all waiters, and grant nothing from now on."""
        self._is_closed = True
        with self._guard:
            # A woken greenlet needs its hub alive until it runs, and the timer keeps it so.
            waiters = self._waiters.clear()
            thread_clocks = self._begin_delivery(waiters)
        try:
            discard_all(waiters)
        finally:
            self._end_delivery(thread_clocks)

    def statistics(self) -> dict[str, float]:
        """Count the waiters and the permits that were granted; and the seconds between two."""
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
        """Grant a permit and return True, or queue *waiter*."""
        with self._guard:
            if self._is_closed:
                raise Closed("expected an open limiter, but it was closed")
            base = self._base_clock(clock)
            # Not past a queue, even if it is time: its first waiter is about to be served.
            if not len(self._waiters) and self._grant(base.now()):
                return True
            if len(self._waiters) == self._capacity:
                raise StateError(f"expected a limiter that fewer wait for, got {self!r}")
            # By its own hub, if the base clock belongs to another thread.
            here = base if clock_of_thread(base) is base else clock
            waiter.tag = thread_clock = (here, get_hub_if_exists())
            if thread_clock not in self._timers:
                self._arm(thread_clock)
            self._waiters.append(waiter)
            return False

    def _base_clock(self, clock: Clock) -> Clock:
        """Return the clock whose time counts; *clock*, if there is none that is not stopped."""
        base = self._clock
        if base is None or (base.stopped and base is not clock):
            # The next permit comes as late by the new clock as it would have by the old one.
            if base is not None:
                self._next += from_seconds(clock.now(None)) - from_seconds(base.now(None))
            self._clock = base = clock
        return base

    def _grant(self, time: float) -> bool:
        """Use up a permit if it is time; return whether it was. Requires the lock."""
        # As a whole number, since the sum of two floats may miss the time of a timer.
        now = from_seconds(time)
        if now < self._next:
            return False
        self._next = now + self._interval
        self._granted += 1
        return True

    def _arm(self, thread_clock: ThreadClock) -> None:
        """Start the timer for the next permit, for a pair that has waiters. Requires the lock."""
        clock, _ = thread_clock
        rest = self._next - from_seconds(self._base_clock(clock).now())
        # Without a rest the queue is empty, and the timer only keeps the hub alive.
        wait = to_seconds(rest if rest > 0 else self._interval)
        timer = CancellableTimer(
            clock, wait, lambda is_time: self._expire(thread_clock, timer, is_time)
        )
        self._timers[thread_clock] = timer

    def _expire(self, thread_clock: ThreadClock, timer: CancellableTimer, is_time: bool) -> None:
        """Grant the next permit to the first waiter, unless another thread has just done so.

        If the clock was stopped instead, abandon all that wait by it.
        """
        clock, _ = thread_clock
        granted: Waiter[None] | None = None
        with self._guard:
            if self._timers.get(thread_clock) is not timer:
                return  # another thread is cancelling it
            del self._timers[thread_clock]
            # The last waiter may have left just now, before it stopped the timer.
            if is_time and len(self._waiters) and self._grant(self._base_clock(clock).now(None)):
                granted = self._waiters.pop(None)
            if is_time and self._is_needed(thread_clock):
                with suppress(StateError):  # stopped just now
                    self._arm(thread_clock)
            # Without a new timer nothing would wake them: their clock was stopped.
            lost = [] if thread_clock in self._timers else self._waiters.take(thread_clock)
            delivering = self._begin_delivery([*lost, granted] if granted is not None else lost)
        abandonments = [waiter.abandon for waiter in lost]
        try:
            call_all(abandonments if granted is None else [granted.deliver, *abandonments])
        finally:
            self._end_delivery(delivering)

    def _begin_delivery(self, waiters: list[Waiter[None]]) -> frozenset[object]:
        """Keep the timers, and so the hubs, of *waiters* until these run. Requires the lock."""
        thread_clocks = frozenset(waiter.tag for waiter in waiters)
        self._deliveries.append(thread_clocks)
        return thread_clocks

    def _end_delivery(self, thread_clocks: frozenset[object]) -> None:
        with self._guard:
            self._deliveries.remove(thread_clocks)
        self._stop_idle_timers()

    def _is_needed(self, thread_clock: ThreadClock) -> bool:
        """Return whether a thread may be waiting by *thread_clock*. Requires the lock."""
        return (
            any(thread_clock in thread_clocks for thread_clocks in self._deliveries)
            or thread_clock in self._waiters.tags()
        )

    def _stop_idle_timers(self) -> None:
        """Stop the timers that no waiter needs."""
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
