"""The read side: states, texts, get and wait, gevent's protocol, callbacks."""

from __future__ import annotations

import copy
import pickle
import re
import traceback
import weakref
from concurrent.futures import CancelledError
from typing import Any

import gevent
import pytest
from gevent.event import AsyncResult
from gevent.exceptions import BlockingSwitchOutError, LoopExit

from greenproc.errors import InvalidArgument, StateError, WaitTimeout
from greenproc.future import Abandoned, Discarded, Failure, Future, Promise


def discarded() -> Future[Any]:
    promise: Promise[Any] = Promise()
    promise.discard()
    return promise.future


# Doors


INNARDS = ("outcome", "state", "callbacks", "waiter", "lock", "links", "open", "home")


@pytest.mark.parametrize("name", INNARDS)
def test_nobody_can_write_the_result_of_a_future(name: str) -> None:
    promise: Promise[int] = Promise()
    promise.set(1)

    with pytest.raises(AttributeError):
        setattr(promise.future, name, 99)

    assert promise.future.get() == 1


PUBLIC = """
add_done_callback after await_ cancel cancelled discard done exc_info exception failed failure get
get_nowait has_discard is_abandoned is_discarded is_failed is_pending is_ready linkcount on_abandoned
on_any on_discard on_discarded on_failed on_ready rawlink ready recover repair result successful then
unlink value wait
"""


def test_a_future_shows_just_what_programs_may_use() -> None:
    shown = [name for name in dir(Future(1)) if not name.startswith("_")]

    assert shown == PUBLIC.split()


def test_looking_at_the_names_of_a_failed_future_does_not_read_the_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    promise: Promise[int] = Promise()
    promise.fail("boom", unread="the work")

    dir(promise.future)
    del promise

    assert "the work failed" in caplog.text


# Making


def test_a_future_of_a_value_is_ready() -> None:
    future = Future(42)

    assert future.is_ready
    assert not future.is_abandoned
    assert future.get() == 42


def test_none_is_a_value() -> None:
    assert Future(None).is_ready


def test_a_future_of_a_failure_is_failed() -> None:
    future: Future[Any] = Future(Failure("boom"))

    assert future.is_failed
    assert future.failure() == "boom"


def test_a_future_of_a_future_follows_it() -> None:
    promise: Promise[int] = Promise()
    future: Future[Any] = Future(promise.future)
    assert future.is_pending

    promise.set(1)

    assert future.get() == 1


def test_a_future_of_nothing_is_pending_and_abandoned() -> None:
    future: Future[int] = Future()

    assert future.is_pending
    assert future.is_abandoned


def test_a_failed_future_is_not_abandoned() -> None:
    future = Future.failed("boom")

    assert future.is_failed
    assert not future.is_abandoned


def test_a_future_fails_with_an_exception_or_a_text_only() -> None:
    with pytest.raises(InvalidArgument):
        Future.failed(42)  # type: ignore[arg-type]


# State


def test_the_states_exclude_each_other() -> None:
    pending: Future[int] = Promise[int]().future
    for future, name in [
        (pending, "is_pending"),
        (Future(1), "is_ready"),
        (Future.failed("boom"), "is_failed"),
        (discarded(), "is_discarded"),
    ]:
        names = ("is_pending", "is_ready", "is_failed", "is_discarded")
        assert [each for each in names if getattr(future, each)] == [name]


def test_the_words_of_gevent_count_abandonment_as_over() -> None:
    promise: Promise[int] = Promise()
    assert not promise.future.ready()

    promise.abandon()

    assert promise.future.ready()
    assert promise.future.done()
    assert not promise.future.successful()
    assert isinstance(promise.future.exception, Abandoned)


def test_value_and_exception_are_none_while_there_is_nothing() -> None:
    promise: Promise[int] = Promise()

    assert promise.future.value is None
    assert promise.future.exception is None
    assert promise.future.exc_info == ()
    promise.discard()


def test_a_failure_shows_its_exception() -> None:
    error = OSError("no such thing")
    future = Future.failed(error)

    assert future.exception is error
    assert future.exc_info == (OSError, error, None)
    assert future.failure() == "no such thing"
    assert future.value is None


def test_a_failure_without_a_text_is_named_by_its_class() -> None:
    assert Future.failed(KeyError()).failure() == "KeyError"


