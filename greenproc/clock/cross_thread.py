"""The clock of another native thread."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, NoReturn, cast
from weakref import ref

from gevent import spawn_raw
from gevent._hub_local import get_hub_if_exists

from greenproc.checks import check_callable
from greenproc.clock.clock import Clock
from greenproc.clock.microseconds import from_seconds
from greenproc.clock.timers import Timer
from greenproc.errors import StateError
from greenproc.failures import FAILURES, log_failure
from greenproc.hub.lifetime import ENDED
from greenproc.hub.native import allocate_lock
from greenproc.tracing import TRACING, InTrace

log = logging.getLogger("greenproc.clock")

MAX_WAIT = 86_400.0
"""Seconds of the longest wait; longer timers wait several times. No loop overflows on it."""

STALL_SECONDS = 1.0
"""Seconds that a hub may be blocked before a due timer is called in the thread that made it."""


class CrossThreadClock:
    """What other threads may use of a clock: it tells the time and makes timers.

    Timers are queued, called and cancelled in the thread of the clock. So a timer that is
    cancelled in another thread may be running already, and the answer of `cancel` is only likely.
    The hub of the thread that made a timer stays alive for it, and calls it while the hub of the
    clock is blocked.
    """

    __slots__ = ("_clock",)

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    @property
    def origin(self) -> Clock:
        """The clock itself. Another thread must use only its `take` and the like."""
        return self._clock

    @property
    def paused(self) -> bool:
        """Whether time is held."""
        return self._clock.paused

    def now(self, *owner: object | None) -> float:
        """Return the seconds since 1970. See `Clock.now`."""
        return self._clock.now(*owner)

    def timer(self, seconds: float, thunk: Callable[[], object]) -> Timer:
        """Call *thunk* after a while, in a greenlet of the clock. See `Clock.timer`.

        Raises:
            InvalidArgument: *seconds* is no number, or *thunk* is not callable.
            StateError: the thread of the clock has ended.
        """
        check_callable(thunk)
        # Nothing would ever call the thunk, and its future would stay pending.
        if self._clock.source.has_ended:
            raise StateError(ENDED)
        timer = Timer()
        timer._microseconds = from_seconds(self.now()) + from_seconds(seconds)
        called = InTrace(thunk) if TRACING.is_active else thunk
        timer._thunk = _Awaited(self._clock, seconds, called)
        timer._maker = None
        timer._canceller = self
        timer._is_queued = False
        self._clock.source.call(self._clock.take, timer)
        return timer

    def cancel(self, timer: Timer) -> bool:
        """Keep *timer* from firing; return whether that is likely to have been possible."""
        thunk = timer._thunk
        is_pending = thunk is not None
        # At once, or the hub of this thread would stay alive until the clock's thread runs.
        if isinstance(thunk, _Awaited):
            thunk.close()
        self._clock.source.call(self._clock.take_back, timer)
        return is_pending

    def __getattr__(self, name: str) -> NoReturn:
        # A name that no clock has is a mistake of its own, with the usual error.
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
    """Return the clock itself; `clock_of_thread` does the reverse."""
    return clock.origin if isinstance(clock, CrossThreadClock) else clock


class _Awaited:
    """A thunk for which a hub of the thread that made it stays alive, until it is garbage.

    That hub does not see the timers of another one. When the time is over and the hub of the clock
    is blocked, the thunk is called here: what it is to end would wait as long as the block.
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
        self._once = allocate_lock()  # acquired by the first of two threads that call the thunk
        self._hub = get_hub_if_exists()
        self._timer: Any = None
        # Whether the time is over, and the hub of the clock was requested to reset this.
        self._is_due = False
        # A thread without a hub waits by a lock, and needs no help to stay alive.
        if self._hub is not None:
            self._context = copy_context()
            self._wait(max(seconds, 0.0))

    def __call__(self) -> object:
        """Call the thunk, the first time."""
        return self._thunk() if self._once.acquire(False) else None

    def _wait(self, seconds: float) -> None:
        assert self._hub is not None
        self._left = seconds
        self._timer = self._hub.loop.timer(min(seconds, MAX_WAIT))
        self._timer.start(_look, ref(self), update=True)

    def look(self) -> None:
        """Call the thunk if it was due and the hub of the clock has not turned since."""
        self._timer.close()
        if self._left > MAX_WAIT:  # this was but a part of the wait
            self._wait(self._left - MAX_WAIT)
            return
        if self._is_due:
            spawn_raw(self._context.run, self._call_here)
            return
        # Due here; the clock may be paused, so it gets a moment in which its hub can object.
        self._is_due = True
        self._clock.source.call(self._turn)
        self._wait(STALL_SECONDS)

    def _turn(self) -> None:
        """Note, in the hub of the clock, that it turns, and so calls the thunk in time."""
        self._is_due = False

    def _call_here(self) -> None:
        try:
            self()
        except FAILURES:
            log_failure(log, "the function of a timer failed: %r", self._thunk)

    def close(self) -> None:
        """Keep the hub alive no longer; from every thread. The thunk may still be called."""
        hub, timer = self._hub, self._timer
        if timer is None or hub is None or hub.loop is None:
            return
        # The watchers of a loop may be touched in its own thread only.
        if hub is get_hub_if_exists():
            timer.close()
        else:
            hub.loop.run_callback_threadsafe(timer.close)

    __del__ = close


def _look(reference: ref[_Awaited]) -> None:
    awaited = reference()
    if awaited is not None:
        awaited.look()
