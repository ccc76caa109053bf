"""The life of a process: spawned, idle, terminated, waited for."""

from __future__ import annotations

from time import perf_counter

import gevent
from gevent.queue import SimpleQueue

from benchmarks.harness import Goal, Row, Sample, rate
from benchmarks.nodes import running
from benchmarks.others import pykka_actors, thespian_actors
from greenproc import Process

BATCH = 100  # made before the first of them is ended


class Idle(Process):
    """Does nothing."""


def processes(count: int) -> Sample:
    """Spawn processes, let them wait for events, terminate each and wait for it."""
    batches = max(count // BATCH, 1)
    lost = 0
    with running() as runtime:
        start = perf_counter()
        for _ in range(batches):
            pids = [runtime.spawn(Idle()) for _ in range(BATCH)]
            gevent.sleep(0)
            for pid in pids:
                runtime.terminate(pid)
                lost += not runtime.wait(pid)
        return rate(batches * BATCH, perf_counter() - start, lost=lost)


def greenlets(count: int) -> Sample:
    """Spawn greenlets, let them wait on their queues, kill and join each."""
    batches = max(count // BATCH, 1)

    def serve(queue: SimpleQueue[object]) -> None:
        while True:
            queue.get()

    start = perf_counter()
    for _ in range(batches):
        waiting = [gevent.spawn(serve, SimpleQueue()) for _ in range(BATCH)]
        gevent.sleep(0)
        for one in waiting:
            one.kill()
            one.join()
    return rate(batches * BATCH, perf_counter() - start)


ROW = Row(
    name="spawn",
    title="spawn, terminate, wait",
    against="gevent.spawn, kill, join of a greenlet with a queue",
    subject=processes,
    baseline=greenlets,
    goal=Goal(1.0),
    count=20_000,
    quick_count=100,
    others=(
        pykka_actors.pykka(2_000, pykka_actors.lives),
        thespian_actors.thespian(1_000, thespian_actors.local_lives),
    ),
)
