"""Our futures as AsyncResults and as futures of concurrent.futures."""

from __future__ import annotations

import concurrent.futures
import threading
from concurrent.futures import CancelledError, as_completed
from typing import Any

import gevent
import pytest
from gevent.threadpool import ThreadPool

from greenproc.errors import InvalidArgument
from greenproc.future import (
    Abandoned,
    Discarded,
    Future,
    Promise,
    from_async_result,
    from_concurrent,
    to_async_result,
    to_asyncio,
    to_concurrent,
)


def promises_and_views(count: int) -> tuple[list[Promise[Any]], list[Any]]:
    promises: list[Promise[Any]] = [Promise() for _ in range(count)]
    return promises, [to_concurrent(promise.future) for promise in promises]


def end_in_every_way(promises: list[Promise[Any]]) -> None:
    promises[0].set(42)
    promises[1].fail("boom")
    promises[2].discard()
    promises[3].abandon()


# AsyncResult


def test_an_async_result_ends_in_every_way() -> None:
    promises: list[Promise[int]] = [Promise() for _ in range(4)]
    results = [to_async_result(promise.future) for promise in promises]

    end_in_every_way(promises)
    gevent.wait(results, timeout=10)

    assert results[0].get() == 42
    assert str(results[1].exception) == "boom"
    assert isinstance(results[2].exception, Discarded)
    assert isinstance(results[3].exception, Abandoned)


def test_an_async_result_of_a_complete_future_is_set_soon() -> None:
    assert to_async_result(Future(42)).get() == 42


def test_an_async_result_and_back_is_the_same() -> None:
    error = ValueError("boom")

    back = from_async_result(to_async_result(Future.failed(error)))
    back.await_()

    assert back.exception is error


def test_a_promise_is_the_target_of_gevents_links() -> None:
    linked: Promise[int] = Promise()
    rawlinked: Promise[int] = Promise()

    gevent.spawn(lambda: 42).link(linked)
    to_async_result(Future(43)).rawlink(rawlinked)

    assert linked.future.get() == 42
    assert rawlinked.future.get() == 43


# concurrent.futures


def test_a_view_ends_in_every_way() -> None:
    promises, views = promises_and_views(4)

    end_in_every_way(promises)

    assert views[0].result(0) == 42
    assert str(views[1].exception(0)) == "boom"
    assert views[2].cancelled()
    with pytest.raises(CancelledError):
        views[2].result(0)
    assert isinstance(views[3].exception(0), Abandoned)


def test_a_view_is_a_real_future_of_concurrent_futures() -> None:
    view = to_concurrent(Future(42))

    assert isinstance(view, concurrent.futures.Future)
    assert view.result(0) == 42


def test_another_thread_waits_for_views_that_end_in_every_way() -> None:
    promises, views = promises_and_views(4)
    pool = ThreadPool(2)
    waiting = from_async_result(pool.spawn(concurrent.futures.wait, views, 10))
    ordered = from_async_result(pool.spawn(lambda: list(as_completed(views, 10))))

    gevent.spawn(end_in_every_way, promises)

    assert waiting.get() == (set(views), set())
    assert set(ordered.get()) == set(views)
    pool.kill()


def test_another_thread_waits_for_the_first_exception() -> None:
    promises, views = promises_and_views(2)
    pool = ThreadPool(1)
    mode = concurrent.futures.FIRST_EXCEPTION
    waiting = from_async_result(pool.spawn(concurrent.futures.wait, views, 10, mode))

    gevent.spawn(promises[1].fail, "boom")

    assert waiting.get() == ({views[1]}, {views[0]})
    pool.kill()


def test_cancelling_a_view_asks_for_a_discard_which_may_be_refused() -> None:
    promises, (view, _) = promises_and_views(2)

    assert not view.cancel()
    assert promises[0].future.has_discard
    promises[0].set(42)

    assert view.result(0) == 42


def test_cancelling_a_view_tells_whether_the_discard_was_granted() -> None:
    promises, (view, _) = promises_and_views(2)
    promises[0].future.on_discard(promises[0].discard)

    assert view.cancel()
    assert view.cancelled()


def test_callbacks_of_a_view_run_with_the_view() -> None:
    (promise, _), (view, _) = promises_and_views(2)
    seen: list[Any] = []
    view.add_done_callback(seen.append)

    promise.set(42)

    assert seen == [view]


def test_a_view_that_somebody_else_completes_shows_that() -> None:
    (promise, _), (view, _) = promises_and_views(2)
    view.set_result(1)

    promise.set(2)

    assert view.result(0) == 1


def test_a_view_and_back_is_the_same() -> None:
    promise: Promise[int] = Promise()
    back = from_concurrent(to_concurrent(promise.future))

    back.discard()

    assert promise.future.has_discard
    promise.set(42)
    assert back.get() == 42


def test_a_view_does_not_keep_an_abandoned_future_from_telling() -> None:
    promise: Promise[int] = Promise()
    view = to_concurrent(promise.future)

    del promise
    gevent.idle()

    assert isinstance(view.exception(0), Abandoned)


def test_the_done_callback_of_a_view_runs_at_home() -> None:
    (promise, _), (view, _) = promises_and_views(2)
    threads: list[Any] = []
    view.add_done_callback(lambda _: threads.append(threading.current_thread()))
    pool = ThreadPool(1)

    pool.apply(promise.set, (1,))
    gevent.idle()

    assert threads == [threading.main_thread()]
    pool.kill()


@pytest.mark.parametrize("adapt", [to_async_result, to_concurrent, to_asyncio])
def test_what_is_no_future_is_refused_at_once(adapt: Any) -> None:
    with pytest.raises(InvalidArgument, match="expected a greenproc Future, got 5"):
        adapt(5)
