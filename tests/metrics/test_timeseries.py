"""Time series beyond what libprocess tests of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest

from greenproc.errors import InvalidArgument
from greenproc.metrics import Point, TimeSeries
from tests.future.support import Time, manual_time


@pytest.fixture(autouse=True)
def time() -> Iterator[Time]:
    with manual_time() as time:
        time.clock.pause()
        yield time


def test_values_are_got_between_two_times_both_included() -> None:
    series: TimeSeries[str] = TimeSeries(window=10e9)
    for second, value in enumerate("abcd"):
        series.set(value, time=100.0 + second)

    assert series.get(101.0, 102.0) == [Point(101.0, "b"), Point(102.0, "c")]
    assert series.get(stop=100.0) == [Point(100.0, "a")]
    assert series.get(start=102.5) == [Point(103.0, "d")]
    assert series.get(103.0, 100.0) == []
    assert len(series.get()) == 4


def test_values_are_in_the_order_of_their_times() -> None:
    series: TimeSeries[str] = TimeSeries(window=10e9)
    for time, value in [(2.0, "b"), (3.0, "c"), (1.0, "a")]:
        series.set(value, time)

    assert list(series) == ["a", "b", "c"]
    assert series.latest() == Point(3.0, "c")


def test_a_value_of_the_same_time_is_replaced() -> None:
    series: TimeSeries[str] = TimeSeries()
    series.set("old")
    series.set("new")

    assert list(series) == ["new"]


def test_an_empty_series_has_no_latest() -> None:
    assert TimeSeries[int]().latest() is None


def test_a_capacity_below_three_is_three() -> None:
    series: TimeSeries[int] = TimeSeries(window=10e9, capacity=1)
    for number in range(5):
        series.set(number, float(number))

    assert list(series) == [0, 2, 4]


def test_a_value_as_old_as_the_window_is_dropped(time: Time) -> None:
    series: TimeSeries[str] = TimeSeries(window=0.1)
    series.set("old")
    time.clock.advance(0.1)
    series.set("new")

    assert list(series) == ["new"]


def test_the_last_values_stay_however_old(time: Time) -> None:
    series: TimeSeries[str] = TimeSeries(window=1.0)
    series.set("one")
    time.clock.advance(0.5)
    series.set("other")

    time.clock.advance(100.0)
    series.truncate()

    assert list(series) == ["one", "other"]


def test_a_value_from_the_past_begins_the_deleting_at_the_front_again() -> None:
    series: TimeSeries[int] = TimeSeries(window=10e9, capacity=8)
    for number in range(11):
        series.set(number, 10.0 + number)
    assert list(series) == [0, 2, 4, 6, 7, 8, 9, 10]

    series.set(-1, 9.0)

    assert list(series) == [-1, 2, 4, 6, 7, 8, 9, 10]


def test_a_time_that_is_no_number_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        TimeSeries[int]().set(1, float("nan"))


def test_it_tells_what_it_has() -> None:
    series: TimeSeries[int] = TimeSeries(capacity=5)
    series.set(42)

    assert "1 of 5 values" in repr(series)
    assert "value=42" in repr(series)


@pytest.mark.parametrize("capacity", [-1, 1.5, math.nan, math.inf, "5", None])
def test_a_capacity_that_is_no_whole_number_is_refused(capacity: Any) -> None:
    """With one that compares to nothing, the series would grow for ever."""
    with pytest.raises(InvalidArgument, match="expected capacity to be a whole number"):
        TimeSeries(capacity=capacity)
