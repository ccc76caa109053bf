"""`HubLag`: the delay of hub timers, which reveals greenlets that block the hub."""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import Any

import gevent

from greenproc.hub.fork import watch_fork

INTERVAL_SECONDS = 0.25  # a block of this length is always detected, a shorter one mostly
KEPT = 240  # samples, which are those of the last minute


class HubLag:
    """Measures, four times a second, by how much a timer of the hub fires late.

    The timer holds no reference to the loop, so it keeps no idle program alive. Lag is measured
    in real time; a paused runtime clock has no effect.
    """

    def __init__(self) -> None:
        # A timer without repetition loses its interval when it fires, and would fire again at once.
        self._timer: Any = gevent.get_hub().loop.timer(
            INTERVAL_SECONDS, INTERVAL_SECONDS, ref=False
        )
        self._lags: deque[float] = deque(maxlen=KEPT)
        self._due = 0.0
        watch_fork(self)

    @property
    def last(self) -> float:
        """The latest sample in seconds."""
        return self._lags[-1] if self._lags else 0.0

    @property
    def longest(self) -> float:
        """The maximum of the last minute in seconds."""
        return max(self._lags, default=0.0)

    def start(self) -> None:
        """Start sampling."""
        self._due = monotonic() + INTERVAL_SECONDS
        self._timer.again(self._measure, update=True)

    def stop(self) -> None:
        """Stop sampling; the object cannot be restarted."""
        self._timer.close()

    disown = stop  # in a forked child

    def _measure(self) -> None:
        self._lags.append(max(monotonic() - self._due, 0.0))
        self.start()

    def __repr__(self) -> str:
        return f"<HubLag {self.last * 1e3:.1f} ms, at most {self.longest * 1e3:.1f} ms>"
