"""Gates that open once: `Latch` by one call, `CountDownLatch` by as many as were agreed on."""

from __future__ import annotations

from greenproc.checks import whole_number
from greenproc.future.future import Future
from greenproc.future.state import allocate_lock
from greenproc.sync.line import Line
from greenproc.sync.seat import Seat, deliver_all


class Latch:
    """Something that happens once, and that others wait for.

    It may be used from any native thread. When it is garbage, the futures of those who wait for it are abandoned.

    Source: libprocess include/process/latch.hpp, src/latch.cpp.
    Differs: its end abandons those who wait; there it lets them go as if it were triggered.
    """

    __slots__ = ("__weakref__", "_guard", "_is_triggered", "_line")

    def __init__(self) -> None:
        self._guard = allocate_lock()
        self._line: Line[None] = Line(self._guard)
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
            seats = self._line.pop_all(None)
        deliver_all(seats)
        return True

    def triggered(self) -> Future[None]:
        """Return a future that is ready once it has happened.

        Each caller gets one of its own, so that a discard request concerns nobody else.
        """
        claim = self._line.claim()
        return claim.future if self._join(claim) else claim.grant(None)

    def await_(self, timeout: float | None = None) -> bool:
        """Wait until it has happened; tell whether it has. A tie with the time counts as such.

        Args:
            timeout: seconds of the current clock, which a test can pause; None means for ever.
        """
        sleeper = self._line.sleeper()
        if self._join(sleeper):
            self._line.wait(sleeper, timeout)
        return self._is_triggered

    def __repr__(self) -> str:
        state = "triggered" if self._is_triggered else f"{len(self._line)} waiting"
        return f"<Latch {state}>"

    def _join(self, seat: Seat[None]) -> bool:
        """Put *seat* in the line, unless there is nothing to wait for; tell whether there is."""
        with self._guard:
            if not self._is_triggered:
                self._line.join(seat)
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
