"""A point in time that something has to be done by."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from greenproc.clock.current import current_clock
from greenproc.clock.microseconds import MAX_MICROSECONDS, from_seconds, to_seconds


@dataclass(frozen=True, slots=True, order=True)
class Deadline:
    """A time of the current clock; one limit for several waits that follow each other.

    ::

        deadline = Deadline.in_(5.0)
        first = one.get(timeout=deadline.remaining)
        second = other.get(timeout=deadline.remaining)

    It is made by `in_`. As text its time is ``rfc3339(nanoseconds(deadline.time))``, of
    `greenproc.timestamp`. Deadlines are compared by their times. `gevent.Timeout` is something
    else: it interrupts.

    Source: libprocess include/process/timeout.hpp.
    """

    # As the clock counts, so that no sum is rounded.
    _microseconds: int = field(repr=False, kw_only=True)

    @classmethod
    def in_(cls, seconds: float) -> Self:
        """Return the deadline that many *seconds* from now.

        Args:
            seconds: zero or less is over already. What leads beyond the year 2262, infinity for
                one, means 2262.

        Raises:
            InvalidArgument: *seconds* is no number.
        """
        now = from_seconds(current_clock().now())
        time = now + from_seconds(seconds)
        return cls(_microseconds=min(max(time, 0), MAX_MICROSECONDS))

    @property
    def time(self) -> float:
        """When it is, in seconds since 1970."""
        return to_seconds(self._microseconds)

    @property
    def remaining(self) -> float:
        """The seconds from now until then; 0 when it is over."""
        return to_seconds(max(self._microseconds - from_seconds(current_clock().now()), 0))

    @property
    def is_expired(self) -> bool:
        """Whether it is over."""
        return self._microseconds <= from_seconds(current_clock().now())

    def __repr__(self) -> str:
        return f"<Deadline at {self.time!r}, in {self.remaining!r} s>"
