"""The queue in which futures, greenlets and native threads wait for a lock, an item and the like.

All three kinds of `Waiter` have the same few methods. The owner of the queue marks a waiter as
served while it holds its lock, and calls `deliver` afterwards. The waiter of a greenlet is not a
promise, which would cost twice as much.
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
from greenproc.future.callbacks import READY
from greenproc.future.delivery import CALLBACK_STACK, call_all, hand_over_backlog
from greenproc.future.future import Future
from greenproc.future.promise import Promise
from greenproc.future.state import complete
from greenproc.future.waiting import bounded_timeout
from greenproc.hub.lifetime import keep_hub_alive_for_threads
from greenproc.hub.native import allocate_lock, count_threads
from greenproc.sync.cancellable_timer import CancellableTimer

T = TypeVar("T")


class FutureWaiter(Promise[T]):
    """A future that waits."""

    __slots__ = ("is_served", "tag", "ticket", "value")

    ticket: int
    tag: object
    """What the owner of the queue keeps with the waiter, such as what it waits for."""
    is_served: bool
    value: T

    def grant(self, value: T) -> Future[T]:
        """Serve a waiter that was never queued with *value*; return its future."""
        self.value = value
        self.deliver()
        return self.future

    def deliver(self) -> None:
        """Make the future ready with the value that the waiter was served with."""
        # Not `set`, which would follow a future; an item of a queue may be one.
        complete(self.future, READY, self.value)


class GreenletWaiter(Generic[T]):
    """A greenlet that waits."""

    __slots__ = ("_hub", "_waiter", "has_left", "is_served", "tag", "ticket", "value")

    ticket: int
    tag: object
    value: T

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._waiter: HubWaiter[Any] = HubWaiter(hub)
        self.is_served = False
        self.has_left = False

    def deliver(self) -> None:
        """Wake the greenlet, with or without a value."""
        hub = self._hub
        if hub is get_hub_if_exists():
            # Not at once: the caller goes on first, and switching is for the hub to do.
            hub.loop.run_callback(self._waiter.switch, self)
        elif hub.loop is not None:
            hub.loop.run_callback_threadsafe(self._waiter.switch, self)

    abandon = deliver

    def discard(self) -> None:
        """Wake the greenlet, whose time is over."""
        self.has_left = True
        self.deliver()

    def wait(self) -> None:
        """Wait until woken.

        Raises:
            InvalidSwitchError: other code has switched into this greenlet.
        """
        if CALLBACK_STACK.get() is not None:
            hand_over_backlog()
        # The hub does not know that another thread may serve this, and would raise LoopExit.
        release = keep_hub_alive_for_threads(self._hub) if count_threads() else None
        try:
            result = self._waiter.get()
        finally:
            if release is not None:
                release()
        if result is not self:
            raise InvalidSwitchError(
                "expected a switch of the hub, but other code switched into "
                f"{getcurrent()!r} with {result!r}"
            )

    def wait_for(self, timeout: float, expire: Callable[[], object]) -> None:
        """Wait until woken; call *expire* after *timeout* seconds of the current clock."""
        timer = CancellableTimer(current_clock(), timeout, lambda _: expire())
        try:
            self.wait()
        finally:
            timer.cancel()


class ThreadWaiter(Generic[T]):
    """A native thread without a hub that waits."""

    __slots__ = ("_gate", "has_left", "is_served", "tag", "ticket", "value")

    ticket: int
    tag: object
    value: T

    def __init__(self) -> None:
        # Acquired twice: the second time waits until another thread releases it.
        self._gate = allocate_lock()
        self._gate.acquire()
        self.is_served = False
        self.has_left = False

    def deliver(self) -> None:
        """Wake the thread, with or without a value."""
        self._gate.release()

    abandon = deliver

    def discard(self) -> None:
        """Wake the thread, whose time is over."""
        self.has_left = True
        self._gate.release()

    def wait(self) -> None:
        """Wait until woken."""
        self._gate.acquire()

    def wait_for(self, timeout: float, expire: Callable[[], object]) -> None:
        """Wait until woken; call *expire* after *timeout* real seconds.

        This thread cannot use the clock of another one.
        """
        if not self._gate.acquire(timeout=bounded_timeout(timeout)):
            expire()


Waiter: TypeAlias = FutureWaiter[T] | GreenletWaiter[T] | ThreadWaiter[T]
"""A place in a `WaitQueue`."""


class WaitQueue(Generic[T]):
    """Waiters, first come, first served.

    A waiter enters and leaves under the lock of the owner. The code that takes one out is the only
    one to deliver, discard or abandon it, after the lock is free: callbacks may use the owner. The
    queue has no bound, because each waiter belongs to a future, greenlet or thread that the
    program has made.

    The owner holds the queue and the queue the waiters; a future holds neither. So the futures of
    the waiters are abandoned when the owner is garbage.

    Args:
        guard: the native lock of the owner. Methods return whether it must be held.
        left: a method of the owner, called without the lock when a waiter has given up.
    """

    __slots__ = ("__weakref__", "_guard", "_left", "_waiters", "_self", "_tickets")

    def __init__(
        self, guard: AbstractContextManager[bool], left: Callable[[], object] | None = None
    ) -> None:
        self._guard = guard
        # Weakly, as the owner holds the queue: a cycle would delay the abandonment of waiters.
        self._left = None if left is None else WeakMethod(left)
        # By ticket, so that a waiter in the middle gives up at once, however long the queue is.
        self._waiters: OrderedDict[int, Waiter[T]] = OrderedDict()
        self._tickets = count()
        self._self = ref(self)

    def __len__(self) -> int:
        return len(self._waiters)

    def __repr__(self) -> str:
        return f"<WaitQueue of {len(self._waiters)}>"

    # Making waiters, without the lock

    def future_waiter(self) -> FutureWaiter[T]:
        """Return a waiter for a future; a discard request of the future gives it up."""
        waiter: FutureWaiter[T] = FutureWaiter()
        waiter.ticket = ticket = next(self._tickets)
        waiter.future.on_discard(partial(_leave, self._self, ticket))
        return waiter

    def blocking_waiter(self) -> GreenletWaiter[T] | ThreadWaiter[T]:
        """Return a waiter for the calling greenlet or thread, which is to `wait` with it."""
        hub = get_hub_if_exists()
        waiter: GreenletWaiter[T] | ThreadWaiter[T]
        waiter = ThreadWaiter() if hub is None else GreenletWaiter(hub)
        waiter.ticket = next(self._tickets)
        return waiter

    # With the lock

    def append(self, waiter: Waiter[T]) -> None:
        """Put *waiter* at the end. Requires the lock."""
        self._waiters[waiter.ticket] = waiter

    def peek(self) -> Waiter[T] | None:
        """Return the first waiter, if any. Requires the lock."""
        return next(iter(self._waiters.values()), None)

    def pop(self, value: T) -> Waiter[T] | None:
        """Remove the first waiter, if any, and serve it with *value*. Requires the lock."""
        # Looked at first, as most locks are released with no waiter.
        waiters = self._waiters
        if not waiters:
            return None
        _, waiter = waiters.popitem(last=False)
        waiter.value = value
        waiter.is_served = True
        return waiter

    def pop_all(self, value: T) -> list[Waiter[T]]:
        """Remove all waiters and serve each with *value*. Requires the lock."""
        return list(iter(partial(self.pop, value), None))

    def clear(self) -> list[Waiter[T]]:
        """Remove all waiters without serving them. Requires the lock."""
        waiters = list(self._waiters.values())
        self._waiters.clear()
        return waiters

    def tags(self) -> Iterator[object]:
        """Return the tags of all waiters, in order. Requires the lock."""
        return (waiter.tag for waiter in self._waiters.values())

    def take(self, tag: object) -> list[Waiter[T]]:
        """Remove all waiters that have *tag*. Requires the lock."""
        waiters = [waiter for waiter in self._waiters.values() if waiter.tag == tag]
        for waiter in waiters:
            del self._waiters[waiter.ticket]
        return waiters

    # Without the lock

    def leave(self, ticket: int) -> None:
        """Discard the waiter that has *ticket*, if it is still in the queue."""
        with self._guard:
            waiter = self._waiters.pop(ticket, None)
        if waiter is None:
            return
        # The owner may now serve the next waiter, such as a reader behind a writer.
        left = None if self._left is None else self._left()
        try:
            waiter.discard()
        finally:
            if left is not None:
                left()

    def wait(self, waiter: GreenletWaiter[T] | ThreadWaiter[T], timeout: float | None) -> None:
        """Wait with a waiter that is in the queue, until it is served or abandoned or gives up.

        A kill of the greenlet gives the waiter up. If it was served before that, the caller must
        serve another waiter instead.

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
    """Deliver what each of *waiters* was served with."""
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
