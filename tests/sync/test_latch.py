"""Latches, beyond what libprocess tests of them."""

from __future__ import annotations

from typing import Any

import gevent
import pytest

from greenproc.errors import InvalidArgument
from greenproc.sync import CountDownLatch, Latch
from tests.future.support import Time, in_thread
from tests.sync.support import (
    Interrupted,
    expect_error,
    interrupt,
    needs_refcounts,
    start,
    start_thread,
    start_thread_in_time,
)


@pytest.fixture
def latch() -> Latch:
    return Latch()


def test_trigger_is_true_only_once(latch: Latch) -> None:
    assert [latch.trigger(), latch.trigger(), latch.trigger()] == [True, False, False]
    assert latch.is_triggered


def test_trigger_lets_all_go_who_wait(latch: Latch) -> None:
    waiters = [start(latch.await_) for _ in range(3)]
    futures = [latch.triggered() for _ in range(3)]
    assert not any(waiter.ready() for waiter in waiters)

    latch.trigger()

    assert all(future.is_ready for future in futures)
    gevent.joinall(waiters)
    assert [waiter.get() for waiter in waiters] == [True, True, True]


def test_nobody_waits_for_what_has_happened(latch: Latch) -> None:
    latch.trigger()
    assert latch.await_()
    assert latch.triggered().is_ready


def test_waiting_can_be_limited_by_the_clock(latch: Latch, time: Time) -> None:
    waiter = start(lambda: latch.await_(5.0))
    time.advance(4.999)
    assert not waiter.ready()
    time.advance(0.001)
    assert waiter.get() is False


def test_a_tie_with_the_time_counts_as_triggered(latch: Latch, time: Time) -> None:
    waiter = start(lambda: latch.await_(5.0))
    time.clock.advance(5.0)
    gevent.sleep(0)  # the timer of the limit has fired, and the greenlet has not run yet
    latch.trigger()
    assert waiter.get() is True


def test_a_trigger_in_time_stops_the_timer(latch: Latch, time: Time) -> None:
    waiter = start(lambda: latch.await_(5.0))
    latch.trigger()
    assert waiter.get() is True
    assert not time.timers


def test_a_limit_of_zero_waits_for_nothing(latch: Latch, time: Time) -> None:
    assert latch.await_(0.0) is False
    latch.trigger()
    assert latch.await_(0.0) is True


def test_a_discarded_future_concerns_nobody_else(latch: Latch) -> None:
    first, second = latch.triggered(), latch.triggered()

    first.discard()

    assert first.is_discarded
    assert second.is_pending
    assert not second.has_discard
    latch.trigger()
    assert second.is_ready
    assert latch.triggered().then(lambda _: 1).get() == 1


def test_triggering_goes_on_when_a_callback_ends_the_greenlet(latch: Latch) -> None:
    latch.triggered().on_ready(lambda _: interrupt())
    waiter = start(latch.await_)
    last = latch.triggered()

    expect_error(Interrupted, latch.trigger)

    assert last.is_ready
    assert waiter.get() is True


def test_killing_who_waits_leaves_nobody_in_the_line(latch: Latch) -> None:
    start(latch.await_).kill()
    assert repr(latch) == "<Latch 0 waiting>"


@needs_refcounts
def test_garbage_abandons_who_waits() -> None:
    latch = Latch()
    future = latch.triggered()
    del latch
    assert future.is_abandoned


def test_it_can_be_triggered_from_another_thread(latch: Latch, hub_alive: None) -> None:
    waiter = start(latch.await_)
    join = start_thread_in_time(latch.trigger)
    assert waiter.get(timeout=10) is True
    join()


def test_a_thread_without_a_hub_waits_for_it(latch: Latch) -> None:
    seen: list[bool] = []
    join = start_thread(lambda: seen.append(latch.await_()))
    latch.trigger()
    join()
    assert seen == [True]


def test_a_thread_without_a_hub_may_limit_its_wait(latch: Latch) -> None:
    seen: list[bool] = []
    in_thread(lambda: seen.append(latch.await_(-1.0)))
    assert seen == [False]


def test_one_of_many_threads_triggers_it(latch: Latch) -> None:
    seen: list[bool] = []
    for join in [start_thread(lambda: seen.append(latch.trigger())) for _ in range(8)]:
        join()
    assert sorted(seen) == [False] * 7 + [True]


def test_repr_tells_the_state(latch: Latch) -> None:
    future = latch.triggered()
    assert repr(latch) == "<Latch 1 waiting>"
    latch.trigger()
    assert repr(latch) == "<Latch triggered>"
    assert future.is_ready


def test_counting_down_triggers_at_the_last_count() -> None:
    latch = CountDownLatch(2)
    waiter = start(latch.await_)

    latch.decrement()
    assert latch.count == 1
    assert not latch.is_triggered
    latch.decrement()

    assert latch.is_triggered
    assert waiter.get() is True


def test_a_count_of_one_is_the_default() -> None:
    latch = CountDownLatch()
    latch.decrement()
    assert latch.triggered().is_ready


def test_a_count_of_zero_is_triggered_from_the_start() -> None:
    latch = CountDownLatch(0)
    assert latch.is_triggered
    assert latch.triggered().is_ready
    assert latch.await_()


def test_more_decrements_than_agreed_on_are_ignored() -> None:
    latch = CountDownLatch(1)
    latch.decrement()
    latch.decrement()
    assert latch.count == 0
    assert latch.is_triggered


@pytest.mark.parametrize("count", [-1, 1.5, float("nan"), "5", None, True])
def test_a_count_that_never_comes_to_zero_is_refused(count: Any) -> None:
    with pytest.raises(InvalidArgument, match=f"expected count .*, got {count!r}"):
        CountDownLatch(count)


def test_waiting_for_a_count_can_be_limited_by_the_clock(time: Time) -> None:
    latch = CountDownLatch(1)
    waiter = start(lambda: latch.await_(1.0))
    time.advance(1.0)
    assert waiter.get() is False


def test_repr_tells_how_many_are_missing() -> None:
    latch = CountDownLatch(3)
    latch.decrement()
    assert repr(latch) == "<CountDownLatch 2 missing>"
