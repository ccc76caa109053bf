"""`DelayedAcks`: 202s that wait a few milliseconds, so that one send carries many of them.

Only those to libprocess are delayed, whose senders ignore them: see `ResponseWriter.delay_acks`.
A 202 that meets a socket which such a sender has closed would make the system throw away the
messages behind it.
"""

from __future__ import annotations

from typing import Any, Protocol

from gevent import get_hub

ACK_DELAY = 0.005  # seconds; a round trip between two nodes takes a fiftieth of it


class DelaysAcks(Protocol):
    """A writer with 202s that can wait."""

    def flush_delayed(self) -> bool:
        """Send them, in the hub; return False if there is something to read before."""


class DelayedAcks:
    """The writers of one listener with delayed 202s, and one timer for all of them."""

    def __init__(self) -> None:
        self._loop = get_hub().loop
        self._timer: Any = None
        self._waiting: list[DelaysAcks] = []

    def add(self, writer: DelaysAcks) -> None:
        """Let *writer* send its 202s soon. It must not be added again before it did."""
        self._waiting.append(writer)
        if self._timer is None:
            self._start_timer()

    def close(self) -> None:
        """Let all writers send now, except those that have something to read."""
        self._stop_timer()
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.flush_delayed()

    def disown(self) -> None:
        """Send nothing, in a forked child; the connections are the parent's."""
        self._waiting = []
        self._stop_timer()

    def _flush(self) -> None:
        self._stop_timer()
        waiting, self._waiting = self._waiting, []
        # A writer with input waits for its reader, whose next send may carry the 202s.
        self._waiting += [one for one in waiting if not one.flush_delayed()]
        if self._waiting:
            self._start_timer()

    def _start_timer(self) -> None:
        # A new timer each time: libev lets one that has fired fire at once when it is restarted.
        self._timer = self._loop.timer(ACK_DELAY)
        self._timer.start(self._flush)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.close()
            self._timer = None
