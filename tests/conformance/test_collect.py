"""libprocess' collect_tests.cpp: waiting for several futures."""

from __future__ import annotations

from typing import Any

import gevent

from greenproc.future import Future, Promise, await_all, collect


def willing() -> Promise[Any]:
    """Return a promise whose producer heeds discard requests."""
    promise: Promise[Any] = Promise()
    promise.future.on_discard(promise.discard)
    return promise


def test_collect_ready() -> None:
    """CollectTest.Ready."""
    nothing: list[Future[int]] = []
    assert collect(nothing).get() == []

    promises: list[Promise[int]] = [Promise() for _ in range(4)]
    result = collect([promise.future for promise in promises])
    for number in (3, 1, 0, 2):
        assert result.is_pending
        promises[number].set(number + 1)

    assert result.get() == [1, 2, 3, 4]


def test_collect_failure() -> None:
    """CollectTest.Failure."""
    promise1: Promise[int] = Promise()
    promise2: Promise[bool] = Promise()
    result = collect(promise1.future, promise2.future)
    assert result.is_pending
    promise1.set(42)
    assert result.is_pending
    promise2.set(True)
    assert result.get() == (42, True)

    promise1, promise2 = Promise(), Promise()
    result = collect(promise1.future, promise2.future)
    promise1.set(42)
    promise2.fail("failure")
    assert result.is_failed
    assert result.failure() == "Collect failed: failure"

    promise1, promise2 = Promise(), Promise()
    result = collect(promise1.future, promise2.future)
    promise1.set(42)
    promise2.discard()
    assert result.is_failed
    assert result.failure() == "Collect failed: future discarded"


def test_collect_discard_propagation() -> None:
    """CollectTest.DiscardPropagation."""
    promise1, promise2 = willing(), willing()
    result = collect(promise1.future, promise2.future)

    result.discard()

    assert result.is_discarded
    assert promise1.future.is_discarded
    assert promise2.future.is_discarded


def test_collect_abandoned_propagation() -> None:
    """CollectTest.AbandonedPropagation."""
    promise: Promise[int] = Promise()
    seen: list[bool] = []

    def recover(abandoned: Future[Any]) -> int:
        seen.append(abandoned.is_abandoned)
        return 42

    result = collect(promise.future, Future(1)).then(lambda _: 0).recover(recover)
    promise.abandon()

    assert result.get() == 42
    assert seen == [True]


def test_await_success() -> None:
    """AwaitTest.Success."""
    nothing: list[Future[int]] = []
    assert await_all(nothing).get() == []

    promises: list[Promise[int]] = [Promise() for _ in range(4)]
    futures = [promise.future for promise in promises]
    result = await_all(futures)
    for number in (3, 1, 0, 2):
        assert result.is_pending
        promises[number].set(number + 1)

    assert result.get() == futures
    assert [future.get() for future in result.get()] == [1, 2, 3, 4]


def test_await_failure() -> None:
    """AwaitTest.Failure."""
    promise1: Promise[int] = Promise()
    promise2: Promise[bool] = Promise()
    result = await_all(promise1.future, promise2.future)
    assert result.is_pending
    promise1.set(42)
    promise2.fail("failure")

    future1, future2 = result.get()
    assert future1.get() == 42
    assert future2.is_failed


def test_await_discarded() -> None:
    """AwaitTest.Discarded."""
    promise1: Promise[int] = Promise()
    promise2: Promise[bool] = Promise()
    result = await_all(promise1.future, promise2.future)
    assert result.is_pending
    promise1.set(42)
    promise2.discard()

    future1, future2 = result.get()
    assert future1.get() == 42
    assert future2.is_discarded


def test_await_discard_propagation() -> None:
    """AwaitTest.DiscardPropagation."""
    promise1, promise2 = willing(), willing()
    result = await_all(promise1.future, promise2.future)

    result.discard()

    assert result.is_discarded
    assert promise1.future.is_discarded
    assert promise2.future.is_discarded


def test_await_abandoned_propagation() -> None:
    """AwaitTest.AbandonedPropagation."""
    promise: Promise[int] = Promise()
    dropped = promise.future
    result = await_all([dropped, Future()])
    recovered = result.then(lambda _: 0).recover(lambda abandoned: 42)

    del promise
    gevent.idle()

    assert result.is_abandoned
    assert recovered.get() == 42


def test_await_single_discard() -> None:
    """AwaitTest.AwaitSingleDiscard."""
    promise: Promise[int] = Promise()
    result = await_all(promise.future).then(lambda future: future)

    result.discard()

    assert result.is_discarded
    assert promise.future.has_discard
    assert promise.future.is_pending


def test_await_single_abandon() -> None:
    """AwaitTest.AwaitSingleAbandon."""
    promise: Promise[str] = Promise()
    waiting = await_all(promise.future).then(lambda future: future)
    result = waiting.recover(lambda _: "hello")

    promise.abandon()

    assert waiting.is_abandoned
    assert result.get() == "hello"
