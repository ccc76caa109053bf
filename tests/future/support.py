"""What the tests of futures share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import gevent

from greenproc.clock import Clock, ManualSource
from greenproc.current import RUNTIME


class Time:
    """A clock whose real time stands still until a test moves it."""

    def __init__(self) -> None:
        self.source = ManualSource()
        self.clock = Clock(self.source)

    def move(self, seconds: float) -> None:
        """Let real time pass, and what it fires run."""
        self.source.move(seconds)
        gevent.idle()

    def advance(self, seconds: float) -> None:
        """Advance the paused clock, and let what it fires run."""
        self.clock.advance(seconds)
        gevent.idle()

    @property
    def timers(self) -> float:
        return self.clock.statistics()["timers"]


@contextmanager
def manual_time() -> Iterator[Time]:
    """Make the clock of the running greenlet one that the test moves."""
    time = Time()
    token = RUNTIME.set(SimpleNamespace(clock=time.clock))
    try:
        yield time
    finally:
        RUNTIME.reset(token)
        time.clock.stop()


def in_thread(function: Callable[[], object]) -> None:
    """Call *function* in another native thread, and return when that is over.

    The hub of this thread does not run meanwhile.
    """
    errors: list[BaseException] = []

    def call() -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
