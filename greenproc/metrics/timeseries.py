"""`TimeSeries`: a bounded history of values, sparser for older ones."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Generic, NamedTuple, TypeVar

from greenproc.checks import whole_number
from greenproc.clock.current import current_clock
from greenproc.clock.microseconds import check_duration, from_seconds, to_seconds

T = TypeVar("T")

WINDOW_SECONDS = 14 * 86_400.0
"""Two weeks."""

CAPACITY = 1000

MIN_CAPACITY = 3
"""Sparsification keeps the first and the last value and needs one between them to delete."""


class Point(NamedTuple, Generic[T]):
    """A value and its timestamp in seconds since 1970."""

    time: float
    value: T


class TimeSeries(Generic[T]):
    """Timestamped values, bounded by a time window and a capacity.

    Values older than the window are dropped. A series over its capacity deletes every other value
    of its older half, repeatedly: the resolution of the past decreases, recent values stay exact.

    Iteration yields the values in chronological order. A series is not thread-safe.

    Args:
        window: seconds for which values are kept.
        capacity: the maximum number of values; less than three means three.

    Raises:
        InvalidArgument: *window* is not a duration, or *capacity* is not a whole number from 0.

    Source: libprocess include/process/timeseries.hpp.
    """

    __slots__ = ("_capacity", "_cursor", "_times", "_values", "_window")

    def __init__(self, window: float = WINDOW_SECONDS, capacity: int = CAPACITY) -> None:
        self._window = check_duration(window)
        self._capacity = max(whole_number("capacity", capacity, least=0), MIN_CAPACITY)
        self._times: list[int] = []  # in microseconds, the resolution of the clock
        self._values: list[T] = []
        self._cursor: int | None = None  # the index of the next value to delete

    def set(self, value: T, time: float | None = None) -> None:
        """Store *value*; it replaces a value of the same time.

        Args:
            time: seconds since 1970; None means now, by the current clock.

        Raises:
            InvalidArgument: *time* is not a number.
        """
        moment = from_seconds(current_clock().now() if time is None else time)
        if self._times and moment < self._times[-1]:
            self._cursor = None
        index = bisect_left(self._times, moment)
        if index < len(self._times) and self._times[index] == moment:
            self._values[index] = value
        else:
            self._times.insert(index, moment)
            self._values.insert(index, value)
        self.truncate()
        self._sparsify()

    def get(self, start: float | None = None, stop: float | None = None) -> list[Point[T]]:
        """Return the points from *start* to *stop*, both inclusive.

        Args:
            start: seconds since 1970; None means the first point.
            stop: seconds since 1970; None means the last point.
        """
        first = 0 if start is None else bisect_left(self._times, from_seconds(start))
        end = len(self) if stop is None else bisect_right(self._times, from_seconds(stop))
        return [
            Point(to_seconds(time), value)
            for time, value in zip(self._times[first:end], self._values[first:end], strict=True)
        ]

    def latest(self) -> Point[T] | None:
        """Return the latest point; None if the series is empty."""
        return Point(to_seconds(self._times[-1]), self._values[-1]) if self._times else None

    def truncate(self) -> None:
        """Drop the values older than the window, unless all of them are."""
        oldest = from_seconds(current_clock().now()) - self._window
        count = bisect_right(self._times, oldest)
        if not count or count == len(self._times):
            return
        del self._times[:count]
        del self._values[:count]
        if self._cursor is not None:
            self._cursor = self._cursor - count if count < self._cursor else None

    def _sparsify(self) -> None:
        while len(self._times) > self._capacity:
            if self._cursor is None or self._cursor > len(self._times) // 2:
                self._cursor = 1  # the first value marks the start of the series
            del self._times[self._cursor]
            del self._values[self._cursor]
            self._cursor += 1

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[T]:
        return iter(self._values)

    def __repr__(self) -> str:
        return f"<TimeSeries {len(self)} of {self._capacity} values, latest {self.latest()}>"
