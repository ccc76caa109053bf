"""Futures that end as something of another library does: greenlets, AsyncResults, other futures.

The other direction is in `greenproc.future.adapters_out`.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Awaitable, Callable
from functools import partial
from inspect import isawaitable, iscoroutine
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import ref

from gevent import Greenlet
from gevent._hub_local import get_hub_if_exists
from gevent.event import AsyncResult
from gevent.hub import Hub

from greenproc.errors import InvalidArgument, StateError
from greenproc.future.delivery import call_in
from greenproc.future.future import Future
from greenproc.future.promise import Promise
from greenproc.future.waiting import keep_hub_alive_until

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")


def from_greenlet(greenlet: Greenlet[..., T], *, kill_on_discard: bool = True) -> Future[T]:
    """Return the future of what *greenlet* returns or raises; one that is killed discards it.

    May be called in any thread, whose hub waits until the end. As usual, gevent itself prints what
    a greenlet raises.

    Args:
        kill_on_discard: whether a discard request kills the greenlet.

    Raises:
        InvalidArgument: it is a raw greenlet, which tells nobody of its end.
    """
    if not isinstance(greenlet, Greenlet):
        raise InvalidArgument(f"expected a gevent.Greenlet, got {greenlet!r}")
    promise: Promise[T] = Promise()
    future = promise.future
    hub = greenlet.parent if isinstance(greenlet.parent, Hub) else None
    call_in(hub, greenlet.rawlink, promise)
    if hub is not None and hub is not get_hub_if_exists():
        keep_hub_alive_until(future)
    if kill_on_discard:
        future.on_discard(partial(call_in, hub, _call_if_alive, ref(greenlet), _kill))
    return future


def from_async_result(result: AsyncResult[T]) -> Future[T]:
    """Return the future of *result*, or of anything else that tells links of its success.

    So it is for ``hub.threadpool.spawn(function)`` too. Must be called in the thread that *result*
    belongs to. A discard request has no effect: an AsyncResult cannot pass it on.

    Raises:
        InvalidArgument: it is nothing of that kind.
    """
    if not hasattr(result, "rawlink") or not hasattr(result, "successful"):
        raise InvalidArgument(
            f"expected an AsyncResult, or what has rawlink() and successful(), got {result!r}"
        )
    promise: Promise[T] = Promise()
    future = promise.future
    result.rawlink(promise)
    return future


def from_concurrent(source: concurrent.futures.Future[T]) -> Future[T]:
    """Return the future of a future of concurrent.futures; one that is cancelled discards it.

    A discard request cancels *source*, which a function that runs already does not heed. Until
    the end the hub of this thread waits, also if nothing else is left to wait for.

    Raises:
        InvalidArgument: it is no such future.
    """
    if not hasattr(source, "add_done_callback"):
        raise InvalidArgument(f"expected a concurrent.futures.Future, got {source!r}")
    promise: Promise[T] = Promise()
    future = promise.future
    future.on_discard(partial(_call_if_alive, ref(source), _cancel))
    source.add_done_callback(partial(_take, promise))
    if not future.ready():
        keep_hub_alive_until(future)
    return future


def from_asyncio(
    awaitable: Awaitable[T], loop: asyncio.AbstractEventLoop | None = None
) -> Future[T]:
    """Let an asyncio loop run *awaitable*, and return the future of its result.

    It may be a coroutine, a task, or anything else that can be awaited; what is cancelled
    discards. A discard request cancels it and discards at once. Until the end the hub of this
    thread waits, so the loop, in its own thread, must go on running.

    In a program that gevent has monkey-patched, a loop must not run in a native thread: the selector
    that it waits with is gevent's then, and corrupts memory there. Leave a program with asyncio
    unpatched, which nothing here needs, or run the loop in an OS process of its own.

    Args:
        loop: where it runs. None means that of the task, or the one running in this thread.

    Raises:
        InvalidArgument: it cannot be awaited, or there is no loop to run it, or *loop* is none.
        StateError: the loop is closed.
    """
    import asyncio

    if not isawaitable(awaitable):
        raise InvalidArgument(f"expected a coroutine, task or other awaitable, got {awaitable!r}")
    if loop is not None and not isinstance(loop, asyncio.AbstractEventLoop):
        raise InvalidArgument(f"expected an asyncio loop, got {loop!r}")
    coroutine = awaitable if iscoroutine(awaitable) else _await(awaitable)
    try:
        if isinstance(awaitable, asyncio.Future):
            loop = awaitable.get_loop()
        source = asyncio.run_coroutine_threadsafe(coroutine, loop or asyncio.get_running_loop())
    except RuntimeError as error:
        coroutine.close()  # else it would complain that it was never awaited
        if loop is None:
            raise InvalidArgument("expected a loop, as none is running in this thread") from error
        raise StateError(f"expected a loop that is not closed, got {loop!r}") from error
    return from_concurrent(source)


def _take(promise: Promise[Any], source: concurrent.futures.Future[Any]) -> None:
    if source.cancelled():
        promise.discard()
        return
    try:
        error = source.exception()
    except BaseException as raised:
        error = raised  # the futures of gevent's ThreadPoolExecutor raise what they should return
    if error is None:
        promise.set(source.result())
    else:
        promise.fail(error)


def _call_if_alive(reference: ref[T], act: Callable[[T], object]) -> None:
    target = reference()
    if target is not None:
        act(target)


def _kill(greenlet: Greenlet[..., Any]) -> None:
    greenlet.kill(block=False)


def _cancel(source: concurrent.futures.Future[Any]) -> None:
    source.cancel()


async def _await(awaitable: Awaitable[T]) -> T:
    return await awaitable
