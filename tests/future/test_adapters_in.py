"""Greenlets, AsyncResults and futures of concurrent.futures as ours."""

from __future__ import annotations

import concurrent.futures
import gc
import threading
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent.event import AsyncResult, Event
from gevent.threadpool import ThreadPool, ThreadPoolExecutor

from greenproc.errors import InvalidArgument
from greenproc.future import (
    Discarded,
    Future,
    from_async_result,
    from_concurrent,
    from_greenlet,
)
from tests.future.support import in_thread


def raise_it(error: BaseException) -> Any:
    raise error


def finished(future: Future[Any]) -> Future[Any]:
    """Wait for the end of *future*, whatever it is."""
    future.await_(10)
    return future


# Greenlets


def test_a_greenlet_that_returns_is_ready() -> None:
    assert from_greenlet(gevent.spawn(lambda: 42)).get() == 42


def test_a_greenlet_that_has_ended_is_taken_too() -> None:
    greenlet = gevent.spawn(lambda: 42)
    greenlet.join()

    assert from_greenlet(greenlet).get() == 42


def test_a_greenlet_that_raises_fails(reported: list[BaseException]) -> None:
    error = ValueError("boom")

    assert finished(from_greenlet(gevent.spawn(raise_it, error))).exception is error
    assert reported == [error]


def test_a_greenlet_that_is_killed_discards() -> None:
    greenlet = gevent.spawn(gevent.hub.get_hub().switch)
    future = from_greenlet(greenlet)
    gevent.idle()

    greenlet.kill()

    assert finished(future).is_discarded


def test_a_request_kills_the_greenlet() -> None:
    greenlet = gevent.spawn(gevent.hub.get_hub().switch)
    future = from_greenlet(greenlet)
    gevent.idle()

    future.discard()

    assert finished(future).is_discarded
    assert greenlet.dead


def test_a_request_leaves_the_greenlet_alone_if_told_so() -> None:
    gate = AsyncResult()
    future = from_greenlet(gevent.spawn(gate.get), kill_on_discard=False)
    gevent.idle()

    future.discard()
    gate.set(42)

    assert future.get() == 42


def test_a_greenlet_that_never_starts_abandons_when_it_is_garbage() -> None:
    greenlet = gevent.Greenlet(lambda: 42)
    future = from_greenlet(greenlet)

    del greenlet
    gc.collect()

    assert finished(future).is_abandoned


def test_a_greenlet_can_be_taken_and_killed_from_another_thread() -> None:
    greenlet = gevent.spawn(gevent.hub.get_hub().switch)
    futures: list[Future[Any]] = []
    in_thread(lambda: futures.append(from_greenlet(greenlet)))
    gevent.idle()

    in_thread(futures[0].discard)

    assert finished(futures[0]).is_discarded
    assert greenlet.dead


def test_a_raw_greenlet_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"expected a gevent\.Greenlet"):
        from_greenlet(gevent.spawn_raw(int))  # type: ignore[arg-type]


# AsyncResults


def test_an_async_result_completes_likewise() -> None:
    value: AsyncResult[int] = AsyncResult()
    error: AsyncResult[int] = AsyncResult()
    futures = [from_async_result(value), from_async_result(error)]

    value.set(42)
    error.set_exception(ValueError("boom"))

    assert futures[0].get() == 42
    assert finished(futures[1]).failure() == "boom"


def test_an_async_result_that_is_garbage_abandons() -> None:
    future = from_async_result(AsyncResult())
    gc.collect()

    assert finished(future).is_abandoned


def test_work_of_gevents_thread_pool_completes_likewise() -> None:
    pool = ThreadPool(1)

    future = from_async_result(pool.spawn(threading.get_ident))

    assert future.get() != threading.get_ident()
    pool.kill()


# Futures of concurrent.futures


@pytest.fixture
def executor() -> Iterator[concurrent.futures.ThreadPoolExecutor]:
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        yield executor


def test_the_hub_waits_for_a_future_that_a_thread_completes(
    executor: concurrent.futures.ThreadPoolExecutor,
) -> None:
    """If the hub were not kept alive, get() would raise LoopExit."""
    gate = threading.Event()
    future = from_concurrent(executor.submit(gate.wait))
    gevent.spawn(gate.set)

    assert future.get() is True


def test_the_hub_may_end_once_the_future_is_over(
    executor: concurrent.futures.ThreadPoolExecutor,
) -> None:
    from_concurrent(executor.submit(int)).get()
    gevent.idle()

    with pytest.raises(gevent.exceptions.LoopExit):
        AsyncResult().get()


def test_an_error_in_another_thread_fails(
    executor: concurrent.futures.ThreadPoolExecutor,
) -> None:
    error = ValueError("boom")

    assert finished(from_concurrent(executor.submit(raise_it, error))).exception is error


def test_a_future_that_is_done_is_taken_at_once() -> None:
    source: concurrent.futures.Future[int] = concurrent.futures.Future()
    source.set_result(42)

    assert from_concurrent(source).is_ready


def test_a_cancelled_future_discards() -> None:
    source: concurrent.futures.Future[int] = concurrent.futures.Future()
    future = from_concurrent(source)

    source.cancel()

    assert future.is_discarded
    with pytest.raises(Discarded):
        future.get()


def test_a_request_cancels_what_has_not_begun(
    executor: concurrent.futures.ThreadPoolExecutor,
) -> None:
    gate = threading.Event()
    running = from_concurrent(executor.submit(gate.wait))
    queued = from_concurrent(executor.submit(int))

    assert queued.cancel()
    assert not running.cancel()
    gate.set()
    assert running.get() is True


def test_a_future_that_nobody_will_complete_abandons() -> None:
    future = from_concurrent(concurrent.futures.Future())
    gc.collect()

    assert finished(future).is_abandoned


def test_a_thread_without_a_hub_takes_and_waits_natively(
    executor: concurrent.futures.ThreadPoolExecutor,
) -> None:
    results: list[Any] = []

    in_thread(lambda: results.append(from_concurrent(executor.submit(lambda: 42)).get()))

    assert results == [42]


def test_futures_of_gevents_own_executor_are_taken(reported: list[BaseException]) -> None:
    executor = ThreadPoolExecutor(1)
    error = ValueError("boom")

    assert from_concurrent(executor.submit(lambda: 42)).get() == 42
    assert finished(from_concurrent(executor.submit(raise_it, error))).exception is error
    assert reported == [error]
    executor.shutdown()


def test_an_event_has_no_result() -> None:
    with pytest.raises(InvalidArgument, match="expected an AsyncResult"):
        from_async_result(Event())  # type: ignore[arg-type]


@pytest.mark.parametrize("adapt", [from_async_result, from_concurrent])
def test_what_is_no_such_future_is_refused_at_once(adapt: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"expected an? .*, got 5"):
        adapt(5)


def test_the_hub_of_another_thread_waits_for_the_greenlet() -> None:
    """With nothing of its own to wait for, it would give up with LoopExit."""
    gate = Event()
    greenlet = gevent.spawn(lambda: gate.wait() and 42)
    hub = gevent.get_hub()

    def wait() -> object:
        gevent.get_hub()
        future = from_greenlet(greenlet)
        hub.loop.run_callback_threadsafe(gate.set)
        return future.get()

    pool = ThreadPool(1)
    assert pool.apply(wait) == 42
    pool.kill()
