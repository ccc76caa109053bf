"""Timers, on a clock that is moved by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest

from greenproc.errors import InvalidArgument
from greenproc.future import Future, Promise
from greenproc.metrics import Timer
from tests.future.support import Time, manual_time


@pytest.fixture
def time() -> Iterator[Time]:
    with manual_time() as time:
        time.clock.pause()
        yield time


def test_the_name_ends_with_the_unit() -> None:
    assert Timer("answer", "secs").name == "answer_secs"


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("ns", 5.4e12),
        ("us", 5.4e9),
        ("ms", 5.4e6),
        ("secs", 5400.0),
        ("mins", 90.0),
        ("hrs", 1.5),
        ("days", 0.0625),
        ("weeks", 0.0625 / 7),
    ],
)
def test_the_value_is_in_the_unit(time: Time, unit: str, expected: float) -> None:
    timer = Timer("answer", unit)
    timer.start()
    time.clock.advance(5400.0)

    assert timer.stop() == 5400.0
    assert timer.value().get() == pytest.approx(expected)


def test_an_unknown_unit_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="expected one of ns, us, ms"):
        Timer("answer", "s")


def test_there_is_no_value_before_the_first_measurement() -> None:
    assert Timer("answer").value().failure() == "No value"


def test_a_block_is_measured(time: Time) -> None:
    timer = Timer("answer", "secs")
    with timer:
        time.clock.advance(2.0)

    assert timer.value().get() == 2.0


def test_blocks_that_overlap_do_not_disturb_each_other(time: Time) -> None:
    timer = Timer("answer", "secs")
    with timer.time():
        time.clock.advance(1.0)
        with timer.time():
            time.clock.advance(2.0)
        assert timer.value().get() == 2.0

    assert timer.value().get() == 3.0


def test_a_block_that_raises_is_measured(time: Time) -> None:
    timer = Timer("answer", "secs")
    with suppress(ZeroDivisionError), timer.time():
        time.clock.advance(2.0)
        raise ZeroDivisionError

    assert timer.value().get() == 2.0


@pytest.mark.parametrize("end", ["set", "fail", "discard"])
def test_a_future_is_measured_however_it_ends(time: Time, end: str) -> None:
    timer = Timer("answer", "secs")
    promise: Promise[str] = Promise()
    timer.time(promise.future)
    time.clock.advance(3.0)

    getattr(promise, end)(*["x"] if end != "discard" else [])

    assert timer.value().get() == 3.0


def test_the_future_itself_comes_back() -> None:
    future = Future(1)

    assert Timer("answer").time(future) is future


def test_a_window_keeps_measurements_and_no_start(time: Time) -> None:
    timer = Timer("answer", "secs", window=60.0)
    for seconds in (1.0, 3.0):
        with timer.time():
            time.clock.advance(seconds)

    statistics = timer.statistics()

    assert statistics is not None
    assert (statistics.count, statistics.min, statistics.max) == (2, 1.0, 3.0)
