"""Permits that come at a steady rate."""

from __future__ import annotations

import math
from types import TracebackType
from typing import Self

from greenproc.checks import whole_number
from greenproc.clock.clock import Clock
from greenproc.clock.current import current_clock
from greenproc.clock.microseconds import MAX_MICROSECONDS, from_seconds, to_seconds
from greenproc.errors import Closed, InvalidArgument, StateError
from greenproc.future.core import allocate_lock
from greenproc.future.future import Future
from greenproc.sync.alarm import Alarm
from greenproc.sync.line import Line
from greenproc.sync.seat import Seat, abandon_all, discard_all


class RateLimiter:
    """Grants permits, so many in a time, in the order in which they were asked for.

    ::

        limiter.acquire().then(send)     # nobody waits
        with limiter:                    # this greenlet waits
            ...

    Only the ratio counts: one permit per *seconds* / *permits*, the first at once. There is no
    burst, and what was not asked for is not saved up. The time is that of the current clock, which
    a test can pause.

    It may be used from any native thread of a runtime. Without a runtime each thread has a clock
    of its own; then it belongs to the first that uses it.

    A permit says nothing about when its holder acts on it, so clients that must not disturb each
    other should have a limiter each. If the clock is stopped, whoever waits is abandoned. Without
    a reference it goes on until nobody waits.

    Args:
        permits: how many there are in *seconds*.
        capacity: how many may wait. None, as in libprocess, is no bound.

    Source: libprocess include/process/limiter.hpp.
    Differs: a discarded waiter leaves the line at once; the end of the object discards nothing.
    """

    __slots__ = (
        "__weakref__",
        "_alarm",
        "_capacity",
        "_clock",
        "_granted",
        "_guard",
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
        self._alarm: Alarm | None = None
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
        claim = self._line.claim()
        return claim.grant(None) if self._grant_or_join(claim) else claim.future

    def wait_acquire(self, timeout: float | None = None) -> bool:
        """Wait for a permit, and tell whether there was one in time.

        Args:
            timeout: seconds of the current clock; None means for ever.

        Raises:
            Closed: it was closed, before or meanwhile, or the clock was stopped meanwhile.
            StateError: as many wait as may, or the clock was stopped.
        """
        current_clock()  # makes the hub that it needs, so that this thread waits by running it
        sleeper = self._line.sleeper()
        if self._grant_or_join(sleeper):
            return True
        self._line.wait(sleeper, timeout)
        if self._is_closed and not sleeper.is_given:
            raise Closed("the limiter was closed while it was waited for")
        if not sleeper.is_given and not sleeper.has_left:
            raise Closed("the clock of the limiter was stopped while it was waited for")
        return sleeper.is_given

    def close(self) -> None:
        """Discard whoever waits, and grant nothing from now on."""
        self._is_closed = True
        discard_all(self._take_all())

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

    def _grant_or_join(self, seat: Seat[None]) -> bool:
        """Grant a permit and return True, or put *seat* in the line."""
        with self._guard:
            if self._is_closed:
                raise Closed("expected an open limiter, but it was closed")
            if self._alarm is None and self._grant():
                return True
            if len(self._line) == self._capacity:
                raise StateError(f"expected a limiter that fewer wait for, got {self!r}")
            if self._alarm is None:
                self._arm()
            self._line.join(seat)
            return False

    def _grant(self) -> bool:
        """Use up a permit if it is time; tell whether it was. Needs the lock."""
        self._clock = current_clock()
        # As a whole number, since the sum of two floats may miss the time of a timer.
        now = from_seconds(self._clock.now())
        if now < self._next:
            return False
        self._next = now + self._interval
        self._granted += 1
        return True

    def _arm(self) -> None:
        """Wait for the next permit. There is an alarm while somebody waits. Needs the lock."""
        assert self._clock is not None
        rest = self._next - from_seconds(self._clock.now())
        alarm = Alarm(self._clock, to_seconds(rest), lambda is_time: self._ring(alarm, is_time))
        self._alarm = alarm

    def _ring(self, alarm: Alarm, is_time: bool) -> None:
        """Grant the next permit; if the clock was stopped instead, abandon all who wait."""
        with self._guard:
            if self._alarm is not alarm:
                return  # another thread was cancelling it
            self._alarm = None
            # The last who waited may have left just now, and not have stopped the alarm yet.
            seat = self._line.pop(None) if is_time else None
            if seat is not None:
                assert self._clock is not None
                self._next = from_seconds(self._clock.now(None)) + self._interval
                self._granted += 1
                if len(self._line):
                    self._arm()
        if not is_time:
            abandon_all(self._take_all())
        elif seat is not None:
            seat.deliver()

    def _rest(self) -> None:
        """Stop the alarm if nobody waits any more."""
        with self._guard:
            if len(self._line):
                return
            alarm, self._alarm = self._alarm, None
        if alarm is not None:
            alarm.cancel()

    def _take_all(self) -> list[Seat[None]]:
        with self._guard:
            seats = self._line.clear()
        self._rest()
        return seats


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
