"""libprocess' future_tests.cpp: futures, promises and what follows them."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

import gevent
import pytest

from greenproc.future import Failure, Future, Promise, select, undiscardable
from tests.future.support import Time, manual_time


@pytest.fixture
def time() -> Iterator[Time]:
    with manual_time() as time:
        time.clock.pause()
        yield time


def test_future() -> None:
    """FutureTest.Future."""
    promise: Promise[bool] = Promise()
    promise.set(True)
    assert promise.future.is_ready
    assert promise.future.get()


def test_stringify() -> None:
    """FutureTest.Stringify."""
    future: Future[bool] = Future()
    assert str(future) == "Abandoned"
    future.discard()
    assert str(future) == "Abandoned (with discard)"

    promise: Promise[bool] = Promise()
    future = promise.future
    assert str(future) == "Pending"
    del promise
    assert str(future) == "Abandoned"
    future.discard()
    assert str(future) == "Abandoned (with discard)"

    promise = Promise()
    promise.future.discard()
    assert str(promise.future) == "Pending (with discard)"

    promise = Promise()
    promise.set(True)
    assert str(promise.future) == "Ready"

    promise = Promise()
    promise.future.discard()
    promise.set(True)
    assert str(promise.future) == "Ready (with discard)"

    promise = Promise()
    promise.fail("Failure")
    assert str(promise.future) == "Failed: Failure"

    promise = Promise()
    promise.future.discard()
    promise.fail("Failure")
    assert str(promise.future) == "Failed (with discard): Failure"

    promise = Promise()
    promise.discard()
    assert str(promise.future) == "Discarded"

    promise = Promise()
    promise.future.discard()
    promise.discard()
    assert str(promise.future) == "Discarded (with discard)"


def test_associate() -> None:
    """FutureTest.Associate."""
    promise1: Promise[bool] = Promise()
    assert promise1.future.is_pending
    promise1.associate(Future(True))
    assert promise1.future.is_ready
    assert promise1.future.get()

    promise2: Promise[bool] = Promise()
    promise3: Promise[bool] = Promise()
    promise3.associate(promise2.future)
    assert promise2.discard()
    assert promise3.future.is_discarded

    promise2 = Promise()
    promise3 = Promise()
    promise3.associate(promise2.future)
    promise2.fail("associate")
    assert promise3.future.is_failed
    assert promise3.future.failure() == "associate"

    promise4: Promise[bool] = Promise()
    promise5: Promise[bool] = Promise()
    promise5.associate(promise4.future)
    promise5.future.discard()
    assert promise4.future.has_discard
    assert not promise4.future.is_discarded
    assert promise5.future.is_pending

    promise4.discard()
    assert promise5.future.is_discarded


def test_on_any() -> None:
    """FutureTest.OnAny."""
    seen: list[Future[bool]] = []
    future = Future(True)
    future.on_any(seen.append)
    assert seen == [future]


def test_then() -> None:
    """FutureTest.Then."""
    future = Future("data")
    assert future.then(lambda text: Future(text == "data")).value is True
    assert future.then(lambda text: text == "data").value is True


def test_callable_once() -> None:
    """FutureTest.CallableOnce: callbacks own what only they have, and let go of it."""
    promise: Promise[int] = Promise()
    promise.set(1)
    calls: list[int] = []

    class Resource:
        def __init__(self, number: int) -> None:
            self.number = number

    resources = [Resource(number) for number in (1, 2, 3, 4, 10, 20)]
    references = [weakref.ref(resource) for resource in resources]
    ready, failed, discard, discarded, any_, then = resources
    result = (
        promise.future.on_ready(lambda _, own=ready: calls.append(own.number))
        .on_failed(lambda _, own=failed: calls.append(own.number))
        .on_discard(lambda own=discard: calls.append(own.number))
        .on_discarded(lambda own=discarded: calls.append(own.number))
        .on_any(lambda _, own=any_: calls.append(own.number))
        .then(lambda _, own=then: own.number)
    )
    del resources, ready, failed, discard, discarded, any_, then

    assert sum(calls) == 11
    assert result.get() == 20
    assert [reference() for reference in references] == [None] * 6


def test_repair() -> None:
    """FutureTest.Repair."""
    calls: list[Future[int]] = []

    def repair(failed: Future[int]) -> Future[int]:
        calls.append(failed)
        return Future(43)

    promise1: Promise[int] = Promise()
    repaired = promise1.future.repair(repair)
    promise1.set(42)
    assert repaired.get() == 42
    assert calls == []

    promise2: Promise[int] = Promise()
    repaired = promise2.future.repair(repair)
    promise2.fail("Failed")
    assert repaired.get() == 43
    assert calls == [promise2.future]
    assert promise2.future.failure() == "Failed"


def test_after1(time: Time) -> None:
    """FutureTest.After1."""
    hour = 3600.0
    seen: list[bool] = []

    def too_long(source: Future[int]) -> Any:
        seen.append(source.has_discard)
        source.discard()
        return Failure("Timeout")

    future: Future[int] = Future().after(hour, too_long)
    time.advance(hour / 2)
    assert future.is_pending

    future.discard()
    assert future.is_pending
    assert seen == []

    time.advance(hour / 2)
    assert seen == [True]
    assert future.is_failed
    assert future.failure() == "Timeout"


@pytest.mark.parametrize("with_discard", [False, True])
def test_after2(time: Time, with_discard: bool) -> None:
    """FutureTest.After2."""
    hour = 3600.0
    calls: list[Future[int]] = []

    def too_long(source: Future[int]) -> Any:
        calls.append(source)
        return Failure("Timeout")

    promise: Promise[int] = Promise()
    future = promise.future.after(hour, too_long)
    assert future.is_pending

    time.advance(hour / 2)
    assert future.is_pending
    if with_discard:
        future.discard()

    promise.set(42)
    assert future.get() == 42
    time.advance(hour / 2)
    assert calls == []


def test_after3(time: Time) -> None:
    """FutureTest.After3."""
    promise: Promise[int] = Promise()
    reference = weakref.ref(promise.future)

    def too_long(source: Future[int]) -> Future[None]:
        source.discard()
        return Future(None)

    future = promise.future.then(lambda _: None).after(3600.0, too_long)
    del promise
    gevent.idle()

    time.advance(3600.0)
    assert future.is_ready
    assert not future.has_discard
    assert reference() is None


def test_chain() -> None:
    """FutureTest.Chain."""

    def second(ok: bool) -> Future[str]:
        return Future(str(ok).lower())

    def chain(source: Future[str]) -> Future[str]:
        return source.then(lambda _: True).then(second)

    assert chain(Future("hello")).get() == "true"

    failing = chain(Future.failed("Failed"))
    assert failing.is_failed
    assert failing.failure() == "Failed"

    promise: Promise[str] = Promise()
    pending = chain(promise.future)
    assert pending.is_pending
    promise.discard()
    assert pending.is_discarded


class Stages:
    """Three stages, each with a promise; the second and third run when the one before is over."""

    def __init__(self) -> None:
        self.promise0: Promise[int] = Promise()
        self.promise1: Promise[bool] = Promise()
        self.promise2: Promise[str] = Promise()
        self.reached: list[str] = []
        self.end = self.promise0.future.then(self.first).then(self.second)
        self.promise0.set(1)

    def first(self, _: int) -> Future[bool]:
        self.reached.append("first")
        return self.promise1.future

    def second(self, _: bool) -> Future[str]:
        self.reached.append("second")
        return self.promise2.future

    def discard(self) -> None:
        assert self.end.is_pending
        self.end.discard()
        assert self.end.has_discard
        assert self.end.is_pending
        assert self.promise1.future.has_discard
        assert not self.promise1.future.is_discarded
        assert not self.promise2.future.has_discard


def test_discard1() -> None:
    """FutureTest.Discard1."""
    stages = Stages()
    stages.discard()

    assert stages.promise1.discard()

    assert stages.end.is_discarded
    assert stages.reached == ["first"]


def test_discard2() -> None:
    """FutureTest.Discard2."""
    stages = Stages()
    stages.discard()

    assert stages.promise1.set(True)

    assert stages.end.is_discarded
    assert stages.reached == ["first"]


def test_discard3() -> None:
    """FutureTest.Discard3."""
    stages = Stages()
    stages.discard()

    assert stages.promise1.fail("failure message")

    assert stages.end.is_failed
    assert stages.reached == ["first"]


def test_select() -> None:
    """FutureTest.Select."""
    promises: list[Promise[int]] = [Promise() for _ in range(4)]
    promises[0].set(42)
    future = select([promise.future for promise in promises])
    assert future.is_ready
    assert future.get() is promises[0].future
    assert future.get().get() == 42

    future = select([promise.future for promise in promises[1:]])
    assert future.is_pending
    future.discard()
    assert future.is_discarded


def test_from_try() -> None:
    """FutureTest.FromTry: what a function returns or raises makes a future."""
    assert Future(1).get() == 1
    future = Future.failed("error")
    assert future.is_failed
    assert future.failure() == "error"


def test_from_try_future() -> None:
    """FutureTest.FromTryFuture."""
    assert Future(Future(1)).get() == 1

    promise: Promise[int] = Promise()
    future: Future[Any] = Future(promise.future)
    assert future.is_pending
    promise.set(1)
    assert future.get() == 1

    future = Future(Failure("error"))
    assert future.is_failed
    assert future.failure() == "error"


def test_arrow_operator() -> None:
    """FutureTest.ArrowOperator: Python spells ``future->size()`` as ``len(future.get())``."""
    promise: Promise[str] = Promise()
    gevent.spawn(promise.set, "hello")
    assert len(promise.future.get()) == 5


def test_undiscardable_future() -> None:
    """FutureTest.UndiscardableFuture."""
    promise: Promise[int] = Promise()
    future = undiscardable(promise.future)
    assert future.is_pending

    future.discard()
    assert future.has_discard
    assert not promise.future.has_discard

    promise.set(42)
    assert future.get() == 42


def test_undiscardable_lambda() -> None:
    """FutureTest.UndiscardableLambda."""
    promise1: Promise[int] = Promise()
    promise2: Promise[int] = Promise()

    def inner(_: int) -> Future[int]:
        return promise2.future.then(lambda value: value * 2)

    future = promise1.future.then(undiscardable(inner))
    promise1.set(21)
    future.discard()
    assert future.has_discard
    assert not promise2.future.has_discard

    promise2.set(42)
    assert future.get() == 84


def test_abandoned() -> None:
    """FutureTest.Abandoned."""
    assert Future[int]().is_abandoned

    promise: Promise[int] = Promise()
    future = promise.future
    assert not future.is_abandoned
    promise.abandon()
    assert future.is_abandoned


def test_abandoned_chain() -> None:
    """FutureTest.AbandonedChain."""
    promise: Promise[int] = Promise()
    future = promise.future.then(lambda _: Future("hello")).then(lambda _: "world")

    promise.abandon()

    assert future.is_abandoned


def test_recover_discarded() -> None:
    """FutureTest.RecoverDiscarded."""
    promise: Promise[int] = Promise()
    future = promise.future.then(lambda _: "hello").recover(lambda _: "world")

    promise.discard()

    assert future.get() == "world"


def test_recover_failed() -> None:
    """FutureTest.RecoverFailed."""
    promise: Promise[int] = Promise()
    future = promise.future.then(lambda _: "hello").recover(lambda _: Future("world"))

    promise.fail("Failure")

    assert future.get() == "world"


def test_recover_abandoned() -> None:
    """FutureTest.RecoverAbandoned."""
    promise: Promise[int] = Promise()
    future = promise.future.then(lambda _: "hello").recover(lambda _: Future("world"))

    del promise

    assert future.get() == "world"


def test_recover_discard() -> None:
    """FutureTest.RecoverDiscard."""
    promise1: Promise[str] = Promise()
    promise2: Promise[str] = Promise()
    promise3: Promise[str] = Promise()
    promise4: Promise[str] = Promise()

    def third(_: str) -> Future[str]:
        return promise4.future

    def second(_: str) -> Future[str]:
        return promise3.future.then(third)

    def recover(_: Future[str]) -> Future[str]:
        return promise2.future.then(second)

    future = promise1.future.recover(recover)
    future.discard()
    assert promise1.future.has_discard

    promise1.discard()
    assert not promise2.future.has_discard
    promise2.set("hello")
    assert not promise3.future.has_discard
    promise3.set("hello")
    assert not promise4.future.has_discard

    future.discard()
    assert promise4.future.has_discard

    promise4.set("world")
    assert future.get() == "world"
