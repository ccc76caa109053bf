"""Stopwatches: when they go off, and that they cost nothing when they do not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from greenproc.web.timeouts import WatchdogTimer
from tests.future.support import Time, manual_time


@pytest.fixture
def time() -> Iterator[Time]:
    with manual_time() as time:
        time.clock.pause()
        yield time
        assert not time.timers


@pytest.fixture
def alarms() -> list[str]:
    return []


def watch_of(time: Time, alarms: list[str], seconds: float | None = 5.0) -> WatchdogTimer:
    return WatchdogTimer(time.clock, seconds, lambda: alarms.append("late"))


def test_it_goes_off_when_the_time_is_up(time: Time, alarms: list[str]) -> None:
    watch = watch_of(time, alarms)
    watch.start()
    assert watch.is_running

    time.advance(4.9)
    assert not alarms
    time.advance(0.1)

    assert alarms == ["late"]
    assert not watch.is_running


def test_starting_again_begins_again(time: Time, alarms: list[str]) -> None:
    watch = watch_of(time, alarms)
    watch.start()
    time.advance(4.0)
    watch.start()
    time.advance(4.0)
    assert not alarms

    time.advance(1.0)

    assert alarms == ["late"]


def test_one_that_is_stopped_does_not_go_off(time: Time, alarms: list[str]) -> None:
    watch = watch_of(time, alarms)
    watch.start()
    watch.stop()

    time.advance(100.0)

    assert not alarms


def test_one_that_is_stopped_can_be_started_again(time: Time, alarms: list[str]) -> None:
    watch = watch_of(time, alarms)
    watch.start()
    watch.stop()
    time.advance(4.0)
    watch.start()

    time.advance(4.9)
    assert not alarms
    time.advance(0.1)

    assert alarms == ["late"]


def test_it_can_be_used_again_after_it_went_off(time: Time, alarms: list[str]) -> None:
    watch = watch_of(time, alarms)
    for _ in range(2):
        watch.start()
        time.advance(5.0)

    assert alarms == ["late", "late"]


def test_rounding_does_not_make_it_miss_its_time(time: Time, alarms: list[str]) -> None:
    watch = watch_of(time, alarms, 0.1)
    for number in range(100):
        time.advance(number / 7)
        watch.start()
        time.advance(0.1)

    assert len(alarms) == 100


def test_many_starts_make_one_timer(time: Time, alarms: list[str]) -> None:
    watch = watch_of(time, alarms)
    for _ in range(100):
        watch.start()
        watch.stop()

    assert time.timers == 1
    watch.close()
    assert not time.timers


def test_without_a_limit_there_is_no_timer(time: Time, alarms: list[str]) -> None:
    watch = watch_of(time, alarms, None)

    watch.start()

    assert not time.timers
    assert not watch.is_running


def test_a_clock_that_was_stopped_measures_nothing(time: Time, alarms: list[str]) -> None:
    time.clock.stop()
    watch = watch_of(time, alarms)
    try:
        watch.start()
    finally:
        time.clock.start()

    assert not alarms
