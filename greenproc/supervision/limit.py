"""The restart limit of a supervisor, as a sliding window. No clock, no processes."""

from __future__ import annotations

from collections import deque

from greenproc.clock.microseconds import from_seconds


class LimitWindow:
    """Counts the restart attempts of the last *within* seconds, inclusive.

    Args:
        most: the number of attempts that is allowed in the window.
        within: the length of the window in seconds.

    Source: Erlang/OTP supervisor.erl, add_restart. Differs: microseconds, not whole seconds.
    """

    def __init__(self, most: int, within: float) -> None:
        self.most = most
        self.within = within
        self._stamps: deque[int] = deque()

    def add(self, now: float) -> bool:
        """Count an attempt at the time *now* and return whether it exceeds the limit."""
        self._drop(now)
        self._stamps.append(from_seconds(now))
        return len(self._stamps) > self.most

    def count(self, now: float) -> int:
        """Return the number of attempts in the window that ends at *now*."""
        self._drop(now)
        return len(self._stamps)

    def _drop(self, now: float) -> None:
        oldest = from_seconds(now) - from_seconds(self.within)
        while self._stamps and self._stamps[0] < oldest:
            self._stamps.popleft()

    def __repr__(self) -> str:
        return f"<LimitWindow {len(self._stamps)} of {self.most} in {self.within} s>"
