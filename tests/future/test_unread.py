"""Failures that are logged unless something reads them."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest

from greenproc.errors import Abandoned, Failure, WaitTimeout
from greenproc.future import Future, Promise, await_all, collect, select
from greenproc.future.adapters_out import to_async_result, to_concurrent

BROKEN = "broken on purpose"


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    """Reference counting alone must free what is dropped."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Return what was logged as unread since the last call."""
    caplog.set_level(logging.ERROR, "greenproc.future")

    def messages() -> list[str]:
        told = [record.getMessage() for record in caplog.records]
        caplog.clear()
        return told

    return messages


def failed(error: BaseException | str = BROKEN) -> Future[Any]:
    """Return a future that failed as that of a dispatch does."""
    promise: Promise[Any] = Promise()
    promise.fail(error, unread="the test")
    return promise.future


def raises(kind: type[BaseException], call: Callable[[], object]) -> None:
    with pytest.raises(kind):
        call()


def pending() -> Promise[Any]:
    return Promise()


LOGGED = ["the test failed, and its future was dropped unread: get() it, or add on_failed()"]


def test_an_error_that_nothing_reads_is_logged_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    try:
        raise ValueError(BROKEN)
    except ValueError as error:
        failed(error)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("greenproc.future", logging.ERROR)
    assert BROKEN in caplog.text and "Traceback" in caplog.text


def test_it_is_logged_when_the_last_future_is_dropped(logged: Callable[[], list[str]]) -> None:
    future = failed()
    assert not logged()
    del future
    assert logged() == LOGGED


READS: dict[str, Callable[[Future[Any]], object]] = {
    "get": lambda future: raises(Failure, future.get),
    "result": lambda future: raises(Failure, future.result),
    "get_nowait": lambda future: raises(Failure, future.get_nowait),
    "wait": lambda future: future.wait(),
    "value": lambda future: future.value,
    "exception": lambda future: future.exception,
    "exc_info": lambda future: future.exc_info,
    "failure": lambda future: future.failure(),
    "is_failed": lambda future: future.is_failed,
    "on_failed": lambda future: future.on_failed(lambda error: None),
    "on_any": lambda future: future.on_any(lambda ended: None),
    "add_done_callback": lambda future: future.add_done_callback(lambda ended: None),
    "recover": lambda future: future.recover(lambda ended: None),
    "repair": lambda future: future.repair(lambda ended: None),
    "collect": lambda future: raises(Failure, collect(future, failed()).get),
    "select": lambda future: raises(Abandoned, select([future]).get),
    "joinall": lambda future: raises(Failure, lambda: gevent.joinall([future], raise_error=True)),
    "AsyncResult": lambda future: to_async_result(future).wait(),
    "concurrent": lambda future: to_concurrent(future).exception(),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_what_was_read_is_not_logged(
    logged: Callable[[], list[str]], read: Callable[[Future[Any]], object]
) -> None:
    read(failed())
    gevent.sleep(0)
    assert not logged()


WATCHES: dict[str, Callable[[Future[Any]], object]] = {
    "on_failed": lambda future: future.on_failed(lambda error: None),
    "on_any": lambda future: future.on_any(lambda ended: None),
    "add_done_callback": lambda future: future.add_done_callback(lambda ended: None),
    "recover": lambda future: future.recover(lambda ended: None),
    "then and on_failed": lambda future: future.then(str).on_failed(lambda error: None),
}


@pytest.mark.parametrize("watch", WATCHES.values(), ids=WATCHES)
def test_what_is_watched_is_not_logged(
    logged: Callable[[], list[str]], watch: Callable[[Future[Any]], object]
) -> None:
    promise = pending()
    watch(promise.future)
    promise.fail(BROKEN, unread="the test")
    del promise
    assert not logged()


IGNORES: dict[str, Callable[[Future[Any]], object]] = {
    "repr": repr,
    "ready": lambda future: future.ready(),
    "on_ready": lambda future: future.on_ready(lambda value: None),
    "on_discarded": lambda future: future.on_discarded(lambda: None),
    "then": lambda future: future.then(lambda value: None),
    "await_all": await_all,
    "associate": lambda future: pending().associate(future),
}


@pytest.mark.parametrize("ignore", IGNORES.values(), ids=IGNORES)
def test_what_does_not_see_the_error_is_no_reading(
    logged: Callable[[], list[str]], ignore: Callable[[Future[Any]], object]
) -> None:
    ignore(failed())
    assert logged() == LOGGED


def test_futures_that_end_alike_share_one_failure(logged: Callable[[], list[str]]) -> None:
    future = failed()
    followed: Promise[Any] = Promise()
    followed.associate(future.then(str))
    with pytest.raises(Failure):
        followed.future.get()
    del future, followed
    assert not logged()


def test_a_late_error_among_collected_ones_is_no_news(logged: Callable[[], list[str]]) -> None:
    first, second = pending(), pending()
    all_of_them = collect(first.future, second.future)
    first.fail(BROKEN, unread="the test")
    assert all_of_them.failure() == f"Collect failed: {BROKEN}"
    second.fail(BROKEN, unread="the test")
    del first, second, all_of_them
    assert not logged()


def test_what_is_not_wanted_or_has_ended_otherwise_is_not_logged(
    logged: Callable[[], list[str]],
) -> None:
    unwanted, set_before, abandoned = pending(), pending(), pending()
    unwanted.future.discard()
    set_before.set(1)
    abandoned.abandon()
    for promise in (unwanted, set_before, abandoned):
        promise.fail(BROKEN, unread="the test")
    del promise, unwanted, set_before, abandoned
    assert not logged()


def test_other_promises_keep_their_errors_to_themselves(logged: Callable[[], list[str]]) -> None:
    promise = pending()
    promise.fail(BROKEN)
    del promise
    assert not logged()


def test_a_timeout_of_the_reader_reads_nothing(logged: Callable[[], list[str]]) -> None:
    promise = pending()
    with pytest.raises(WaitTimeout):
        promise.future.get(timeout=0)
    promise.fail(BROKEN, unread="the test")
    del promise
    assert logged() == LOGGED


def test_nothing_is_logged_while_the_interpreter_ends(
    logged: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    future = failed()
    monkeypatch.setattr(sys, "is_finalizing", lambda: True)
    del future
    assert not logged()
