"""The restart of a supervised process: it is terminated, and its supervisor starts another one."""

from __future__ import annotations

import logging
from functools import partial
from time import perf_counter

from benchmarks.harness import Goal, Row, Sample, rate
from benchmarks.nodes import running
from benchmarks.rows.spawn import BATCH, Idle
from benchmarks.rows.spawn import processes as spawned
from greenproc import Child, CountDownLatch, Supervisor

MANY = 10**9  # restarts; the limit is not what is measured ...
SHORT = 0.001  # ... and seconds of its window


class Counted(Idle):
    """Says when all of a batch have started."""

    def __init__(self, latch: list[CountDownLatch]) -> None:
        super().__init__()
        self.latch = latch

    def initialize(self) -> None:
        self.latch[0].decrement()


def restarts(count: int) -> Sample:
    """Terminate a hundred children, and wait until all were started again."""
    batches = max(count // BATCH, 1)
    logger = logging.getLogger("greenproc.supervision")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with running() as runtime:
            latch = [CountDownLatch(BATCH)]
            children = [Child(partial(Counted, latch)) for _ in range(BATCH)]
            supervisor = runtime.spawn(Supervisor(children, max_restarts=MANY, within=SHORT))
            infos = runtime.dispatch(supervisor, Supervisor.which_children).get()
            pids = [info.pid for info in infos if info.pid is not None]
            start = perf_counter()
            for _ in range(batches):
                latch[0] = CountDownLatch(BATCH)
                for pid in pids:
                    runtime.terminate(pid)
                latch[0].await_()
                runtime.dispatch(supervisor, Supervisor.count_children).get()
            return rate(batches * BATCH, perf_counter() - start)
    finally:
        logger.setLevel(level)


ROW = Row(
    name="restart",
    title="restart of a supervised process",
    against="spawn, terminate, wait",
    subject=restarts,
    baseline=spawned,
    goal=Goal(0.5),
    count=20_000,
    quick_count=100,
)
