"""libprocess' statistics_tests.cpp."""

from __future__ import annotations

from datetime import timedelta

import pytest

from greenproc.metrics import Statistics, TimeSeries


def test_empty() -> None:
    """StatisticsTest.Empty."""
    assert Statistics.of(TimeSeries[float]()) is None


def test_single() -> None:
    """StatisticsTest.Single."""
    series: TimeSeries[float] = TimeSeries()
    series.set(0.0)

    assert Statistics.of(series) is None


def test_statistics_from_time_series() -> None:
    """StatisticsTest.StatisticsFromTimeSeries; the times are given, as now is too often the same."""
    series: TimeSeries[float] = TimeSeries(window=10 * 365 * 86_400.0 * 10)
    for second, value in enumerate(range(-5, 6)):
        series.set(float(value), time=1_700_000_000.0 + second)

    statistics = Statistics.of(series)

    assert statistics is not None
    assert statistics.count == 11
    assert (statistics.min, statistics.max) == (-5.0, 5.0)
    assert statistics.p25 == -2.5
    assert statistics.p50 == 0.0
    assert statistics.p75 == 2.5
    assert statistics.p90 == pytest.approx(4.0)
    assert statistics.p95 == pytest.approx(4.5)
    assert statistics.p99 == pytest.approx(4.9)
    assert statistics.p999 == pytest.approx(4.99)
    assert statistics.p9999 == pytest.approx(4.999)


def test_statistics_from_duration_list() -> None:
    """StatisticsTest.StatisticsFromDurationList."""
    statistics = Statistics.of([timedelta(seconds=10 * number) for number in range(11)])

    assert statistics is not None
    assert statistics.count == 11
    assert statistics.min == timedelta(0)
    assert statistics.max == timedelta(seconds=100)
    assert statistics.p25 == timedelta(seconds=25)
    assert statistics.p50 == timedelta(seconds=50)
    assert statistics.p75 == timedelta(seconds=75)
    assert statistics.p90 == timedelta(seconds=90)
    assert statistics.p95 == timedelta(seconds=95)
    assert statistics.p99 == timedelta(seconds=99)
    assert statistics.p999 == timedelta(seconds=99.9)
    assert statistics.p9999 == timedelta(seconds=99.99)
