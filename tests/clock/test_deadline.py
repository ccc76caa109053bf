"""Deadlines follow the current clock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from greenproc.clock import Deadline
from greenproc.errors import InvalidArgument
from greenproc.timestamp import nanoseconds, rfc3339
from tests.future.support import Time, manual_time

YEAR_2262 = 9_223_372_036.854776


@pytest.fixture(autouse=True)
def time() -> Iterator[Time]:
    with manual_time() as time:
        time.clock.pause()
        yield time


def test_a_deadline_is_over_when_its_time_has_come_and_not_before(time: Time) -> None:
    deadline = Deadline.in_(0.3)

    time.clock.advance(0.1)
    time.clock.advance(0.1)
    assert not deadline.is_expired
    time.clock.advance(0.1)
    assert deadline.is_expired


def test_what_remains_gets_less_and_never_negative(time: Time) -> None:
    deadline = Deadline.in_(3.0)
    assert deadline.remaining == 3.0

    time.clock.advance(1.0)
    assert deadline.remaining == 2.0
    time.clock.advance(5.0)
    assert deadline.remaining == 0.0


def test_a_deadline_of_no_time_is_over() -> None:
    assert Deadline.in_(0.0).is_expired
    assert Deadline.in_(-1.0).is_expired


def test_deadlines_are_ordered_by_their_times() -> None:
    soon, late = Deadline.in_(1.0), Deadline.in_(2.0)

    assert soon < late
    assert soon == Deadline.in_(1.0)
    assert max(soon, late) is late
    assert hash(soon) == hash(Deadline.in_(1.0))


def test_the_time_is_told_in_seconds_since_1970(time: Time) -> None:
    assert Deadline.in_(1.5).time == time.clock.now() + 1.5
    assert repr(Deadline.in_(1.5)) == f"<Deadline at {time.clock.now() + 1.5!r}, in 1.5 s>"


def test_a_time_that_cannot_be_counted_is_the_nearest_that_can() -> None:
    assert Deadline.in_(float("inf")).time == YEAR_2262
    assert Deadline.in_(float("-inf")).time == 0.0


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        Deadline.in_(float("nan"))


def test_a_bare_number_is_no_deadline() -> None:
    """Nobody could tell whether it is a duration or a time, and in which unit."""
    make: Any = Deadline
    with pytest.raises(TypeError):
        make(3)


def test_its_time_can_be_written(time: Time) -> None:
    text = rfc3339(nanoseconds(Deadline.in_(1.5).time))
    assert text == "2001-09-09 01:46:41.500000000+00:00"
