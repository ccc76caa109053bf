"""A lock that is handed from one to the next."""

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
from greenproc.future.state import allocate_lock, register_discard, request_weakly
from greenproc.sync.waitqueue import Waiter, WaitQueue, abandon_all

P = ParamSpec("P")
T = TypeVar("T")


class Mutex:
    """A lock that one at a time can have, in the order in which they asked for it.

    ::

        with mutex:                      # this greenlet waits
            ...
        mutex.run(work).then(...)        # nobody waits

    It is handed over: from the moment of `unlock` the next one in the queue has it, and nobody can
    take it in between. It has no owner, so anybody may unlock it, and locking it twice waits for
    an `unlock` by somebody else. It may be used from any native thread.

    When it is garbage, the futures of those who wait for it are abandoned.

    Source: libprocess include/process/mutex.hpp.
    Differs: a discarded waiter does not get the lock, but is taken out of the line. So the words
    of libprocess, ``lock().then(work).on_any(unlock)``, would unlock what somebody else has.
    """

    __slots__ = ("__weakref__", "_guard", "_is_closed", "_is_locked", "_waiters")

    def __init__(self) -> None:
        self._guard = allocate_lock()
        self._waiters: WaitQueue[None] = WaitQueue(self._guard)
        self._is_locked = False
        self._is_closed = False

    @property
    def is_locked(self) -> bool:
        """Whether somebody has it."""
        return self._is_locked

    def lock(self) -> Future[None]:
        """Return a future that is ready once the caller has the lock.

        A discard request gives the place in the queue up.

        Raises:
            Closed: it was closed.
        """
        if self._take():
            return Future(None)
        waiter = self._waiters.future_waiter()
        return waiter.grant(None) if self._take_or_wait(waiter) else waiter.future

    def wait_lock(self, timeout: float | None = None) -> bool:
        """Wait for the lock, and tell whether the caller has it now.

        Args:
            timeout: seconds of the current clock, which a test can pause; None means for ever.

        Raises:
            Closed: it was closed, before or meanwhile.
        """
        if self._take():
            return True
        waiter = self._waiters.blocking_waiter()
        if self._take_or_wait(waiter):
            return True
        try:
            self._waiters.wait(waiter, timeout)
        except BaseException:
            if waiter.is_given:
                self.unlock()
            raise
        if not waiter.is_given and not waiter.has_left:
            raise Closed("the mutex was closed while it was waited for")
        return waiter.is_given

    @overload
    def run(
        self, function: Callable[P, Future[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]: ...
    @overload
    def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]: ...
    def run(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call *function* with the lock, and unlock when the future that it returns is over.

        It is called as a callback is, and may return a value as well. Return the future of its
        result. A discard request gives up the place in the queue, or once it was called, goes to
        the future that it returned.

        Raises:
            InvalidArgument: *function* cannot be called.
            Closed: it was closed.
        """
        return run_holding(self.lock, self.unlock, function, *args, **kwargs)

    def unlock(self) -> None:
        """Give the lock to the next one, whose callbacks run before this returns.

        Unlocking what is not locked does nothing.
        """
        guard = self._guard
        guard.acquire()  # a third of the price of a with statement
        try:
            waiter = self._waiters.pop(None)
            self._is_locked = waiter is not None
        finally:
            guard.release()
        if waiter is not None:
            waiter.deliver()

    def close(self) -> None:
        """Abandon whoever waits, and refuse the lock from now on. Who has it may unlock it."""
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
        """Take the lock if it is free; tell whether it was. Spares making a waiter."""
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
        """Take the lock and return True, or put *waiter* in the queue."""
        with self._guard:
            if self._is_closed:
                raise Closed("expected an open mutex, but it was closed")
            if self._is_locked:
                self._waiters.append(waiter)
                return False
            self._is_locked = True
            return True


def run_holding(
    take: Callable[[], Future[None]],
    give_back: Callable[[], object],
    function: Callable[..., Any],
    /,
    *args: Any,
    **kwargs: Any,
) -> Future[Any]:
    """Call *function* once what *take* returns is ready, and *give_back* when its result is over.

    Nothing is given back that was not taken, whoever discards what at which moment: that is what
    ``lock().then(work).on_any(unlock)`` gets wrong.

    Raises:
        InvalidArgument: *function* cannot be called.
    """
    check_callable(function)
    turn = take()
    promise: Promise[Any] = Promise()
    result = promise.future
    register_discard(result, request_weakly, ref(turn))
    turn.add_done_callback(partial(_work, promise, give_back, partial(function, *args, **kwargs)))
    return result


def _work(
    promise: Promise[Any],
    give_back: Callable[[], object],
    call: Callable[[], Any],
    turn: Future[None],
) -> None:
    if not turn.is_ready:
        promise(turn)
        return
    if promise.future.has_discard:
        call_all((give_back, promise.discard))
        return
    try:
        value = call()
    except Exception as error:
        call_all((give_back, partial(promise.fail, error)))
    except Timeout as error:
        call_all((give_back, partial(promise.fail, error)))
        if not is_outermost():
            raise  # it may be one that is set where this is called, or where the lock is unlocked
    except BaseException:
        call_all((give_back, promise.abandon))
        raise
    else:
        if isinstance(value, Future):
            value.add_done_callback(lambda _: give_back())
            promise.associate(value)
        else:
            call_all((give_back, partial(promise.set, value)))
