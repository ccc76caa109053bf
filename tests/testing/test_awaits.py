"""Waiting for futures in tests."""

from __future__ import annotations

import pytest

from greenproc.errors import InvalidArgument
from greenproc.future import Future, Promise
from greenproc.http.response import OK
from greenproc.process.base import Process
from greenproc.runtime import Runtime
from greenproc.testing import (
    await_abandoned,
    await_discarded,
    await_eq,
    await_failed,
    await_ready,
    await_response_body_eq,
    await_response_header_eq,
    await_response_status_eq,
)
from greenproc.testing.awaits import default_timeout


def discarded() -> Future[int]:
    promise: Promise[int] = Promise()
    promise.discard()
    return promise.future


def abandoned() -> Future[int]:
    promise: Promise[int] = Promise()
    promise.abandon()
    return promise.future


def test_await_ready_returns_the_value() -> None:
    assert await_ready(Future(3)) == 3


def test_await_failed_returns_the_error() -> None:
    error = ValueError("no")
    assert await_failed(Future.failed(error)) is error


def test_await_discarded_and_abandoned_return() -> None:
    await_discarded(discarded())
    await_abandoned(abandoned())


@pytest.mark.parametrize(
    ("wait", "future", "told"),
    [
        (await_ready, Future.failed("why"), "to be ready, got one that is failed: why"),
        (await_ready, discarded(), "to be ready, got one that is discarded"),
        (await_ready, abandoned(), "to be ready, got one that is abandoned"),
        (await_failed, Future(1), "to be failed, got one that is ready"),
        (await_discarded, Future(1), "to be discarded, got one that is ready"),
        (await_abandoned, Future(1), "to be abandoned, got one that is ready"),
    ],
)
def test_another_end_is_told_at_once(wait, future, told: str) -> None:
    with pytest.raises(AssertionError, match=told):
        wait(future, timeout=15.0)


def test_giving_up_tells_the_state_and_who_is_busy(runtime: Runtime) -> None:
    gate: Promise[None] = Promise()
    runtime.dispatch(runtime.spawn(Process("waiting")), gate.future.get)
    promise: Promise[int] = Promise()
    with pytest.raises(AssertionError, match=r"pending after 0.01 s; busy: waiting@.*ready"):
        await_ready(promise.future, timeout=0.01)
    gate.set(None)


def test_giving_up_tells_that_the_clock_is_paused(runtime: Runtime) -> None:
    runtime.clock.pause()
    promise: Promise[int] = Promise()
    with pytest.raises(AssertionError, match="the clock is paused; busy: none"):
        await_ready(promise.future, timeout=0.01)


def test_paused_clock_is_settled_first(runtime: Runtime) -> None:
    process = Process("a")
    runtime.spawn(process)
    runtime.clock.pause()
    calls: list[int] = []
    runtime.delay(5.0, process, calls.append, 1)
    runtime.clock.advance(5.0)

    await_ready(Future(None))

    assert calls == [1]


def test_paused_clock_does_not_hold_up_a_future_that_a_busy_process_waits_for(
    runtime: Runtime,
) -> None:
    runtime.clock.pause()
    gate: Promise[int] = Promise()
    process, other = Process("waiting"), Process("opener")
    runtime.spawn(process)
    runtime.spawn(other)
    result = runtime.dispatch(process, gate.future.get)
    runtime.dispatch(other, gate.set, 7)
    assert await_ready(result) == 7


def test_process_may_await(runtime: Runtime) -> None:
    runtime.clock.pause()
    assert runtime.dispatch(runtime.spawn(Process("a")), await_ready, Future(1)).get() == 1


def test_await_eq_compares() -> None:
    await_eq(1, Future(1))
    with pytest.raises(AssertionError, match="expected 1, got 2"):
        await_eq(1, Future(2))


def test_parts_of_a_response_are_compared() -> None:
    response = Future(OK("text"))
    await_response_status_eq(200, response)
    await_response_body_eq("text", response)
    await_response_header_eq("text/plain; charset=utf-8", "content-type", response)
    with pytest.raises(AssertionError, match="expected status 404, got"):
        await_response_status_eq(404, response)
    with pytest.raises(AssertionError, match="expected body b'other', got b'text'"):
        await_response_body_eq(b"other", response)
    with pytest.raises(AssertionError, match="expected X: 'y', got None"):
        await_response_header_eq("y", "X", response)


@pytest.mark.parametrize(("text", "seconds"), [(None, 15.0), ("2secs", 2.0), ("500ms", 0.5)])
def test_environment_sets_the_limit(
    monkeypatch: pytest.MonkeyPatch, text: str | None, seconds: float
) -> None:
    monkeypatch.delenv("LIBPROCESS_TEST_AWAIT_TIMEOUT", raising=False)
    if text is not None:
        monkeypatch.setenv("LIBPROCESS_TEST_AWAIT_TIMEOUT", text)
    assert default_timeout() == seconds


def test_bad_limit_in_the_environment_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIBPROCESS_TEST_AWAIT_TIMEOUT", "soon")
    with pytest.raises(InvalidArgument):
        await_ready(Future(1))
