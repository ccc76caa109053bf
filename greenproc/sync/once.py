"""Work that is done once, by whoever comes first."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec

from gevent import getcurrent

from greenproc.checks import check_callable
from greenproc.errors import Deadlock
from greenproc.future.future import Future
from greenproc.future.state import allocate_lock
from greenproc.sync.latch import Latch

P = ParamSpec("P")


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
