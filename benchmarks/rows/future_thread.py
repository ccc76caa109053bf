"""A greenlet waits for what a native thread sets: there and back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from time import perf_counter

import gevent
from gevent.event import AsyncResult

from benchmarks.harness import Goal, Row, Sample, rate
from greenproc import Promise

Setter = Callable[[int], object]


def promises(count: int) -> Sample:
    """Let the thread set promises."""

    def ask(asked: SimpleQueue[Setter | None]) -> object:
        promise: Promise[int] = Promise()
        asked.put(promise.set)
        return promise.future.get()

    return with_thread(count, ask)


def async_results(count: int) -> Sample:
    """Let the thread have AsyncResults set in the hub, since it must not do it itself."""
    run = gevent.get_hub().loop.run_callback_threadsafe

    def ask(asked: SimpleQueue[Setter | None]) -> object:
        result: AsyncResult[int] = AsyncResult()
        asked.put(lambda value: run(result.set, value))
        return result.get()

    return with_thread(count, ask)


def with_thread(count: int, ask: Callable[[SimpleQueue[Setter | None]], object]) -> Sample:
    """Ask a thread so many times, with the hub kept awake meanwhile."""
    asked: SimpleQueue[Setter | None] = SimpleQueue()

    def answer() -> None:
        while (setter := asked.get()) is not None:
            setter(1)

    thread = threading.Thread(target=answer)
    thread.start()
    watcher = gevent.get_hub().loop.async_()
    watcher.start(lambda: None)
    start = perf_counter()
    for _ in range(count):
        ask(asked)
    seconds = perf_counter() - start
    watcher.close()
    asked.put(None)
    thread.join()
    return rate(count, seconds)


ROW = Row(
    name="future-thread",
    title="a promise set by a native thread",
    against="AsyncResult and run_callback_threadsafe",
    subject=promises,
    baseline=async_results,
    goal=Goal(0.9),
    count=10_000,
    quick_count=100,
)
