"""Limits on how long a client waits: a timer that is restarted often, and a future with a timeout."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn, TypeVar

from greenproc.clock.clock import Clock
from greenproc.errors import StateError, WaitTimeout
from greenproc.future import Future

_PRECISION = 1e-5  # seconds; larger than the rounding error of a time since 1970


class WatchdogTimer:
    """Calls a function unless it is stopped in time, by a clock that a test can pause.

    Restarting it is cheap, as for every read of a connection: only the due time is set. The
    timer of the clock stays, and is set again if it fires too early.

    Args:
        clock: of the runtime.
        seconds: the limit; None is for ever.
        expired: called in a greenlet of the clock.
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
        """Start, or restart, the time."""
        if self._seconds is None:
            return
        self._due = self._clock.now(None) + self._seconds
        if self._timer is None:
            self._set(self._seconds)

    def stop(self) -> None:
        """Stop the time; `start` may follow."""
        self._due = None

    def close(self) -> None:
        """Stop the time, and cancel the timer of the clock."""
        self._due = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, seconds: float) -> None:
        try:
            self._timer = self._clock.timer(seconds, self._look)
        except StateError:
            pass  # a stopped clock has dropped all its timers, and this one as well

    def _look(self) -> None:
        self._timer = None
        if self._due is None:
            return
        # Restarted since: a timer per restart would cost more than one that fires too early.
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
    """Return *future*, or one that fails with `WaitTimeout` after *seconds*.

    After the timeout *future* gets a discard request.

    Args:
        future: the future to limit.
        seconds: of the current clock; None is for ever.
        what: the beginning of the error's text, such as ``no response from h:80``.
    """
    if seconds is None:
        return future
    return future.after(seconds, partial(_time_out, f"{what} within {seconds:g} s"))


def _time_out(text: str, future: Future[T]) -> NoReturn:
    future.discard()
    raise WaitTimeout(text)
