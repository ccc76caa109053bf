"""A lock for greenlets, futures and threads, and work that is done while a lock is held."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, overload
from weakref import ref

from gevent import Timeout

from greenproc.checks import check_callable
from greenproc.errors import Closed
from greenproc.future.delivery import call_all, is_outermost
from greenproc.future.future import Future
from greenproc.future.promise import Promise
from greenproc.future.state import register_discard, request_weakly
from greenproc.hub.native import allocate_lock
from greenproc.sync.waitqueue import Waiter, WaitQueue, abandon_all

P = ParamSpec("P")
T = TypeVar("T")


class Mutex:
    """A lock that is held once at a time, granted in the order in which it was requested.

    ::

        with mutex:                      # this greenlet waits
            ...
        mutex.run(work).then(...)        # this one does not

    The lock is handed over: `unlock` gives it to the next waiter, and no other code can take it in
    between. It has no owner. Any code may unlock it, and locking it twice in one greenlet waits
    for an `unlock` elsewhere. It may be used from any native thread.

    The garbage collection of a mutex abandons the futures that wait for it.

    Source: libprocess include/process/mutex.hpp.
    Differs: a discarded waiter leaves the queue and does not get the lock. So the idiom of
    libprocess, ``lock().then(work).on_any(unlock)``, could unlock what other code holds; use
    `run`.
    """

    __slots__ = ("__weakref__", "_guard", "_is_closed", "_is_locked", "_waiters")

    def __init__(self) -> None:
        self._guard = allocate_lock()
        self._waiters: WaitQueue[None] = WaitQueue(self._guard)
        self._is_locked = False
        self._is_closed = False

    @property
    def is_locked(self) -> bool:
        """Whether it is held."""
        return self._is_locked

    def lock(self) -> Future[None]:
        """Return a future that is ready once the caller holds the lock.

        A discard request leaves the queue.

        Raises:
            Closed: the mutex was closed.
        """
        # The common case, without the waiter and its discard callback.
        if self._take():
            return Future(None)
        waiter = self._waiters.future_waiter()
        return waiter.grant(None) if self._take_or_wait(waiter) else waiter.future

    def wait_lock(self, timeout: float | None = None) -> bool:
        """Wait for the lock, and return whether the caller holds it now.

        Args:
            timeout: seconds of the current clock, which a test can pause; None means for ever.

        Raises:
            Closed: the mutex was closed, before or meanwhile.
        """
        if self._take():
            return True
        waiter = self._waiters.blocking_waiter()
        if self._take_or_wait(waiter):
            return True
        try:
            self._waiters.wait(waiter, timeout)
        except BaseException:
            # Killed after the lock was handed over, and before it could be used.
            if waiter.is_served:
                self.unlock()
            raise
        # Woken neither by `unlock` nor by its timer: `close` has abandoned it.
        if not waiter.is_served and not waiter.has_left:
            raise Closed("the mutex was closed while it was waited for")
        return waiter.is_served

    @overload
    def run(
        self, function: Callable[P, Future[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]: ...
    @overload
    def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]: ...
    def run(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call *function* with the lock held, and unlock when the future that it returns is over.

        *function* runs as a callback does, and may return a value as well. The returned future is
        that of its result. A discard request leaves the queue, or after the call goes to the
        future that *function* returned.

        Raises:
            InvalidArgument: *function* is not callable.
            Closed: the mutex was closed.
        """
        return run_holding(self.lock, self.unlock, function, *args, **kwargs)

    def unlock(self) -> None:
        """Give the lock to the next waiter, whose callbacks run before this returns.

        Unlocking a free mutex does nothing.
        """
        guard = self._guard
        guard.acquire()  # costs a third of a with statement, in the hot path of a mutex
        try:
            # The lock is never free in between, so no other code can take it.
            waiter = self._waiters.pop(None)
            self._is_locked = waiter is not None
        finally:
            guard.release()
        if waiter is not None:
            waiter.deliver()

    def close(self) -> None:
        """Abandon all waiters, and refuse the lock from now on. Its holder may still unlock it."""
        with self._guard:
            self._is_closed = True
            waiters = self._waiters.clear()
        abandon_all(waiters)

    def __enter__(self) -> None:
        self.wait_lock()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.unlock()

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else "locked" if self._is_locked else "free"
        return f"<Mutex {state}, {len(self._waiters)} waiting>"

    def _take(self) -> bool:
        """Take the lock if it is free; return whether it was. A free lock needs no waiter."""
        guard = self._guard
        guard.acquire()
        try:
            is_free = not self._is_locked and not self._is_closed
            if is_free:
                self._is_locked = True
        finally:
            guard.release()
        return is_free

    def _take_or_wait(self, waiter: Waiter[None]) -> bool:
        """Take the lock and return True, or queue *waiter*."""
        with self._guard:
            if self._is_closed:
                raise Closed("expected an open mutex, but it was closed")
            if self._is_locked:
                self._waiters.append(waiter)
                return False
            self._is_locked = True
            return True


def run_holding(
    lock: Callable[[], Future[None]],
    unlock: Callable[[], object],
    function: Callable[..., Any],
    /,
    *args: Any,
    **kwargs: Any,
) -> Future[Any]:
    """Call *function* once the future of *lock* is ready, and *unlock* when its result is over.

    It unlocks exactly what it has locked, whatever is discarded at which moment;
    ``lock().then(work).on_any(unlock)`` does not.

    Raises:
        InvalidArgument: *function* is not callable.
    """
    check_callable(function)
    locked = lock()
    promise: Promise[Any] = Promise()
    result = promise.future
    # Weakly: the future that waits must not live because the result does.
    register_discard(result, request_weakly, ref(locked))
    locked.add_done_callback(partial(_work, promise, unlock, partial(function, *args, **kwargs)))
    return result


def _work(
    promise: Promise[Any],
    unlock: Callable[[], object],
    call: Callable[[], Any],
    locked: Future[None],
) -> None:
    if not locked.is_ready:
        promise(locked)
        return
    # The discard came after the lock was granted, and before this callback ran.
    if promise.future.has_discard:
        call_all((unlock, promise.discard))
        return
    try:
        value = call()
    except Exception as error:
        call_all((unlock, partial(promise.fail, error)))
    except Timeout as error:
        call_all((unlock, partial(promise.fail, error)))
        if not is_outermost():
            raise  # it may have been set by the caller of `run`, or of the `unlock` before it
    except BaseException:
        call_all((unlock, promise.abandon))
        raise
    else:
        if isinstance(value, Future):
            # Registered first, so that the lock is free when the callbacks of the result run.
            value.add_done_callback(lambda _: unlock())
            promise.associate(value)
        else:
            call_all((unlock, partial(promise.set, value)))
