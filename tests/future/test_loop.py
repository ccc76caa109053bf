"""Repeating steps that give futures."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import gevent
import pytest
from gevent.event import Event

from greenproc.errors import InvalidArgument
from greenproc.future import Break, Continue, Failure, Future, Promise, loop
from greenproc.testing import await_failed

NAME: ContextVar[str] = ContextVar("name", default="nobody")


def counting(limit: int, *, as_future: bool = False) -> tuple[Any, Any, list[int]]:
    """Return an iterate and a body that count to *limit*, and what the body saw."""
    seen: list[int] = []

    def iterate() -> Any:
        return Future(len(seen)) if as_future else len(seen)

    def body(item: int) -> Any:
        seen.append(item)
        flow = Break(item) if item == limit else Continue()
        return Future(flow) if as_future else flow

    return iterate, body, seen


@pytest.mark.parametrize("as_future", [False, True])
@pytest.mark.parametrize("inline", [False, True])
def test_a_loop_ends_with_the_value_of_break(inline: bool, as_future: bool) -> None:
    iterate, body, seen = counting(3, as_future=as_future)

    assert loop(iterate, body, inline=inline).get() == 3
    assert seen == [0, 1, 2, 3]


def test_break_has_no_value_by_default() -> None:
    future: Future[None] = loop(lambda: 1, lambda _: Break())
    assert future.get() is None


def test_break_with_a_future_follows_it() -> None:
    future: Future[Any] = loop(lambda: 1, lambda _: Break(Future(2)))
    assert future.get() == 2


def test_flows_tell_what_they_are_when_printed() -> None:
    assert repr(Continue()) == "Continue()"
    assert repr(Break(1)) == "Break(1)"


def test_an_inline_loop_runs_before_it_returns_and_without_a_stack() -> None:
    iterate, body, _ = counting(10_000)
    assert loop(iterate, body, inline=True).is_ready


def test_a_loop_of_futures_completed_later_does_not_grow_a_stack() -> None:
    promises: list[Promise[int]] = [Promise() for _ in range(5_000)]
    seen: list[int] = []

    def body(item: int) -> Any:
        seen.append(item)
        return Break() if len(seen) == len(promises) else Continue()

    future: Future[None] = loop(lambda: promises[len(seen)].future, body, inline=True)
    for number, promise in enumerate(promises):
        promise.set(number)

    assert future.is_ready
    assert len(seen) == 5_000


def test_a_loop_of_its_own_greenlet_gives_others_a_turn() -> None:
    stop: list[bool] = []
    future: Future[None] = loop(lambda: None, lambda _: Break() if stop else Continue())
    gevent.spawn(stop.append, True)

    assert future.is_pending
    future.get()


def test_a_loop_has_the_context_of_who_made_it() -> None:
    promise: Promise[None] = Promise()
    names: list[str] = []

    def iterate() -> Future[None]:
        names.append(NAME.get())
        return promise.future

    def body(_: None) -> Break[None]:
        names.append(NAME.get())
        return Break()

    token = NAME.set("maker")
    future = loop(iterate, body)
    NAME.reset(token)
    gevent.idle()
    promise.set(None)
    future.get()

    assert names == ["maker", "maker"]


@pytest.mark.parametrize("inline", [False, True])
def test_an_item_or_flow_without_a_value_ends_the_loop_likewise(inline: bool) -> None:
    gone: Promise[Any] = Promise()
    gone.discard()
    ends: list[Future[Any]] = [Future.failed("boom"), gone.future, Future()]
    for end in ends:
        of_item: Future[Any] = loop(lambda end=end: end, lambda _: Continue(), inline=inline)
        of_flow: Future[Any] = loop(lambda: 1, lambda _, end=end: end, inline=inline)
        gevent.idle()
        assert str(of_item) == str(of_flow) == str(end)


@pytest.mark.parametrize("inline", [False, True])
def test_an_exception_fails_the_loop(inline: bool) -> None:
    def raise_it(*_: Any) -> Any:
        raise Failure("boom")

    of_item: Future[Any] = loop(raise_it, lambda _: Continue(), inline=inline)
    of_flow: Future[Any] = loop(lambda: 1, raise_it, inline=inline)
    gevent.idle()

    assert str(of_item) == str(of_flow) == "Failed: boom"


@pytest.mark.parametrize("as_future", [False, True])
def test_a_body_must_say_how_to_go_on(as_future: bool) -> None:
    body: Any = lambda _: Future("yes") if as_future else "yes"  # noqa: E731
    future: Future[Any] = loop(lambda: 1, body)
    gevent.idle()

    assert isinstance(future.exception, InvalidArgument)


def test_a_request_does_not_stop_a_loop_that_is_not_waiting() -> None:
    iterate, body, _ = counting(10)
    future = loop(iterate, body)
    future.discard()

    assert future.get() == 10


def test_a_request_reaches_each_future_that_is_waited_for_later() -> None:
    promises: list[Promise[int]] = [Promise() for _ in range(3)]
    seen: list[int] = []

    def body(item: int) -> Continue | Break[int]:
        seen.append(item)
        return Continue()

    future = loop(lambda: promises[len(seen)].future, body, inline=True)
    future.discard()
    assert promises[0].future.has_discard
    assert not promises[1].future.has_discard

    promises[0].set(0)
    assert promises[1].future.has_discard
    promises[1].discard()
    assert future.is_discarded


def test_a_loop_is_abandoned_with_what_it_waits_for() -> None:
    promise: Promise[int] = Promise()
    future: Future[Any] = loop(lambda: promise.future, lambda _: Continue())
    gevent.idle()

    promise.abandon()

    assert future.is_abandoned


def test_a_loop_whose_greenlet_is_ended_is_abandoned() -> None:
    def leave() -> int:
        raise gevent.GreenletExit

    future: Future[Any] = loop(leave, lambda _: Continue())
    gevent.idle()

    assert future.is_abandoned


@pytest.mark.parametrize("inline", [False, True])
def test_what_cannot_be_called_is_refused_at_once(inline: bool) -> None:
    with pytest.raises(InvalidArgument, match="expected a function to call, got 5"):
        loop(5, lambda _: Break(), inline=inline)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="expected a function to call, got 5"):
        loop(int, 5, inline=inline)  # type: ignore[arg-type]


def test_a_limit_of_gevent_that_its_own_greenlet_runs_into_fails_it() -> None:
    """Nobody outside can have set it, as nobody knows that greenlet."""

    def body(_: int) -> Break[None]:
        with gevent.Timeout(0.0):
            Event().wait()
        return Break()

    future = loop(int, body)

    assert isinstance(await_failed(future), gevent.Timeout)


def test_a_limit_of_gevent_goes_on_to_the_caller_of_an_inline_loop() -> None:
    def body(_: int) -> Break[None]:
        Event().wait()
        return Break()

    with gevent.Timeout(0.0) as limit, pytest.raises(gevent.Timeout) as caught:
        loop(int, body, inline=True)
    assert caught.value is limit


def test_an_inline_loop_that_runs_into_a_limit_of_gevent_fails() -> None:
    promise: Promise[int] = Promise()

    def body(_: int) -> Break[None]:
        raise gevent.Timeout(1.0)

    future = loop(lambda: promise.future, body, inline=True)

    with pytest.raises(gevent.Timeout) as caught:
        promise.set(1)
    assert future.exception is caught.value
