"""How a command is asked to stop: SIGTERM, or SIGINT as of Ctrl-C."""

from __future__ import annotations

import signal
from typing import Any, Self

import gevent
from gevent.event import Event

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """Within a ``with`` block the first signal sets `event`, the second kills at once.

    A signal is noticed when the hub gets its turn, so a handler that computes without end keeps
    the first one from being seen.
    """

    def __init__(self) -> None:
        self.event = Event()
        self.received: int | None = None
        self._watchers: list[Any] = []

    def __enter__(self) -> Self:
        self._watchers = [
            gevent.signal_handler(number, self._receive, number) for number in SIGNALS
        ]
        return self

    def __exit__(self, *error: object) -> None:
        self._restore()

    def _receive(self, number: int) -> None:
        self.received = number
        self._restore()
        self.event.set()

    def _restore(self) -> None:
        """Give both signals back to the system, which kills."""
        for watcher in self._watchers:
            watcher.cancel()
        for number in SIGNALS if self._watchers else ():
            signal.signal(number, signal.SIG_DFL)
        self._watchers = []
