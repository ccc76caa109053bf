"""The places in a line: a future's, a waiting greenlet's, and a waiting native thread's.

All have the same few methods. Who gives something marks the place under the lock of the line, and
calls `deliver` after it. The place of a greenlet is no promise, since that costs twice as much.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeAlias, TypeVar

from gevent import getcurrent
from gevent._hub_local import get_hub_if_exists
from gevent.exceptions import InvalidSwitchError
from gevent.hub import Hub, Waiter

from greenproc.clock.current import current_clock
from greenproc.clock.hub import count_threads, keep_hub_alive_for_threads
from greenproc.future.delivery import CALLBACK_STACK, call_all, hand_over_backlog
from greenproc.future.future import Future
from greenproc.future.promise import Promise
from greenproc.future.state import READY, allocate_lock, complete
from greenproc.future.waiting import bounded_timeout
from greenproc.sync.alarm import Alarm

T = TypeVar("T")


class Claim(Promise[T]):
    """The place of a future."""

    __slots__ = ("is_given", "tag", "ticket", "value")

    ticket: int
    tag: object
    """What the owner of the line keeps with it."""
    is_given: bool
    value: T

    def grant(self, value: T) -> Future[T]:
        """Give *value* to a seat that never joined, and return its future."""
        self.value = value
        self.deliver()
        return self.future

    def deliver(self) -> None:
        """Make the future ready with what was given, whatever that is."""
        complete(self.future, READY, self.value)


class Sleeper(Generic[T]):
    """The place of a greenlet."""

    __slots__ = ("_hub", "_waiter", "has_left", "is_given", "tag", "ticket", "value")

    ticket: int
    tag: object
    value: T

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._waiter: Waiter[Any] = Waiter(hub)
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
        alarm = Alarm(current_clock(), timeout, lambda _: expire())
        try:
            self.wait()
        finally:
            alarm.cancel()


class ThreadSleeper(Generic[T]):
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


Seat: TypeAlias = Claim[T] | Sleeper[T] | ThreadSleeper[T]


def deliver_all(seats: Iterable[Seat[T]]) -> None:
    """Deliver what each of *seats* was given."""
    call_all(seat.deliver for seat in seats)


def discard_all(seats: Iterable[Seat[T]]) -> None:
    """Discard each of *seats*."""
    call_all(seat.discard for seat in seats)


def abandon_all(seats: Iterable[Seat[T]]) -> None:
    """Abandon each of *seats*."""
    call_all(seat.abandon for seat in seats)
