"""An empty function that runs in a native thread: there and back."""

from __future__ import annotations

from time import perf_counter

from gevent.threadpool import ThreadPool

from benchmarks.harness import Goal, Row, Sample, rate
from greenproc.future import Threads

THREADS = 2


def threads(count: int) -> Sample:
    """Offload to threads of our own."""
    ours = Threads(THREADS)
    start = perf_counter()
    for _ in range(count):
        ours.offload(int).get()
    seconds = perf_counter() - start
    ours.close()
    return rate(count, seconds)


def thread_pool(count: int) -> Sample:
    """Spawn in gevent's thread pool."""
    pool = ThreadPool(THREADS)
    start = perf_counter()
    for _ in range(count):
        pool.spawn(int).get()
    seconds = perf_counter() - start
    pool.kill()
    return rate(count, seconds)


ROW = Row(
    name="offload",
    title="offload and .get()",
    against="gevent's ThreadPool.spawn and .get()",
    subject=threads,
    baseline=thread_pool,
    goal=Goal(0.75),
    count=10_000,
    quick_count=100,
)
