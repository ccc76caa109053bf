"""Messages through a pool of workers beside messages to one process."""

from __future__ import annotations

from benchmarks.harness import Goal, Row, Sample
from benchmarks.nodes import running
from benchmarks.rows.ask import Answering, Pairs, exchange
from greenproc import Pool, Process

WORKERS = 4


class Worker(Process):
    """Answers as `Answering` does, under an id that its pool gives it."""

    on_hello = Answering.on_hello
    on_question = Answering.on_question


def pool(count: int) -> Sample:
    """Exchange messages with the workers of a pool."""
    with running() as runtime:
        workers = Pool(Worker, WORKERS)
        to = runtime.spawn(workers)
        runtime.settle()
        return exchange(runtime, Pairs(to, count), count)


def direct(count: int) -> Sample:
    """Exchange messages with one process."""
    with running() as runtime:
        return exchange(runtime, Pairs(runtime.spawn(Answering()), count), count)


ROW = Row(
    name="pool",
    title=f"messages through a pool of {WORKERS}, and their answers",
    against="the same to one process directly",
    subject=pool,
    baseline=direct,
    goal=Goal(0.45),
    count=100_000,
    quick_count=1_000,
)
