"""Futures and asyncio: a loop that runs in a native thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from typing import Any

import gevent
import pytest

from greenproc.errors import InvalidArgument, StateError
from greenproc.future import Abandoned, Future, Promise, from_asyncio, to_asyncio
from tests.future.support import in_thread

# Calls of a loop from this thread hold up nobody's hub for long, and LIMIT is the last limit.
LIMIT = 10.0


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def finished(future: Future[Any]) -> Future[Any]:
    future.await_(LIMIT)
    return future


async def value(result: Any) -> Any:
    await asyncio.sleep(0)
    return result


async def error() -> None:
    raise ValueError("boom")


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


# asyncio's as ours


def test_a_coroutine_is_run_and_its_result_is_got(loop: asyncio.AbstractEventLoop) -> None:
    assert from_asyncio(value(42), loop).get() == 42


def test_a_coroutine_that_raises_fails(loop: asyncio.AbstractEventLoop) -> None:
    assert finished(from_asyncio(error(), loop)).failure() == "boom"


def test_a_request_cancels_the_coroutine(loop: asyncio.AbstractEventLoop) -> None:
    cancelled: Promise[bool] = Promise()

    async def note() -> None:
        try:
            await forever()
        except asyncio.CancelledError:
            cancelled.set(True)
            raise

    future = from_asyncio(note(), loop)
    from_asyncio(value(None), loop).get()  # by now the coroutine waits

    future.discard()

    assert future.is_discarded
    from_asyncio(value(None), loop).get()
    assert cancelled.future.get()


def test_a_coroutine_that_is_cancelled_discards(loop: asyncio.AbstractEventLoop) -> None:
    async def give_up() -> None:
        raise asyncio.CancelledError

    assert finished(from_asyncio(give_up(), loop)).is_discarded


def test_a_task_is_followed_in_its_own_loop(loop: asyncio.AbstractEventLoop) -> None:
    async def begin() -> asyncio.Task[int]:
        return asyncio.get_running_loop().create_task(value(42))

    task = from_asyncio(begin(), loop).get()

    assert from_asyncio(task).get() == 42


def test_other_awaitables_are_awaited(loop: asyncio.AbstractEventLoop) -> None:
    promise: Promise[int] = Promise()
    future = from_asyncio(promise.future, loop)

    promise.set(42)

    assert future.get() == 42


def test_in_a_coroutine_the_running_loop_is_taken(loop: asyncio.AbstractEventLoop) -> None:
    async def outer() -> int:
        return await from_asyncio(value(42))

    assert from_asyncio(outer(), loop).get() == 42


def test_without_a_loop_a_coroutine_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="none is running in this thread"):
        from_asyncio(value(42))


def test_a_closed_loop_is_refused() -> None:
    loop = asyncio.new_event_loop()
    loop.close()

    with pytest.raises(StateError, match="not closed"):
        from_asyncio(value(42), loop)


def test_what_cannot_be_awaited_is_refused(loop: asyncio.AbstractEventLoop) -> None:
    with pytest.raises(InvalidArgument, match="expected a coroutine, task or other awaitable"):
        from_asyncio(value, loop)  # type: ignore[arg-type]


# Ours in asyncio


async def awaited(future: Future[Any]) -> Any:
    return await future


def run_beside(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Start *coroutine* in *loop*, and return when it waits."""
    running = from_asyncio(coroutine, loop)
    from_asyncio(value(None), loop).get()
    return running


def test_a_coroutine_awaits_a_value(loop: asyncio.AbstractEventLoop) -> None:
    promise: Promise[int] = Promise()
    running = run_beside(loop, awaited(promise.future))

    promise.set(42)

    assert running.get() == 42


def test_a_coroutine_awaits_what_is_ready_already(loop: asyncio.AbstractEventLoop) -> None:
    assert from_asyncio(awaited(Future(42)), loop).get() == 42


def test_a_coroutine_is_given_the_failure(loop: asyncio.AbstractEventLoop) -> None:
    promise: Promise[int] = Promise()
    running = run_beside(loop, awaited(promise.future))
    boom = ValueError("boom")

    promise.fail(boom)

    assert finished(running).exception is boom


def test_a_coroutine_is_told_of_abandonment(loop: asyncio.AbstractEventLoop) -> None:
    promise: Promise[int] = Promise()
    running = run_beside(loop, awaited(promise.future))

    promise.abandon()

    assert isinstance(finished(running).exception, Abandoned)


def test_a_discarded_future_is_cancelled_for_asyncio(loop: asyncio.AbstractEventLoop) -> None:
    promise: Promise[int] = Promise()
    running = run_beside(loop, awaited(promise.future))

    promise.discard()

    assert finished(running).is_discarded


def test_cancelling_the_coroutine_requests_a_discard(loop: asyncio.AbstractEventLoop) -> None:
    promise: Promise[int] = Promise()
    asked: Promise[bool] = Promise()
    promise.future.on_discard(lambda: asked.set(True))
    running = run_beside(loop, awaited(promise.future))

    running.discard()
    from_asyncio(value(None), loop).get()

    assert asked.future.get()
    assert promise.future.is_pending


def test_a_failure_that_asyncio_cannot_raise_comes_as_another(
    loop: asyncio.AbstractEventLoop,
) -> None:
    running = run_beside(loop, awaited(Future(iter(())).then(next)))

    assert finished(running).failure() == "the future failed with StopIteration"


def test_a_future_of_asyncio_is_made_for_a_given_loop(loop: asyncio.AbstractEventLoop) -> None:
    promise: Promise[int] = Promise()
    theirs = to_asyncio(promise.future, loop)

    promise.set(42)

    assert from_asyncio(theirs).get() == 42


def test_without_a_loop_there_is_no_future_of_asyncio() -> None:
    with pytest.raises(StateError, match="give the loop otherwise"):
        to_asyncio(Future(42))


def test_a_loop_that_ends_discards_what_it_still_ran() -> None:
    futures: list[Future[Any]] = []

    async def begin() -> None:
        futures.append(from_asyncio(forever()))
        await asyncio.sleep(0)

    in_thread(lambda: asyncio.run(begin()))

    gevent.idle()
    assert futures[0].is_discarded


def test_what_is_no_loop_is_refused_at_once() -> None:
    async def nothing() -> None: ...

    coroutine = nothing()
    with pytest.raises(InvalidArgument, match="expected an asyncio loop, got 5"):
        from_asyncio(coroutine, 5)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="expected an asyncio loop, got 5"):
        to_asyncio(Future(1), 5)  # type: ignore[arg-type]
    coroutine.close()
