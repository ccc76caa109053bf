"""A lock that many readers share, or one writer holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any, ParamSpec, TypeVar, overload

from greenproc.errors import Closed, StateError
from greenproc.future.future import Future
from greenproc.hub.native import allocate_lock
from greenproc.sync.mutex import run_holding
from greenproc.sync.waitqueue import Waiter, WaitQueue, abandon_all, deliver_all

P = ParamSpec("P")
T = TypeVar("T")


class _Kind(Enum):
    """What a waiter is to do with the lock; the tag of the waiter."""

    READ = "read"
    WRITE = "write"


class ReadWriteLock:
    """A lock that either one writer holds, or any number of readers.

    ::

        with lock.read():                # this greenlet waits
            ...
        lock.run_writing(work).then(...)    # this one does not

    There is one queue, so neither kind starves the other: a reader waits behind a writer that came
    before it, and readers next to each other in the queue get the lock together. The lock has no
    owners, cannot be taken twice, and does not turn a reader into the writer. It may be used from
    any native thread.

    The garbage collection of a lock abandons the futures that wait for it.

    Source: libprocess include/process/rwlock.hpp.
    Differs: a discarded waiter leaves the queue and does not get the lock, so
    ``write_lock().then(work).on_any(write_unlock)`` is wrong here; a mistaken unlock raises.
    """

    __slots__ = ("__weakref__", "_guard", "_has_writer", "_is_closed", "_waiters", "_readers")

    def __init__(self) -> None:
        self._guard = allocate_lock()
        # A waiter that leaves may have held up others: readers behind a writer that gives up.
        self._waiters: WaitQueue[None] = WaitQueue(self._guard, self._admit)
        self._readers = 0
        self._has_writer = False
        self._is_closed = False

    @property
    def readers(self) -> int:
        """How many readers hold it."""
        return self._readers

    @property
    def has_writer(self) -> bool:
        """Whether a writer holds it."""
        return self._has_writer

    def read_lock(self) -> Future[None]:
        """Return a future that is ready once the caller may read.

        A discard request leaves the queue.

        Raises:
            Closed: the lock was closed.
        """
        return self._lock(_Kind.READ)

    def write_lock(self) -> Future[None]:
        """Return a future that is ready once the caller may write.

        A discard request leaves the queue.

        Raises:
            Closed: the lock was closed.
        """
        return self._lock(_Kind.WRITE)

    def wait_read_lock(self, timeout: float | None = None) -> bool:
        """Wait until the caller may read, and return whether it may.

        Args:
            timeout: seconds of the current clock, which a test can pause; None means for ever.

        Raises:
            Closed: the lock was closed, before or meanwhile.
        """
        return self._wait(_Kind.READ, timeout)

    def wait_write_lock(self, timeout: float | None = None) -> bool:
        """Wait until the caller may write, and return whether it may. See `wait_read_lock`."""
        return self._wait(_Kind.WRITE, timeout)

    def read_unlock(self) -> None:
        """End one reading. The last one lets in what waits.

        Raises:
            StateError: the lock is not held to read.
        """
        self._unlock(_Kind.READ)

    def write_unlock(self) -> None:
        """End the writing, which lets in the next writer, or all readers before it.

        Raises:
            StateError: the lock is not held to write.
        """
        self._unlock(_Kind.WRITE)

    @overload
    def run_reading(
        self, function: Callable[P, Future[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]: ...
    @overload
    def run_reading(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]: ...
    def run_reading(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call *function* while the lock is held to read. See `Mutex.run`."""
        return run_holding(self.read_lock, self.read_unlock, function, *args, **kwargs)

    @overload
    def run_writing(
        self, function: Callable[P, Future[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]: ...
    @overload
    def run_writing(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]: ...
    def run_writing(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call *function* while the lock is held to write. See `Mutex.run`."""
        return run_holding(self.write_lock, self.write_unlock, function, *args, **kwargs)

    @contextmanager
    def read(self) -> Iterator[None]:
        """Hold the lock for reading in a ``with`` block, after waiting for it."""
        self.wait_read_lock()
        try:
            yield
        finally:
            self.read_unlock()

    @contextmanager
    def write(self) -> Iterator[None]:
        """Hold the lock for writing in a ``with`` block, after waiting for it."""
        self.wait_write_lock()
        try:
            yield
        finally:
            self.write_unlock()

    def close(self) -> None:
        """Abandon all waiters, and refuse the lock from now on. Holders may still unlock it."""
        with self._guard:
            self._is_closed = True
            waiters = self._waiters.clear()
        abandon_all(waiters)

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else "free"
        if self._has_writer:
            state = "written"
        elif self._readers:
            state = f"read by {self._readers}"
        return f"<ReadWriteLock {state}, {len(self._waiters)} waiting>"

    def _lock(self, kind: _Kind) -> Future[None]:
        waiter = self._waiters.future_waiter()
        return waiter.grant(None) if self._take_or_wait(kind, waiter) else waiter.future

    def _wait(self, kind: _Kind, timeout: float | None) -> bool:
        waiter = self._waiters.blocking_waiter()
        if self._take_or_wait(kind, waiter):
            return True
        try:
            self._waiters.wait(waiter, timeout)
        except BaseException:
            # Killed after the lock was handed over, and before it could be used.
            if waiter.is_served:
                self._unlock(kind)
            raise
        # Woken neither by an unlock nor by its timer: `close` has abandoned it.
        if not waiter.is_served and not waiter.has_left:
            raise Closed("the lock was closed while it was waited for")
        return waiter.is_served

    def _take_or_wait(self, kind: _Kind, waiter: Waiter[None]) -> bool:
        """Take the lock and return True, or queue *waiter*."""
        with self._guard:
            if self._is_closed:
                raise Closed("expected an open lock, but it was closed")
            # Not past a queue, even if readers hold it: the writer in there would starve.
            if not len(self._waiters) and self._is_open_to(kind):
                self._take(kind)
                return True
            waiter.tag = kind
            self._waiters.append(waiter)
            return False

    def _is_open_to(self, kind: object) -> bool:
        # Readers share it with each other; a writer shares it with nothing.
        return not self._has_writer and (kind is _Kind.READ or not self._readers)

    def _take(self, kind: object) -> None:
        if kind is _Kind.WRITE:
            self._has_writer = True
        else:
            self._readers += 1

    def _unlock(self, kind: _Kind) -> None:
        with self._guard:
            # A mistaken unlock would let a writer in beside readers, so it is an error here.
            is_held = self._has_writer if kind is _Kind.WRITE else self._readers
            if not is_held:
                raise StateError(f"expected a lock that is held to {kind.value}, got {self!r}")
            if kind is _Kind.WRITE:
                self._has_writer = False
            else:
                self._readers -= 1
        # After the lock, as serving waiters runs callbacks, which may lock and unlock.
        self._admit()

    def _admit(self) -> None:
        """Serve the waiters at the front of the queue that the lock is open to."""
        admitted = []
        with self._guard:
            # Several readers at once, but only those before the first writer.
            while (waiter := self._waiters.peek()) is not None and self._is_open_to(waiter.tag):
                self._take(waiter.tag)
                self._waiters.pop(None)
                admitted.append(waiter)
        deliver_all(admitted)
