"""`Metric`: a named value that a node exports, and `Reading`: its value at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from greenproc.errors import InvalidArgument
from greenproc.future import Future
from greenproc.hub.native import allocate_lock
from greenproc.metrics.statistics import Statistics
from greenproc.metrics.timeseries import TimeSeries

Kind = Literal["counter", "gauge"]
"""The metric type: a counter only grows, a gauge goes up and down."""

Value = float | Mapping[str, float]
"""A number, or a mapping from label values to numbers."""


class Metric:
    """A named value. Several references to one metric see the same value.

    Args:
        name: words separated by slashes, such as ``master/uptime_secs``.
        help: a one-line description, exported as Prometheus' HELP.
        window: seconds for which past values are kept for `statistics`; None keeps none.

    Raises:
        InvalidArgument: the name is empty or not a string, or *window* is not a duration.

    Source: libprocess include/process/metrics/metric.hpp.
    """

    kind: Kind = "gauge"
    label: str | None = None
    """The name of the label that distinguishes the samples; None for a single value."""
    may_wait: bool = False
    """Whether `value` may block, so that a reading calls it in a separate greenlet."""

    def __init__(self, name: str, *, help: str = "", window: float | None = None) -> None:
        if not isinstance(name, str) or not name:
            raise InvalidArgument(f"expected the name of a metric, got {name!r}")
        self.name = name
        self.help = help
        # A native lock, since metrics are updated from native threads. It is never held across a
        # switch of greenlets, so it cannot block the hub for long.
        self._lock = allocate_lock()
        self._history: TimeSeries[float] | None = None if window is None else TimeSeries(window)

    def value(self) -> Future[Any]:
        """Return the future of the value: a number, or a mapping if the metric has a label.

        Raises:
            NotImplementedError: the subclass does not override this method.
        """
        raise NotImplementedError

    def statistics(self) -> Statistics[float] | None:
        """Return the statistics of the values in the window; None with fewer than two values."""
        if self._history is None:
            return None
        with self._lock:
            values = list(self._history)
        return Statistics.of(values)

    def _record(self, value: float) -> None:
        """Record *value* for the statistics. The caller must hold the lock."""
        if self._history is not None:
            self._history.set(value)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


@dataclass(frozen=True, slots=True)
class Reading:
    """The value of a metric at one moment; *value* is None after a failure or a timeout."""

    metric: Metric
    value: Value | None
    statistics: Statistics[float] | None
