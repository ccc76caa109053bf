"""A value that goes through five continuations to who waits for it."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from gevent.event import AsyncResult

from benchmarks.harness import Goal, Row, Sample, rate
from greenproc import Promise

LINKS = 5


def futures(count: int) -> Sample:
    """Chain futures with then."""
    start = perf_counter()
    for _ in range(count):
        promise: Promise[int] = Promise()
        end = promise.future
        for _ in range(LINKS):
            end = end.then(lambda value: value + 1)
        promise.set(0)
        end.get()
    return rate(count * LINKS, perf_counter() - start)


def async_results(count: int) -> Sample:
    """Chain AsyncResults with rawlink."""

    def follow(source: AsyncResult[int]) -> AsyncResult[int]:
        result: AsyncResult[int] = AsyncResult()

        def add(done: Any) -> None:
            result.set(done.value + 1)

        source.rawlink(add)
        return result

    start = perf_counter()
    for _ in range(count):
        first: AsyncResult[int] = AsyncResult()
        end = first
        for _ in range(LINKS):
            end = follow(end)
        first.set(0)
        end.get()
    return rate(count * LINKS, perf_counter() - start)


ROW = Row(
    name="future-chain",
    title="continuations, five in a row, set and .get()",
    against="AsyncResult and rawlink",
    subject=futures,
    baseline=async_results,
    goal=Goal(0.5),
    count=20_000,
    quick_count=20,
)
