"""A deadline: one time limit for several waits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from greenproc.clock.current import current_clock
from greenproc.clock.microseconds import MAX_MICROSECONDS, from_seconds, to_seconds


@dataclass(frozen=True, slots=True, order=True)
class Deadline:
    """A time of the current clock, as one limit for waits that follow each other.

    ::

        deadline = Deadline.in_(5.0)
        first = one.get(timeout=deadline.remaining)
        second = other.get(timeout=deadline.remaining)

    `in_` makes it. Its time as a text is ``rfc3339(nanoseconds(deadline.time))``, of
    `greenproc.timestamp`. Deadlines are compared by their times. It interrupts nothing, unlike
    `gevent.Timeout`.

    Source: libprocess include/process/timeout.hpp.
    """

    # In the unit of the clock, so that no sum is rounded.
    _microseconds: int = field(repr=False, kw_only=True)

    @classmethod
    def in_(cls, seconds: float) -> Self:
        """Return the deadline in that many *seconds* from now.

        Args:
            seconds: zero or less has expired already. A time beyond the year 2262, such as
                infinity, becomes 2262.

        Raises:
            InvalidArgument: *seconds* is no number.
        """
        now = from_seconds(current_clock().now())
        time = now + from_seconds(seconds)
        return cls(_microseconds=min(max(time, 0), MAX_MICROSECONDS))

    @property
    def time(self) -> float:
        """The time of the deadline, in seconds since 1970."""
        return to_seconds(self._microseconds)

    @property
    def remaining(self) -> float:
        """The seconds until the deadline; 0 when it has expired."""
        return to_seconds(max(self._microseconds - from_seconds(current_clock().now()), 0))

    @property
    def is_expired(self) -> bool:
        """Whether its time has come."""
        return self._microseconds <= from_seconds(current_clock().now())

    def __repr__(self) -> str:
        return f"<Deadline at {self.time!r}, in {self.remaining!r} s>"
