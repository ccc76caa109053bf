"""Two greenlets that hand a lock to each other, and each holds it while others run."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import gevent
from gevent.lock import Semaphore

from benchmarks.harness import Goal, Row, Sample, rate
from greenproc.sync import Mutex


def mutex(count: int) -> Sample:
    """Hand a Mutex over."""
    return hand_over(Mutex(), count)


def semaphore(count: int) -> Sample:
    """Hand a Semaphore over."""
    return hand_over(Semaphore(1), count)


def hand_over(lock: Any, count: int) -> Sample:
    """Let two greenlets take *lock* so many times altogether."""
    taken = 0

    def work() -> None:
        nonlocal taken
        for _ in range(count // 2):
            with lock:
                gevent.sleep(0)
                taken += 1

    start = perf_counter()
    gevent.joinall([gevent.spawn(work), gevent.spawn(work)])
    return rate(count, perf_counter() - start, lost=count - taken)


ROW = Row(
    name="mutex",
    title="a lock that two greenlets take, each holding it for a switch",
    against="gevent's Semaphore(1)",
    subject=mutex,
    baseline=semaphore,
    goal=Goal(0.75),
    count=50_000,
    quick_count=100,
)
