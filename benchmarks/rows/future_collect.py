"""All values of many futures, once the last is there."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from gevent import joinall
from gevent.event import AsyncResult

from benchmarks.harness import Goal, Row, Sample, rate
from greenproc import Promise, collect


def futures(count: int) -> Sample:
    """Collect futures, then set them."""
    start = perf_counter()
    promises: list[Promise[int]] = [Promise() for _ in range(count)]
    result = collect([promise.future for promise in promises])
    for number, promise in enumerate(promises):
        promise.set(number)
    values = result.get()
    return rate(count, perf_counter() - start, lost=count - len(values))


def async_results(count: int) -> Sample:
    """Set AsyncResults, and join them."""
    start = perf_counter()
    results: list[Any] = [AsyncResult() for _ in range(count)]
    for number, result in enumerate(results):
        result.set(number)
    joinall(results)
    values = [result.get() for result in results]
    return rate(count, perf_counter() - start, lost=count - len(values))


ROW = Row(
    name="future-collect",
    title="promises made, collected, set",
    against="AsyncResults, joinall and get",
    subject=futures,
    baseline=async_results,
    goal=Goal(0.5),
    count=100_000,
    quick_count=100,
)
