"""The queue, beyond what libprocess tests of it."""

from __future__ import annotations

from typing import Any

import gevent
import pytest

from greenproc.errors import Abandoned, Closed, InvalidArgument, StateError, WaitTimeout
from greenproc.future import Failure, Future, Promise
from greenproc.sync import Queue
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
def queue() -> Queue[Any]:
    return Queue()


def test_items_come_in_the_order_in_which_they_were_put(queue: Queue[Any]) -> None:
    for item in (1, 2, 3):
        queue.put(item)
    assert [queue.get().get(), queue.wait_get(), queue.get_nowait()] == [1, 2, 3]


def test_futures_and_greenlets_get_in_the_order_in_which_they_came(queue: Queue[Any]) -> None:
    first = start(queue.wait_get)
    second = queue.get()
    third = start(queue.wait_get)

    for item in (1, 2, 3):
        queue.put(item)

    assert second.get() == 2
    assert [first.get(), third.get()] == [1, 3]


def test_an_item_is_handed_over_before_anybody_can_take_it(queue: Queue[Any]) -> None:
    waiter = start(queue.wait_get)

    queue.put(1)
    expect_error(WaitTimeout, queue.get_nowait)
    late = queue.get()

    assert late.is_pending
    assert waiter.get() == 1


def test_callbacks_run_before_put_returns(queue: Queue[Any]) -> None:
    seen: list[int] = []
    queue.get().on_ready(seen.append)
    queue.put(1)
    assert seen == [1]


def test_an_item_may_be_none_or_an_error(queue: Queue[Any]) -> None:
    error = ValueError("an item")
    for item in (None, error):
        queue.put(item)
    assert queue.wait_get() is None
    assert queue.get().get() is error


@pytest.mark.parametrize("item", [Future(1), Promise().future, Failure("an item")])
def test_an_item_that_is_a_future_or_a_failure_is_an_item(queue: Queue[Any], item: object) -> None:
    early = queue.get()
    sleeper = start(queue.wait_get)
    for _ in range(5):
        queue.put(item)

    assert early.get() is item
    assert sleeper.get() is item
    assert queue.get().get() is item
    assert queue.wait_get() is item
    assert queue.get_nowait() is item


def test_a_discarded_getter_loses_no_item(queue: Queue[Any]) -> None:
    first, second = queue.get(), queue.get()
    first.discard()
    second.discard()

    queue.put(1)

    assert first.is_discarded
    assert second.is_discarded
    assert queue.get_nowait() == 1


def test_a_request_after_the_item_was_given_does_nothing(queue: Queue[Any]) -> None:
    getter = queue.get()
    queue.put(1)
    assert not getter.discard()
    assert getter.get() == 1


def test_ten_thousand_getters_may_put_in_their_callbacks(queue: Queue[Any]) -> None:
    for _ in range(10_000):
        queue.get().on_ready(lambda item: queue.put(item + 1))
    queue.put(0)
    assert queue.get_nowait() == 10_000


def test_get_nowait_of_an_empty_queue_raises(queue: Queue[Any]) -> None:
    with pytest.raises(WaitTimeout, match="empty"):
        queue.get_nowait()


def test_waiting_can_be_limited_by_the_clock(queue: Queue[Any], time: Time) -> None:
    waiter = start(lambda: expect_error(WaitTimeout, lambda: queue.wait_get(5.0)))
    time.advance(4.999)
    assert not waiter.ready()
    time.advance(0.001)
    waiter.get()

    queue.put(1)
    assert queue.get_nowait() == 1


def test_a_negative_timeout_is_over_at_once_and_says_so(queue: Queue[Any], time: Time) -> None:
    with pytest.raises(WaitTimeout, match=r"no item at once, as the timeout was -1 s \(None"):
        queue.wait_get(-1)


def test_an_item_in_time_stops_the_timer(queue: Queue[Any], time: Time) -> None:
    waiter = start(lambda: queue.wait_get(5.0))
    queue.put(1)
    assert waiter.get() == 1
    assert not time.timers


def test_an_item_at_the_last_moment_counts(queue: Queue[Any], time: Time) -> None:
    waiter = start(lambda: queue.wait_get(5.0))
    time.clock.advance(5.0)
    queue.put(1)
    assert waiter.get() == 1


def test_killing_who_waits_loses_no_item(queue: Queue[Any]) -> None:
    start(queue.wait_get).kill()
    queue.put(1)
    assert queue.get_nowait() == 1


def test_an_item_given_to_a_greenlet_that_is_killed_goes_to_the_next(queue: Queue[Any]) -> None:
    killed = start(queue.wait_get)
    next_one = queue.get()

    killed.kill(block=False)
    queue.put(1)
    assert next_one.is_pending
    killed.join()

    assert next_one.get() == 1


def test_an_item_given_to_a_greenlet_that_is_killed_comes_first_again(queue: Queue[Any]) -> None:
    killed = start(queue.wait_get)
    killed.kill(block=False)
    for item in (1, 2):
        queue.put(item)
    killed.join()
    assert [queue.get_nowait(), queue.get_nowait()] == [1, 2]


