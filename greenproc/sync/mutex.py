"""A lock that is handed from one to the next."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, overload

from greenproc.errors import Closed
from greenproc.future.future import Future
from greenproc.future.state import allocate_lock
from greenproc.sync.holding import run_holding
from greenproc.sync.line import Line
from greenproc.sync.seat import Seat, abandon_all

P = ParamSpec("P")
T = TypeVar("T")


class Mutex:
    """A lock that one at a time can have, in the order in which they asked for it.

    ::

        with mutex:                      # this greenlet waits
            ...
        mutex.run(work).then(...)        # nobody waits

    It is handed over: from the moment of `unlock` the next one in the line has it, and nobody can
    take it in between. It has no owner, so anybody may unlock it, and locking it twice waits for
    an `unlock` by somebody else. It may be used from any native thread.

    When it is garbage, the futures of those who wait for it are abandoned.

    Source: libprocess include/process/mutex.hpp.
    Differs: a discarded waiter does not get the lock, but is taken out of the line. So the words
    of libprocess, ``lock().then(work).on_any(unlock)``, would unlock what somebody else has.
    """

    __slots__ = ("__weakref__", "_guard", "_is_closed", "_is_locked", "_line")

    def __init__(self) -> None:
        self._guard = allocate_lock()
        self._line: Line[None] = Line(self._guard)
        self._is_locked = False
        self._is_closed = False

    @property
    def is_locked(self) -> bool:
        """Whether somebody has it."""
        return self._is_locked

    def lock(self) -> Future[None]:
        """Return a future that is ready once the caller has the lock.

        A discard request gives the place in the line up.

        Raises:
            Closed: it was closed.
        """
        if self._take():
            return Future(None)
        claim = self._line.claim()
        return claim.grant(None) if self._take_or_join(claim) else claim.future

    def wait_lock(self, timeout: float | None = None) -> bool:
        """Wait for the lock, and tell whether the caller has it now.

        Args:
            timeout: seconds of the current clock, which a test can pause; None means for ever.

        Raises:
            Closed: it was closed, before or meanwhile.
        """
        if self._take():
            return True
        sleeper = self._line.sleeper()
        if self._take_or_join(sleeper):
            return True
        try:
            self._line.wait(sleeper, timeout)
        except BaseException:
            if sleeper.is_given:
                self.unlock()
            raise
        if not sleeper.is_given and not sleeper.has_left:
            raise Closed("the mutex was closed while it was waited for")
        return sleeper.is_given

    @overload
    def run(
        self, function: Callable[P, Future[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]: ...
    @overload
    def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]: ...
    def run(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call *function* with the lock, and unlock when the future that it returns is over.

        It is called as a callback is, and may return a value as well. Return the future of its
        result. A discard request gives up the place in the line, or once it was called, goes to
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
            seat = self._line.pop(None)
            self._is_locked = seat is not None
        finally:
            guard.release()
        if seat is not None:
            seat.deliver()

    def close(self) -> None:
        """Abandon whoever waits, and refuse the lock from now on. Who has it may unlock it."""
        with self._guard:
            self._is_closed = True
            seats = self._line.clear()
        abandon_all(seats)

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
        return f"<Mutex {state}, {len(self._line)} waiting>"

    def _take(self) -> bool:
        """Take the lock if it is free; tell whether it was. Spares making a seat."""
        guard = self._guard
        guard.acquire()
        try:
            is_free = not self._is_locked and not self._is_closed
            if is_free:
                self._is_locked = True
        finally:
            guard.release()
        return is_free

    def _take_or_join(self, seat: Seat[None]) -> bool:
        """Take the lock and return True, or put *seat* in the line."""
        with self._guard:
            if self._is_closed:
                raise Closed("expected an open mutex, but it was closed")
            if self._is_locked:
                self._line.join(seat)
                return False
            self._is_locked = True
            return True
