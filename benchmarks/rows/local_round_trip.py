"""A message, its handler, a reply, its handler; both processes in one runtime."""

from __future__ import annotations

from time import perf_counter

import gevent
from gevent.event import Event
from gevent.queue import SimpleQueue

from benchmarks.harness import Goal, Row, Sample, rate
from benchmarks.nodes import LIMIT_SECONDS, running
from benchmarks.others import pykka_actors, thespian_actors
from greenproc import UPID, Process, install


class Pong(Process):
    """Answers."""

    @install("ping")
    def on_ping(self, sender: UPID, body: bytes) -> None:
        self.send(sender, "pong", body)


class Ping(Process):
    """Asks again for each answer, so many times."""

    def __init__(self, to: UPID, left: int) -> None:
        super().__init__()
        self.to = to
        self.left = left
        self.done = Event()

    def begin(self) -> None:
        self.send(self.to, "ping", b"x")

    @install("pong")
    def on_pong(self, sender: UPID, body: bytes) -> None:
        self.left -= 1
        if self.left:
            self.send(sender, "ping", body)
        else:
            self.done.set()


def processes(count: int) -> Sample:
    """Let two processes exchange messages."""
    with running() as runtime:
        ping = Ping(runtime.spawn(Pong()), count)
        pid = runtime.spawn(ping)
        start = perf_counter()
        runtime.dispatch(pid, Ping.begin)
        ping.done.wait(LIMIT_SECONDS)
        return rate(count, perf_counter() - start, lost=ping.left)


def greenlets(count: int) -> Sample:
    """Let two greenlets exchange items over two queues."""
    there: SimpleQueue[bytes] = SimpleQueue()
    back: SimpleQueue[bytes] = SimpleQueue()

    def pong() -> None:
        while True:
            back.put(there.get())

    def ping() -> None:
        for _ in range(count):
            there.put(b"x")
            back.get()

    answering = gevent.spawn(pong)
    start = perf_counter()
    gevent.spawn(ping).join()
    seconds = perf_counter() - start
    answering.kill()
    return rate(count, seconds)


ROW = Row(
    name="local-round-trip",
    title="message, handler, reply, handler",
    against="two greenlets over two SimpleQueues",
    subject=processes,
    baseline=greenlets,
    goal=Goal(1.0),
    count=100_000,
    quick_count=1_000,
    others=(
        pykka_actors.pykka(10_000, pykka_actors.asks),
        thespian_actors.thespian(2_000, thespian_actors.local_asks),
    ),
)
