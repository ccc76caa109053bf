"""An item put for a greenlet that waits, which puts one back."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import gevent
from gevent.queue import SimpleQueue

from benchmarks.harness import Goal, Row, Sample, rate
from greenproc.sync import Queue


def queues(count: int) -> Sample:
    """Exchange items over two Queues."""
    there: Queue[int] = Queue()
    back: Queue[int] = Queue()
    return exchange(count, there.put, there.wait_get, back.put, back.wait_get)


def gevent_queues(count: int) -> Sample:
    """Exchange items over two SimpleQueues."""
    there: SimpleQueue[int] = SimpleQueue()
    back: SimpleQueue[int] = SimpleQueue()
    return exchange(count, there.put, there.get, back.put, back.get)


def exchange(
    count: int,
    put_there: Callable[[int], object],
    get_there: Callable[[], int],
    put_back: Callable[[int], object],
    get_back: Callable[[], int],
) -> Sample:
    """Let two greenlets exchange so many items."""

    def answer() -> None:
        for _ in range(count):
            put_back(get_there())

    def ask() -> None:
        for number in range(count):
            put_there(number)
            get_back()

    answering = gevent.spawn(answer)
    start = perf_counter()
    gevent.spawn(ask).join()
    seconds = perf_counter() - start
    answering.join()
    return rate(count, seconds)


ROW = Row(
    name="queue",
    title="an item for a greenlet that waits, and one back",
    against="gevent's SimpleQueue",
    subject=queues,
    baseline=gevent_queues,
    goal=Goal(0.75),
    count=50_000,
    quick_count=100,
)
