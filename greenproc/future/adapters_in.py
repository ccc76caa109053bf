"""Adapters that make a future of a greenlet, an AsyncResult, or a future of another library.

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
    """Return the future of the result of *greenlet*; killing the greenlet discards it.

    It may be called in any thread, whose hub stays alive until the end. gevent prints the
    traceback of a failed greenlet as usual.

    Args:
        kill_on_discard: whether a discard request kills the greenlet.

    Raises:
        InvalidArgument: it is a raw greenlet, which has no links.
    """
    if not isinstance(greenlet, Greenlet):
        raise InvalidArgument(f"expected a gevent.Greenlet, got {greenlet!r}")
    promise: Promise[T] = Promise()
    future = promise.future
    # The links of a greenlet may be changed in its own thread only.
    hub = greenlet.parent if isinstance(greenlet.parent, Hub) else None
    call_in(hub, greenlet.rawlink, promise)
    if hub is not None and hub is not get_hub_if_exists():
        keep_hub_alive_until(future)
    if kill_on_discard:
        future.on_discard(partial(call_in, hub, _call_if_alive, ref(greenlet), _kill))
    return future


def from_async_result(result: AsyncResult[T]) -> Future[T]:
    """Return the future of *result*, or of another object with `rawlink` and `successful`.

    ``hub.threadpool.spawn(function)`` returns such an object. This must be called in the thread of
    *result*. A discard request has no effect, since an AsyncResult cannot pass it on.

    Raises:
        InvalidArgument: *result* has no such methods.
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
    """Return the future of a future of concurrent.futures; cancelling that discards it.

    A discard request cancels *source*, which has no effect on a running function. The hub of this
    thread stays alive until the end, even with nothing else to wait for.

    Raises:
        InvalidArgument: *source* is no such future.
    """
    if not hasattr(source, "add_done_callback"):
        raise InvalidArgument(f"expected a concurrent.futures.Future, got {source!r}")
    promise: Promise[T] = Promise()
    future = promise.future
    future.on_discard(partial(_call_if_alive, ref(source), _cancel))
    source.add_done_callback(partial(_take, promise))
    # A thread of an executor completes it, of which this hub knows nothing.
    if not future.ready():
        keep_hub_alive_until(future)
    return future


def from_asyncio(
    awaitable: Awaitable[T], loop: asyncio.AbstractEventLoop | None = None
) -> Future[T]:
    """Run *awaitable* in an asyncio loop, and return the future of its result.

    It may be a coroutine, a task, or any other awaitable; cancelling it discards the future. A
    discard request cancels it and discards the future at once. The hub of this thread stays alive
    until the end, so the loop must keep running, in a thread of its own.

    In a program that gevent has monkey-patched, a loop must not run in a native thread: its
    selector is gevent's then, and corrupts memory there. Leave a program with asyncio unpatched,
    or run the loop in an OS process of its own. greenproc needs no patching.

    Args:
        loop: the loop that runs it. None means the loop of the task, or the one that is running in
            this thread.

    Raises:
        InvalidArgument: it is not awaitable, there is no loop to run it, or *loop* is no loop.
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
        coroutine.close()  # Python would warn that it was never awaited
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
        error = raised  # gevent's ThreadPoolExecutor raises in exception() instead of returning
    if error is None:
        promise.set(source.result())
    else:
        promise.fail(error)


def _call_if_alive(reference: ref[T], act: Callable[[T], object]) -> None:
    # The future must not keep a greenlet alive that nothing else refers to.
    target = reference()
    if target is not None:
        act(target)


def _kill(greenlet: Greenlet[..., Any]) -> None:
    greenlet.kill(block=False)  # a callback of the future runs this, and must not wait


def _cancel(source: concurrent.futures.Future[Any]) -> None:
    source.cancel()


async def _await(awaitable: Awaitable[T]) -> T:
    return await awaitable
