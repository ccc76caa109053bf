"""Futures of several futures: collect, await_all, select."""

from __future__ import annotations

import gc
import re
import weakref
from typing import Any

import gevent
import pytest

from greenproc.errors import Abandoned, InvalidArgument, WaitTimeout
from greenproc.future import Future, Promise, await_all, collect, discard, select
from greenproc.future.callbacks import SWEEP_FROM
from tests.future.support import Time


def promises(count: int) -> list[Promise[Any]]:
    return [Promise() for _ in range(count)]


def futures(promises: list[Promise[Any]]) -> list[Future[Any]]:
    return [promise.future for promise in promises]


# collect


def test_collect_takes_any_iterable() -> None:
    assert collect(Future(number) for number in range(3)).get() == [0, 1, 2]


def test_collect_of_arguments_gives_a_tuple() -> None:
    assert collect(Future(1), Future("two"), Future(3.0)).get() == (1, "two", 3.0)
    assert collect(Future(1)).get() == (1,)


def test_collect_of_nothing_is_ready() -> None:
    assert collect([]).get() == []
    assert collect().get() == ()


def test_collect_takes_the_same_future_twice() -> None:
    promise: Promise[int] = Promise()
    result = collect([promise.future, promise.future])

    promise.set(1)

    assert result.get() == [1, 1]


def test_collect_counts_a_ready_input_that_carries_a_request() -> None:
    promise: Promise[int] = Promise()
    promise.future.discard()
    promise.set(1)

    assert collect([promise.future]).get() == [1]
    assert collect(promise.future, Future(2)).get() == (1, 2)


def test_collect_fails_at_once_and_leaves_the_others_alone() -> None:
    first, second = promises(2)
    error = OSError("no such thing")
    result = collect([first.future, second.future])

    second.fail(error)

    assert result.failure() == "Collect failed: no such thing"
    assert result.exception is not None
    assert result.exception.__cause__ is error
    assert not first.future.has_discard
    first.set(1)


def test_collect_is_abandoned_with_an_input() -> None:
    first, second = promises(2)
    result = collect([first.future, second.future])

    first.abandon()

    assert result.is_abandoned


@pytest.mark.parametrize("gather", [collect, await_all])
def test_the_reason_of_an_input_is_that_of_the_result(gather: Any) -> None:
    first, second = promises(2)
    result = gather([first.future, second.future])

    first.abandon("the process shop@127.0.0.1:1 has ended")

    with pytest.raises(Abandoned, match=r"the process shop@127\.0\.0\.1:1 has ended"):
        result.get()


def test_the_inputs_are_discarded_before_the_result() -> None:
    order: list[str] = []
    first, second = promises(2)
    result = collect([first.future, second.future])
    result.on_discarded(lambda: order.append("result"))
    first.future.on_discard(lambda: order.append("first"))
    second.future.on_discard(lambda: order.append("second"))
    second.future.on_discard(second.discard)

    result.discard()

    assert order == ["first", "second", "result"]
    assert first.future.is_pending


def test_collect_has_one_deadline_for_all(time: Time) -> None:
    first, second = promises(2)
    result = collect([first.future, second.future], timeout=5.0)

    time.move(3.0)
    first.set(1)
    time.move(2.0)

    assert isinstance(result.exception, WaitTimeout)
    assert not second.future.has_discard


def test_a_deadline_that_is_met_leaves_no_timer(time: Time) -> None:
    (promise,) = promises(1)
    result = collect([promise.future], timeout=5.0)
    assert time.timers == 1

    promise.set(1)

    assert time.timers == 0
    assert result.get() == [1]
    assert collect([Future(1)], timeout=5.0).is_ready
    assert time.timers == 0


def test_a_hundred_thousand_inputs_are_no_trouble() -> None:
    some = promises(100_000)
    result = collect(futures(some))
    for number, promise in enumerate(some):
        promise.set(number)
    assert result.get() == list(range(100_000))
    assert collect(futures(some)).get() == list(range(100_000))


def test_a_request_reaches_a_hundred_thousand_inputs() -> None:
    some = promises(100_000)
    for promise in some:
        promise.future.on_discard(promise.discard)
    result = collect(futures(some))

    result.discard()

    assert result.is_discarded
    assert all(promise.future.is_discarded for promise in some)


def test_an_abandoned_collect_is_freed_without_the_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        some = promises(3)
        result = collect(futures(some))
        reference = weakref.ref(result)
        some.clear()
        gevent.idle()
        assert result.is_abandoned
        del result
        assert reference() is None
    finally:
        gc.enable()


# await_all


def test_await_all_is_ready_whatever_becomes_of_the_inputs() -> None:
    some = promises(3)
    result = await_all(futures(some))

    some[0].fail("boom")
    some[1].discard()
    assert result.is_pending
    some[2].set(1)

    assert result.get() == futures(some)


def test_await_all_of_arguments_gives_a_tuple_and_of_one_the_future() -> None:
    first, second = Future(1), Future.failed("boom")
    assert await_all(first, second).get() == (first, second)
    assert await_all(second).get() is second
    assert await_all([second]).get() == [second]


