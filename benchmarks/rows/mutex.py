"""Two greenlets that pass two locks to each other, so that each take waits for the other."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import gevent
from gevent.lock import Semaphore

from benchmarks.harness import Goal, Row, Sample, rate
from greenproc.sync import Mutex


def mutex(count: int) -> Sample:
    """Pass Mutexes."""
    return hand_over(Mutex(), Mutex(), Mutex.wait_lock, Mutex.unlock, count)


def semaphore(count: int) -> Sample:
    """Pass Semaphores."""
    return hand_over(Semaphore(1), Semaphore(1), Semaphore.acquire, Semaphore.release, count)


def hand_over(here: Any, there: Any, take: Any, give: Any, count: int) -> Sample:
    """Let two greenlets take a lock that the other gives, so many times altogether.

    Two that contend for one lock would measure something else: who gives a Semaphore back takes
    it again at once, past those who wait for it, and hands nothing over.
    """
    taken = 0

    def work(mine: Any, yours: Any) -> None:
        nonlocal taken
        for _ in range(count // 2):
            take(mine)
            taken += 1
            give(yours)

    take(there)
    start = perf_counter()
    gevent.joinall([gevent.spawn(work, here, there), gevent.spawn(work, there, here)])
    return rate(count, perf_counter() - start, lost=count - taken)


ROW = Row(
    name="mutex",
    title="locks that two greenlets hand to each other",
    against="gevent's Semaphore(1)",
    subject=mutex,
    baseline=semaphore,
    goal=Goal(0.5),
    count=50_000,
    quick_count=100,
)