def test_only_a_failed_future_has_a_failure() -> None:
    with pytest.raises(StateError, match="Ready"):
        Future(1).failure()


def test_a_future_is_equal_to_itself_only() -> None:
    first, second = Future(1), Future(1)

    assert first != second
    assert {first, second, first} == {first, second}


def test_a_future_can_be_referred_to_weakly() -> None:
    future = Future(1)
    reference = weakref.ref(future)
    assert reference() is future

    del future

    assert reference() is None


def test_a_future_tells_its_state_when_printed() -> None:
    assert repr(Future.failed("boom")) == "<Future Failed: boom>"


# Waiting


def test_get_waits_for_the_value() -> None:
    promise: Promise[int] = Promise()
    gevent.spawn(promise.set, 42)

    assert promise.future.get() == 42


def test_all_who_wait_get_the_value() -> None:
    promise: Promise[int] = Promise()
    greenlets = [gevent.spawn(promise.future.get) for _ in range(3)]
    gevent.idle()
    assert promise.future.linkcount() == 3

    promise.set(42)

    assert [greenlet.get() for greenlet in greenlets] == [42, 42, 42]
    assert promise.future.linkcount() == 0


def test_who_waits_runs_after_who_completes() -> None:
    promise: Promise[int] = Promise()
    order: list[str] = []

    def waiter() -> None:
        promise.future.get()
        order.append("waiter")

    greenlet = gevent.spawn(waiter)
    gevent.idle()
    promise.set(1)
    order.append("completer")
    greenlet.get()

    assert order == ["completer", "waiter"]


def test_get_raises_the_exception() -> None:
    error = OSError("no such thing")
    with pytest.raises(OSError, match="no such thing") as caught:
        Future.failed(error).get()
    assert caught.value is error


def test_the_traceback_does_not_grow_with_each_get() -> None:
    def fail(_: int) -> int:
        raise OSError("no such thing")

    future = Future(1).then(fail)
    depths = []
    for _ in range(3):
        with pytest.raises(OSError) as caught:
            future.get()
        depths.append([frame.name for frame in traceback.extract_tb(caught.tb)])

    assert depths[0] == depths[2]
    assert depths[0][-1] == "fail"


def test_get_of_a_discarded_future_raises_as_concurrent_futures_does() -> None:
    with pytest.raises(Discarded) as caught:
        discarded().get()
    assert isinstance(caught.value, CancelledError)


def test_get_ends_when_the_future_is_abandoned() -> None:
    promise: Promise[int] = Promise()
    gevent.spawn(promise.abandon)

    with pytest.raises(Abandoned):
        promise.future.get()


def test_get_of_an_abandoned_future_does_not_wait() -> None:
    with pytest.raises(Abandoned):
        Future().get()


@pytest.mark.parametrize(
    "arguments", [{"timeout": 0}, {"timeout": -1}, {"timeout": 0.001}, {"block": False}]
)
def test_get_raises_a_timeout_that_is_no_gevent_timeout(arguments: dict[str, Any]) -> None:
    promise: Promise[int] = Promise()

    with pytest.raises(WaitTimeout) as caught:
        promise.future.get(**arguments)

    assert isinstance(caught.value, TimeoutError)
    assert promise.future.linkcount() == 0


def test_the_first_argument_of_get_may_be_the_timeout() -> None:
    promise: Promise[int] = Promise()
    with pytest.raises(WaitTimeout):
        promise.future.get(0.001)


def test_a_negative_timeout_is_over_at_once_and_says_so() -> None:
    promise: Promise[int] = Promise()
    told = re.escape("is pending at once, as the timeout was -1 s (None waits for ever)")
    with pytest.raises(WaitTimeout, match=told):
        promise.future.get(timeout=-1)


def test_get_nowait_does_not_wait() -> None:
    promise: Promise[int] = Promise()
    with pytest.raises(WaitTimeout):
        promise.future.get_nowait()

    promise.set(1)

    assert promise.future.get_nowait() == 1


def test_get_in_time_leaves_no_timer() -> None:
    promise: Promise[int] = Promise()
    gevent.spawn(promise.set, 1)

    assert promise.future.get(timeout=3600) == 1


def test_an_endless_timeout_is_allowed() -> None:
    promise: Promise[int] = Promise()
    gevent.spawn(promise.set, 1)

    assert promise.future.get(timeout=float("inf")) == 1


