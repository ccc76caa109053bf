"""The clock of another native thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, cast

from gevent._hub_local import get_hub_if_exists

from greenproc.checks import check_callable
from greenproc.clock.awake import ENDED, hold_awake
from greenproc.clock.clock import Clock
from greenproc.clock.microseconds import from_seconds
from greenproc.clock.timers import Timer
from greenproc.errors import StateError


class DistantClock:
    """What a thread has of the clock of another one: it can tell the time and make timers.

    Timers are queued, called and cancelled in the thread of the clock. So one that is cancelled
    in another thread may just be called, and what it answers is only likely. A hub of the thread
    that made a timer waits for it.
    """

    __slots__ = ("_clock",)

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    @property
    def origin(self) -> Clock:
        """The clock itself. Another thread must not use it but by `take` and the like."""
        return self._clock

    @property
    def paused(self) -> bool:
        """Whether time is held."""
        return self._clock.paused

    def now(self, *owner: object | None) -> float:
        """Return the seconds since 1970. See `Clock.now`."""
        return self._clock.now(*owner)

    def timer(self, seconds: float, thunk: Callable[[], object]) -> Timer:
        """Call *thunk* after a while, in a greenlet of the clock. See `Clock.timer`."""
        check_callable(thunk)
        if self._clock.source.has_ended:
            raise StateError(ENDED)
        timer = Timer()
        timer.microseconds = from_seconds(self.now()) + from_seconds(seconds)
        timer.thunk = _Awaited(thunk)
        timer.maker = None
        timer.clock = self
        timer.is_queued = False
        self._clock.source.call(self._clock.take, timer)
        return timer

    def cancel(self, timer: Timer) -> bool:
        """Keep *timer* from firing; tell whether that seems possible still."""
        is_pending = timer.is_pending
        self._clock.source.call(_cancel, self._clock, timer)
        return is_pending

    def __getattr__(self, name: str) -> NoReturn:
        if not hasattr(Clock, name) and name not in Clock.__annotations__:
            raise AttributeError(f"a clock has no {name!r}")
        raise StateError(
            f"expected {name!r} of a clock to be used in the thread of the clock: go there by "
            "runtime.call_from_thread(); to wait here, use after(seconds).get()"
        )

    def __repr__(self) -> str:
        return f"<DistantClock of {self._clock!r}>"


def reach(clock: Clock | DistantClock) -> Clock:
    """Return what this thread may use of *clock*: itself, or a `DistantClock` of it."""
    if isinstance(clock, Clock) and clock.source.is_elsewhere:
        clock = DistantClock(clock)
    return cast(Clock, clock)


def origin(clock: Clock | DistantClock) -> Clock:
    """Return the clock itself, which `reach` makes fit for this thread."""
    return clock.origin if isinstance(clock, DistantClock) else clock


def _cancel(clock: Clock, timer: Timer) -> None:
    timer.clock = clock
    clock.cancel(timer)


class _Awaited:
    """A function that the hub of the thread that made this waits for, until it is garbage.

    That hub does not see the timers of others.
    """

    __slots__ = ("_hub", "_release", "_thunk")

    def __init__(self, thunk: Callable[[], object]) -> None:
        self._thunk = thunk
        self._hub = get_hub_if_exists()
        self._release = None if self._hub is None else hold_awake(self._hub)

    def __call__(self) -> object:
        return self._thunk()

    def __del__(self) -> None:
        hub = self._hub
        if self._release is not None and hub is not None and hub.loop is not None:
            hub.loop.run_callback_threadsafe(self._release)
