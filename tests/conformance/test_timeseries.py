"""libprocess' timeseries_tests.cpp: a window, and a past that becomes coarser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from greenproc.metrics import TimeSeries
from tests.future.support import Time, manual_time


@pytest.fixture(autouse=True)
def time() -> Iterator[Time]:
    with manual_time() as time:
        time.clock.pause()
        yield time


def test_set() -> None:
    """TimeSeriesTest.Set."""
    series: TimeSeries[int] = TimeSeries()
    assert len(series) == 0

    series.set(1)

    assert len(series) == 1
    latest = series.latest()
    assert latest is not None
    assert latest.value == 1


def test_sparsify(time: Time) -> None:
    """TimeSeriesTest.Sparsify."""
    series: TimeSeries[int] = TimeSeries(capacity=10)
    for number in range(10):
        series.set(number)
        time.clock.advance(1.0)
    assert list(series) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]

    # Every other value of the older half goes, and again from the front.
    for number, expected in {
        10: [0, 2, 3, 4, 5, 6, 7, 8, 9, 10],
        11: [0, 2, 4, 5, 6, 7, 8, 9, 10, 11],
        12: [0, 2, 4, 6, 7, 8, 9, 10, 11, 12],
        13: [0, 2, 4, 6, 8, 9, 10, 11, 12, 13],
        14: [0, 2, 4, 6, 8, 10, 11, 12, 13, 14],
        15: [0, 4, 6, 8, 10, 11, 12, 13, 14, 15],
        16: [0, 4, 8, 10, 11, 12, 13, 14, 15, 16],
        17: [0, 4, 8, 11, 12, 13, 14, 15, 16, 17],
        18: [0, 4, 8, 11, 13, 14, 15, 16, 17, 18],
        19: [0, 4, 8, 11, 13, 15, 16, 17, 18, 19],
    }.items():
        series.set(number)
        time.clock.advance(1.0)
        assert list(series) == expected


def test_truncate(time: Time) -> None:
    """TimeSeriesTest.Truncate."""
    now = time.clock.now()
    series = filled(now)
    time.clock.advance(16.0)
    series.set(10, now + 10)
    assert list(series) == [7, 8, 9, 10]


def test_truncate_what_is_sparse(time: Time) -> None:
    """TimeSeriesTest.Truncate, its second half."""
    now = time.clock.now()
    series = filled(now)
    for number in (10, 11, 12):
        series.set(number, now + number)
    assert list(series) == [0, 2, 4, 6, 7, 8, 9, 10, 11, 12]

    # The next to go is 7, which stays so when the ones before it are too old.
    time.clock.advance(12.0)
    series.truncate()
    assert list(series) == [4, 6, 7, 8, 9, 10, 11, 12]
    for number in (13, 14, 15):
        series.set(number, now + number)
    assert list(series) == [4, 6, 8, 9, 10, 11, 12, 13, 14, 15]

    # The next to go, 9, is too old itself: it begins at the front again.
    time.clock.advance(7.0)
    series.truncate()
    assert list(series) == [10, 11, 12, 13, 14, 15]
    for number in (16, 17, 18, 19, 20):
        series.set(number, now + number)
    assert list(series) == [10, 12, 13, 14, 15, 16, 17, 18, 19, 20]


def filled(start: float) -> TimeSeries[int]:
    series: TimeSeries[int] = TimeSeries(window=10.0, capacity=10)
    for number in range(10):
        series.set(number, start + number)
    return series