def test_wait_raises_nothing() -> None:
    assert Future(1).wait() == 1
    assert Future.failed("boom").wait() is None
    assert discarded().wait() is None
    assert Future().wait() is None
    promise: Promise[int] = Promise()
    assert promise.future.wait(timeout=0) is None


def test_await_tells_whether_it_has_completed() -> None:
    promise: Promise[int] = Promise()
    assert not promise.future.await_(0)
    assert not Future().await_()

    gevent.spawn(promise.fail, "boom")

    assert promise.future.await_()


def test_a_killed_greenlet_no_longer_waits() -> None:
    promise: Promise[int] = Promise()
    greenlets = [gevent.spawn(promise.future.get) for _ in range(2)]
    gevent.idle()

    gevent.killall(greenlets)

    assert promise.future.linkcount() == 0


def test_a_greenlet_killed_after_the_completion_is_not_switched_into() -> None:
    promise: Promise[int] = Promise()
    result: AsyncResult[str] = AsyncResult()

    def waiter() -> None:
        try:
            promise.future.get()
        except ValueError:
            assert result.get() == "undisturbed"

    greenlets = [gevent.spawn(waiter) for _ in range(2)]
    gevent.idle()
    for greenlet in greenlets:
        gevent.get_hub().loop.run_callback(greenlet.throw, ValueError())
    promise.set(1)
    gevent.idle()
    assert not any(greenlet.ready() for greenlet in greenlets)

    result.set("undisturbed")

    gevent.joinall(greenlets, raise_error=True)


def test_waiting_in_the_hub_is_refused() -> None:
    promise: Promise[int] = Promise()
    errors: list[BaseException] = []

    def callback() -> None:
        try:
            promise.future.get()
        except BlockingSwitchOutError as error:
            errors.append(error)

    gevent.get_hub().loop.run_callback(callback)
    gevent.idle()

    assert errors
    assert promise.future.linkcount() == 0


def test_waiting_for_what_nobody_can_do_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("greenproc.hub.lifetime.count_threads", lambda: 0)  # that none can do it
    promise: Promise[int] = Promise()
    with pytest.raises(LoopExit):
        promise.future.get()
    promise.discard()


def test_a_gevent_timeout_of_the_caller_is_left_alone() -> None:
    promise: Promise[int] = Promise()
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.001):
        promise.future.get()
    assert promise.future.linkcount() == 0


# gevent's protocol


def test_gevent_wait_takes_futures_among_others() -> None:
    promise: Promise[int] = Promise()
    greenlet = gevent.spawn(promise.set, 1)
    objects = [promise.future, greenlet, Future(2), discarded(), Future()]

    done = gevent.wait(objects)

    assert set(done) == set(objects)
    assert all(future.linkcount() == 0 for future in objects if isinstance(future, Future))


def test_gevent_iwait_gives_the_futures_as_they_end() -> None:
    first: Promise[int] = Promise()
    second: Promise[int] = Promise()

    def complete() -> None:
        second.set(2)
        gevent.sleep(0)
        first.fail("boom")

    gevent.spawn(complete)

    assert list(gevent.iwait([first.future, second.future])) == [second.future, first.future]


def test_gevent_joinall_raises_what_a_future_failed_with() -> None:
    with pytest.raises(Failure, match="boom"):
        gevent.joinall([Future(1), Future.failed("boom")], raise_error=True)


def test_a_link_is_called_once_in_the_hub_with_the_future() -> None:
    promise: Promise[int] = Promise()
    calls: list[tuple[Any, bool]] = []

    def link(future: Any) -> None:
        calls.append((future, gevent.getcurrent() is gevent.get_hub()))

    promise.future.rawlink(link)
    promise.future.rawlink(link)
    promise.set(1)
    assert calls == []
    gevent.idle()

    assert calls == [(promise.future, True)]


def test_a_link_to_a_finished_future_is_called_too() -> None:
    calls: list[Any] = []
    for future in (Future(1), Future()):
        future.rawlink(calls.append)
        gevent.idle()
        assert calls.pop() is future


def test_links_are_called_in_order() -> None:
    promise: Promise[int] = Promise()
    calls: list[int] = []
    for number in range(5):
        promise.future.rawlink(lambda _, number=number: calls.append(number))

    promise.set(1)
    gevent.idle()

    assert calls == [0, 1, 2, 3, 4]


