"""A call dispatched to a process, and its result waited for."""

from __future__ import annotations

from time import perf_counter

import gevent

from benchmarks.harness import Goal, Row, Sample, rate
from benchmarks.nodes import running
from benchmarks.others import pykka_actors
from greenproc import Process


class Answering(Process):
    """Has something to tell."""

    def value(self) -> int:
        return 42


def processes(count: int) -> Sample:
    """Dispatch and get."""
    with running() as runtime:
        pid = runtime.spawn(Answering())
        start = perf_counter()
        for _ in range(count):
            runtime.dispatch(pid, Answering.value).get()
        return rate(count, perf_counter() - start)


def greenlets(count: int) -> Sample:
    """Spawn a greenlet and get."""

    def value() -> int:
        return 42

    start = perf_counter()
    for _ in range(count):
        gevent.spawn(value).get()
    return rate(count, perf_counter() - start)


ROW = Row(
    name="dispatch",
    title="dispatch and .get()",
    against="gevent.spawn and .get()",
    subject=processes,
    baseline=greenlets,
    goal=Goal(1.0),
    count=50_000,
    quick_count=100,
    others=(pykka_actors.pykka(5_000, pykka_actors.calls),),
)
