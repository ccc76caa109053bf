"""What thespian does: in one OS process with its simple base, between two with its TCP base."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from benchmarks.children import measure_other
from benchmarks.harness import Other, Sample, rate

try:
    from thespian.actors import Actor, ActorExitRequest, ActorSystem  # type: ignore[import-untyped]
except ImportError:  # then `in_child` skips; thespian finds actors by module and name
    Actor = ActorExitRequest = ActorSystem = object

LOCAL = "simpleSystemBase"
REMOTE = "multiprocTCPBase"
ADMIN_PORT = 19_003  # beside the usual one, where a system of the user's may run
LIMIT_SECONDS = 20


class Counter(Actor):  # type: ignore[misc]
    """Counts what it is told and answers what it is asked."""

    def __init__(self) -> None:
        self.total = 0

    def receiveMessage(self, message: Any, sender: Any) -> None:  # noqa: N802 -- thespian's name
        if message == "total":
            self.send(sender, self.total)
        elif message == "ask":
            self.send(sender, message)
        elif isinstance(message, bytes):
            self.total += 1


def thespian(count: int, function: Callable[[int], Sample]) -> Other:
    """Return thespian doing *function*, so many times, in a child."""
    return Other("thespian", count, lambda count: measure_other("thespian", function, count))


@contextmanager
def system(base: str) -> Iterator[Any]:
    """Run an actor system for the block."""
    capabilities = {"Admin Port": ADMIN_PORT} if base == REMOTE else None
    actors = ActorSystem(base, capabilities)
    try:
        yield actors
    finally:
        actors.shutdown()


def local_asks(count: int) -> Sample:
    """Ask and wait for the answer."""
    return asks(LOCAL, count)


def remote_asks(count: int) -> Sample:
    """Ask an actor in another OS process and wait for the answer."""
    return asks(REMOTE, count)


def local_tells(count: int) -> Sample:
    """Tell, and wait for the last to be handled."""
    return tells(LOCAL, count)


def remote_tells(count: int) -> Sample:
    """Tell an actor in another OS process, and wait for the last to be handled."""
    return tells(REMOTE, count)


def asks(base: str, count: int) -> Sample:
    """Ask one actor of a system on *base*."""
    with system(base) as actors:
        counter = actors.createActor(Counter)
        lost = 0
        start = perf_counter()
        for _ in range(count):
            lost += actors.ask(counter, "ask", LIMIT_SECONDS) != "ask"
        return rate(count, perf_counter() - start, lost=lost)


def tells(base: str, count: int) -> Sample:
    """Tell one actor of a system on *base*."""
    body = bytes(100)
    with system(base) as actors:
        counter = actors.createActor(Counter)
        start = perf_counter()
        for _ in range(count):
            actors.tell(counter, body)
        total = actors.ask(counter, "total", LIMIT_SECONDS)
        return rate(count, perf_counter() - start, lost=count - int(total or 0))


def local_lives(count: int) -> Sample:
    """Create actors and end each."""
    with system(LOCAL) as actors:
        start = perf_counter()
        for _ in range(count):
            actors.tell(actors.createActor(Counter), ActorExitRequest())
        return rate(count, perf_counter() - start)
