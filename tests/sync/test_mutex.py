"""The mutex, beyond what libprocess tests of it."""

from __future__ import annotations

import gevent
import pytest

from greenproc.errors import Abandoned, Closed, InvalidArgument
from greenproc.sync import Mutex
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
def mutex() -> Mutex:
    return Mutex()


def test_with_holds_it_for_the_block(mutex: Mutex) -> None:
    with mutex:
        assert mutex.is_locked
    assert not mutex.is_locked


def test_with_unlocks_when_the_block_raises(mutex: Mutex) -> None:
    with pytest.raises(ValueError, match="boom"), mutex:
        raise ValueError("boom")
    assert not mutex.is_locked


def test_futures_and_greenlets_get_it_in_the_order_in_which_they_came(mutex: Mutex) -> None:
    mutex.lock()
    first = start(mutex.wait_lock)
    second = mutex.lock()
    third = start(mutex.wait_lock)

    mutex.unlock()
    assert first.get()
    assert second.is_pending
    mutex.unlock()
    assert second.is_ready
    gevent.idle()
    assert not third.ready()
    mutex.unlock()
    assert third.get()


def test_it_is_handed_over_before_anybody_can_take_it(mutex: Mutex) -> None:
    mutex.lock()
    waiting = mutex.lock()

    mutex.unlock()

    assert waiting.is_ready
    assert mutex.is_locked
    assert mutex.lock().is_pending


def test_a_waiting_greenlet_has_it_before_it_runs(mutex: Mutex) -> None:
    mutex.lock()
    waiter = start(mutex.wait_lock)

    mutex.unlock()

    assert mutex.lock().is_pending
    assert waiter.get()


def test_callbacks_run_before_unlock_returns(mutex: Mutex) -> None:
    seen: list[None] = []
    mutex.lock()
    mutex.lock().on_ready(seen.append)
    mutex.unlock()
    assert seen == [None]


def test_unlocking_what_is_free_does_nothing(mutex: Mutex) -> None:
    mutex.unlock()
    assert mutex.lock().is_ready
    assert mutex.lock().is_pending


def test_a_discarded_waiter_is_taken_out_of_the_line(mutex: Mutex) -> None:
    mutex.lock()
    first, second = mutex.lock(), mutex.lock()

    assert first.discard()
    assert first.is_discarded
    mutex.unlock()

    assert second.is_ready


def test_discarding_the_only_waiter_leaves_it_free_in_the_end(mutex: Mutex) -> None:
    mutex.lock()
    mutex.lock().discard()
    mutex.unlock()
    assert not mutex.is_locked


def test_a_request_after_the_lock_was_given_does_nothing(mutex: Mutex) -> None:
    mutex.lock()
    waiting = mutex.lock()
    mutex.unlock()

    assert not waiting.discard()
    assert waiting.is_ready
    assert mutex.is_locked


def test_a_discard_reaches_the_waiter_through_a_chain(mutex: Mutex) -> None:
    mutex.lock()
    waiting = mutex.lock()
    chained = waiting.then(lambda _: 1)

    chained.discard()

    assert waiting.is_discarded
    assert chained.is_discarded


def test_ten_thousand_waiters_may_unlock_in_their_callbacks(mutex: Mutex) -> None:
    mutex.lock()
    for _ in range(10_000):
        mutex.lock().on_ready(lambda _: mutex.unlock())
    last = mutex.lock()

    mutex.unlock()

    assert last.is_ready


def test_waiting_can_be_limited_by_the_clock(mutex: Mutex, time: Time) -> None:
    mutex.lock()
    waiter = start(lambda: mutex.wait_lock(5.0))

    time.advance(4.999)
    assert not waiter.ready()
    time.advance(0.001)

    assert waiter.get() is False
    mutex.unlock()
    assert not mutex.is_locked


def test_a_lock_in_time_stops_the_timer(mutex: Mutex, time: Time) -> None:
    mutex.lock()
    waiter = start(lambda: mutex.wait_lock(5.0))
    mutex.unlock()

    assert waiter.get() is True
    assert not time.timers


def test_a_lock_at_the_last_moment_counts(mutex: Mutex, time: Time) -> None:
    mutex.lock()
    waiter = start(lambda: mutex.wait_lock(5.0))
    time.clock.advance(5.0)
    mutex.unlock()
    gevent.idle()

    assert waiter.get() is True
    assert mutex.is_locked


