"""Limits on how long a client waits: a timer that is restarted often, and a future with a timeout."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn, TypeVar

from greenproc.clock.clock import Clock
from greenproc.errors import StateError, WaitTimeout
from greenproc.future import Future

_PRECISION = 1e-5  # seconds; above what rounding a time since 1970 can make of it


class WatchdogTimer:
    """Calls a function when it has run for too long, by a clock that a test can pause.

    Starting and stopping it over and over is cheap: the timer is left alone, and looks when it
    fires at what has become of it.

    Args:
        seconds: how long it may run; None is for ever.
        expired: is called in a greenlet of the clock.
    """

    __slots__ = ("_clock", "_due", "_expired", "_seconds", "_timer")

    def __init__(self, clock: Clock, seconds: float | None, expired: Callable[[], object]) -> None:
        self._clock = clock
        self._seconds = seconds
        self._expired = expired
        self._due: float | None = None
        self._timer: Any = None

    @property
    def is_running(self) -> bool:
        """Whether it runs."""
        return self._due is not None

    def start(self) -> None:
        """Run from now on; if it runs already, from the beginning."""
        if self._seconds is None:
            return
        self._due = self._clock.now(None) + self._seconds
        if self._timer is None:
            self._set(self._seconds)

    def stop(self) -> None:
        """Stand still."""
        self._due = None

    def close(self) -> None:
        """Stand still for good."""
        self._due = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, seconds: float) -> None:
        try:
            self._timer = self._clock.timer(seconds, self._look)
        except StateError:
            pass  # A clock that was stopped measures nothing, as for those it had dropped.

    def _look(self) -> None:
        self._timer = None
        if self._due is None:
            return
        left = self._due - self._clock.now(None)
        if left > _PRECISION:
            self._set(left)
        else:
            self._due = None
            self._expired()

    def __repr__(self) -> str:
        state = "stopped" if self._due is None else f"due at {self._due!r}"
        return f"<WatchdogTimer of {self._seconds} s {state}>"


T = TypeVar("T")


def with_timeout(future: Future[T], seconds: float | None, what: str) -> Future[T]:
    """Return *future*, or one that fails with `WaitTimeout` when it takes longer than *seconds*.

    *future* is then asked to give up.

    Args:
        seconds: of the current clock; None is for ever.
        what: what did not happen, for the error.
    """
    if seconds is None:
        return future
    return future.after(seconds, partial(_time_out, f"{what} within {seconds:g} s"))


def _time_out(text: str, future: Future[T]) -> NoReturn:
    future.discard()
    raise WaitTimeout(text)
