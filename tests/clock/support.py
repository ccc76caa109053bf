"""What the tests of the clock share."""

from __future__ import annotations

from collections.abc import Callable

import gevent

from greenproc.clock.clock import Clock
from greenproc.clock.source import ManualSource

START = 1_000_000_000.0


class Owner:
    """Something with a time of its own, as a process has."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


class World:
    """A clock with a manual source, owners, and the greenlets that the clock started."""

    def __init__(self) -> None:
        self.source = ManualSource(START)
        self.owner: Owner | None = None
        self.greenlets: list[gevent.Greenlet[..., None]] = []
        self.clock = Clock(self.source, current=lambda: self.owner, spawn=self._spawn)
        self.fired: list[str] = []

    def run(self) -> None:
        """Let the greenlets of the clock run until they are over or wait."""
        gevent.idle()

    def move(self, seconds: float) -> None:
        """Let real time pass, and what it fires run."""
        self.source.move(seconds)
        self.run()

    def advance(self, seconds: float) -> None:
        """Advance the paused clock, and let what it fires run."""
        self.clock.advance(seconds)
        self.run()

    def note(self, text: str) -> Callable[[], None]:
        """Return a function that notes *text* in `fired`."""
        return lambda: self.fired.append(text)

    def _spawn(self, function: Callable[[], None]) -> None:
        self.greenlets.append(gevent.spawn(function))
