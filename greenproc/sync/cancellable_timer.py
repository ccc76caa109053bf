"""A timer of a clock that reports when the clock is stopped."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from greenproc.clock.clock import Clock
from greenproc.clock.cross_thread import clock_of_thread
from greenproc.future.future import Future
from greenproc.future.promise import Promise


class CancellableTimer:
    """Calls a function after a while with True, or with False if the clock is stopped before.

    It may be made and cancelled in any native thread, and calls in the thread that made it.

    Args:
        seconds: the time, of *clock*, which a test can pause.
        call: takes whether the time is up.

    Raises:
        InvalidArgument: *seconds* is no number.
        StateError: the clock was stopped already.
    """

    __slots__ = ("_call", "_clock", "_timer")

    def __init__(self, clock: Clock, seconds: float, call: Callable[[bool], object]) -> None:
        tick: Promise[None] = Promise()
        self._call: Callable[[bool], object] | None = call
        self._clock = clock_of_thread(clock)
        # Only the timer holds the promise. A clock that stops drops its timers, which abandons
        # the future, and that is how the callback hears of it.
        self._timer = self._clock.timer(seconds, partial(tick.set, None))
        tick.future.add_done_callback(self._expire)

    def cancel(self) -> None:
        """Keep the function from being called."""
        self._call = None
        clock_of_thread(self._clock).cancel(self._timer)

    def _expire(self, tick: Future[None]) -> None:
        # Once: a cancellation in another thread may come while the future is being completed.
        call, self._call = self._call, None
        if call is not None:
            call(tick.is_ready)

    def __repr__(self) -> str:
        return f"<CancellableTimer {'over' if self._call is None else self._timer}>"
