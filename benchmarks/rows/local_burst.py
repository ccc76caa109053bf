"""Messages from one process to another, none of them answered."""

from __future__ import annotations

from time import perf_counter

import gevent
from gevent.event import Event
from gevent.queue import SimpleQueue

from benchmarks.harness import Goal, Row, Sample, rate
from benchmarks.nodes import LIMIT_SECONDS, running
from benchmarks.others import pykka_actors, thespian_actors
from greenproc import UPID, Process, install


class Sink(Process):
    """Counts down."""

    def __init__(self, left: int) -> None:
        super().__init__()
        self.left = left
        self.done = Event()

    @install("item")
    def on_item(self, sender: UPID, body: bytes) -> None:
        self.left -= 1
        if not self.left:
            self.done.set()


class Source(Process):
    """Sends all at once."""

    def burst(self, to: UPID, count: int) -> None:
        for _ in range(count):
            self.send(to, "item", b"x")


def processes(count: int) -> Sample:
    """Send and handle messages."""
    with running() as runtime:
        sink = Sink(count)
        to = runtime.spawn(sink)
        source = runtime.spawn(Source())
        start = perf_counter()
        runtime.dispatch(source, Source.burst, to, count)
        sink.done.wait(LIMIT_SECONDS)
        return rate(count, perf_counter() - start, lost=sink.left)


def greenlets(count: int) -> Sample:
    """Put items into a queue and get them."""
    queue: SimpleQueue[bytes] = SimpleQueue()

    def put() -> None:
        for _ in range(count):
            queue.put(b"x")

    def get() -> None:
        for _ in range(count):
            queue.get()

    start = perf_counter()
    gevent.joinall([gevent.spawn(put), gevent.spawn(get)])
    return rate(count, perf_counter() - start)


ROW = Row(
    name="local-burst",
    title="messages in one direction",
    against="put and get of a SimpleQueue",
    subject=processes,
    baseline=greenlets,
    goal=Goal(0.15),
    count=200_000,
    quick_count=1_000,
    others=(
        pykka_actors.pykka(20_000, pykka_actors.tells),
        thespian_actors.thespian(2_000, thespian_actors.local_tells),
    ),
)
