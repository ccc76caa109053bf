"""The rate limiter, beyond what libprocess tests of it."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from gevent.event import Event

from greenproc.clock import Clock, HubSource
from greenproc.current import RUNTIME
from greenproc.errors import Abandoned, Closed, Discarded, InvalidArgument, StateError
from greenproc.future import collect, from_concurrent
from greenproc.sync import RateLimiter
from tests.future.support import Time
from tests.sync.support import (
    Interrupted,
    expect_error,
    interrupt,
    needs_refcounts,
    start,
    start_thread,
)


@pytest.fixture
def limiter(time: Time) -> RateLimiter:
    """One permit a second."""
    return RateLimiter(1)


def test_the_first_permit_is_granted_at_once(limiter: RateLimiter, time: Time) -> None:
    assert limiter.acquire().is_ready
    assert not time.timers


def test_permits_come_one_per_interval(limiter: RateLimiter, time: Time) -> None:
    permits = [limiter.acquire() for _ in range(4)]
    for granted in (1, 2, 3):
        assert [permit.is_ready for permit in permits] == [True] * granted + [False] * (
            4 - granted
        )
        time.advance(0.999)
        assert permits[granted].is_pending
        time.advance(0.001)
    assert permits[3].is_ready
    assert not time.timers


def test_what_was_not_asked_for_is_not_saved_up(limiter: RateLimiter, time: Time) -> None:
    limiter.acquire()
    time.advance(100.0)
    assert limiter.acquire().is_ready
    late = limiter.acquire()
    assert late.is_pending
    time.advance(1.0)
    assert late.is_ready


def test_a_permit_is_there_again_exactly_after_the_interval(time: Time) -> None:
    limiter = RateLimiter(10)
    for _ in range(20):
        assert limiter.acquire().is_ready
        time.advance(0.1)


def test_the_rest_of_the_interval_is_waited_for(limiter: RateLimiter, time: Time) -> None:
    limiter.acquire()
    time.advance(0.75)
    permit = limiter.acquire()
    time.advance(0.249)
    assert permit.is_pending
    time.advance(0.001)
    assert permit.is_ready


def test_a_long_advance_grants_one_permit(limiter: RateLimiter, time: Time) -> None:
    permits = [limiter.acquire() for _ in range(3)]
    time.advance(60.0)
    assert [permit.is_ready for permit in permits] == [True, True, False]
    time.advance(1.0)
    assert permits[2].is_ready


def test_only_the_ratio_counts(time: Time) -> None:
    assert RateLimiter(2, 0.005).interval == 0.0025
    assert RateLimiter(4, 8).interval == RateLimiter(1, 2).interval == 2.0
    assert RateLimiter(4).interval == 0.25


@pytest.mark.parametrize(
    ("permits", "seconds"),
    [
        (0, 1),
        (1, 0),
        (-1, 1),
        (1, -1),
        (math.inf, 1),
        (1, math.inf),
        (math.nan, 1),
        (1, math.nan),
        ("1", 1),
        (1, None),
    ],
)
def test_impossible_rates_are_refused(permits: float, seconds: float) -> None:
    with pytest.raises(InvalidArgument, match="above 0"):
        RateLimiter(permits, seconds)
    with pytest.raises(ValueError, match="above 0"):
        RateLimiter(permits, seconds)


def test_a_discarded_waiter_uses_no_permit(limiter: RateLimiter, time: Time) -> None:
    limiter.acquire()
    second, third = limiter.acquire(), limiter.acquire()
    assert second.discard()
    assert second.is_discarded
    time.advance(1.0)
    assert third.is_ready


def test_when_all_waiters_are_discarded_nothing_is_armed(limiter: RateLimiter, time: Time) -> None:
    limiter.acquire()
    for waiter in [limiter.acquire(), limiter.acquire()]:
        waiter.discard()

    assert not time.timers
    time.advance(1.0)
    assert limiter.acquire().is_ready


def test_a_waiter_after_discarded_ones_waits_for_the_rest_only(
    limiter: RateLimiter, time: Time
) -> None:
    limiter.acquire()
    time.advance(0.5)
    waiter = limiter.acquire()
    time.advance(0.5)
    assert waiter.is_ready


def test_a_callback_that_acquires_gets_the_permit_after_those_who_wait(
    limiter: RateLimiter, time: Time
) -> None:
    order: list[str] = []
    limiter.acquire()
    limiter.acquire().on_ready(
        lambda _: limiter.acquire().on_ready(lambda _: order.append("from the callback"))
    )
    limiter.acquire().on_ready(lambda _: order.append("before it"))

    for _ in range(3):
        time.advance(1.0)

    assert order == ["before it", "from the callback"]


def test_greenlets_wait_in_the_same_line(limiter: RateLimiter, time: Time) -> None:
    limiter.acquire()
    greenlet = start(limiter.wait_acquire)
    permit = limiter.acquire()

    time.advance(1.0)
    assert greenlet.get() is True
    assert permit.is_pending
    time.advance(1.0)
    assert permit.is_ready


def test_with_waits_for_a_permit(limiter: RateLimiter, time: Time) -> None:
    passed: list[int] = []

    def work() -> None:
        for number in range(3):
            with limiter:
                passed.append(number)

    greenlet = start(work)
    assert passed == [0]
    time.advance(1.0)
    assert passed == [0, 1]
    time.advance(1.0)
    greenlet.get()


def test_waiting_can_be_limited_by_the_clock(limiter: RateLimiter, time: Time) -> None:
    limiter.acquire()
    greenlet = start(lambda: limiter.wait_acquire(0.5))
    behind = limiter.acquire()

    time.advance(0.5)
    assert greenlet.get() is False
    time.advance(0.5)
    assert behind.is_ready


def test_killing_who_waits_uses_no_permit(limiter: RateLimiter, time: Time) -> None:
    limiter.acquire()
    greenlet = start(limiter.wait_acquire)
    greenlet.kill()
    assert not time.timers
    time.advance(1.0)
    assert limiter.acquire().is_ready


def test_capacity_bounds_how_many_wait(time: Time) -> None:
    limiter = RateLimiter(1, capacity=2)
    permits = [limiter.acquire() for _ in range(3)]
    with pytest.raises(StateError, match="2 waiting"):
        limiter.acquire()
    expect_error(StateError, limiter.wait_acquire)

    permits[1].discard()
    last = limiter.acquire()
    for _ in range(2):
        time.advance(1.0)
    assert last.is_ready


def test_a_capacity_of_zero_grants_at_once_or_refuses(time: Time) -> None:
    limiter = RateLimiter(1, capacity=0)
    assert limiter.acquire().is_ready
    expect_error(StateError, limiter.acquire)
    assert not time.timers
    time.advance(1.0)
    assert limiter.acquire().is_ready


@pytest.mark.parametrize("capacity", [-1, 1.5, float("nan"), "5"])
def test_a_capacity_that_is_no_number_of_waiters_is_refused(capacity: Any) -> None:
    with pytest.raises(InvalidArgument, match=f"expected capacity .*, got {capacity!r}"):
        RateLimiter(1, capacity=capacity)


def test_closing_discards_who_waits(limiter: RateLimiter, time: Time) -> None:
    limiter.acquire()
    waiting = limiter.acquire()
    greenlet = start(lambda: expect_error(Closed, limiter.wait_acquire))

    limiter.close()
    limiter.close()

    expect_error(Discarded, waiting.get)
    greenlet.get()
    assert not time.timers
    expect_error(Closed, limiter.acquire)
    expect_error(Closed, limiter.wait_acquire)


def test_closing_goes_on_when_a_callback_ends_the_greenlet(
    limiter: RateLimiter, time: Time
) -> None:
    limiter.acquire()
    first, second = limiter.acquire(), limiter.acquire()
    first.on_discarded(interrupt)
    expect_error(Interrupted, limiter.close)
    assert second.is_discarded


def test_a_clock_that_stops_abandons_who_waits(limiter: RateLimiter, time: Time) -> None:
    limiter.acquire()
    waiting = limiter.acquire()
    greenlet = start(lambda: expect_error(Closed, limiter.wait_acquire))

    time.clock.stop()
    gevent.idle()

    expect_error(Abandoned, waiting.get)
    greenlet.get()


def test_a_stopped_clock_is_told_to_who_would_wait(limiter: RateLimiter, time: Time) -> None:
    limiter.acquire()
    time.clock.stop()
    time.clock.pause()
    expect_error(StateError, limiter.acquire)
    assert limiter.statistics()["waiting"] == 0


def test_it_goes_on_after_the_clock_was_started_again(limiter: RateLimiter, time: Time) -> None:
    limiter.acquire()
    waiting = limiter.acquire()
    time.clock.stop()
    gevent.idle()
    time.clock.start()
    time.clock.pause()

    permit = limiter.acquire()
    time.advance(1.0)
    assert permit.is_ready
    assert waiting.is_abandoned


@needs_refcounts
def test_without_a_reference_it_goes_on_until_nobody_waits(time: Time) -> None:
    limiter = RateLimiter(1)
    limiter.acquire()
    permits = [limiter.acquire(), limiter.acquire()]
    del limiter

    time.advance(1.0)
    time.advance(1.0)

    assert [permit.is_ready for permit in permits] == [True, True]
    assert not time.timers


def test_it_follows_a_clock_that_runs(time: Time) -> None:
    time.clock.resume()
    limiter = RateLimiter(1)
    limiter.acquire()
    permit = limiter.acquire()
    time.move(0.999)
    assert permit.is_pending
    time.move(0.001)
    assert permit.is_ready


def test_repr_and_statistics_tell_the_state(limiter: RateLimiter, time: Time) -> None:
    limiter.acquire()
    waiting = limiter.acquire()
    assert repr(limiter) == "<RateLimiter one per 1 s, 1 waiting>"
    assert limiter.statistics() == {"waiting": 1, "granted": 1, "interval": 1.0}
    time.advance(1.0)
    assert limiter.statistics() == {"waiting": 0, "granted": 2, "interval": 1.0}
    limiter.close()
    assert repr(limiter) == "<RateLimiter closed, one per 1 s, 0 waiting>"
    assert waiting.is_ready


def test_the_alarm_that_rings_while_the_last_who_waited_is_told_of_its_discard(
    limiter: RateLimiter, time: Time, reported: list[BaseException]
) -> None:
    """It finds nobody; its callback, which waits, keeps `discard` from stopping it in time."""
    limiter.acquire()
    late = limiter.acquire()
    gate = Event()
    late.on_discarded(lambda: gate.wait() and None)
    discarding = start(late.discard)
    time.advance(1.0)

    gate.set()
    discarding.join()

    assert reported == []
    assert limiter.statistics() == {"waiting": 0, "granted": 1, "interval": 1.0}
    assert limiter.acquire().is_ready


@pytest.mark.usefixtures("hub_alive")
def test_native_threads_share_one_rate() -> None:
    """With the clock of this hub, for which all of them wait."""
    clock = Clock(HubSource())
    clock.start()
    limiter = RateLimiter(1e5)
    runtime = SimpleNamespace(clock=clock)

    def work(number: int) -> float:
        RUNTIME.set(runtime)
        if number % 2:
            limiter.acquire().get()
        else:
            assert limiter.wait_acquire()
        return clock.now()

    with ThreadPoolExecutor(4) as executor:
        times = collect([from_concurrent(executor.submit(work, n)) for n in range(40)]).get()
    clock.stop()

    assert limiter.statistics() == {"waiting": 0, "granted": 40, "interval": 1e-5}
    assert max(times) - min(times) >= 0


def test_a_native_thread_waits_by_a_clock_of_its_own() -> None:
    """Without a runtime there is no other one; it needs the hub of that thread to run."""
    limiter = RateLimiter(10)
    assert limiter.acquire().is_ready

    def work() -> None:
        assert limiter.wait_acquire()
        gevent.get_hub().destroy(destroy_loop=True)

    start_thread(work)()


def test_an_alarm_that_rings_while_another_thread_cancels_it_grants_nothing(
    limiter: RateLimiter, time: Time
) -> None:
    limiter.acquire()
    first = limiter.acquire()
    [(thread_clock, cancelled)] = limiter._timers.items()
    first.discard()
    second = limiter.acquire()

    limiter._expire(thread_clock, cancelled, True)

    assert second.is_pending
    time.advance(1.0)
    assert second.is_ready
