"""What an idle process takes: bytes of a fresh OS process' resident memory."""

from __future__ import annotations

import gc
import os
import resource
import sys
from pathlib import Path

import gevent
from gevent.queue import SimpleQueue

from benchmarks.children import measure
from benchmarks.harness import Goal, Row, Sample
from benchmarks.nodes import START_SECONDS, start_runtime
from greenproc import Process


class Idle(Process):
    """Does nothing."""


def resident_bytes() -> int:
    """Return the resident memory of this OS process; where there is no /proc, its maximum."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def processes(count: int) -> Sample:
    """Return the bytes of one of *count* idle processes. Made for a fresh OS process."""
    runtime = start_runtime()
    before = settled_bytes()
    for _ in range(count):
        runtime.spawn(Idle())
    runtime.settle(timeout=START_SECONDS)
    return Sample((settled_bytes() - before) / count)


def greenlets(count: int) -> Sample:
    """Return the bytes of one of *count* greenlets that wait on queues of their own."""

    def serve(queue: SimpleQueue[object]) -> None:
        while True:
            queue.get()

    before = settled_bytes()
    waiting = [gevent.spawn(serve, SimpleQueue()) for _ in range(count)]
    gevent.idle()
    return Sample((settled_bytes() - before) / len(waiting))


def settled_bytes() -> int:
    """Return the resident memory after a collection."""
    gc.collect()
    return resident_bytes()


ROW = Row(
    name="idle-memory",
    title="memory of an idle process",
    against="a greenlet that waits on its own SimpleQueue",
    subject=lambda count: measure(processes, count),
    baseline=lambda count: measure(greenlets, count),
    goal=Goal(0.15, at_most=True),
    count=100_000,
    quick_count=2_000,
    unit="B each",
    once=True,
)
