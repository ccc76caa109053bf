"""`Registry`: the metrics of one node, and snapshots of their values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from greenproc.errors import Failure, InvalidArgument
from greenproc.future import Future, Promise
from greenproc.future.callbacks import END, FutureSubscription
from greenproc.future.state import register
from greenproc.metrics.metric import Metric, Reading

Spawn = Callable[[Callable[[], None]], object]
"""Runs a function in a new greenlet."""

STATISTICS = ("count", "max", "min", "p50", "p90", "p95", "p99", "p999", "p9999")
"""The statistics of a metric's window that a snapshot includes."""


class Registry:
    """The metrics that a node exports, by name.

    Source: libprocess include/process/metrics/metrics.hpp.
    """

    def __init__(self) -> None:
        self._metrics: dict[str, Metric] = {}
        # Pending values. Overlapping readings share them, so a slow gauge runs once at a time.
        self._asked: dict[Metric, Future[Any]] = {}

    def add(self, metric: Metric) -> Future[None]:
        """Register *metric*. The future is ready at once, or failed if its name is already in use.

        Raises:
            InvalidArgument: *metric* is not a `Metric`.
        """
        if not isinstance(metric, Metric):
            raise InvalidArgument(f"expected a metric, got {metric!r}")
        if self._metrics.setdefault(metric.name, metric) is not metric:
            return Future.failed(Failure(f"Metric '{metric.name}' was already added"))
        return Future(None)

    def remove(self, metric: Metric | str) -> Future[None]:
        """Unregister a metric or the metric of a name. The future fails if there is none."""
        name = metric if isinstance(metric, str) else metric.name
        removed = self._metrics.pop(name, None)
        if removed is None:
            return Future.failed(Failure(f"Metric '{name}' not found"))
        self._asked.pop(removed, None)
        return Future(None)

    def collect(
        self, timeout: float | None = None, *, spawn: Spawn | None = None
    ) -> Future[list[Reading]]:
        """Return the future of a reading of each metric, sorted by name.

        Args:
            timeout: seconds of the current clock after which pending metrics are read as None;
                None waits without a limit.
            spawn: runs a function in a new greenlet, and is called for each gauge that may block.
                Without it the gauges run in this greenlet, one after the other.
        """
        metrics = [metric for _, metric in sorted(self._metrics.items())]
        values = [self._ask(metric, spawn) for metric in metrics]
        result = _Waiting().start(values).then(lambda _: _read(metrics, values))
        if timeout is None or result.ready():
            return result

        def content_with_less(late: Future[Any]) -> list[Reading]:
            late.discard()
            return _read(metrics, values)

        return result.after(timeout, content_with_less)

    def snapshot(
        self, timeout: float | None = None, *, spawn: Spawn | None = None
    ) -> Future[dict[str, float]]:
        """Return the future of all values by name, with the statistics of metrics with a window.

        Metrics that failed, are pending after *timeout*, or are not finite are omitted. For the
        arguments see `collect`.

        Source: libprocess src/metrics/metrics.cpp, MetricsProcess::snapshot.
        """
        return self.collect(timeout, spawn=spawn).then(flatten)

    def _ask(self, metric: Metric, spawn: Spawn | None) -> Future[Any]:
        before = self._asked.get(metric)
        if before is not None and not before.ready():
            return before
        if spawn is None or not metric.may_wait:
            value = metric.value()
        else:
            promise: Promise[Any] = Promise()
            value = promise.future
            spawn(partial(_answer, metric, promise))
        if value.ready():
            self._asked.pop(metric, None)
        else:
            self._asked[metric] = value
        return value

    def __len__(self) -> int:
        return len(self._metrics)

    def __contains__(self, name: object) -> bool:
        return name in self._metrics

    def __iter__(self) -> Iterator[Metric]:
        return iter(list(self._metrics.values()))

    def __repr__(self) -> str:
        return f"<Registry of {len(self)} metrics>"


def flatten(readings: list[Reading]) -> dict[str, float]:
    """Return the finite numbers of *readings* by name, sorted by name."""
    numbers: dict[str, float] = {}
    for reading in readings:
        name, value = reading.metric.name, reading.value
        if isinstance(value, (int, float)):
            numbers[name] = float(value)
        elif value is not None:
            numbers.update({f"{name}/{label}": number for label, number in value.items()})
        if reading.statistics is not None:
            for part in STATISTICS:
                numbers[f"{name}/{part}"] = float(getattr(reading.statistics, part))
    return {name: number for name, number in sorted(numbers.items()) if math.isfinite(number)}


def _answer(metric: Metric, promise: Promise[Any]) -> None:
    try:
        promise.associate(metric.value())
    except BaseException:  # killed while the function blocks
        promise.abandon()
        raise


class _Waiting(FutureSubscription):
    """Completes a future when all values have completed in any state, or on a discard request.

    Concurrent readings share the values, so a discard request does not propagate to them.
    """

    __slots__ = ("__weakref__", "_missing", "_promise")

    def __init__(self) -> None:
        super().__init__()
        self._promise: Promise[None] = Promise()
        self._missing: set[Future[Any]] = set()

    def start(self, values: list[Future[Any]]) -> Future[None]:
        self._missing.update(values)
        result = self._promise.future
        result.on_discard(self._leave)
        for value in values:
            register(value, END, _Waiting._hear_of, self)
        self._end_if_complete()
        return result

    def _hear_of(self, value: Future[Any]) -> None:
        self._missing.discard(value)
        self._end_if_complete()

    def _end_if_complete(self) -> None:
        if not self._missing:
            self.is_over = True
            self._promise.set(None)

    def _leave(self) -> None:
        self.is_over = True
        self._promise.discard()


def _read(metrics: list[Metric], values: list[Future[Any]]) -> list[Reading]:
    return [
        Reading(metric, value.value, metric.statistics())
        for metric, value in zip(metrics, values, strict=True)
    ]