def test_await_all_has_one_deadline_for_all(time: Time) -> None:
    some = promises(2)
    result = await_all(futures(some), timeout=5.0)
    time.move(5.0)
    assert isinstance(result.exception, WaitTimeout)


def test_a_future_is_collected_among_greenlets() -> None:
    promise: Promise[int] = Promise()
    result = await_all(promise.future, Future(2))
    greenlet = gevent.spawn(promise.set, 1)
    assert set(gevent.wait([result, greenlet])) == {result, greenlet}


# select


def test_select_takes_the_first_that_is_ready() -> None:
    some = promises(3)
    result = select(futures(some))

    some[2].fail("boom")
    some[1].set(1)
    some[0].set(0)

    assert result.get() is some[1].future


def test_select_takes_the_first_of_those_that_are_ready_already() -> None:
    first, second = Future(1), Future(2)
    assert select([Future.failed("boom"), first, second]).get() is first


@pytest.mark.parametrize("act", ["fail", "discard", "abandon"])
def test_select_is_abandoned_when_none_is_left(act: str) -> None:
    some = promises(2)
    result = select(futures(some))
    for promise in some:
        assert not result.is_abandoned
        getattr(promise, act)(*(("boom",) if act == "fail" else ()))

    assert result.is_abandoned


def test_select_of_nothing_is_abandoned() -> None:
    assert select([]).is_abandoned
    with pytest.raises(Abandoned, match="none of the futures"):
        select([]).get()


def test_discarding_a_select_leaves_the_inputs_alone() -> None:
    some = promises(2)
    result = select(futures(some))

    result.discard()

    assert result.is_discarded
    assert not any(promise.future.has_discard for promise in some)


def test_select_has_a_deadline(time: Time) -> None:
    some = promises(2)
    result = select(futures(some), timeout=5.0)
    time.move(5.0)
    assert isinstance(result.exception, WaitTimeout)


@pytest.mark.parametrize("gather", [collect, await_all, select, discard])
@pytest.mark.parametrize("inputs", [5, [5], [Future(1), None], "no"])
def test_what_is_no_future_is_refused(gather: Any, inputs: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"expected a (future|list of futures), got"):
        gather(inputs)


one: Future[int] = Future(1)
MISTAKES: dict[str, tuple[tuple[Any, ...], str]] = {
    "a value": (([one, 5],), "got 5 as number 2 of 2: if that is the value, Future(5) is ready"),
    "a method": (([one.get],), ": call it, if it returns one"),
    "two lists": (
        ([one], [one]),
        "pass either one list of futures, or each future as an argument",
    ),
    "a list in a list": (
        ([[one]],),
        "pass either one list of futures, or each future as an argum",
    ),
    "a timeout without its name": (([one], 5), "got 5: is it meant as timeout=5?"),
}


@pytest.mark.parametrize("gather", [collect, await_all])
@pytest.mark.parametrize(("given", "told"), MISTAKES.values(), ids=MISTAKES)
def test_what_is_no_future_is_refused_with_what_to_do(
    gather: Any, given: tuple[Any, ...], told: str
) -> None:
    with pytest.raises(InvalidArgument, match=re.escape(told)):
        gather(*given)


@pytest.mark.parametrize("gather", [select, discard])
def test_a_future_where_a_list_is_expected_is_to_be_put_into_one(gather: Any) -> None:
    with pytest.raises(InvalidArgument, match="put it into a list, even if it is alone"):
        gather(one)


# What outlives many of them


def short_select(lasting: Future[Any]) -> None:
    promise: Promise[int] = Promise()
    first = select([lasting, promise.future])
    promise.set(1)
    assert first.get() is promise.future


def discarded_select(lasting: Future[Any]) -> None:
    select([lasting]).discard()


def failed_collect(lasting: Future[Any]) -> None:
    assert collect([lasting, Future.failed("no")]).is_failed


def late_collect(lasting: Future[Any]) -> None:
    result = collect([lasting], timeout=0)
    result.await_()
    assert isinstance(result.exception, WaitTimeout)


def discarded_await_all(lasting: Future[Any]) -> None:
    await_all([lasting]).discard()


def late_after(lasting: Future[Any]) -> None:
    assert lasting.after(0, lambda late: "late").get() == "late"


@pytest.mark.parametrize(
    "wait",
    [
        short_select,
        discarded_select,
        failed_collect,
        late_collect,
        discarded_await_all,
        late_after,
    ],
)
def test_a_future_does_not_keep_what_waits_for_it_no_longer(wait: Any) -> None:
    lasting: Promise[int] = Promise()
    told: list[int] = []
    lasting.future.on_ready(told.append)
    kept = collect([lasting.future])

    for _ in range(1000):
        wait(lasting.future)

    assert lasting.future._callbacks is not None
    assert len(lasting.future._callbacks) <= 2 * SWEEP_FROM
    lasting.set(5)
    assert (told, kept.get()) == ([5], [5])
