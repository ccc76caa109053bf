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
from greenproc.sync.alarm import Alarm
from greenproc.sync.line import Line
from greenproc.sync.seat import Seat, discard_all

Driver: TypeAlias = tuple[Clock, Hub | None]
"""A clock, and the hub of the thread that waits by it: each has an alarm of its own.

The alarm keeps that hub from giving up, and no thread depends on the hub of another one, which may
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
        "_alarms",
        "_capacity",
        "_clock",
        "_granted",
        "_guard",
        "_handed",
        "_interval",
        "_is_closed",
        "_line",
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
        self._line: Line[None] = Line(self._guard, self._rest)
        self._clock: Clock | None = None
        self._alarms: dict[Driver, Alarm] = {}
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

        A discard request gives the place in the line up; no permit is used.

        Raises:
            Closed: it was closed.
            StateError: as many wait as may, or the clock was stopped.
        """
        clock = find_clock()
        claim = self._line.claim()
        return claim.grant(None) if self._grant_or_join(claim, clock) else claim.future

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
        sleeper = self._line.sleeper()
        if self._grant_or_join(sleeper, clock):
            return True
        self._line.wait(sleeper, timeout)
        if self._is_closed and not sleeper.is_given:
            raise Closed("the limiter was closed while it was waited for")
        if not sleeper.is_given and not sleeper.has_left:
            raise Closed("the clock was stopped while the limiter was waited for")
        return sleeper.is_given

    def close(self) -> None:
        """Discard whoever waits, and grant nothing from now on."""
        self._is_closed = True
        with self._guard:
            seats = self._line.clear()
            drivers = self._hand_over(seats)
        try:
            discard_all(seats)
        finally:
            self._handed_over(drivers)

    def statistics(self) -> dict[str, float]:
        """Tell how many wait, how many permits were granted, and the seconds between two."""
        return {
            "waiting": len(self._line),
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
        return f"<RateLimiter {state}one per {self.interval:g} s, {len(self._line)} waiting>"

    def _grant_or_join(self, seat: Seat[None], clock: Clock) -> bool:
        """Grant a permit and return True, or put *seat* in the line."""
        with self._guard:
            if self._is_closed:
                raise Closed("expected an open limiter, but it was closed")
            base = self._follow(clock)
            if not len(self._line) and self._grant(base.now()):
                return True
            if len(self._line) == self._capacity:
                raise StateError(f"expected a limiter that fewer wait for, got {self!r}")
            here = clock if base.source.is_elsewhere else base
            seat.tag = driver = (here, get_hub_if_exists())
            if driver not in self._alarms:
                self._arm(driver)
            self._line.join(seat)
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

    def _arm(self, driver: Driver) -> None:
        """Wait for the next permit. A driver has an alarm while it has seats. Needs the lock."""
        clock, _ = driver
        rest = self._next - from_seconds(self._follow(clock).now())
        # Without a rest nobody is in the line; then it only keeps the hub awake.
        wait = to_seconds(rest if rest > 0 else self._interval)
        alarm = Alarm(clock, wait, lambda is_time: self._ring(driver, alarm, is_time))
        self._alarms[driver] = alarm

    def _ring(self, driver: Driver, alarm: Alarm, is_time: bool) -> None:
        """Grant the next permit to whose turn it is, unless another driver has just done so.

        If the clock was stopped instead, abandon all who wait by it.
        """
        clock, _ = driver
        granted: Seat[None] | None = None
        with self._guard:
            if self._alarms.get(driver) is not alarm:
                return  # another thread was cancelling it
            del self._alarms[driver]
            # The last who waited may have left just now, and not have stopped the alarm yet.
            if is_time and len(self._line) and self._grant(self._follow(clock).now(None)):
                granted = self._line.pop(None)
            if is_time and self._is_needed(driver):
                with suppress(StateError):  # stopped just now
                    self._arm(driver)
            lost = [] if driver in self._alarms else self._line.take(driver)
            on_the_way = self._hand_over([*lost, granted] if granted is not None else lost)
        tell = [seat.abandon for seat in lost]
        try:
            call_all(tell if granted is None else [granted.deliver, *tell])
        finally:
            self._handed_over(on_the_way)

    def _hand_over(self, seats: list[Seat[None]]) -> frozenset[object]:
        """Keep the alarms of *seats* until they have been told. Needs the lock."""
        drivers = frozenset(seat.tag for seat in seats)
        self._handed.append(drivers)
        return drivers

    def _handed_over(self, drivers: frozenset[object]) -> None:
        with self._guard:
            self._handed.remove(drivers)
        self._rest()

    def _is_needed(self, driver: Driver) -> bool:
        """Tell whether a thread may be waiting by *driver*. Needs the lock."""
        return any(driver in drivers for drivers in self._handed) or driver in self._line.tags()

    def _rest(self) -> None:
        """Stop the alarms that nobody needs any more."""
        with self._guard:
            idle = [driver for driver in self._alarms if not self._is_needed(driver)]
            alarms = [self._alarms.pop(driver) for driver in idle]
        for alarm in alarms:
            alarm.cancel()


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
