"""Statistics beyond what libprocess tests of them."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest

from greenproc.errors import InvalidArgument
from greenproc.metrics import Statistics
from greenproc.metrics.statistics import percentile


def test_the_order_of_the_values_does_not_matter() -> None:
    assert Statistics.of([3, 1, 2]) == Statistics.of([1, 2, 3])


def test_a_percentile_between_two_values_is_interpolated() -> None:
    assert percentile([0.0, 10.0], 0.25) == 2.5


def test_the_ends_are_the_extremes() -> None:
    assert percentile([1, 2, 3], 0.0) == 1
    assert percentile([1, 2, 3], 1.0) == 3
    assert percentile([1], 0.5) == 1


def test_two_values_are_enough_and_one_is_not() -> None:
    assert Statistics.of([1]) is None
    assert Statistics.of(iter([1, 2])) is not None


def test_infinite_values_leave_the_percentiles_before_them_alone() -> None:
    statistics = Statistics.of([1.0, 2.0, 3.0, 4.0, math.inf])
    assert statistics is not None

    assert (statistics.p50, statistics.p75, statistics.p90) == (3.0, 4.0, math.inf)
    assert percentile([-math.inf, -math.inf, 1.0], 0.25) == -math.inf


def test_what_is_no_number_is_left_out() -> None:
    assert Statistics.of([3.0, math.nan, 1.0, 2.0]) == Statistics.of([1.0, 2.0, 3.0])
    assert Statistics.of([1.0, math.nan]) is None


@pytest.mark.parametrize("share", [-0.1, 1.1, math.nan, "half"])
def test_a_share_is_from_zero_to_one(share: Any) -> None:
    with pytest.raises(InvalidArgument, match="expected a share from 0 to 1"):
        percentile([1, 2], share)


def test_there_is_no_percentile_of_nothing() -> None:
    with pytest.raises(InvalidArgument, match="expected one value or more"):
        percentile([], 0.5)


def test_decimals_are_interpolated_as_decimals() -> None:
    statistics = Statistics.of([Decimal(1), Decimal(2)])
    assert statistics is not None
    assert statistics.p50 == Decimal("1.5")


@pytest.mark.parametrize("kind", [float, Decimal])
def test_after_an_infinite_value_there_is_nothing_between(kind: Any) -> None:
    infinite = kind("inf")
    for high in (infinite, kind(1)):
        assert percentile([-infinite, high], 0.5) == -infinite


@pytest.mark.parametrize("values", [[1, "a"], ["a", "b"], 3])
def test_what_cannot_be_ordered_or_interpolated_is_refused(values: Any) -> None:
    with pytest.raises(InvalidArgument, match="expected values that can be"):
        Statistics.of(values)
