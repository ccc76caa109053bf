"""Statistics beyond what libprocess tests of them."""

from __future__ import annotations

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
