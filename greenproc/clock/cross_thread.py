"""The clock of another native thread."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, NoReturn, cast
from weakref import ref

from gevent import Timeout, spawn_raw
from gevent._hub_local import get_hub_if_exists
from gevent.monkey import get_original

from greenproc.checks import check_callable
from greenproc.clock.clock import Clock
from greenproc.clock.hub import ENDED
from greenproc.clock.microseconds import from_seconds
from greenproc.clock.timers import Timer
from greenproc.errors import StateError

log = logging.getLogger("greenproc.clock")

allocate_lock = get_original("_thread", "allocate_lock")

MAX_WAIT = 86_400.0
"""Seconds after which a longer timer is looked at, too."""

STALL_SECONDS = 1.0
"""How long a hub may make no turn before a timer of another thread that is due is called there."""


class CrossThreadClock:
    """What a thread has of the clock of another one: it can tell the time and make timers.

    Timers are queued, called and cancelled in the thread of the clock. So one that is cancelled
    in another thread may just be called, and what it answers is only likely. A hub of the thread
    that made a timer waits for it, and calls it when that of the clock is blocked.
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
        timer.thunk = _Awaited(self._clock, seconds, thunk)
        timer.maker = None
        timer.canceller = self
        timer.is_queued = False
        self._clock.source.call(self._clock.take, timer)
        return timer

    def cancel(self, timer: Timer) -> bool:
        """Keep *timer* from firing; tell whether that seems possible still."""
        thunk = timer.thunk
        is_pending = thunk is not None
        if isinstance(thunk, _Awaited):
            thunk.close()
        self._clock.source.call(self._clock.take_back, timer)
        return is_pending

    def __getattr__(self, name: str) -> NoReturn:
        if not hasattr(Clock, name) and name not in Clock.__annotations__:
            raise AttributeError(f"a clock has no {name!r}")
        raise StateError(
            f"expected {name!r} of a clock to be used in the thread of the clock: go there by "
            "runtime.call_from_thread(); to wait here, use after(seconds).get()"
        )

    def __repr__(self) -> str:
        return f"<CrossThreadClock of {self._clock!r}>"


def clock_of_thread(clock: Clock | CrossThreadClock) -> Clock:
    """Return what this thread may use of *clock*: itself, or a `CrossThreadClock` of it."""
    if isinstance(clock, Clock) and clock.source.is_elsewhere:
        clock = CrossThreadClock(clock)
    return cast(Clock, clock)


def origin(clock: Clock | CrossThreadClock) -> Clock:
    """Return the clock itself, which `clock_of_thread` makes fit for this thread."""
    return clock.origin if isinstance(clock, CrossThreadClock) else clock


class _Awaited:
    """A function that a hub of the thread that made this waits for, until it is garbage.

    That hub does not see the timers of others. When the time is over and the hub of the clock makes
    no turn for a while, the function is called here: what it ends would wait as long as the block.
    """

    __slots__ = (
        "__weakref__",
        "_clock",
        "_context",
        "_hub",
        "_is_due",
        "_left",
        "_once",
        "_thunk",
        "_timer",
    )

    def __init__(self, clock: Clock, seconds: float, thunk: Callable[[], object]) -> None:
        self._thunk = thunk
        self._clock = clock
        self._once = allocate_lock()
        self._hub = get_hub_if_exists()
        self._timer: Any = None
        self._is_due = False  # and the hub of the clock was asked for a turn
        if self._hub is not None:
            self._context = copy_context()
            self._wait(max(seconds, 0.0))

    def __call__(self) -> object:
        """Call the function, the first time."""
        return self._thunk() if self._once.acquire(False) else None

    def _wait(self, seconds: float) -> None:
        assert self._hub is not None
        self._left = seconds
        self._timer = self._hub.loop.timer(min(seconds, MAX_WAIT))
        self._timer.start(_look, ref(self), update=True)

    def look(self) -> None:
        """Call the function if it was due and the hub of the clock has not turned since."""
        self._timer.close()
        if self._left > MAX_WAIT:
            self._wait(self._left - MAX_WAIT)
            return
        if self._is_due:
            spawn_raw(self._context.run, self._call_here)
            return
        self._is_due = True
        self._clock.source.call(self._turn)
        self._wait(STALL_SECONDS)

    def _turn(self) -> None:
        """Be called in the hub of the clock, which turns: the time is not over there."""
        self._is_due = False

    def _call_here(self) -> None:
        try:
            self()
        except (Exception, Timeout):
            log.exception("the function of a timer failed: %r", self._thunk)

    def close(self) -> None:
        """Let the hub wait no longer; from every thread. The function may still be called."""
        hub, timer = self._hub, self._timer
        if timer is None or hub is None or hub.loop is None:
            return
        if hub is get_hub_if_exists():
            timer.close()
        else:
            hub.loop.run_callback_threadsafe(timer.close)

    __del__ = close


def _look(reference: ref[_Awaited]) -> None:
    awaited = reference()
    if awaited is not None:
        awaited.look()
