"""`HubLag`: how late the hub is, which tells whether somebody keeps it to himself."""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import Any

import gevent

from greenproc.hub.fork import watch_fork

INTERVAL_SECONDS = 0.25  # a block of that length or more is always seen, a shorter one mostly
KEPT = 240  # which makes the longest lag that of the last minute


class HubLag:
    """Measures, four times a second, how much later than due a timer of the hub fires.

    The timer does not keep a program alive that has nothing else to do. Real time counts, whatever
    the clock of the runtime shows.
    """

    def __init__(self) -> None:
        # A timer without repetition forgets its time when it fires, and would fire at once again.
        self._timer: Any = gevent.get_hub().loop.timer(
            INTERVAL_SECONDS, INTERVAL_SECONDS, ref=False
        )
        self._lags: deque[float] = deque(maxlen=KEPT)
        self._due = 0.0
        watch_fork(self)

    @property
    def last(self) -> float:
        """The seconds of the last measurement."""
        return self._lags[-1] if self._lags else 0.0

    @property
    def longest(self) -> float:
        """The most of the last minute."""
        return max(self._lags, default=0.0)

    def start(self) -> None:
        """Begin to measure."""
        self._due = monotonic() + INTERVAL_SECONDS
        self._timer.again(self._measure, update=True)

    def stop(self) -> None:
        """Measure no more. It cannot be started again."""
        self._timer.close()

    disown = stop  # in a forked child

    def _measure(self) -> None:
        self._lags.append(max(monotonic() - self._due, 0.0))
        self.start()

    def __repr__(self) -> str:
        return f"<HubLag {self.last * 1e3:.1f} ms, at most {self.longest * 1e3:.1f} ms>"
