"""The queue in which greenlets, native threads and futures wait for a mutex, an item and the like.

A `Waiter` is the place of one of them. All three kinds have the same few methods: the owner of
the queue marks a waiter as served under its lock, and calls `deliver` after it. The waiter of a
greenlet is no promise, since that costs twice as much.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from itertools import count
from typing import Any, Generic, TypeAlias, TypeVar
from weakref import WeakMethod, ref

from gevent import getcurrent
from gevent._hub_local import get_hub_if_exists
from gevent.exceptions import InvalidSwitchError
from gevent.hub import Hub
from gevent.hub import Waiter as HubWaiter

from greenproc.clock.current import current_clock
from greenproc.clock.hub import count_threads, keep_hub_alive_for_threads
from greenproc.future.delivery import CALLBACK_STACK, call_all, hand_over_backlog
from greenproc.future.future import Future
from greenproc.future.promise import Promise
from greenproc.future.state import READY, allocate_lock, complete
from greenproc.future.waiting import bounded_timeout
from greenproc.sync.cancellable_timer import CancellableTimer

T = TypeVar("T")


class FutureWaiter(Promise[T]):
    """The place of a future."""

    __slots__ = ("is_given", "tag", "ticket", "value")

    ticket: int
    tag: object
    """What the owner of the line keeps with it."""
    is_given: bool
    value: T

    def grant(self, value: T) -> Future[T]:
        """Give *value* to a waiter that never joined, and return its future."""
        self.value = value
        self.deliver()
        return self.future

    def deliver(self) -> None:
        """Make the future ready with what was given, whatever that is."""
        complete(self.future, READY, self.value)


class GreenletWaiter(Generic[T]):
    """The place of a greenlet."""

    __slots__ = ("_hub", "_waiter", "has_left", "is_given", "tag", "ticket", "value")

    ticket: int
    tag: object
    value: T

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._waiter: HubWaiter[Any] = HubWaiter(hub)
        self.is_given = False
        self.has_left = False

    def deliver(self) -> None:
        """Wake the greenlet, for what was given or because nothing will be."""
        hub = self._hub
        if hub is get_hub_if_exists():
            hub.loop.run_callback(self._waiter.switch, self)
        elif hub.loop is not None:
            hub.loop.run_callback_threadsafe(self._waiter.switch, self)

    abandon = deliver

    def discard(self) -> None:
        """Wake the greenlet, which has given up."""
        self.has_left = True
        self.deliver()

    def wait(self) -> None:
        """Wait until woken."""
        if CALLBACK_STACK.get() is not None:
            hand_over_backlog()
        release = keep_hub_alive_for_threads(self._hub) if count_threads() else None
        try:
            result = self._waiter.get()
        finally:
            if release is not None:
                release()
        if result is not self:
            raise InvalidSwitchError(f"somebody switched into {getcurrent()!r} with {result!r}")

    def wait_for(self, timeout: float, expire: Callable[[], object]) -> None:
        """Wait until woken, by *expire* when the time of the current clock is over."""
        timer = CancellableTimer(current_clock(), timeout, lambda _: expire())
        try:
            self.wait()
        finally:
            timer.cancel()


class ThreadWaiter(Generic[T]):
    """The place of a native thread without a hub."""

    __slots__ = ("_gate", "has_left", "is_given", "tag", "ticket", "value")

    ticket: int
    tag: object
    value: T

    def __init__(self) -> None:
        self._gate = allocate_lock()
        self._gate.acquire()
        self.is_given = False
        self.has_left = False

    def deliver(self) -> None:
        """Wake the thread, for what was given or because nothing will be."""
        self._gate.release()

    abandon = deliver

    def discard(self) -> None:
        """Wake the thread, which has given up."""
        self.has_left = True
        self._gate.release()

    def wait(self) -> None:
        """Wait until woken."""
        self._gate.acquire()

    def wait_for(self, timeout: float, expire: Callable[[], object]) -> None:
        """Wait until woken, by *expire* when the time is over.

        It is real time, since this thread cannot use the clock of another one.
        """
        if not self._gate.acquire(timeout=bounded_timeout(timeout)):
            expire()


Waiter: TypeAlias = FutureWaiter[T] | GreenletWaiter[T] | ThreadWaiter[T]


class WaitQueue(Generic[T]):
    """Seats of those who wait, first come, first served.

    A waiter enters and leaves under the lock of the owner. Whoever takes one out is the only one to
    deliver, discard or abandon it, after the lock is free again: callbacks may come back to the
    owner. There is no bound, because each waiter belongs to a future or a greenlet that the program
    has made.

    The owner holds the line and the line the waiters; a future holds neither. So when the owner is
    garbage, the futures of those who wait are abandoned.

    Args:
        guard: the native lock of the owner. Methods say whether it must be held.
        left: a method of the owner, called without the lock when somebody has given up.
    """

    __slots__ = ("__weakref__", "_guard", "_left", "_waiters", "_self", "_tickets")

    def __init__(
        self, guard: AbstractContextManager[bool], left: Callable[[], object] | None = None
    ) -> None:
        self._guard = guard
        self._left = None if left is None else WeakMethod(left)
        self._waiters: OrderedDict[int, Waiter[T]] = OrderedDict()
        self._tickets = count()
        self._self = ref(self)

    def __len__(self) -> int:
        return len(self._waiters)

    def __repr__(self) -> str:
        return f"<WaitQueue of {len(self._waiters)}>"

    # Making waiters, without the lock

    def future_waiter(self) -> FutureWaiter[T]:
        """Return a waiter for a future; a discard request gives it up."""
        waiter: FutureWaiter[T] = FutureWaiter()
        waiter.ticket = ticket = next(self._tickets)
        waiter.future.on_discard(partial(_leave, self._self, ticket))
        return waiter

    def blocking_waiter(self) -> GreenletWaiter[T] | ThreadWaiter[T]:
        """Return a waiter for the caller to `wait` in."""
        hub = get_hub_if_exists()
        waiter: GreenletWaiter[T] | ThreadWaiter[T]
        waiter = ThreadWaiter() if hub is None else GreenletWaiter(hub)
        waiter.ticket = next(self._tickets)
        return waiter

    # With the lock

    def append(self, waiter: Waiter[T]) -> None:
        """Put *waiter* at the end. Needs the lock."""
        self._waiters[waiter.ticket] = waiter

    def peek(self) -> Waiter[T] | None:
        """Return whose turn it is, if anybody waits. Needs the lock."""
        return next(iter(self._waiters.values()), None)

    def pop(self, value: T) -> Waiter[T] | None:
        """Take out whose turn it is, if anybody waits, and give it *value*. Needs the lock."""
        waiters = self._waiters
        if not waiters:
            return None
        _, waiter = waiters.popitem(last=False)
        waiter.value = value
        waiter.is_given = True
        return waiter

    def pop_all(self, value: T) -> list[Waiter[T]]:
        """Take all out and give each *value*. Needs the lock."""
        return list(iter(partial(self.pop, value), None))

    def clear(self) -> list[Waiter[T]]:
        """Take all out. Needs the lock."""
        waiters = list(self._waiters.values())
        self._waiters.clear()
        return waiters

    def tags(self) -> Iterator[object]:
        """Return the tags of all, in order. Needs the lock."""
        return (waiter.tag for waiter in self._waiters.values())

    def take(self, tag: object) -> list[Waiter[T]]:
        """Take out all that have *tag*. Needs the lock."""
        waiters = [waiter for waiter in self._waiters.values() if waiter.tag == tag]
        for waiter in waiters:
            del self._waiters[waiter.ticket]
        return waiters

    # Without the lock

    def leave(self, ticket: int) -> None:
        """Discard who has *ticket*, if it is still in the queue."""
        with self._guard:
            waiter = self._waiters.pop(ticket, None)
        if waiter is None:
            return
        left = None if self._left is None else self._left()
        try:
            waiter.discard()
        finally:
            if left is not None:
                left()

    def wait(self, waiter: GreenletWaiter[T] | ThreadWaiter[T], timeout: float | None) -> None:
        """Wait in a waiter that has joined, until something is given, or the waiter is lost or late.

        When this raises, because the greenlet is killed, the waiter is given up; but if something
        was given before, the caller must pass it on.

        Args:
            timeout: seconds of the current clock; in a native thread without a hub, which cannot
                use the clock of another thread, real seconds. None means for ever.
        """
        try:
            if timeout is None:
                waiter.wait()
            else:
                waiter.wait_for(timeout, partial(self.leave, waiter.ticket))
        except BaseException:
            self.leave(waiter.ticket)
            raise


def deliver_all(waiters: Iterable[Waiter[T]]) -> None:
    """Deliver what each of *waiters* was given."""
    call_all(waiter.deliver for waiter in waiters)


def discard_all(waiters: Iterable[Waiter[T]]) -> None:
    """Discard each of *waiters*."""
    call_all(waiter.discard for waiter in waiters)


def abandon_all(waiters: Iterable[Waiter[T]]) -> None:
    """Abandon each of *waiters*."""
    call_all(waiter.abandon for waiter in waiters)


def _leave(reference: ref[WaitQueue[Any]], ticket: int) -> None:
    queue = reference()
    if queue is not None:
        queue.leave(ticket)
