"""Adapters that show a future as one of gevent, of concurrent.futures, or of asyncio.

The other direction is in `greenproc.future.adapters_in`.
"""

from __future__ import annotations

import concurrent.futures
from concurrent.futures import InvalidStateError
from typing import TYPE_CHECKING, Any, TypeVar

from gevent import get_hub
from gevent.event import AsyncResult

from greenproc.errors import InvalidArgument, StateError
from greenproc.future.callbacks import DISCARDED, END, FAILED, READY
from greenproc.future.state import FutureState, abandonment_error, register, request_discard
from greenproc.future.unread import mark_read
from greenproc.future.waiting import add_link

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")


def to_async_result(future: FutureState[T]) -> AsyncResult[T]:
    """Return an AsyncResult of this thread's hub that ends as *future* does.

    A discarded or abandoned future raises `Discarded` or `Abandoned` there. Like every AsyncResult
    it is set by the hub, soon after the end, and cannot cancel anything.

    Raises:
        InvalidArgument: *future* is not a Future of greenproc.
    """
    _check(future)
    result: AsyncResult[T] = AsyncResult()
    add_link(future, result, get_hub())
    return result


def to_concurrent(future: FutureState[T]) -> concurrent.futures.Future[T]:
    """Return a future of concurrent.futures that ends as *future* does.

    It is for other native threads, and for `wait` and `as_completed` of that module: its waiting
    methods block a whole thread with its hub, unless the program is monkey-patched.

    ``cancel()`` requests a discard; a discarded future is cancelled there, and an abandoned one
    raises `Abandoned`.

    Raises:
        InvalidArgument: *future* is not a Future of greenproc.
    """
    _check(future)
    return _ConcurrentView(future)


def to_asyncio(
    future: FutureState[T], loop: asyncio.AbstractEventLoop | None = None
) -> asyncio.Future[T]:
    """Return a future of asyncio that ends as *future* does, for the thread of *loop*.

    Cancelling it, or a task that awaits it, requests a discard; a discarded future is cancelled
    there, and an abandoned one raises `Abandoned`. ``await future`` in a coroutine does the same.
    The loop should run in a thread of its own: it blocks the hub of its thread, so a greenlet
    there could never complete the future.

    Args:
        loop: None means the one that is running in this thread.

    Raises:
        InvalidArgument: *future* is not a Future of greenproc, or *loop* is no loop.
        StateError: no loop is running in this thread, and none was given.
    """
    # Importing asyncio takes 40 ms, and most programs on gevent do not use it.
    import asyncio

    _check(future)
    if loop is None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError as error:
            raise StateError(
                "expected to be called by a running asyncio loop: give the loop otherwise"
            ) from error
    elif not isinstance(loop, asyncio.AbstractEventLoop):
        raise InvalidArgument(f"expected an asyncio loop, got {loop!r}")
    return asyncio.wrap_future(_AsyncioView(future), loop=loop)


def _check(future: object) -> None:
    if not isinstance(future, FutureState):
        raise InvalidArgument(f"expected a greenproc Future, got {future!r}")


class _ConcurrentView(concurrent.futures.Future[T]):
    """A view of a future. It is never RUNNING, so that `cancel` can take effect at any time."""

    def __init__(self, future: FutureState[T]) -> None:
        super().__init__()
        self._future = future
        # Strongly: the view lives as long as the future, for threads that wait for it.
        register(future, END, self._take)

    def cancel(self) -> bool:
        request_discard(self._future)
        return self.cancelled()

    def _take(self, future: FutureState[Any]) -> None:
        try:
            if future._state is READY:
                self.set_result(future._outcome)
            elif future._state is FAILED:
                mark_read(future._outcome)
                self.set_exception(future._outcome[0])
            elif future._state is not DISCARDED:
                self.set_exception(abandonment_error(future))
            elif super().cancel():
                # Only this notifies `wait` and `as_completed` of a cancellation.
                self.set_running_or_notify_cancel()
        except InvalidStateError:
            pass  # the program has completed the view itself, and that outcome stays


class _AsyncioView(_ConcurrentView[T]):
    """A view that asyncio follows. A StopIteration would end the coroutine that awaits it."""

    def set_exception(self, exception: BaseException | None) -> None:
        # asyncio refuses a StopIteration as well, but then leaves its future pending for ever.
        if isinstance(exception, StopIteration):
            error = RuntimeError("the future failed with StopIteration")
            error.__cause__ = exception
            exception = error
        super().set_exception(exception)
