"""`Registry`: the metrics of one node, and readings of all of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from greenproc.errors import Failure, InvalidArgument
from greenproc.future import Future, Promise
from greenproc.metrics.metric import Metric, Reading

Spawn = Callable[[Callable[[], None]], object]
"""Starts a function in a greenlet of its own."""

STATISTICS = ("count", "max", "min", "p50", "p90", "p95", "p99", "p999", "p9999")
"""What a snapshot shows of the values in a metric's window."""


class Registry:
    """The metrics that a node shows, by name.

    Source: libprocess include/process/metrics/metrics.hpp.
    """

    def __init__(self) -> None:
        self._metrics: dict[str, Metric] = {}
        # What was asked for and has not come: it is not asked for again meanwhile.
        self._asked: dict[Metric, _Asked] = {}

    def add(self, metric: Metric) -> Future[None]:
        """Show *metric* from now on. The future is ready at once, or failed if its name is taken."""
        if not isinstance(metric, Metric):
            raise InvalidArgument(f"expected a metric, got {metric!r}")
        if self._metrics.setdefault(metric.name, metric) is not metric:
            return Future.failed(Failure(f"Metric '{metric.name}' was already added"))
        return Future(None)

    def remove(self, metric: Metric | str) -> Future[None]:
        """Show the metric of that name no more. The future fails if there is none."""
        name = metric if isinstance(metric, str) else metric.name
        removed = self._metrics.pop(name, None)
        if removed is None:
            return Future.failed(Failure(f"Metric '{name}' not found"))
        self._asked.pop(removed, None)
        return Future(None)

    def collect(
        self, timeout: float | None = None, *, spawn: Spawn | None = None
    ) -> Future[list[Reading]]:
        """Return the future of a reading of each metric, in the order of their names.

        Args:
            timeout: seconds of the current clock; what has not come by then has no value.
            spawn: starts the functions of gauges, which may wait, each in a greenlet of its own.
                Without it they are called here, one after the other.
        """
        metrics = [metric for _, metric in sorted(self._metrics.items())]
        asked = [self._ask(metric, spawn) for metric in metrics]
        result = _Waiting(asked).promise.future.then(lambda _: _read(metrics, asked))
        if timeout is None or result.ready():
            return result

        def content_with_less(late: Future[Any]) -> list[Reading]:
            late.discard()
            return _read(metrics, asked)

        return result.after(timeout, content_with_less)

    def snapshot(
        self, timeout: float | None = None, *, spawn: Spawn | None = None
    ) -> Future[dict[str, float]]:
        """Return the future of all values by name, with the statistics of those that have a window.

        What failed, has not come by *timeout*, or is no finite number is left out. For the
        arguments see `collect`.

        Source: libprocess src/metrics/metrics.cpp, MetricsProcess::snapshot.
        """
        return self.collect(timeout, spawn=spawn).then(flatten)

    def _ask(self, metric: Metric, spawn: Spawn | None) -> _Asked:
        before = self._asked.get(metric)
        if before is not None and not before.is_over:
            return before
        if spawn is None or not metric.may_wait:
            value = metric.value()
        else:
            promise: Promise[Any] = Promise()
            value = promise.future
            spawn(partial(_answer, metric, promise))
        asked = _Asked(value)
        if asked.is_over:
            self._asked.pop(metric, None)
        else:
            self._asked[metric] = asked
        return asked

    def __len__(self) -> int:
        return len(self._metrics)

    def __contains__(self, name: object) -> bool:
        return name in self._metrics

    def __iter__(self) -> Iterator[Metric]:
        return iter(list(self._metrics.values()))

    def __repr__(self) -> str:
        return f"<Registry of {len(self)} metrics>"


def flatten(readings: list[Reading]) -> dict[str, float]:
    """Return the numbers of *readings* by name, in the order of the names."""
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
    except BaseException:  # killed while the function waits
        promise.abandon()
        raise


class _Asked:
    """A value that was asked for, and who waits for it.

    A future keeps its callbacks until its end, which may never come; who waits is kept here
    instead, and forgotten when it waits no longer.
    """

    def __init__(self, value: Future[Any]) -> None:
        self.value = value
        self.waiting: set[_Waiting] = set()
        if not self.is_over:
            value.add_done_callback(self._tell)

    @property
    def is_over(self) -> bool:
        """Whether the value has come, or never will."""
        return self.value.ready() or self.value.is_abandoned

    def _tell(self, value: Future[Any]) -> None:
        for waiting in list(self.waiting):
            waiting.hear_of(self)


class _Waiting:
    """Waits for the end of each of *asked*, until its future is asked for a discard."""

    def __init__(self, asked: list[_Asked]) -> None:
        self.promise: Promise[None] = Promise()
        self._missing = set(asked)
        for one in asked:
            # In this order: the end may come in another native thread.
            one.waiting.add(self)
            if one.is_over:
                self._missing.discard(one)
        self._end_if_complete()
        self.promise.future.on_discard(self._leave)

    def hear_of(self, one: _Asked) -> None:
        self._missing.discard(one)
        self._end_if_complete()

    def _end_if_complete(self) -> None:
        if not self._missing:
            self.promise.set(None)

    def _leave(self) -> None:
        for one in list(self._missing):
            one.waiting.discard(self)
        self.promise.discard()


def _read(metrics: list[Metric], asked: list[_Asked]) -> list[Reading]:
    return [
        Reading(metric, one.value.value, metric.statistics())
        for metric, one in zip(metrics, asked, strict=True)
    ]
