"""`Metric`: a named value that a node shows, and what one reading of it tells."""

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
"""Whether a value only grows, or goes up and down."""

Value = float | Mapping[str, float]
"""A number, or one number for each value of a label."""


class Metric:
    """A named value. Several references to one metric see the same value.

    Args:
        name: words separated by slashes, such as ``master/uptime_secs``.
        help: one line for people who look the metric up.
        window: seconds for which former values are kept for `statistics`; None keeps none.

    Raises:
        InvalidArgument: the name is empty or no text.

    Source: libprocess include/process/metrics/metric.hpp.
    """

    kind: Kind = "gauge"
    label: str | None = None
    """What tells the values apart when there is more than one."""
    may_wait: bool = False
    """Whether asking for the value may take time, so that it is better done in a greenlet."""

    def __init__(self, name: str, *, help: str = "", window: float | None = None) -> None:
        if not isinstance(name, str) or not name:
            raise InvalidArgument(f"expected the name of a metric, got {name!r}")
        self.name = name
        self.help = help
        # Metrics are used in native threads, too. It is held for moments in which nobody waits.
        self._lock = allocate_lock()
        self._history: TimeSeries[float] | None = None if window is None else TimeSeries(window)

    def value(self) -> Future[Any]:
        """Return the future of the value: a number, or a mapping if the metric has a label."""
        raise NotImplementedError

    def statistics(self) -> Statistics[float] | None:
        """Return the statistics of the values in the window; None if there are less than two."""
        if self._history is None:
            return None
        with self._lock:
            values = list(self._history)
        return Statistics.of(values)

    def _record(self, value: float) -> None:
        """Keep *value* for the statistics. Call it with the lock."""
        if self._history is not None:
            self._history.set(value)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a metric told at one moment; *value* is None if it failed or did not come in time."""

    metric: Metric
    value: Value | None
    statistics: Statistics[float] | None