def test_waiting_with_a_limit_ends_when_the_clock_is_stopped(mutex: Mutex, time: Time) -> None:
    mutex.lock()
    waiter = start(lambda: mutex.wait_lock(5.0))
    time.clock.stop()
    assert waiter.get() is False


def test_a_limit_that_is_no_number_leaves_nobody_in_the_line(mutex: Mutex, time: Time) -> None:
    mutex.lock()
    with pytest.raises(InvalidArgument):
        mutex.wait_lock("soon")  # type: ignore[arg-type]
    mutex.unlock()
    assert not mutex.is_locked


def test_killing_who_waits_gives_the_place_up(mutex: Mutex) -> None:
    mutex.lock()
    waiter = start(mutex.wait_lock)
    behind = mutex.lock()

    waiter.kill()
    mutex.unlock()

    assert behind.is_ready


def test_what_was_given_to_a_greenlet_that_is_killed_is_passed_on(mutex: Mutex) -> None:
    mutex.lock()
    waiter = start(mutex.wait_lock)
    behind = mutex.lock()

    waiter.kill(block=False)
    mutex.unlock()
    assert behind.is_pending
    waiter.join()

    assert behind.is_ready
    mutex.unlock()
    assert not mutex.is_locked


def test_closing_abandons_who_waits(mutex: Mutex) -> None:
    mutex.lock()
    waiting = mutex.lock()
    greenlet = start(lambda: expect_error(Closed, mutex.wait_lock))

    mutex.close()

    assert waiting.is_abandoned
    expect_error(Abandoned, waiting.get)
    greenlet.get()


def test_a_closed_mutex_can_be_unlocked_and_not_locked(mutex: Mutex) -> None:
    mutex.lock()
    mutex.close()
    mutex.close()
    mutex.unlock()

    assert not mutex.is_locked
    expect_error(Closed, mutex.lock)
    expect_error(Closed, mutex.wait_lock)


def test_closing_goes_on_when_a_callback_ends_the_greenlet(mutex: Mutex) -> None:
    mutex.lock()
    first, second = mutex.lock(), mutex.lock()
    first.on_abandoned(interrupt)

    expect_error(Interrupted, mutex.close)

    assert second.is_abandoned


@needs_refcounts
def test_garbage_abandons_who_waits() -> None:
    mutex = Mutex()
    mutex.lock()
    waiting = mutex.lock()
    del mutex
    assert waiting.is_abandoned


def test_another_thread_may_unlock(mutex: Mutex) -> None:
    mutex.lock()
    waiting = mutex.lock()
    in_thread(mutex.unlock)
    assert waiting.is_ready


def test_a_greenlet_gets_it_from_another_thread(mutex: Mutex, hub_alive: None) -> None:
    mutex.lock()
    waiter = start(mutex.wait_lock)
    join = start_thread_in_time(mutex.unlock)

    assert waiter.get(timeout=10)
    join()


def test_a_thread_without_a_hub_waits_for_it(mutex: Mutex) -> None:
    mutex.lock()
    join = start_thread(mutex.wait_lock)
    mutex.unlock()
    join()
    assert mutex.is_locked


def test_a_thread_without_a_hub_may_limit_its_wait(mutex: Mutex) -> None:
    mutex.lock()
    seen: list[bool] = []
    in_thread(lambda: seen.append(mutex.wait_lock(0.0)))
    assert seen == [False]
    mutex.unlock()
    assert not mutex.is_locked


def test_threads_exclude_each_other(mutex: Mutex) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(200):
            with mutex:
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    for join in [start_thread(work) for _ in range(4)]:
        join()
    assert max(most) == 1
    assert len(most) == 800


def test_waiting_in_the_hub_is_an_error(mutex: Mutex, reported: list[BaseException]) -> None:
    mutex.lock()
    gevent.get_hub().loop.run_callback(mutex.wait_lock)
    gevent.idle()

    assert [type(error).__name__ for error in reported] == ["BlockingSwitchOutError"]
    mutex.unlock()
    assert not mutex.is_locked


def test_repr_tells_the_state(mutex: Mutex) -> None:
    assert repr(mutex) == "<Mutex free, 0 waiting>"
    mutex.lock()
    waiting = mutex.lock()
    assert repr(mutex) == "<Mutex locked, 1 waiting>"
    mutex.close()
    assert repr(mutex) == "<Mutex closed, 0 waiting>"
    assert waiting.is_abandoned
