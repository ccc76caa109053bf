"""Gates that open once: `Latch` by one call, `CountDownLatch` by as many as were agreed on."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec

from gevent import getcurrent

from greenproc.checks import check_callable, whole_number
from greenproc.errors import Deadlock
from greenproc.future.future import Future
from greenproc.future.state import allocate_lock
from greenproc.sync.waitqueue import Waiter, WaitQueue, deliver_all

P = ParamSpec("P")


class Latch:
    """Something that happens once, and that others wait for.

    It may be used from any native thread. When it is garbage, the futures of those who wait for it are abandoned.

    Source: libprocess include/process/latch.hpp, src/latch.cpp.
    Differs: its end abandons those who wait; there it lets them go as if it were triggered.
    """

    __slots__ = ("__weakref__", "_guard", "_is_triggered", "_waiters")

    def __init__(self) -> None:
        self._guard = allocate_lock()
        self._waiters: WaitQueue[None] = WaitQueue(self._guard)
        self._is_triggered = False

    @property
    def is_triggered(self) -> bool:
        """Whether it has happened."""
        return self._is_triggered

    def trigger(self) -> bool:
        """Let all go who wait, and who will; tell whether this is the first time.

        Callbacks of those who wait run before this returns.
        """
        with self._guard:
            if self._is_triggered:
                return False
            self._is_triggered = True
            waiters = self._waiters.pop_all(None)
        deliver_all(waiters)
        return True

    def triggered(self) -> Future[None]:
        """Return a future that is ready once it has happened.

        Each caller gets one of its own, so that a discard request concerns nobody else.
        """
        waiter = self._waiters.future_waiter()
        return waiter.future if self._enqueue(waiter) else waiter.grant(None)

    def await_(self, timeout: float | None = None) -> bool:
        """Wait until it has happened; tell whether it has. A tie with the time counts as such.

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
        """Put *waiter* in the queue, unless there is nothing to wait for; tell whether there is."""
        with self._guard:
            if not self._is_triggered:
                self._waiters.append(waiter)
            return not self._is_triggered


class CountDownLatch:
    """Something that has happened once all of a number of others have.

    It may be used from any native thread. When it is garbage, the futures of those who wait for it are abandoned.

    Args:
        count: how many times `decrement` must be called.

    Source: libprocess include/process/count_down_latch.hpp.
    Differs: with a count of 0 it is triggered from the start; there it never is. Its futures can
    be discarded one by one.
    """

    __slots__ = ("__weakref__", "_count", "_guard", "_latch")

    def __init__(self, count: int = 1) -> None:
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
        """Whether none is missing."""
        return self._latch.is_triggered

    def decrement(self) -> None:
        """Count one; the last lets all go who wait. More than were agreed on are ignored."""
        with self._guard:
            if not self._count:
                return
            self._count -= 1
            is_last = not self._count
        if is_last:
            self._latch.trigger()

    def triggered(self) -> Future[None]:
        """Return a future that is ready once none is missing. See `Latch.triggered`."""
        return self._latch.triggered()

    def await_(self, timeout: float | None = None) -> bool:
        """Wait until none is missing; tell whether that is so. See `Latch.await_`."""
        return self._latch.await_(timeout)

    def __repr__(self) -> str:
        return f"<CountDownLatch {self._count} missing>"


class Once:
    """Lets the first do some work, and all others wait until it is done.

    ::

        once.call(load)                  # whoever calls this first loads; all find it loaded

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
        """Return False to the first, who must do the work and then call `done` in any case.

        All others wait until that happens, and get True.

        Raises:
            Deadlock: who does the work has asked again, and would wait for itself.
        """
        if self._latch.is_triggered:
            return True
        me = getcurrent()
        with self._guard:
            if not self._is_taken:
                self._is_taken = True
                self._first = me
                return False
        if self._first is me:
            raise Deadlock("once() was called again by the greenlet that must call done() first")
        self._latch.await_()
        return True

    def done(self) -> None:
        """Say that the work is done. Nothing happens when it was said before."""
        self._first = None
        self._latch.trigger()

    def finished(self) -> Future[None]:
        """Return a future that is ready once the work is done."""
        return self._latch.triggered()

    def call(self, function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Call *function* if nobody has before, else wait until that call is over.

        What it raises goes to the first caller only, and it counts as done all the same.

        Raises:
            InvalidArgument: *function* cannot be called. Nothing was done.
        """
        check_callable(function)
        if self.once():
            return
        try:
            function(*args, **kwargs)
        finally:
            self.done()

    def __repr__(self) -> str:
        state = "done" if self.is_done else "under way" if self._is_taken else "to be done"
        return f"<Once {state}>"
