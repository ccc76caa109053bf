"""A limit on how long one thing after the other may take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from greenproc.clock.clock import Clock
from greenproc.errors import StateError

_PRECISION = 1e-5  # seconds; above what rounding a time since 1970 can make of it


class Stopwatch:
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
        return f"<Stopwatch of {self._seconds} s {state}>"
