"""Where callbacks run and how deep they nest: greenlets, the hub, native threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import gevent
import pytest
from gevent import getcurrent
from gevent._hub_local import get_hub_if_exists
from gevent.event import Event

from greenproc.clock import Timer
from greenproc.current import RUNTIME
from greenproc.future import Future, Promise, collect
from greenproc.future.delivery import MAX_DEPTH
from tests.future.support import Time, in_thread


def in_hub(function: Any, *arguments: Any) -> None:
    gevent.get_hub().loop.run_callback(function, *arguments)


def test_a_kill_counts_for_more_than_a_limit_of_gevent() -> None:
    """Else the greenlet would take the one, and live on although it was killed."""
    promise: Promise[int] = Promise()
    for fatal in (gevent.Timeout, gevent.GreenletExit, gevent.Timeout):
        promise.future.on_ready(partial(end, fatal))

    with pytest.raises(gevent.GreenletExit):
        promise.set(1)


def test_a_kill_in_the_backlog_counts_for_more_than_a_limit_of_gevent() -> None:
    first: Promise[int] = Promise()
    promise = first
    for depth in range(MAX_DEPTH + 2):
        after: Promise[int] = Promise()
        promise.future.on_ready(after.set)
        if depth == 3:
            promise.future.on_ready(partial(end, gevent.Timeout))
        promise = after
    promise.future.on_ready(partial(end, gevent.GreenletExit))

    with pytest.raises(gevent.GreenletExit):
        first.set(1)


def end(fatal: type[BaseException], _: object) -> None:
    raise fatal


def test_callbacks_run_in_the_greenlet_that_completes() -> None:
    promise: Promise[int] = Promise()
    where: list[Any] = []
    promise.future.on_ready(lambda _: where.append(getcurrent()))

    completer = gevent.spawn(promise.set, 1)
    completer.get()

    assert where == [completer]


def test_a_completion_in_the_hub_hops_to_a_greenlet_where_callbacks_may_wait() -> None:
    promise: Promise[int] = Promise()
    other: Promise[str] = Promise()
    results: list[Any] = []
    promise.future.on_ready(lambda _: results.append(other.future.get()))

    in_hub(promise.set, 1)
    in_hub(other.set, "waited")
    gevent.idle()

    assert results == ["waited"]


def test_a_registration_in_the_hub_hops_too() -> None:
    where: list[Any] = []

    in_hub(Future(1).on_ready, lambda _: where.append(getcurrent()))
    gevent.idle()

    assert len(where) == 1
    assert where[0] is not gevent.get_hub()


def test_what_is_registered_before_a_delivery_keeps_its_place() -> None:
    promise: Promise[int] = Promise()
    order: list[str] = []
    promise.future.on_any(lambda _: order.append("early"))

    def complete() -> None:
        promise.set(1)
        promise.future.on_any(lambda _: order.append("meanwhile"))

    in_hub(complete)
    gevent.idle()
    promise.future.on_any(lambda _: order.append("late"))

    assert order == ["early", "meanwhile", "late"]


def test_discard_and_abandonment_in_the_hub_hop_too() -> None:
    promise: Promise[int] = Promise()
    where: list[Any] = []
    promise.future.on_discard(lambda: where.append(getcurrent()))
    promise.future.on_abandoned(lambda: where.append(getcurrent()))

    in_hub(promise.future.discard)
    in_hub(promise.abandon)
    gevent.idle()

    assert len(where) == 2
    assert gevent.get_hub() not in where


# Depth


def test_ten_thousand_continuations_run_before_set_returns() -> None:
    promise: Promise[int] = Promise()
    end = promise.future
    for _ in range(10_000):
        end = end.then(lambda value: value + 1)

    promise.set(0)

    assert end.value == 10_000


def test_ten_thousand_continuations_pass_on_failure_request_and_abandonment() -> None:
    for act, expected in [
        (lambda promise, _: promise.fail("boom"), "Failed: boom"),
        (lambda promise, _: promise.abandon(), "Abandoned"),
        (lambda promise, end: end.discard() and promise.discard(), "Discarded (with discard)"),
    ]:
        promise: Promise[int] = Promise()
        end = promise.future
        for _ in range(10_000):
            end = end.then(lambda value: value)
        act(promise, end)
        assert str(end) == expected


def test_callbacks_that_complete_each_other_do_not_nest_without_end() -> None:
    promises: list[Promise[int]] = [Promise() for _ in range(10_000)]
    beside: list[int] = []

    def complete_another(value: int) -> None:
        promise: Promise[int] = Promise()
        promise.future.on_ready(beside.append)
        promise.set(value)

    for first, second in pairwise(promises):
        first.future.on_ready(complete_another)
        first.future.on_ready(second.set)

    promises[0].set(42)

    assert promises[-1].future.value == 42
    assert beside == [42] * 9_999


def test_a_chain_of_associations_does_not_nest_without_end() -> None:
    promises: list[Promise[int]] = [Promise() for _ in range(10_000)]
    for first, second in pairwise(promises):
        second.associate(first.future)

    promises[0].set(42)

    assert promises[-1].future.value == 42


def test_a_callback_sees_the_effect_of_what_it_does() -> None:
    promise: Promise[int] = Promise()
    other: Promise[int] = Promise()
    end = other.future.then(lambda value: value + 1)
    seen: list[Any] = []

    def callback(value: int) -> None:
        other.set(value)
        seen.append(end.value)

    promise.future.on_ready(callback)
    promise.set(1)

    assert seen == [2]


def test_a_deep_callback_may_wait_for_what_it_set_off() -> None:
    promises: list[Promise[int]] = [Promise() for _ in range(MAX_DEPTH)]
    last: Promise[int] = Promise()
    end = last.future.then(lambda value: value + 1)
    results: list[int] = []

    def complete(position: int) -> None:
        if position < len(promises):
            promises[position].set(position)
        else:
            last.set(position)
            results.append(end.get())

    for number, promise in enumerate(promises):
        promise.future.on_ready(lambda value, number=number: complete(number + 1))
    promises[0].set(0)

    assert results == [MAX_DEPTH + 1]


def test_what_was_too_deep_is_done_once_when_a_callback_waits_for_it() -> None:
    """What the waiting greenlet hands over is not left for it to do again."""
    promises: list[Promise[int]] = [Promise() for _ in range(MAX_DEPTH + 2)]
    futures = [promise.future for promise in promises]
    requested: list[int] = []
    reached: Promise[None] = Promise()

    def request_next(number: int) -> None:
        requested.append(number)
        if number + 1 < len(futures):
            futures[number + 1].discard()
        else:
            reached.set(None)

    for number, future in enumerate(futures):
        future.on_discard(lambda number=number: request_next(number))
    futures[0].on_discard(lambda: reached.future.get(timeout=15.0))
    futures[0].discard()

    assert requested == list(range(len(futures)))


def test_what_ends_a_greenlet_is_raised_from_the_depth_too() -> None:
    promise: Promise[int] = Promise()
    end = promise.future
    for _ in range(1_000):
        end = end.then(lambda value: value)

    def leave(_: int) -> None:
        raise gevent.GreenletExit

    end.on_ready(leave)
    after = end.then(lambda value: value)

    with pytest.raises(gevent.GreenletExit):
        promise.set(1)
    assert after.value == 1


# Native threads


def test_the_threads_are_native() -> None:
    assert not gevent.monkey.is_module_patched("threading")


@pytest.mark.usefixtures("hub_alive")
def test_another_thread_completes_what_a_greenlet_waits_for() -> None:
    promise: Promise[int] = Promise()
    thread = threading.Thread(target=lambda: promise.set(42))
    gevent.spawn(thread.start)

    assert promise.future.get() == 42
    thread.join()


def test_a_foreign_completion_is_seen_at_once_and_delivered_at_home() -> None:
    promise: Promise[int] = Promise()
    threads: list[Any] = []
    results: list[bool] = []
    promise.future.on_ready(lambda _: threads.append(threading.current_thread()))

    in_thread(lambda: results.append(promise.set(1)))

    assert results == [True]
    assert promise.future.is_ready
    assert threads == []
    promise.future.on_ready(lambda _: threads.append("meanwhile"))
    gevent.idle()
    assert threads == [threading.main_thread(), "meanwhile"]


def test_a_foreign_request_is_delivered_at_home() -> None:
    promise: Promise[int] = Promise()
    threads: list[Any] = []
    promise.future.on_discard(lambda: threads.append(threading.current_thread()))

    in_thread(promise.future.discard)
    gevent.idle()

    assert threads == [threading.main_thread()]


def test_a_promise_dropped_in_another_thread_is_abandoned_at_home() -> None:
    promises: list[Promise[int]] = [Promise()]
    future = promises[0].future
    threads: list[Any] = []
    future.on_abandoned(lambda: threads.append(threading.current_thread()))

    in_thread(promises.clear)
    gevent.idle()

    assert future.is_abandoned
    assert threads == [threading.main_thread()]


def test_a_promise_made_in_a_thread_without_a_hub_has_no_home() -> None:
    threads: list[Any] = []
    promises: list[Promise[int]] = []

    def make() -> None:
        promises.append(Promise())
        promises[0].future.on_ready(lambda _: threads.append(threading.current_thread()))

    in_thread(make)
    promises[0].set(1)

    assert threads == [threading.main_thread()]


def test_a_promise_dropped_in_a_thread_without_a_hub_is_abandoned_there() -> None:
    calls: list[Any] = []

    def make() -> None:
        promise: Promise[int] = Promise()
        promise.future.on_abandoned(lambda: calls.append(threading.current_thread()))
        del promise
        assert calls == [threading.current_thread()]

    in_thread(make)


def test_a_thread_without_a_hub_waits_natively() -> None:
    promise: Promise[int] = Promise()
    results: list[Any] = []
    begun = threading.Semaphore(0)

    def wait() -> None:
        results.append(promise.future.await_(0.001))
        begun.release()
        results.append(promise.future.get())
        results.append(get_hub_if_exists())

    thread = threading.Thread(target=wait)
    thread.start()
    begun.acquire()
    promise.set(42)
    thread.join()

    assert results == [False, 42, None]
    assert promise.future.linkcount() == 0


def test_a_link_is_called_in_the_hub_that_linked_it() -> None:
    promise: Promise[int] = Promise()
    threads: list[Any] = []
    begun = threading.Semaphore(0)

    def link() -> None:
        hub = gevent.get_hub()
        watcher = hub.loop.async_()
        watcher.start(lambda: None)
        called = Event()

        def note(_: object) -> None:
            threads.append(threading.current_thread())
            called.set()

        promise.future.rawlink(note)
        begun.release()
        called.wait(timeout=10)
        watcher.close()
        hub.destroy(destroy_loop=True)

    thread = threading.Thread(target=link)
    thread.start()
    begun.acquire()
    promise.set(1)
    thread.join()

    assert threads == [thread]


def test_of_two_threads_that_race_one_wins() -> None:
    for _ in range(50):
        promise: Promise[int] = Promise()
        barrier = threading.Barrier(2)
        wins: list[int] = []

        def complete(number: int) -> None:
            barrier.wait()  # noqa: B023
            if promise.set(number):  # noqa: B023
                wins.append(number)  # noqa: B023

        threads = [threading.Thread(target=complete, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert wins == [promise.future.value]


def test_no_callback_is_lost_between_registering_and_completing_threads() -> None:
    promises: list[Promise[int]] = [Promise() for _ in range(2_000)]
    calls: list[int] = []
    barrier = threading.Barrier(2)

    def complete() -> None:
        barrier.wait()
        for number, promise in enumerate(promises):
            promise.set(number)

    thread = threading.Thread(target=complete)
    thread.start()
    barrier.wait()
    for promise in promises:
        promise.future.on_ready(calls.append)
    thread.join()
    gevent.idle()

    assert sorted(calls) == list(range(2_000))


@pytest.mark.usefixtures("hub_alive")
def test_no_waiter_is_lost_between_waiting_and_completing_threads() -> None:
    promises: list[Promise[int]] = [Promise() for _ in range(2_000)]
    barrier = threading.Barrier(2)

    def complete() -> None:
        barrier.wait()
        for number, promise in enumerate(promises):
            promise.set(number)

    thread = threading.Thread(target=complete)
    thread.start()
    barrier.wait()
    assert [promise.future.get() for promise in promises] == list(range(2_000))
    thread.join()


def test_inputs_completed_by_threads_are_collected_once() -> None:
    promises: list[Promise[int]] = [Promise() for _ in range(100)]
    result = collect([promise.future for promise in promises])

    def complete(part: list[Promise[int]]) -> None:
        for promise in part:
            promise.set(1)

    threads = [threading.Thread(target=complete, args=(promises[n::4],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gevent.idle()

    assert result.value == [1] * 100


def test_timers_of_homeless_futures_are_cancelled_in_the_thread_of_their_clock(
    time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelled: list[Any] = []
    cancel = Timer.cancel
    promises: list[Promise[int]] = []
    in_thread(lambda: promises.append(Promise()))

    def note(timer: Timer) -> bool:
        cancelled.append(threading.current_thread())
        return cancel(timer)

    monkeypatch.setattr(Timer, "cancel", note)
    delayed = promises[0].future.after(1.0, lambda _: 2)
    in_thread(lambda: promises[0].set(1))

    assert delayed.value == 1
    assert cancelled == []
    gevent.idle()
    assert cancelled == [threading.main_thread()]
    assert time.timers == 0


# The runtime


def runtime_of(register: Callable[[Callable[..., None]], object], node: object) -> list[object]:
    """Let *register* register a callback for *node*, and return where that will note its own."""
    found: list[object] = []
    token = RUNTIME.set(node)
    register(lambda *_: found.append(RUNTIME.get()))
    RUNTIME.reset(token)
    return found


def test_a_callback_that_hops_from_the_hub_runs_in_the_runtime_of_who_registered_it() -> None:
    promise: Promise[int] = Promise()
    one = runtime_of(promise.future.on_ready, "one")
    none = runtime_of(promise.future.on_ready, None)
    other = runtime_of(promise.future.on_any, "other")

    in_hub(promise.set, 1)
    gevent.idle()

    assert (one, none, other) == (["one"], [None], ["other"])


def test_a_callback_that_hops_from_a_thread_runs_in_the_runtime_of_who_registered_it() -> None:
    promise: Promise[int] = Promise()
    found = runtime_of(promise.future.then, "one")

    in_thread(lambda: promise.set(1))
    gevent.idle()

    assert found == ["one"]


def test_a_request_that_hops_runs_its_callback_in_the_runtime_of_who_registered_it() -> None:
    promise: Promise[int] = Promise()
    found = runtime_of(promise.future.on_discard, "one")

    in_thread(promise.future.discard)
    gevent.idle()

    assert found == ["one"]


def test_a_callback_of_an_abandonment_runs_in_the_runtime_of_who_registered_it() -> None:
    promise: Promise[int] = Promise()
    found = runtime_of(promise.future.on_abandoned, "one")

    in_hub(promise.abandon)
    gevent.idle()

    assert found == ["one"]
