"""Responses that can wait a little, so that one send carries many of them."""

from __future__ import annotations

from typing import Any, Protocol

from gevent import get_hub

ACK_DELAY = 0.005
"""How long. A round trip between two nodes takes a fiftieth of it."""


class DelaysAcks(Protocol):
    """A connection with answers that can wait."""

    def flush_delayed(self) -> bool:
        """Send them, in the hub; return False if it is not the moment yet."""


class DelayedAcks:
    """The connections of one listener that put off their answers; one timer for all of them."""

    def __init__(self) -> None:
        self._loop = get_hub().loop
        self._timer: Any = None
        self._waiting: list[DelaysAcks] = []

    def add(self, connection: DelaysAcks) -> None:
        """Let *connection* send its answers soon. It must not be added again before it did."""
        self._waiting.append(connection)
        if self._timer is None:
            self._start_timer()

    def close(self) -> None:
        """Let all of them send their answers now, but for those that have something to read."""
        self._stop_timer()
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.flush_delayed()

    def disown(self) -> None:
        """Send nothing, in a forked child."""
        self._waiting = []
        self._stop_timer()

    def _flush(self) -> None:
        self._stop_timer()
        waiting, self._waiting = self._waiting, []
        self._waiting += [one for one in waiting if not one.flush_delayed()]
        if self._waiting:
            self._start_timer()

    def _start_timer(self) -> None:
        # A new one each time: one that has fired fires at once when it is started again.
        self._timer = self._loop.timer(ACK_DELAY)
        self._timer.start(self._flush)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.close()
            self._timer = None
