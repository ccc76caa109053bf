"""`Timer`: how long something took."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from greenproc.clock.current import current_clock
from greenproc.clock.microseconds import MICROSECONDS, from_seconds, to_seconds
from greenproc.errors import Failure, InvalidArgument
from greenproc.future import Future
from greenproc.metrics.metric import Metric

T = TypeVar("T")

UNITS = {
    "ns": 1e9,
    "us": 1e6,
    "ms": 1e3,
    "secs": 1.0,
    "mins": 1 / 60,
    "hrs": 1 / 3600,
    "days": 1 / 86_400,
    "weeks": 1 / 604_800,
}
"""How many of each unit make a second."""


class Timer(Metric):
    """How long the last of many happenings took, and how the others in the window did.

    ::

        timer = Timer("answer", "ms", window=3600.0)
        with timer.time():
            ...
        timer.time(future)

    The time is that of the current clock, which a test can pause.

    Args:
        name: the metric is called by it and the unit: ``answer_ms``.
        unit: ns, us, ms, secs, mins, hrs, days or weeks.

    Raises:
        InvalidArgument: there is no such unit.

    Source: libprocess include/process/metrics/timer.hpp.
    """

    def __init__(
        self, name: str, unit: str = "ms", *, help: str = "", window: float | None = None
    ) -> None:
        if unit not in UNITS:
            raise InvalidArgument(f"expected one of {', '.join(UNITS)}, got {unit!r}")
        super().__init__(f"{name}_{unit}", help=help, window=window)
        self._units_a_microsecond = UNITS[unit] / MICROSECONDS
        self._started = 0
        self._last: float | None = None

    def start(self) -> None:
        """Begin to measure; `stop` ends it. Measurements that overlap should use `time`."""
        self._started = _now()

    def stop(self) -> float:
        """Note the time since `start` and return it in seconds.

        It may be called again for the time from the same start. Without any, it is that from 1970,
        as in libprocess.
        """
        return self._note(self._started)

    @overload
    def time(self) -> AbstractContextManager[None]: ...
    @overload
    def time(self, future: Future[T]) -> Future[T]: ...
    def time(self, future: Future[Any] | None = None) -> Any:
        """Measure until *future* completes, in whatever way, and return it.

        Without a future, return a context manager that measures its block. However many of
        either may overlap.
        """
        if future is None:
            return self._block()
        started = _now()
        if future.ready():
            self._note(started)
        else:
            future.on_any(lambda _: self._note(started))
        return future

    def value(self) -> Future[float]:
        """Return the last time in the unit, ready at once; failed when there is none yet."""
        last = self._last
        return Future.failed(Failure("No value")) if last is None else Future(last)

    @contextmanager
    def _block(self) -> Iterator[None]:
        started = _now()
        try:
            yield
        finally:
            self._note(started)

    def _note(self, started: int) -> float:
        taken = _now() - started
        with self._lock:
            self._last = taken * self._units_a_microsecond
            self._record(self._last)
        return to_seconds(taken)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def _now() -> int:
    return from_seconds(current_clock().now())
