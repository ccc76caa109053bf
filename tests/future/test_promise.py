"""The write side: the first wins, association, abandonment, and garbage."""

from __future__ import annotations

import copy
import gc
import itertools
import pickle
import sys
import weakref
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent.event import AsyncResult

from greenproc.errors import Deadlock, InvalidArgument
from greenproc.future import Discarded, Failure, Future, Promise
from tests.shell import Program


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_the_first_completion_wins() -> None:
    for first in ("set", "fail", "discard"):
        promise: Promise[Any] = Promise()
        arguments: dict[str, tuple[Any, ...]] = {"set": (1,), "fail": ("boom",), "discard": ()}

        assert getattr(promise, first)(*arguments[first])
        state = str(promise.future)

        assert not promise.set(2)
        assert not promise.fail("late")
        assert not promise.discard()
        assert not promise.associate(Future(3))
        assert not promise.set(Future(3))
        assert not promise.abandon()
        assert str(promise.future) == state


def test_a_text_becomes_a_failure() -> None:
    promise: Promise[int] = Promise()
    promise.fail("boom")

    assert isinstance(promise.future.exception, Failure)
    assert promise.future.failure() == "boom"


def test_setting_a_failure_fails() -> None:
    promise: Promise[int] = Promise()
    assert promise.set(Failure("boom"))
    assert promise.future.failure() == "boom"


def test_failing_as_discarded_discards() -> None:
    promise: Promise[int] = Promise()
    assert promise.fail(Discarded())
    assert promise.future.is_discarded


def test_a_promise_fails_with_an_exception_or_a_text_only() -> None:
    promise: Promise[int] = Promise()
    with pytest.raises(InvalidArgument):
        promise.fail(42)  # type: ignore[arg-type]
    assert promise.set(1)


def test_discarding_is_no_request() -> None:
    promise: Promise[int] = Promise()
    assert promise.discard()
    assert not promise.future.has_discard


def test_it_has_the_words_of_concurrent_futures() -> None:
    promise: Promise[int] = Promise()
    assert promise.set_result(1)
    assert not promise.set_exception(OSError())


def test_a_promise_cannot_be_copied() -> None:
    promise: Promise[int] = Promise()
    for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            duplicate(promise)


def test_a_promise_tells_the_state_of_its_future() -> None:
    assert repr(Promise()) == "<Promise of <Future Pending>>"


# As the target of a link


def test_a_promise_takes_the_outcome_of_a_greenlet() -> None:
    promises: list[Promise[Any]] = [Promise() for _ in range(2)]
    value = gevent.spawn(lambda: 42)
    killed = gevent.spawn(gevent.sleep, 3600)
    value.link(promises[0])
    killed.link(promises[1])

    killed.kill()
    gevent.idle()

    assert promises[0].future.get() == 42
    assert promises[1].future.is_discarded


def test_a_promise_takes_the_failure_of_an_async_result() -> None:
    promise: Promise[Any] = Promise()
    source: AsyncResult[Any] = AsyncResult()
    source.rawlink(promise)

    source.set_exception(OSError("no such thing"))
    gevent.idle()

    assert promise.future.failure() == "no such thing"


def test_a_promise_takes_the_outcome_of_a_future() -> None:
    sources = [Future(1), Future.failed("boom"), Future()]
    promises: list[Promise[Any]] = [Promise() for _ in sources]
    for source, promise in zip(sources, promises, strict=True):
        source.rawlink(promise)
    gevent.idle()

    assert [str(promise.future) for promise in promises] == ["Ready", "Failed: boom", "Abandoned"]


# Association


def test_an_associated_promise_refuses_everything_else() -> None:
    source: Promise[int] = Promise()
    promise: Promise[int] = Promise()
    assert promise.associate(source.future)

    assert not promise.set(1)
    assert not promise.fail("boom")
    assert not promise.discard()
    assert not promise.abandon()
    assert not promise.associate(Future(1))

    assert promise.future.is_pending
    source.set(2)
    assert promise.future.get() == 2


def test_setting_a_future_associates() -> None:
    source: Promise[int] = Promise()
    promise: Promise[int] = Promise()
    assert promise.set(source.future)
    assert not promise.set(1)

    source.fail("boom")

    assert promise.future.failure() == "boom"


def test_an_earlier_request_is_passed_on_when_associating() -> None:
    source: Promise[int] = Promise()
    promise: Promise[int] = Promise()
    promise.future.discard()

    promise.associate(source.future)

    assert source.future.has_discard


def test_a_request_on_the_source_is_not_copied() -> None:
    source: Promise[int] = Promise()
    promise: Promise[int] = Promise()
    promise.associate(source.future)

    source.future.discard()

    assert not promise.future.has_discard


def test_dropping_an_associated_promise_does_not_abandon() -> None:
    source: Promise[int] = Promise()
    promise: Promise[int] = Promise()
    future = promise.future
    promise.associate(source.future)

    del promise

    assert not future.is_abandoned
    source.abandon()
    assert future.is_abandoned


def test_a_promise_does_not_follow_its_own_future() -> None:
    promise: Promise[int] = Promise()
    assert not promise.associate(promise.future)
    assert not promise.set(promise.future)
    assert promise.set(1)


def circle_of(size: int) -> list[Promise[int]]:
    promises: list[Promise[int]] = [Promise() for _ in range(size)]
    for promise, following in itertools.pairwise(promises):
        assert promise.associate(following.future)
    return promises


