"""The future that is ready after a while."""

from __future__ import annotations

import gc
import weakref

import gevent

from greenproc.future import after
from tests.future.support import Time


def test_it_is_ready_when_the_time_is_over(time: Time) -> None:
    future = after(5.0)
    assert time.timers == 1

    time.move(4.9)
    assert future.is_pending
    time.move(0.1)

    assert future.is_ready
    assert future.get() is None


def test_a_paused_clock_holds_it(time: Time) -> None:
    time.clock.pause()
    future = after(5.0)

    time.move(10.0)
    assert future.is_pending
    time.advance(5.0)

    assert future.is_ready


def test_a_request_discards_it_and_cancels_the_timer(time: Time) -> None:
    future = after(5.0)

    assert future.discard()

    assert future.is_discarded
    assert time.timers == 0


def test_a_request_is_too_late_when_it_is_ready(time: Time) -> None:
    future = after(0.0)
    time.move(0.0)
    assert not future.discard()


def test_it_completes_though_only_its_callbacks_are_left(time: Time) -> None:
    calls: list[None] = []
    after(5.0).on_ready(calls.append)
    gc.collect()

    time.move(5.0)

    assert calls == [None]


def test_a_clock_that_stops_abandons_it_without_the_collector(time: Time) -> None:
    gc.collect()
    gc.disable()
    try:
        future = after(5.0)
        reference = weakref.ref(future)
        time.clock.stop()
        assert future.is_abandoned
        gevent.idle()
        del future
        assert reference() is None
    finally:
        gc.enable()
