"""`Timer`: a metric that measures durations."""

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
"""The number of each unit in a second."""


class Timer(Metric):
    """The duration of the last measurement, and the statistics of those in the window.

    ::

        timer = Timer("answer", "ms", window=3600.0)
        with timer.time():
            ...
        timer.time(future)

    The current clock measures the durations, so a test can pause and advance it.

    Args:
        name: the prefix of the metric's name, which the unit completes: ``answer_ms``.
        unit: ns, us, ms, secs, mins, hrs, days or weeks.

    Raises:
        InvalidArgument: the unit is unknown, or as for `Metric`.

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
        """Start a measurement, which `stop` ends. Overlapping measurements should use `time`."""
        self._started = _now()

    def stop(self) -> float:
        """Record the duration since `start` and return it in seconds.

        Repeated calls measure from the same start. Without a start, the duration is that since
        1970, as in libprocess.
        """
        return self._note(self._started)

    @overload
    def time(self) -> AbstractContextManager[None]: ...
    @overload
    def time(self, future: Future[T]) -> Future[T]: ...
    def time(self, future: Future[Any] | None = None) -> Any:
        """Measure the time until *future* completes in any state, and return the future.

        Without a future, return a context manager that measures its block. Any number of
        measurements may overlap.
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
        """Return a ready future of the last duration in the unit; failed before the first one."""
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