@pytest.mark.parametrize("size", [2, 3, 100])
@pytest.mark.parametrize("discarded", [False, True])
def test_promises_that_follow_each_other_fail(size: int, discarded: bool) -> None:
    promises = circle_of(size)
    if discarded:
        promises[0].future.discard()

    assert promises[-1].associate(promises[0].future)

    for promise in promises:
        with pytest.raises(Deadlock, match="follow one that itself waits for it"):
            promise.future.get(0)


def test_a_chain_that_is_no_circle_is_followed_to_its_end() -> None:
    promises = circle_of(500)
    other: Promise[int] = Promise()
    other.associate(promises[0].future)
    promises[0].future.then(lambda value: value).discard()

    promises[-1].set(1)

    assert other.future.get(0) == 1


def test_a_promise_that_follows_what_continues_it_fails() -> None:
    promise: Promise[int] = Promise()
    later = promise.future.then(lambda value: value).then(lambda value: value)

    promise.set(later)

    with pytest.raises(Deadlock):
        later.get(0)


def test_a_continuation_that_returns_itself_or_what_follows_it_fails() -> None:
    begun: Promise[int] = Promise()
    after: Promise[int] = Promise()
    itself: Future[int] = begun.future.then(lambda _: itself)
    first: Future[int] = begun.future.then(lambda _: after.future)
    after.associate(first.then(lambda value: value))

    begun.set(1)

    for future in (itself, first, after.future):
        with pytest.raises(Deadlock):
            future.get(0)


def test_a_promise_that_follows_what_a_continuation_has_made_wait_for_it_fails() -> None:
    begun: Promise[int] = Promise()
    after: Promise[int] = Promise()
    first: Future[int] = begun.future.then(lambda _: after.future)
    begun.set(1)

    after.associate(first)

    with pytest.raises(Deadlock):
        first.get(0)


# Abandonment


def test_an_abandoned_promise_refuses_everything_else() -> None:
    promise: Promise[int] = Promise()
    assert promise.abandon()

    assert not promise.abandon()
    assert not promise.set(1)
    assert not promise.associate(Future(1))
    assert str(promise.future) == "Abandoned"


def test_abandoning_runs_its_callbacks_at_once_and_no_others() -> None:
    promise: Promise[int] = Promise()
    calls: list[str] = []
    promise.future.on_abandoned(lambda: calls.append("abandoned"))
    promise.future.on_any(lambda _: calls.append("any"))

    promise.abandon()

    assert calls == ["abandoned"]


@pytest.mark.usefixtures("no_collector")
def test_dropping_a_promise_flags_at_once_and_calls_later() -> None:
    promise: Promise[int] = Promise()
    future = promise.future
    calls: list[bool] = []
    future.on_abandoned(lambda: calls.append(gevent.getcurrent() is gevent.get_hub()))

    del promise

    assert future.is_abandoned
    assert calls == []
    gevent.idle()
    assert calls == [False]


@pytest.mark.usefixtures("no_collector")
def test_dropping_a_promise_wakes_who_waits() -> None:
    promises: list[Promise[int]] = [Promise()]
    future = promises[0].future
    gevent.spawn(promises.clear)

    assert not future.await_()
    assert future.is_abandoned


@pytest.mark.usefixtures("no_collector")
def test_dropping_a_completed_promise_changes_nothing() -> None:
    promise: Promise[int] = Promise()
    future = promise.future
    promise.set(1)

    del promise

    assert not future.is_abandoned


@pytest.mark.usefixtures("no_collector")
def test_nothing_that_hangs_on_a_future_keeps_its_promise_alive() -> None:
    promise: Promise[int] = Promise()
    reference = weakref.ref(promise)
    future = promise.future
    future.on_any(lambda _: None).on_discard(lambda: None)
    ends = [
        future.then(lambda value: value),
        future.recover(lambda _: Future()),
        future.repair(lambda _: 1),
        Promise[int]().future,
    ]
    Promise[int]().associate(future)
    greenlet = gevent.spawn(future.wait)
    gevent.idle()

    del promise

    assert reference() is None
    assert greenlet.get() is None
    assert ends[0].is_abandoned


@pytest.mark.usefixtures("no_collector")
def test_a_finished_chain_is_freed_without_the_collector() -> None:
    promise: Promise[int] = Promise()
    futures = [promise.future]
    for _ in range(3):
        futures.append(futures[-1].then(lambda value: value + 1))
    futures.append(futures[-1].then(lambda _: Failure("boom")).recover(lambda _: Future(7)))
    references = [weakref.ref(future) for future in futures]
    promise.set(1)
    assert futures[-1].value == 7

    del futures, promise

    assert [reference() for reference in references] == [None] * 5


def test_what_is_no_future_is_not_followed() -> None:
    promise: Promise[int] = Promise()

    with pytest.raises(InvalidArgument, match="expected a future to follow, got 5"):
        promise.associate(5)  # type: ignore[arg-type]

    assert promise.set(1)


PENDING_AT_THE_END = """
from greenproc import Promise

promise = Promise()
promise.future.on_abandoned(print)
"""


def test_a_program_may_end_while_something_waits_for_a_promise() -> None:
    """What waits cannot be told when no greenlet runs any more."""
    with Program(sys.executable, "-c", PENDING_AT_THE_END) as program:
        assert program.finish() == (0, "", "")
