"""The timer that tells when its clock is stopped."""

from __future__ import annotations

import gevent
import pytest

from greenproc.errors import StateError
from greenproc.sync.alarm import Alarm
from tests.future.support import Time


def test_it_calls_with_true_when_the_time_has_come(time: Time) -> None:
    calls: list[bool] = []
    alarm = Alarm(time.clock, 1.0, calls.append)
    time.advance(0.5)
    assert calls == []
    time.advance(0.5)
    assert calls == [True]
    assert repr(alarm) == "<Alarm over>"


def test_it_calls_with_false_when_the_clock_is_stopped(time: Time) -> None:
    calls: list[bool] = []
    alarm = Alarm(time.clock, 1.0, calls.append)
    time.clock.stop()
    gevent.idle()
    assert calls == [False]
    assert repr(alarm) == "<Alarm over>"


def test_it_never_calls_after_it_was_cancelled(time: Time) -> None:
    calls: list[bool] = []
    alarm = Alarm(time.clock, 1.0, calls.append)
    alarm.cancel()
    assert not time.timers
    time.advance(1.0)
    time.clock.stop()
    gevent.idle()
    assert calls == []


def test_a_stopped_clock_takes_none(time: Time) -> None:
    time.clock.stop()
    with pytest.raises(StateError):
        Alarm(time.clock, 1.0, print)
