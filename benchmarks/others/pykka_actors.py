"""What pykka does: an actor is a thread."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from benchmarks.children import measure_other
from benchmarks.harness import Other, Sample, rate


def pykka(count: int, function: Callable[[int], Sample]) -> Other:
    """Return pykka doing *function*, so many times, in a child."""
    return Other("pykka", count, lambda count: measure_other("pykka", function, count))


def actor_class() -> Any:
    """Return the class of the actors; made here, so that this module needs no pykka."""
    import pykka

    class Counter(pykka.ThreadingActor):
        """Counts what it is told and answers what it is asked."""

        def __init__(self) -> None:
            super().__init__()
            self.total = 0

        def on_receive(self, message: Any) -> Any:
            if message == "total":
                return self.total
            self.total += 1
            return message

        def value(self) -> int:
            return 42

    return Counter


def asks(count: int) -> Sample:
    """Ask and wait for the answer."""
    actor = actor_class().start()
    start = perf_counter()
    for _ in range(count):
        actor.ask(b"x")
    seconds = perf_counter() - start
    actor.stop()
    return rate(count, seconds)


def tells(count: int) -> Sample:
    """Tell, and wait for the last to be handled."""
    actor = actor_class().start()
    start = perf_counter()
    for _ in range(count):
        actor.tell(b"x")
    total = actor.ask("total")
    seconds = perf_counter() - start
    actor.stop()
    return rate(count, seconds, lost=count - total)


def calls(count: int) -> Sample:
    """Call a method and get its result."""
    actor = actor_class().start()
    proxy = actor.proxy()
    start = perf_counter()
    for _ in range(count):
        proxy.value().get()
    seconds = perf_counter() - start
    actor.stop()
    return rate(count, seconds)


def lives(count: int) -> Sample:
    """Start actors and stop each."""
    counter = actor_class()
    start = perf_counter()
    for _ in range(count):
        counter.start().stop()
    return rate(count, perf_counter() - start)
