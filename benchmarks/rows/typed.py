"""Messages whose bodies are values, beside the same bytes as raw bodies: here, and to a child."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import msgspec
from gevent.event import Event

from benchmarks.children import serving
from benchmarks.harness import Goal, Row, Sample, rate
from benchmarks.nodes import LIMIT_SECONDS, running, say, wait_for_end_of_input
from greenproc import UPID, Process, install
from greenproc.typed import encode

WINDOW = 256  # messages on their way to the child


class Note(msgspec.Struct, frozen=True, gc=False):
    """A small body."""

    room: str
    number: int
    text: str


NOTE = Note("lobby", 17, "See you at the usual place at nine.")
BODY = encode(NOTE)


class RawEcho(Process):
    """Sends each body back."""

    def __init__(self) -> None:
        super().__init__("echo")

    @install("hello")
    def on_hello(self, sender: UPID, body: bytes) -> None:
        self.link(sender)
        self.send(sender, "ready")

    @install("item")
    def on_item(self, sender: UPID, body: bytes) -> None:
        self.send(sender, "echo", body)


class TypedEcho(RawEcho):
    """Sends each value back."""

    @install("item", Note)
    def on_item(self, sender: UPID, note: Note) -> None:  # type: ignore[override]
        self.send(sender, "echo", note)


class Raw(Process):
    """Keeps so many messages on their way."""

    value: bytes | Note = BODY

    def __init__(self, echo: UPID, count: int, window: int) -> None:
        super().__init__("asking")
        self.echo = echo
        self.unsent = count - window
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
        for _ in range(self.window):
            self.send(self.echo, "item", self.value)

    @install("echo")
    def on_echo(self, sender: UPID, body: bytes) -> None:
        self.left -= 1
        if self.unsent > 0:
            self.unsent -= 1
            self.send(sender, "item", body)
        elif not self.left:
            self.done.set()


class Typed(Raw):
    """Keeps so many values on their way."""

    value = NOTE

    @install("echo", Note)
    def on_echo(self, sender: UPID, note: Note) -> None:  # type: ignore[override]
        self.left -= 1
        if self.unsent > 0:
            self.unsent -= 1
            self.send(sender, "item", note)
        elif not self.left:
            self.done.set()


def here(echo: type[RawEcho], asking: type[Raw]) -> Callable[[int], Sample]:
    """Return what exchanges messages in one runtime."""

    def run(count: int) -> Sample:
        with running() as runtime:
            return exchange(asking(runtime.spawn(echo()), count, 1), count)

    return run


def there(serve: Callable[[], None], asking: type[Raw]) -> Callable[[int], Sample]:
    """Return what exchanges messages with a child that runs *serve*."""

    def run(count: int) -> Sample:
        with serving(serve) as echo, running():
            return exchange(asking(UPID.parse(echo), count, min(WINDOW, count)), count)

    return run


def exchange(asking: Raw, count: int) -> Sample:
    """Let a process of the current runtime exchange its messages."""
    runtime = asking.runtime
    pid = runtime.spawn(asking)
    asking.ready.wait(LIMIT_SECONDS)
    start = perf_counter()
    runtime.dispatch(pid, type(asking).begin)
    asking.done.wait(LIMIT_SECONDS)
    return rate(count, perf_counter() - start, lost=asking.left)


def serve_raw() -> None:
    """Run an echo of raw bodies for the parent."""
    with running() as runtime:
        say(runtime.spawn(RawEcho()))
        wait_for_end_of_input()


def serve_typed() -> None:
    """Run an echo of values for the parent."""
    with running() as runtime:
        say(runtime.spawn(TypedEcho()))
        wait_for_end_of_input()


LOCAL = Row(
    name="typed-local",
    title="round trip of a value in one runtime",
    against="the same bytes as raw bodies",
    subject=here(TypedEcho, Typed),
    baseline=here(RawEcho, Raw),
    goal=Goal(0.74),
    count=50_000,
    quick_count=1_000,
)

REMOTE = Row(
    name="typed-remote",
    title=f"round trip of a value to another OS process, {WINDOW} on their way",
    against="the same bytes as raw bodies",
    subject=there(serve_typed, Typed),
    baseline=there(serve_raw, Raw),
    goal=Goal(0.74),
    count=30_000,
    quick_count=1_000,
)
