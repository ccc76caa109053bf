"""Functions that run one after the other, each when the result of the former one is complete."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, overload

from gevent import Timeout, get_hub, spawn_raw
from gevent._hub_local import get_hub_if_exists

from greenproc.checks import check_callable, whole_number
from greenproc.errors import Closed, StateError
from greenproc.future.delivery import run_owned
from greenproc.future.future import Future
from greenproc.future.promise import Promise
from greenproc.future.waiting import keep_hub_alive_until
from greenproc.hub.native import allocate_lock

P = ParamSpec("P")
T = TypeVar("T")


class Sequence:
    """Runs functions in the order in which they were added.

    A function may return a value or a future, or raise. The next one starts when the future of the
    former one is over, whatever its outcome: a failure stops no other function. They run in a
    greenlet of the sequence, each in a copy of the context in which it was added. ``with`` closes
    the sequence at the end of the block.

    It may be used from any native thread; the functions run in the thread that made it. A
    sequence without references goes on until all functions have run. When a runtime stops, the
    function that runs is killed if it was added in a greenlet of that runtime; the rest go on.

    Args:
        name: for `repr`.
        capacity: how many functions may wait. None, as in libprocess, means no bound.

    Raises:
        InvalidArgument: *capacity* is not a whole number from 0.

    Source: libprocess include/process/sequence.hpp.
    Differs: an abandoned future counts as over; the end of the object closes nothing.
    """

    def __init__(self, name: str = "sequence", *, capacity: int | None = None) -> None:
        if capacity is not None:
            whole_number("capacity", capacity, least=0)
        self.name = name
        self._capacity = capacity
        self._hub = get_hub()
        self._guard = allocate_lock()
        self._items: deque[_Item] = deque()
        self._current: _Item | None = None
        self._is_running = False
        self._is_closed = False
        self._ended = 0

    @overload
    def add(
        self, function: Callable[P, Future[T]], *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]: ...
    @overload
    def add(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]: ...
    def add(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[Any]:
        """Run *function* in its turn, never before this returns; return the future of its result.

        A discard request before its turn keeps *function* from being called; in its turn the
        future is discarded. A later request goes to the future that *function* returned.

        Raises:
            InvalidArgument: *function* is not callable.
            Closed: the sequence was closed.
            StateError: the sequence is full, or the thread that made it has ended.
        """
        check_callable(function)
        # Owned by the runtime of this context, as the greenlet of the sequence outlives runtimes.
        item = _Item(partial(copy_context().run, run_owned, partial(function, *args, **kwargs)))
        with self._guard:
            if self._is_closed:
                raise Closed("expected an open sequence, but it was closed")
            # The running one does not wait, so it counts as one more than *capacity* allows.
            added = len(self._items) + (self._current is not None)
            if self._capacity is not None and added > self._capacity:
                raise StateError(f"expected a sequence with room, got {self!r}")
            if self._hub.loop is None:
                raise StateError("expected the thread that made the sequence to be there still")
            self._items.append(item)
            # Exactly one greenlet: set under the lock, and reset when the queue is empty.
            is_first = not self._is_running
            self._is_running = True
        if self._hub is not get_hub_if_exists():
            keep_hub_alive_until(item.promise.future)
        if is_first:
            self._start()
        return item.promise.future

    def close(self) -> None:
        """Refuse further functions, and request a discard of all that were added.

        Their futures show that in their turn.
        """
        with self._guard:
            self._is_closed = True
            # The last one first: a discard can complete a future, which must not start the next.
            items = [*reversed(self._items)]
            if self._current is not None:
                items.append(self._current)
        for item in items:
            item.drop()

    def statistics(self) -> dict[str, float]:
        """Count the functions that wait, that run (0 or 1), and whose futures are over."""
        return {
            "waiting": len(self._items),
            "running": int(self._current is not None),
            "ended": self._ended,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed, " if self._is_closed else ""
        state += "running" if self._is_running else "idle"
        return f"<Sequence {self.name!r} {state}, {len(self._items)} waiting>"

    def _start(self) -> None:
        if self._hub is get_hub_if_exists():
            spawn_raw(self._run)
        else:
            self._hub.loop.run_callback_threadsafe(spawn_raw, self._run)

    def _run(self) -> None:
        try:
            while (item := self._next()) is not None:
                item.run()
        except BaseException:
            self._start()  # the kill was for one function; the others run in a new greenlet
            raise

    def _next(self) -> _Item | None:
        with self._guard:
            if self._current is not None:
                self._ended += 1
            self._current = self._items.popleft() if self._items else None
            self._is_running = self._current is not None
            return self._current


class _Item:
    """A function of a sequence, and the promise of its result."""

    __slots__ = ("call", "is_dropped", "promise", "result")

    def __init__(self, call: Callable[[], Any]) -> None:
        self.call = call
        self.promise: Promise[Any] = Promise()
        self.is_dropped = False
        self.result: Future[Any] | None = None

    def run(self) -> None:
        """Call the function unless it was discarded, and wait until its result is complete."""
        if self.is_dropped or self.promise.future.has_discard:
            self.promise.discard()
            return
        try:
            value = self.call()
        except (Exception, Timeout) as error:
            # Without the frames of this module, which would make a cycle of error and future.
            traceback = error.__traceback__
            while traceback is not None and traceback.tb_frame.f_code in _OURS:
                traceback = traceback.tb_next
            self.promise.fail(error.with_traceback(traceback))
        except BaseException:
            self.promise.abandon()
            raise
        else:
            self.follow(value)

    def follow(self, value: Any) -> None:
        self.promise.set(value)
        if isinstance(value, Future):
            self.result = value
            if self.is_dropped:  # while the function ran
                value.discard()
            # Not `get`: its outcome is that of the promise, and ends no sequence.
            value.await_()

    def drop(self) -> None:
        """Request a discard that the future does not show."""
        self.is_dropped = True
        if self.result is not None:
            self.result.discard()


_OURS = _Item.run.__code__, run_owned.__code__
