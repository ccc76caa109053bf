"""Asks beside pairs of messages that are sent by hand, and calls through a proxy."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from gevent.event import Event

from benchmarks.children import serving
from benchmarks.harness import Goal, Row, Sample, rate
from benchmarks.nodes import LIMIT_SECONDS, running, say, wait_for_end_of_input
from benchmarks.rows import dispatch, local_round_trip
from greenproc import UPID, Future, Process, Runtime, install, proxy
from greenproc.pid import PID

WINDOW = 256  # questions on their way to the child


class Answering(Process):
    """Answers with the question."""

    def __init__(self) -> None:
        super().__init__("answering")

    @install("hello")
    def on_hello(self, sender: UPID, body: bytes) -> None:
        self.link(sender)
        self.send(sender, "ready")

    @install("question")
    def on_question(self, sender: UPID, body: bytes) -> None:
        self.send(sender, "answer", body)


class Pairs(Process):
    """Keeps so many questions on their way, and counts the answers."""

    def __init__(self, to: UPID, count: int) -> None:
        super().__init__()
        self.to = to
        self.unsent = count - min(WINDOW, count)
        self.left = count
        self.window = min(WINDOW, count)
        self.ready = Event()
        self.done = Event()

    def initialize(self) -> None:
        self.link(self.to)
        self.send(self.to, "hello")

    @install("ready")
    def on_ready(self, sender: UPID, body: bytes) -> None:
        self.ready.set()

    def begin(self) -> None:
        for _ in range(self.window):
            self.send_one()

    def send_one(self) -> None:
        self.send(self.to, "question", b"x")

    @install("answer")
    def on_answer(self, sender: UPID, body: bytes) -> None:
        self.take()

    def take(self) -> None:
        self.left -= 1
        if self.unsent > 0:
            self.unsent -= 1
            self.send_one()
        elif not self.left:
            self.done.set()


class Asks(Pairs):
    """Asks instead."""

    def send_one(self) -> None:
        self.ask(self.to, "question", b"x").on_ready(self.on_reply)

    def on_reply(self, body: bytes) -> None:
        self.take()


def exchange(runtime: Runtime, process: Pairs, count: int) -> Sample:
    """Let *process* have its answers."""
    pid = runtime.spawn(process)
    process.ready.wait(LIMIT_SECONDS)
    start = perf_counter()
    runtime.dispatch(pid, Pairs.begin)
    process.done.wait(LIMIT_SECONDS)
    return rate(count, perf_counter() - start, lost=process.left)


def asks(count: int) -> Sample:
    """Ask and get, one after the other."""
    with running() as runtime:
        pid = runtime.spawn(Answering())
        start = perf_counter()
        for _ in range(count):
            runtime.ask(pid, "question", b"x").get()
        return rate(count, perf_counter() - start)


def serve_answers() -> None:
    """Run a node with the process for the parent."""
    with running() as runtime:
        say(runtime.spawn(Answering()))
        wait_for_end_of_input()


def remote_asks(count: int) -> Sample:
    """Ask a process in a child."""
    with serving(serve_answers) as answering, running() as runtime:
        return exchange(runtime, Asks(UPID.parse(answering), count), count)


def remote_pairs(count: int) -> Sample:
    """Exchange messages with a process in a child."""
    with serving(serve_answers) as answering, running() as runtime:
        return exchange(runtime, Pairs(UPID.parse(answering), count), count)


def proxy_calls(count: int) -> Sample:
    """Call a method through a proxy, and get."""
    with running() as runtime:
        pid: PID[dispatch.Answering] = runtime.spawn(dispatch.Answering())
        stand_in: Any = proxy(pid)
        start = perf_counter()
        for _ in range(count):
            future: Future[int] = stand_in.value()
            future.get()
        return rate(count, perf_counter() - start)


LOCAL = Row(
    name="ask-local",
    title="ask and .get() in one runtime",
    against="a pair of messages with two handlers",
    subject=asks,
    baseline=local_round_trip.processes,
    goal=Goal(0.7),
    count=50_000,
    quick_count=1_000,
)

REMOTE = Row(
    name="ask-remote",
    title=f"asks of a process in another OS process, {WINDOW} on their way",
    against="pairs of messages with two handlers",
    subject=remote_asks,
    baseline=remote_pairs,
    goal=Goal(0.7),
    count=30_000,
    quick_count=1_000,
)

PROXY = Row(
    name="proxy",
    title="a call through a proxy and .get()",
    against="dispatch and .get()",
    subject=proxy_calls,
    baseline=dispatch.processes,
    goal=Goal(0.9),
    count=50_000,
    quick_count=100,
)
