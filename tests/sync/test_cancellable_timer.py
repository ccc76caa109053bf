"""The timer that tells when its clock is stopped."""

from __future__ import annotations

from threading import get_ident

import gevent
import pytest

from greenproc.clock import Clock, HubSource, Timer
from greenproc.errors import StateError
from greenproc.sync.cancellable_timer import CancellableTimer
from tests.future.support import Time, in_thread


def test_it_calls_with_true_when_the_time_has_come(time: Time) -> None:
    calls: list[bool] = []
    timer = CancellableTimer(time.clock, 1.0, calls.append)
    time.advance(0.5)
    assert calls == []
    time.advance(0.5)
    assert calls == [True]
    assert repr(timer) == "<CancellableTimer over>"


def test_it_calls_with_false_when_the_clock_is_stopped(time: Time) -> None:
    calls: list[bool] = []
    timer = CancellableTimer(time.clock, 1.0, calls.append)
    time.clock.stop()
    gevent.idle()
    assert calls == [False]
    assert repr(timer) == "<CancellableTimer over>"


def test_it_never_calls_after_it_was_cancelled(time: Time) -> None:
    calls: list[bool] = []
    timer = CancellableTimer(time.clock, 1.0, calls.append)
    timer.cancel()
    assert not time.timers
    time.advance(1.0)
    time.clock.stop()
    gevent.idle()
    assert calls == []


def test_a_stopped_clock_takes_none(time: Time) -> None:
    time.clock.stop()
    with pytest.raises(StateError):
        CancellableTimer(time.clock, 1.0, print)


class Watched(Clock):
    """Notes in which threads its timers are cancelled."""

    def __init__(self) -> None:
        super().__init__(HubSource())
        self.threads: list[int] = []
        self.start()

    def take_back(self, timer: Timer) -> None:
        self.threads.append(get_ident())
        super().take_back(timer)


def test_it_is_cancelled_in_another_thread_than_it_was_made_in() -> None:
    clock = Watched()
    calls: list[bool] = []
    made: list[CancellableTimer] = []
    in_thread(lambda: made.append(CancellableTimer(clock, 60.0, calls.append)))
    made.append(CancellableTimer(clock, 60.0, calls.append))
    gevent.idle()
    assert clock.statistics()["timers"] == 2

    made[0].cancel()
    in_thread(made[1].cancel)
    gevent.idle()

    assert clock.statistics()["timers"] == 0
    assert calls == []
    assert clock.threads == [get_ident()] * 2
    clock.stop()
