"""A message of 100 bytes to another OS process and back: one at a time, or many on their way."""

from __future__ import annotations

from time import perf_counter

from gevent.event import Event

from benchmarks.children import serving
from benchmarks.harness import Goal, Other, Row, Sample, rate
from benchmarks.nodes import LIMIT_SECONDS, running, say, wait_for_end_of_input
from benchmarks.others import thespian_actors
from benchmarks.wire import BODY_BYTES, echoed, echoed_in_blocks
from greenproc import UPID, Process, install


class Echo(Process):
    """Answers over a connection of its own, which is linked, too."""

    def __init__(self) -> None:
        super().__init__("sink")

    @install("hello")
    def on_hello(self, sender: UPID, body: bytes) -> None:
        self.link(sender)
        self.send(sender, "ready")

    @install("item")
    def on_item(self, sender: UPID, body: bytes) -> None:
        self.send(sender, "echo", body)


class Asking(Process):
    """Keeps so many messages on their way."""

    def __init__(self, echo: UPID, count: int, window: int) -> None:
        super().__init__("source")
        self.echo = echo
        self.unsent = count
        self.left = count
        self.window = window
        self.ready = Event()
        self.done = Event()

    def initialize(self) -> None:
        self.link(self.echo)
        self.send(self.echo, "hello")

    @install("ready")
    def on_ready(self, sender: UPID, body: bytes) -> None:
        self.ready.set()

    def begin(self) -> None:
        body = b"x" * BODY_BYTES
        first = min(self.window, self.unsent)
        self.unsent -= first
        for _ in range(first):
            self.send(self.echo, "item", body)

    @install("echo")
    def on_echo(self, sender: UPID, body: bytes) -> None:
        self.left -= 1
        if self.unsent:
            self.unsent -= 1
            self.send(sender, "item", body)
        elif not self.left:
            self.done.set()


def serve_echo() -> None:
    """Run an echo for the parent."""
    with running() as runtime:
        say(runtime.spawn(Echo()))
        wait_for_end_of_input()


def asked(count: int, window: int) -> Sample:
    """Exchange messages with an echo in a child."""
    with serving(serve_echo) as echo, running() as runtime:
        asking = Asking(UPID.parse(echo), count, window)
        pid = runtime.spawn(asking)
        asking.ready.wait(LIMIT_SECONDS)
        start = perf_counter()
        runtime.dispatch(pid, Asking.begin)
        asking.done.wait(LIMIT_SECONDS)
        return rate(count, perf_counter() - start, lost=asking.left)


def asked_one_by_one(count: int) -> Sample:
    """Have one message on its way."""
    return asked(count, window=1)


def asked_many(count: int) -> Sample:
    """Have 256 messages on their way."""
    return asked(count, window=256)


ONE = Row(
    name="remote-window-1",
    title="round trip to another OS process, one at a time",
    against="the same bytes echoed over one socket",
    subject=asked_one_by_one,
    baseline=lambda count: echoed_in_blocks(count, 1),
    goal=Goal(0.5),
    count=10_000,
    quick_count=200,
    others=(thespian_actors.thespian(1_000, thespian_actors.remote_asks),),
)

MANY = Row(
    name="remote-window-256",
    title="round trip to another OS process, 256 on their way",
    against="the same bytes echoed over one socket, a message at a time",
    subject=asked_many,
    baseline=lambda count: echoed(count, window=256),
    goal=Goal(0.5),
    count=50_000,
    quick_count=1_000,
    others=(
        Other(
            "blocks of bytes", 200_000, lambda count: echoed_in_blocks(count, 256), is_rival=False
        ),
    ),
)