def test_a_full_queue_refuses_and_stays_as_it_is() -> None:
    queue: Queue[int] = Queue(capacity=2)
    queue.put(1)
    queue.put(2)
    with pytest.raises(StateError, match=r"2 of 2 items"):
        queue.put(3)

    assert queue.get_nowait() == 1
    queue.put(4)
    assert [queue.get_nowait(), queue.get_nowait()] == [2, 4]


def test_capacity_does_not_count_items_that_are_handed_over() -> None:
    queue: Queue[int] = Queue(capacity=1)
    getters = [queue.get() for _ in range(3)]
    for item in range(3):
        queue.put(item)
    assert [getter.get() for getter in getters] == [0, 1, 2]


def test_what_a_killed_greenlet_gives_back_may_exceed_the_capacity() -> None:
    queue: Queue[int] = Queue(capacity=1)
    killed = start(queue.wait_get)
    killed.kill(block=False)
    queue.put(1)
    queue.put(2)
    killed.join()

    expect_error(StateError, lambda: queue.put(3))
    assert [queue.get_nowait(), queue.get_nowait()] == [1, 2]


@pytest.mark.parametrize("capacity", [0, -1, 1.5, float("nan"), "5", True])
def test_a_capacity_below_one_is_refused(capacity: Any) -> None:
    with pytest.raises(InvalidArgument, match="capacity"):
        Queue(capacity=capacity)


def test_closing_abandons_who_waits(queue: Queue[Any]) -> None:
    getter = queue.get()
    greenlet = start(lambda: expect_error(Closed, queue.wait_get))

    queue.close()

    expect_error(Abandoned, getter.get)
    greenlet.get()


def test_closing_goes_on_when_a_callback_ends_the_greenlet(queue: Queue[Any]) -> None:
    first, second = queue.get(), queue.get()
    first.on_abandoned(interrupt)
    expect_error(Interrupted, queue.close)
    assert second.is_abandoned


def test_what_a_closed_queue_holds_can_still_be_got(queue: Queue[Any]) -> None:
    for item in (1, 2, 3):
        queue.put(item)
    queue.close()

    expect_error(Closed, lambda: queue.put(4))
    assert [queue.get().get(), queue.wait_get(), queue.get_nowait()] == [1, 2, 3]
    for get in (queue.get, queue.wait_get, queue.get_nowait):
        expect_error(Closed, get)


def test_iteration_waits_for_items_and_ends_with_the_queue(queue: Queue[Any]) -> None:
    seen: list[int] = []
    reader = start(lambda: seen.extend(queue))
    for item in (1, 2):
        queue.put(item)
    gevent.idle()
    assert not reader.ready()

    queue.put(3)
    queue.close()
    reader.get()
    assert seen == [1, 2, 3]


@needs_refcounts
def test_garbage_abandons_who_waits() -> None:
    queue: Queue[int] = Queue()
    getter = queue.get()
    del queue
    assert getter.is_abandoned


def test_an_empty_queue_is_true_and_has_no_length(queue: Queue[Any]) -> None:
    assert queue
    assert len(queue) == queue.size() == queue.qsize() == 0
    queue.put(1)
    assert len(queue) == queue.size() == queue.qsize() == 1


def test_who_waits_does_not_count_as_an_item(queue: Queue[Any]) -> None:
    getter = queue.get()
    assert len(queue) == 0
    assert getter.is_pending


def test_a_greenlet_gets_an_item_from_another_thread(queue: Queue[Any], hub_alive: None) -> None:
    waiter = start(queue.wait_get)
    join = start_thread_in_time(lambda: queue.put(1))
    assert waiter.get(timeout=10) == 1
    join()


def test_a_future_gets_an_item_from_another_thread(queue: Queue[Any]) -> None:
    getter = queue.get()
    in_thread(lambda: queue.put(1))
    assert getter.get() == 1


def test_a_thread_without_a_hub_gets_an_item(queue: Queue[Any]) -> None:
    seen: list[int] = []
    join = start_thread(lambda: seen.append(queue.wait_get()))
    queue.put(1)
    join()
    assert seen == [1]


def test_threads_lose_and_double_no_item(queue: Queue[Any]) -> None:
    got: list[int] = []

    def put(first: int) -> None:
        for item in range(first, first + 250):
            queue.put(item)

    joins = [start_thread(lambda: got.extend(queue)) for _ in range(2)]
    for join in [start_thread(lambda first=first: put(first)) for first in (0, 250, 500, 750)]:
        join()
    queue.close()
    for join in joins:
        join()
    assert sorted(got) == list(range(1000))


def test_repr_and_statistics_tell_the_state(queue: Queue[Any]) -> None:
    getter = queue.get()
    assert repr(queue) == "<Queue 0 items, 1 waiting>"
    assert queue.statistics() == {"items": 0, "waiting": 1, "put": 0}

    queue.put(1)
    queue.put(2)
    queue.close()
    assert repr(queue) == "<Queue closed, 1 items, 0 waiting>"
    assert queue.statistics() == {"items": 1, "waiting": 0, "put": 2}
    assert getter.is_ready
