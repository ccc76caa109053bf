"""Gates that open once: by one call, after a number of calls, or when some work is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec

from gevent import getcurrent

from greenproc.checks import check_callable, whole_number
from greenproc.errors import Deadlock
from greenproc.future.future import Future
from greenproc.hub.native import allocate_lock
from greenproc.sync.waitqueue import Waiter, WaitQueue, deliver_all

P = ParamSpec("P")


class Latch:
    """An event that happens once, and that greenlets, futures and threads wait for.

    It may be used from any native thread. The garbage collection of a latch abandons the futures
    that wait for it.

    Source: libprocess include/process/latch.hpp, src/latch.cpp.
    Differs: its end abandons what waits for it; there it ends the waiting as if it were triggered.
    """

    __slots__ = ("__weakref__", "_guard", "_is_triggered", "_waiters")

    def __init__(self) -> None:
        self._guard = allocate_lock()
        self._waiters: WaitQueue[None] = WaitQueue(self._guard)
        self._is_triggered = False

    @property
    def is_triggered(self) -> bool:
        """Whether it was triggered."""
        return self._is_triggered

    def trigger(self) -> bool:
        """Trigger the latch; return whether this is the first time.

        The callbacks of futures that wait for it run before this returns.
        """
        with self._guard:
            if self._is_triggered:
                return False
            self._is_triggered = True
            waiters = self._waiters.pop_all(None)
        # After the lock: a callback may wait for this very latch, and finds it triggered.
        deliver_all(waiters)
        return True

    def triggered(self) -> Future[None]:
        """Return a future that is ready once the latch is triggered.

        Each call returns another future, so that a discard concerns one caller only.
        """
        waiter = self._waiters.future_waiter()
        return waiter.future if self._enqueue(waiter) else waiter.grant(None)

    def await_(self, timeout: float | None = None) -> bool:
        """Wait until the latch is triggered; return whether it is, also in a tie with the timeout.

        Args:
            timeout: seconds of the current clock, which a test can pause; None means for ever.
        """
        waiter = self._waiters.blocking_waiter()
        if self._enqueue(waiter):
            self._waiters.wait(waiter, timeout)
        return self._is_triggered

    def __repr__(self) -> str:
        state = "triggered" if self._is_triggered else f"{len(self._waiters)} waiting"
        return f"<Latch {state}>"

    def _enqueue(self, waiter: Waiter[None]) -> bool:
        """Queue *waiter*, unless the latch is triggered; return whether it was queued."""
        # Under the lock, so that no trigger comes between the look and the queue.
        with self._guard:
            if not self._is_triggered:
                self._waiters.append(waiter)
            return not self._is_triggered


class CountDownLatch:
    """A latch that is triggered by the last of a number of calls.

    It may be used from any native thread. The garbage collection of a latch abandons the futures
    that wait for it.

    Args:
        count: how many calls of `decrement` trigger it.

    Raises:
        InvalidArgument: *count* is not a whole number from 0.

    Source: libprocess include/process/count_down_latch.hpp.
    Differs: with a count of 0 it is triggered from the start; there it never is. Its futures can
    be discarded one by one.
    """

    __slots__ = ("__weakref__", "_count", "_guard", "_latch")

    def __init__(self, count: int = 1) -> None:
        # The count has a lock of its own, since the lock of the latch is free while it triggers.
        self._guard = allocate_lock()
        self._latch = Latch()
        self._count = whole_number("count", count, least=0)
        if not count:
            self._latch.trigger()

    @property
    def count(self) -> int:
        """How many calls of `decrement` are missing."""
        return self._count

    @property
    def is_triggered(self) -> bool:
        """Whether no call is missing."""
        return self._latch.is_triggered

    def decrement(self) -> None:
        """Count one call; the last one triggers the latch. Further calls have no effect."""
        with self._guard:
            if not self._count:
                return
            self._count -= 1
            is_last = not self._count
        # After the lock, since triggering runs callbacks, which may use this latch.
        if is_last:
            self._latch.trigger()

    def triggered(self) -> Future[None]:
        """Return a future that is ready once no call is missing. See `Latch.triggered`."""
        return self._latch.triggered()

    def await_(self, timeout: float | None = None) -> bool:
        """Wait until no call is missing; return whether that is so. See `Latch.await_`."""
        return self._latch.await_(timeout)

    def __repr__(self) -> str:
        return f"<CountDownLatch {self._count} missing>"


class Once:
    """Work that the first caller does, while all others wait until it is done.

    ::

        once.call(load)                  # the first caller loads; all of them find it loaded

        if not once.once():              # the same by hand
            load()
            once.done()

    It may be used from any native thread.

    Source: libprocess include/process/once.hpp.
    """

    __slots__ = ("__weakref__", "_first", "_guard", "_is_taken", "_latch")

    def __init__(self) -> None:
        self._guard = allocate_lock()
        self._latch = Latch()
        self._is_taken = False
        self._first: object | None = None

    @property
    def is_done(self) -> bool:
        """Whether the work is done."""
        return self._latch.is_triggered

    def once(self) -> bool:
        """Return False to the first caller, which must do the work and always call `done` then.

        Every other call waits until that happens, and returns True.

        Raises:
            Deadlock: the greenlet that does the work waits for itself.
        """
        if self._latch.is_triggered:  # without the lock: that is never undone
            return True
        me = getcurrent()
        with self._guard:
            if not self._is_taken:
                self._is_taken = True
                self._first = me
                return False
        # Compared without the lock: no other greenlet writes this one's own name there.
        if self._first is me:
            raise Deadlock("once() was called again by the greenlet that must call done() first")
        self._latch.await_()
        return True

    def done(self) -> None:
        """Declare that the work is done. A second call has no effect."""
        self._first = None  # it must not keep a greenlet, with its frames, for ever
        self._latch.trigger()

    def finished(self) -> Future[None]:
        """Return a future that is ready once the work is done."""
        return self._latch.triggered()

    def call(self, function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Call *function* if it is the first call, else wait until the first call is over.

        An exception of *function* goes to the first caller only, and the work counts as done.

        Raises:
            InvalidArgument: *function* is not callable. Nothing was done.
        """
        check_callable(function)
        if self.once():
            return
        try:
            function(*args, **kwargs)
        finally:  # also after a kill, or all others would wait for ever
            self.done()

    def __repr__(self) -> str:
        state = "done" if self.is_done else "under way" if self._is_taken else "to be done"
        return f"<Once {state}>"
