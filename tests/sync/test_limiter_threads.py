"""The rate limiter in several native threads, each with a clock of its own or with one for all."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import gevent
import pytest

from greenproc.clock import Clock, HubSource
from greenproc.clock.current import find_clock
from greenproc.current import RUNTIME
from greenproc.errors import Closed
from greenproc.future import Future
from greenproc.sync import RateLimiter
from tests.future.support import Time, in_thread, manual_time
from tests.sync.support import expect_error, needs_refcounts, start, start_thread


def in_own_hub(function: Callable[[], object]) -> Callable[[], None]:
    """Run *function* in a native thread that has a hub, and return what joins that."""

    def call() -> None:
        gevent.get_hub()
        try:
            function()
        finally:
            RUNTIME.set(None)
            find_clock().stop()  # what it may have armed still does not end with the hub
            gevent.get_hub().destroy(destroy_loop=True)

    return start_thread(call)


def take(limiter: RateLimiter, number: int) -> None:
    """Take so many permits, in both ways in turn."""
    for turn in range(number):
        if turn % 2:
            limiter.acquire().get()
        else:
            assert limiter.wait_acquire()


def granted(limiter: RateLimiter) -> float:
    """Return how many permits there were; nobody may wait any more, and nothing be armed."""
    assert not limiter._timers
    assert not limiter._deliveries
    assert limiter.statistics()["waiting"] == 0
    return limiter.statistics()["granted"]


def test_a_thread_and_greenlets_of_the_first_thread_take_turns() -> None:
    limiter = RateLimiter(500)
    assert limiter.acquire().is_ready
    join = in_own_hub(lambda: take(limiter, 2))

    gevent.spawn(take, limiter, 4).get(timeout=10.0)

    join()
    assert granted(limiter) == 7


def test_threads_wait_while_the_first_user_stands_still() -> None:
    limiter = RateLimiter(500)
    assert limiter.acquire().is_ready
    pending = limiter.acquire()

    for join in [in_own_hub(lambda: take(limiter, 3)) for _ in range(4)]:
        join()

    assert pending.is_ready
    assert granted(limiter) == 14


def test_those_who_wait_get_their_permits_when_the_first_user_has_ended() -> None:
    limiter = RateLimiter(500)
    futures: list[Future[None]] = []
    in_thread(lambda: futures.extend(limiter.acquire() for _ in range(2)))
    assert [future.is_ready for future in futures] == [True, False]

    greenlets = [gevent.spawn(take, limiter, 2) for _ in range(2)]
    gevent.joinall(greenlets, timeout=10.0, raise_error=True)

    assert futures[1].is_ready
    assert granted(limiter) == 6


def test_threads_and_greenlets_outside_of_the_runtime_that_uses_it_first() -> None:
    clock = Clock(HubSource())
    clock.start()
    limiter = RateLimiter(500)
    token = RUNTIME.set(SimpleNamespace(clock=clock))
    assert limiter.acquire().is_ready
    inside = start(lambda: take(limiter, 5))
    RUNTIME.reset(token)

    joins = [in_own_hub(lambda: take(limiter, 5)) for _ in range(2)]
    outside = gevent.spawn(take, limiter, 5)
    gevent.joinall([inside, outside], timeout=10.0, raise_error=True)
    for join in joins:
        join()

    assert granted(limiter) == 21
    assert clock.statistics()["timers"] == 0
    clock.stop()


@pytest.mark.usefixtures("hub_alive")
def test_threads_with_hubs_of_their_own_wait_for_the_clock_of_a_runtime() -> None:
    """Each keeps its own hub alive, whichever thread armed a timer before."""
    clock = Clock(HubSource())
    clock.start()
    runtime = SimpleNamespace(clock=clock)
    limiter = RateLimiter(500)

    def work() -> None:
        RUNTIME.set(runtime)
        take(limiter, 4)

    threads = gevent.get_hub().threadpool
    joins = [in_own_hub(work) for _ in range(4)]
    gevent.joinall(
        [threads.spawn(join) for join in joins], timeout=10.0
    )  # this hub runs meanwhile
    for join in joins:
        join()

    assert granted(limiter) == 16
    gevent.idle()
    assert clock.statistics()["timers"] == 0
    clock.stop()


def test_a_greenlet_outside_of_the_runtime_waits_by_the_clock_of_the_first_user(
    time: Time,
) -> None:
    limiter = RateLimiter(1)
    limiter.acquire()
    greenlet = gevent.spawn(limiter.wait_acquire)
    gevent.idle()
    assert not greenlet.ready()

    time.advance(1.0)

    assert greenlet.get(timeout=10.0) is True


def test_a_thread_waits_for_the_time_of_the_first_user() -> None:
    """It looks at that from time to time, since nothing tells it of an advance."""
    clock = Clock(HubSource())
    clock.start()
    clock.pause()
    limiter = RateLimiter(500)
    token = RUNTIME.set(SimpleNamespace(clock=clock))
    limiter.acquire()
    RUNTIME.reset(token)
    times: list[float] = []

    def work() -> None:
        assert not limiter.wait_acquire(0.01)
        clock.advance(0.002)
        assert limiter.wait_acquire()
        times.append(clock.now())

    before = clock.now()
    in_own_hub(work)()

    assert times == [pytest.approx(before + 0.002)]
    clock.stop()


def test_another_clock_counts_once_that_of_the_first_user_was_stopped() -> None:
    limiter = RateLimiter(1)
    with manual_time() as first:
        first.clock.pause()
        limiter.acquire()
        first.clock.advance(0.25)

    with manual_time() as second:
        second.clock.pause()
        permit = limiter.acquire()
        second.advance(0.749)
        assert permit.is_pending
        second.advance(0.001)
        assert permit.is_ready


@pytest.mark.usefixtures("hub_alive")
def test_a_clock_that_stops_abandons_only_who_waits_by_it() -> None:
    clock = Clock(HubSource())
    clock.start()
    limiter = RateLimiter(500)
    token = RUNTIME.set(SimpleNamespace(clock=clock))
    limiter.acquire()
    clock.pause()
    here = start(lambda: expect_error(Closed, limiter.wait_acquire))
    RUNTIME.reset(token)
    join = in_own_hub(lambda: take(limiter, 1))
    while len(limiter._waiters) < 2:
        gevent.sleep(0)

    clock.stop()

    here.get(timeout=10.0)
    join()
    assert granted(limiter) == 2


@pytest.mark.usefixtures("hub_alive")
def test_a_discard_here_stops_the_alarm_of_another_thread() -> None:
    clock = Clock(HubSource())
    clock.start()
    limiter = RateLimiter(0.001)
    futures: list[Future[None]] = []

    def work() -> None:
        RUNTIME.set(SimpleNamespace(clock=clock))
        futures.extend(limiter.acquire() for _ in range(2))

    start_thread(work)()
    gevent.idle()
    assert clock.statistics()["timers"] == 1

    futures[1].discard()
    gevent.idle()

    assert clock.statistics()["timers"] == 0
    assert granted(limiter) == 1
    clock.stop()


@needs_refcounts
def test_who_is_being_told_is_kept_awake_until_then(time: Time) -> None:
    """Else the hub of another thread might give up between its grant and the news of it."""
    limiter = RateLimiter(1)
    limiter.acquire()
    permit = limiter.acquire()
    with limiter._guard:
        thread_clocks = limiter._begin_delivery(limiter._waiters.clear())

    time.advance(1.0)
    assert time.timers == 1
    limiter._end_delivery(thread_clocks)

    assert not time.timers
    assert permit.is_abandoned
