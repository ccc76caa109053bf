"""The border between float seconds and the microseconds of the clock."""

from __future__ import annotations

import math
from datetime import timedelta
from decimal import Decimal

import pytest

from greenproc.clock.microseconds import (
    MAX_MICROSECONDS,
    check_duration,
    check_time,
    from_seconds,
    to_seconds,
)
from greenproc.errors import InvalidArgument


def test_tenths_of_a_second_add_up() -> None:
    assert 10 * from_seconds(0.1) == from_seconds(1.0)


@pytest.mark.parametrize("microseconds", [0, 1, -1, 1_700_000_000_123_457, 4_102_444_799_999_999])
def test_a_time_comes_back_as_the_same_number(microseconds: int) -> None:
    assert from_seconds(to_seconds(microseconds)) == microseconds


@pytest.mark.parametrize("seconds", [math.inf, 1e300, 10**400])
def test_too_much_becomes_the_most(seconds: float) -> None:
    assert from_seconds(seconds) == MAX_MICROSECONDS
    assert from_seconds(-seconds) == -MAX_MICROSECONDS


@pytest.mark.parametrize(
    "value", [math.nan, "5", None, [5], 5j, timedelta(seconds=5), Decimal(5), b"5"]
)
def test_what_is_no_number_is_refused_and_shown(value: float) -> None:
    with pytest.raises(InvalidArgument) as caught:
        from_seconds(value)
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("seconds", [-1.0, -1e-9, -math.inf])
def test_a_span_is_not_negative(seconds: float) -> None:
    with pytest.raises(InvalidArgument, match="not negative"):
        check_duration(seconds)


def test_a_span_may_be_zero() -> None:
    assert check_duration(0.0) == 0


def test_a_point_lies_before_the_year_2262() -> None:
    assert check_time(MAX_MICROSECONDS - 1) == MAX_MICROSECONDS - 1
    with pytest.raises(InvalidArgument, match="2262"):
        check_time(MAX_MICROSECONDS)