def test_an_unlinked_link_is_not_called_even_if_that_is_late() -> None:
    promise: Promise[int] = Promise()
    calls: list[Any] = []
    promise.future.rawlink(calls.append)

    promise.set(1)
    promise.future.unlink(calls.append)
    promise.future.unlink(print)
    gevent.idle()

    assert calls == []


def test_a_raising_link_does_not_stop_the_others(reported: list[BaseException]) -> None:
    promise: Promise[int] = Promise()
    calls: list[Any] = []
    error = ValueError("link")

    def fail(_: Any) -> None:
        raise error

    promise.future.rawlink(fail)
    promise.future.rawlink(calls.append)
    promise.set(1)
    gevent.idle()

    assert calls == [promise.future]
    assert reported == [error]


# The words of concurrent.futures


def test_result_is_get() -> None:
    assert Future(1).result() == 1
    promise: Promise[int] = Promise()
    with pytest.raises(TimeoutError):
        promise.future.result(timeout=0)


def test_cancel_is_true_only_if_get_will_raise() -> None:
    stubborn: Promise[int] = Promise()
    assert not stubborn.future.cancel()
    assert stubborn.future.has_discard

    willing: Promise[int] = Promise()
    willing.future.on_discard(willing.discard)
    assert willing.future.cancel()
    assert willing.future.cancelled()
    assert not Future(1).cancel()


def test_a_done_callback_hears_of_every_end_once() -> None:
    calls: list[Any] = []
    promises = [Promise[int]() for _ in range(4)]
    for promise in promises:
        promise.future.add_done_callback(calls.append)

    promises[0].set(1)
    promises[1].fail("boom")
    promises[2].discard()
    promises[3].abandon()

    assert calls == [promise.future for promise in promises]


# Callbacks


def test_callbacks_of_the_state_run_before_those_for_any() -> None:
    promise: Promise[int] = Promise()
    order: list[str] = []
    promise.future.on_any(lambda _: order.append("any"))
    promise.future.on_ready(lambda _: order.append("first"))
    promise.future.then(lambda _: order.append("then"))
    promise.future.on_ready(lambda _: order.append("second"))

    promise.set(1)

    assert order == ["first", "second", "any", "then"]


def test_callbacks_get_what_they_are_about() -> None:
    calls: list[Any] = []
    error = OSError()
    failed = Future.failed(error)

    Future(1).on_ready(calls.append)
    failed.on_failed(calls.append)
    failed.on_any(calls.append)
    discarded().on_discarded(lambda: calls.append("discarded"))
    Future().on_abandoned(lambda: calls.append("abandoned"))

    assert calls == [1, error, failed, "discarded", "abandoned"]


def test_callbacks_of_other_states_are_dropped() -> None:
    promise: Promise[int] = Promise()
    calls: list[Any] = []
    held = Promise[int]()
    promise.future.on_failed(lambda _, held=held: calls.append(held))
    promise.future.on_discarded(lambda: calls.append("discarded"))
    promise.future.on_discard(lambda: calls.append("discard"))
    promise.future.on_abandoned(lambda: calls.append("abandoned"))
    other = held.future
    del held

    promise.set(1)

    assert calls == []
    assert other.is_abandoned
    assert not promise.future.discard()


def test_a_callback_runs_once() -> None:
    promise: Promise[int] = Promise()
    calls: list[int] = []
    promise.future.on_ready(calls.append)

    promise.set(1)
    promise.set(2)
    promise.future.on_ready(calls.append)

    assert calls == [1, 1]


def test_a_callback_registered_in_a_callback_runs_before_those_after_it() -> None:
    promise: Promise[int] = Promise()
    order: list[str] = []

    def first(_: int) -> None:
        promise.future.on_any(lambda _: order.append("inner"))
        order.append("outer")

    promise.future.on_ready(first)
    promise.future.on_ready(lambda _: order.append("last"))
    promise.set(1)

    assert order == ["inner", "outer", "last"]


def test_registering_returns_the_future() -> None:
    future = Future(1)
    assert future.on_ready(print).on_any(lambda _: None).on_discard(print) is future


