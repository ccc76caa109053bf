"""The restart of a supervised process: it is terminated, and its supervisor starts another one."""

from __future__ import annotations

import logging
from time import perf_counter

import gevent

from benchmarks.harness import Goal, Row, Sample, rate
from benchmarks.nodes import running
from benchmarks.rows.spawn import BATCH, Idle
from benchmarks.rows.spawn import processes as spawned
from greenproc import Child, Supervisor

MANY = 10**9  # restarts; the limit is not what is measured ...
SHORT = 0.001  # ... and seconds of its window


class Counted(Idle):
    """Counts the starts of its class."""

    starts = 0

    def initialize(self) -> None:
        Counted.starts += 1


def restarts(count: int) -> Sample:
    """Terminate a hundred children, and wait until all were started again."""
    batches = max(count // BATCH, 1)
    logger = logging.getLogger("greenproc.supervision")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with running() as runtime:
            children = [Child(Counted) for _ in range(BATCH)]
            supervisor = runtime.spawn(Supervisor(children, max_restarts=MANY, within=SHORT))
            infos = runtime.dispatch(supervisor, Supervisor.which_children).get()
            pids = [info.pid for info in infos if info.pid is not None]
            Counted.starts = 0
            start = perf_counter()
            for batch in range(batches):
                for pid in pids:
                    runtime.terminate(pid)
                while Counted.starts < (batch + 1) * BATCH:
                    gevent.sleep(0)
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
