"""The continuations: then, recover, repair, after."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import pytest
from gevent.event import Event

from greenproc.future import Discarded, Failure, Future, Promise
from greenproc.testing import await_failed
from greenproc.testing.errors import ErrorLog
from tests.future.support import Time


def discarded() -> Future[Any]:
    promise: Promise[Any] = Promise()
    promise.discard()
    return promise.future


def fail(_: Any) -> Any:
    raise AssertionError("must not be called")


# then


def test_then_takes_a_value_or_a_future() -> None:
    assert Future(1).then(lambda value: value + 1).get() == 2
    assert Future(1).then(lambda value: Future(value + 1)).get() == 2


def test_then_passes_on_what_is_no_value() -> None:
    assert str(Future.failed("boom").then(fail)) == "Failed: boom"
    assert discarded().then(fail).is_discarded
    assert Future().then(fail).is_abandoned


STEPS = {
    "then": (Future(1), "then"),
    "recover": (Future.failed("boom"), "recover"),
    "repair": (Future.failed("boom"), "repair"),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_limit_of_gevent_fails_what_follows_and_goes_on(step: str) -> None:
    """It may be one that was set around the call that completes the source."""
    ended, name = STEPS[step]
    promise: Promise[int] = Promise()
    following = getattr(promise.future, name)(wait_for_ever)

    with gevent.Timeout(0.0) as limit, pytest.raises(gevent.Timeout) as caught:
        promise.associate(ended)
    assert caught.value is limit
    assert following.exception is limit


def wait_for_ever(_: object) -> None:
    Event().wait()


def test_a_limit_of_gevent_in_a_greenlet_of_its_own_fails_what_follows() -> None:
    """Nobody else can have set it, so it goes nowhere else."""
    promise: Promise[int] = Promise()
    following = promise.future.then(be_late)
    with expect_no_errors():
        gevent.get_hub().loop.run_callback(promise.set, 1)

        assert isinstance(await_failed(following), gevent.Timeout)


def be_late(_: object) -> None:
    raise gevent.Timeout(1.0)


def test_a_limit_around_a_completion_in_a_greenlet_of_callbacks_is_kept() -> None:
    first: Promise[int] = Promise()
    second: Promise[int] = Promise()
    caught: list[bool] = []
    following = second.future.then(wait_for_ever)

    def complete(_: int) -> None:
        limit = gevent.Timeout(0.0)
        try:
            with limit:
                second.set(2)
        except gevent.Timeout as timeout:
            caught.append(timeout is limit)

    first.future.on_ready(complete)
    gevent.get_hub().loop.run_callback(first.set, 1)

    await_failed(following)
    gevent.idle()
    assert caught == [True]


@contextmanager
def expect_no_errors() -> Iterator[None]:
    with ErrorLog() as log:
        yield
        gevent.idle()
        assert log.errors == []


def test_then_fails_with_what_its_function_raises_or_returns() -> None:
    error = ValueError("boom")

    def raise_it(_: int) -> None:
        raise error

    assert Future(1).then(raise_it).exception is error
    assert Future(1).then(lambda _: Failure("boom")).failure() == "boom"


def test_then_is_discarded_if_its_function_raises_that() -> None:
    def give_up(_: int) -> None:
        raise Discarded

    assert Future(1).then(give_up).is_discarded


def test_a_function_that_ends_its_greenlet_abandons_the_result() -> None:
    def leave(_: int) -> None:
        raise gevent.GreenletExit

    promise: Promise[int] = Promise()
    result = promise.future.then(leave)

    with pytest.raises(gevent.GreenletExit):
        promise.set(1)
    assert result.is_abandoned


def test_then_does_not_go_on_from_a_ready_source_that_carries_a_request() -> None:
    promise: Promise[int] = Promise()
    promise.future.discard()
    promise.set(1)

    assert promise.future.then(fail).is_discarded


def test_a_request_reaches_the_source_while_that_is_pending() -> None:
    promise: Promise[int] = Promise()
    result = promise.future.then(fail)

    result.discard()

    assert promise.future.has_discard
    assert result.is_pending


def test_a_request_reaches_the_inner_future_once_there_is_one() -> None:
    inner: Promise[int] = Promise()
    source: Future[int] = Future(1)
    result = source.then(lambda _: inner.future)

    result.discard()

    assert inner.future.has_discard
    assert not source.has_discard


def test_a_result_does_not_keep_its_source_alive() -> None:
    promise: Promise[int] = Promise()
    source = weakref.ref(promise.future)
    result = promise.future.then(fail)

    del promise
    gevent.idle()

    assert source() is None
    assert result.is_abandoned
    assert result.discard()


# recover


@pytest.mark.parametrize("source", [Future.failed("boom"), discarded(), Future()], ids=str)
def test_recover_takes_over_from_whatever_is_no_value(source: Future[int]) -> None:
    seen: list[Any] = []
    assert source.recover(lambda future: seen.append(future) or 7).get() == 7
    assert seen == [source]


def test_recover_passes_a_value_on_even_with_a_request() -> None:
    promise: Promise[int] = Promise()
    result = promise.future.recover(fail)
    result.discard()
    promise.set(1)

    assert result.get() == 1


def test_recover_fails_with_what_its_function_raises() -> None:
    def raise_it(_: Any) -> int:
        raise ValueError("worse")

    assert Future.failed("boom").recover(raise_it).failure() == "worse"


def test_recover_forgets_an_earlier_request_but_passes_on_a_new_one() -> None:
    promise: Promise[int] = Promise()
    inner: Promise[int] = Promise()
    result = promise.future.recover(lambda _: inner.future)
    result.discard()

    promise.discard()
    assert not result.has_discard
    assert not inner.future.has_discard

    assert result.discard()
    assert inner.future.has_discard


# repair


def test_repair_is_for_failures_only() -> None:
    assert Future.failed("boom").repair(lambda future: future.failure()).get() == "boom"
    assert Future(1).repair(fail).get() == 1
    assert discarded().repair(fail).is_discarded
    assert Future().repair(fail).is_abandoned


def test_repair_passes_an_earlier_request_on_to_the_inner_future() -> None:
    promise: Promise[int] = Promise()
    inner: Promise[int] = Promise()
    result = promise.future.repair(lambda _: inner.future)
    result.discard()

    promise.fail("boom")

    assert result.has_discard
    assert inner.future.has_discard


# after


def test_after_calls_its_function_when_the_time_is_over(time: Time) -> None:
    promise: Promise[str] = Promise()
    result = promise.future.after(5.0, lambda source: f"{source} too long")

    time.move(4.9)
    assert result.is_pending
    time.move(0.1)

    assert result.get() == "Pending too long"
    promise.set("late")
    assert result.get() == "Pending too long"


def test_after_calls_its_function_despite_a_request(time: Time) -> None:
    promise: Promise[str] = Promise()
    result = promise.future.after(5.0, str)
    result.discard()

    time.move(5.0)

    assert result.get() == "Pending (with discard)"


@pytest.mark.parametrize("act", ["set", "fail", "discard"])
def test_after_takes_an_outcome_that_is_in_time(time: Time, act: str) -> None:
    promise: Promise[Any] = Promise()
    result = promise.future.after(5.0, fail)
    assert time.timers == 1

    getattr(promise, act)(*() if act == "discard" else ("text",))

    assert time.timers == 0
    assert str(result) == str(promise.future)
    assert result.value == promise.future.value


def test_after_of_a_complete_future_starts_no_timer(time: Time) -> None:
    assert Future(1).after(5.0, fail).get() == 1
    assert time.timers == 0


def test_after_fails_with_what_its_function_raises(time: Time) -> None:
    def raise_it(_: Any) -> str:
        raise ValueError("too long")

    promise: Promise[str] = Promise()
    result = promise.future.after(5.0, raise_it)
    time.move(5.0)

    assert result.failure() == "too long"


def test_after_does_not_pass_abandonment_on(time: Time) -> None:
    promise: Promise[str] = Promise()
    result = promise.future.after(5.0, str)

    promise.abandon()
    assert not result.is_abandoned
    time.move(5.0)

    assert result.get() == "Abandoned"


def test_after_asks_the_source_to_stop_only_when_asked_to(time: Time) -> None:
    promise: Promise[str] = Promise()
    result = promise.future.after(5.0, lambda source: "too long")
    time.move(5.0)
    assert not promise.future.has_discard
    assert result.get() == "too long"

    other = promise.future.after(5.0, lambda source: "too long")
    other.discard()
    assert promise.future.has_discard
    time.move(5.0)