def test_an_error_in_a_callback_does_not_stop_the_others(reported: list[BaseException]) -> None:
    promise: Promise[int] = Promise()
    calls: list[Any] = []
    error = ValueError("callback")

    def fail(_: Any) -> None:
        raise error

    promise.future.on_ready(fail).on_ready(calls.append).on_any(calls.append)

    assert promise.set(1)
    assert calls == [1, promise.future]
    assert reported == [error]


@pytest.mark.parametrize("fatal", [gevent.GreenletExit, gevent.Timeout, KeyboardInterrupt])
def test_what_ends_a_greenlet_is_raised_after_the_other_callbacks(
    fatal: type[BaseException],
) -> None:
    promise: Promise[int] = Promise()
    calls: list[Any] = []

    def end(_: Any) -> None:
        raise fatal

    promise.future.on_ready(end).on_ready(calls.append).on_any(calls.append)

    with pytest.raises(fatal):
        promise.set(1)
    assert calls == [1, promise.future]
    assert promise.future.is_ready


# Discard requests


def test_a_discard_is_a_request_and_no_more() -> None:
    promise: Promise[int] = Promise()

    assert promise.future.discard()
    assert not promise.future.discard()

    assert promise.future.has_discard
    assert promise.future.is_pending
    assert promise.set(1)
    assert promise.future.has_discard


def test_a_complete_future_refuses_a_discard() -> None:
    future = Future(1)
    assert not future.discard()
    assert not future.has_discard


def test_a_discard_callback_runs_even_when_registered_after_the_completion() -> None:
    promise: Promise[int] = Promise()
    calls: list[str] = []
    promise.future.discard()
    promise.set(1)

    promise.future.on_discard(lambda: calls.append("discard"))
    Future(1).on_discard(lambda: calls.append("never asked"))

    assert calls == ["discard"]


def test_all_discard_callbacks_run_though_one_completes_the_future() -> None:
    promise: Promise[int] = Promise()
    calls: list[str] = []
    promise.future.on_discard(promise.discard)
    promise.future.on_discard(lambda: calls.append("second"))

    promise.future.discard()

    assert promise.future.is_discarded
    assert calls == ["second"]


@pytest.mark.parametrize("end", [lambda it: it.set(1), lambda it: it.discard()])
def test_a_discard_callback_that_will_never_run_is_not_kept(end: Any) -> None:
    promise: Promise[int] = Promise()
    held = Promise[int]()
    promise.future.on_discard(held.set)
    reference = weakref.ref(held)

    end(promise)
    del held

    assert reference() is None


# Mistakes


@pytest.mark.parametrize("timeout", [float("nan"), "1", b"", object()])
def test_a_timeout_that_is_no_number_is_refused(timeout: Any) -> None:
    promise: Promise[int] = Promise()

    for wait in (promise.future.get, promise.future.wait, promise.future.await_):
        with pytest.raises(InvalidArgument, match="expected a number of seconds"):
            wait(timeout=timeout)

    assert promise.future.linkcount() == 0


@pytest.mark.parametrize("seconds", [-1, -float("inf"), -(10**400)])
def test_a_time_before_now_does_not_wait(seconds: float) -> None:
    promise: Promise[int] = Promise()

    assert not promise.future.await_(timeout=seconds)


def test_a_time_without_end_waits_for_the_end() -> None:
    promise: Promise[int] = Promise()
    waiting = [
        gevent.spawn(promise.future.get, timeout=seconds) for seconds in (float("inf"), 10**400)
    ]
    gevent.idle()

    promise.set(1)

    assert [greenlet.get() for greenlet in waiting] == [1, 1]


@pytest.mark.parametrize(
    "method",
    ["then", "recover", "repair", "on_ready", "on_failed", "on_discarded", "on_any", "on_discard",
     "on_abandoned", "add_done_callback"],
)  # fmt: skip
def test_what_cannot_be_called_is_refused_where_it_is_given(method: str) -> None:
    promise: Promise[int] = Promise()

    with pytest.raises(InvalidArgument, match="expected a function to call, got 5"):
        getattr(promise.future, method)(5)
    with pytest.raises(InvalidArgument, match="expected a function to call, got 5"):
        promise.future.after(1.0, 5)  # type: ignore[arg-type]


@pytest.mark.parametrize("act", [copy.copy, copy.deepcopy, pickle.dumps])
def test_it_cannot_be_copied(act: Any) -> None:
    with pytest.raises(TypeError, match="a future cannot be copied"):
        act(Future(1))
