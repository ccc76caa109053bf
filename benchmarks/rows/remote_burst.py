"""Messages of 100 bytes from one OS process to another: over a linked connection, or not linked."""

from __future__ import annotations

from time import perf_counter

from gevent import sleep
from gevent.event import Event

from benchmarks.children import serving
from benchmarks.harness import Goal, Other, Row, Sample, rate
from benchmarks.nodes import LIMIT_SECONDS, running, say, wait_for_end_of_input
from benchmarks.others import thespian_actors
from benchmarks.wire import BODY_BYTES, count_ends, counted
from greenproc import UPID, Process, install

SLICE = 500  # messages that a linked source sends before others have their turn
DIGITS = 8
GRACE_SECONDS = 10.0  # for what is still on its way when the time is up


class Sink(Process):
    """Counts what arrives, and what arrives out of order."""

    def __init__(self) -> None:
        super().__init__("sink")
        self.expected = 0
        self.count = 0
        self.disordered = 0
        self.source = UPID()

    @install("expect")
    def on_expect(self, sender: UPID, body: bytes) -> None:
        self.expected = int(body)
        self.source = sender
        self.send(sender, "ready")

    @install("item")
    def on_item(self, sender: UPID, body: bytes) -> None:
        self.count += 1
        if self.count == self.expected:
            self.tell()

    @install("numbered")
    def on_numbered(self, sender: UPID, body: bytes) -> None:
        if int(body[:DIGITS]) != self.count:
            self.disordered += 1
        self.on_item(sender, body)

    @install("tell")
    def on_tell(self, sender: UPID, body: bytes) -> None:
        self.tell()

    def tell(self) -> None:
        self.send(self.source, "arrived", b"%d %d" % (self.count, self.disordered))


class Source(Process):
    """Sends to a sink, and waits for what it tells."""

    def __init__(self, sink: UPID, count: int, *, linked: bool) -> None:
        super().__init__("source")
        self.sink = sink
        self.count = count
        self.linked = linked
        self.ready = Event()
        self.told = Event()
        self.arrived = 0
        self.disordered = 0

    def initialize(self) -> None:
        if self.linked:
            self.link(self.sink)
        self.send(self.sink, "expect", b"%d" % self.count)

    @install("ready")
    def on_ready(self, sender: UPID, body: bytes) -> None:
        self.ready.set()

    @install("arrived")
    def on_arrived(self, sender: UPID, body: bytes) -> None:
        self.arrived, self.disordered = map(int, body.split())
        self.told.set()

    def send_items(self) -> None:
        """Send, with a turn for others between slices, as a source that makes its items would."""
        body = b"x" * BODY_BYTES
        for number in range(self.count):
            self.send(self.sink, "item", body)
            if number % SLICE == 0:
                sleep(0)

    def send_numbered(self) -> None:
        """Send numbered items, all at once."""
        padding = b"x" * (BODY_BYTES - DIGITS)
        for number in range(self.count):
            self.send(self.sink, "numbered", b"%08d" % number + padding)

    def ask(self) -> None:
        self.send(self.sink, "tell")


def serve_sink() -> None:
    """Run a sink for the parent."""
    with running() as runtime:
        pid = runtime.spawn(Sink())
        say(pid)
        wait_for_end_of_input()


def linked(count: int) -> Sample:
    """Send over a linked connection."""
    return sent(count, linked=True)


def unlinked(count: int) -> Sample:
    """Send a burst over a connection that nothing keeps open."""
    return sent(count, linked=False)


def sent(count: int, *, linked: bool) -> Sample:
    """Send to a sink in a child and wait until it has everything."""
    with serving(serve_sink) as sink, running() as runtime:
        source = Source(UPID.parse(sink), count, linked=linked)
        pid = runtime.spawn(source)
        source.ready.wait(LIMIT_SECONDS)
        start = perf_counter()
        runtime.dispatch(pid, Source.send_items if linked else Source.send_numbered)
        in_time = source.told.wait(LIMIT_SECONDS)
        seconds = perf_counter() - start
        if not in_time:
            runtime.dispatch(pid, Source.ask)
            source.told.wait(GRACE_SECONDS)
        return rate(count, seconds, lost=count - source.arrived + source.disordered)


LINKED = Row(
    name="remote-linked",
    title="messages of 100 B to another OS process",
    against="the same bytes to a StreamServer where httptools reads and counts them",
    subject=linked,
    baseline=counted,
    goal=Goal(0.75),
    count=200_000,
    quick_count=2_000,
    others=(
        thespian_actors.thespian(2_000, thespian_actors.remote_tells),
        Other(
            "counted unread",
            200_000,
            lambda count: counted(count, count_ends),
            is_rival=False,
        ),
    ),
)

UNLINKED = Row(
    name="remote-unlinked",
    title="a burst without a link; lost counts what is out of order, too",
    against="the same bytes to a StreamServer where httptools reads and counts them",
    subject=unlinked,
    baseline=counted,
    goal=Goal(0.0),
    count=200_000,
    quick_count=2_000,
)
