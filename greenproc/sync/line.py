"""The line in which those wait to whom a mutex, a queue and their like hand something over."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from itertools import count
from typing import Any, Generic, TypeVar
from weakref import WeakMethod, ref

from gevent._hub_local import get_hub_if_exists

from greenproc.sync.seat import Claim, Seat, Sleeper, ThreadSleeper

T = TypeVar("T")


class Line(Generic[T]):
    """Seats of those who wait, first come, first served.

    A seat enters and leaves under the lock of the owner. Whoever takes one out is the only one to
    deliver, discard or abandon it, after the lock is free again: callbacks may come back to the
    owner. There is no bound, because each seat belongs to a future or a greenlet that the program
    has made.

    The owner holds the line and the line the seats; a future holds neither. So when the owner is
    garbage, the futures of those who wait are abandoned.

    Args:
        guard: the native lock of the owner. Methods say whether it must be held.
        left: a method of the owner, called without the lock when somebody has given up.
    """

    __slots__ = ("__weakref__", "_guard", "_left", "_seats", "_self", "_tickets")

    def __init__(
        self, guard: AbstractContextManager[bool], left: Callable[[], object] | None = None
    ) -> None:
        self._guard = guard
        self._left = None if left is None else WeakMethod(left)
        self._seats: OrderedDict[int, Seat[T]] = OrderedDict()
        self._tickets = count()
        self._self = ref(self)

    def __len__(self) -> int:
        return len(self._seats)

    def __repr__(self) -> str:
        return f"<Line of {len(self._seats)}>"

    # Making seats, without the lock

    def claim(self) -> Claim[T]:
        """Return a seat for a future; a discard request gives it up."""
        claim: Claim[T] = Claim()
        claim.ticket = ticket = next(self._tickets)
        claim.future.on_discard(partial(_leave, self._self, ticket))
        return claim

    def sleeper(self) -> Sleeper[T] | ThreadSleeper[T]:
        """Return a seat for the caller to `wait` in."""
        hub = get_hub_if_exists()
        sleeper: Sleeper[T] | ThreadSleeper[T]
        sleeper = ThreadSleeper() if hub is None else Sleeper(hub)
        sleeper.ticket = next(self._tickets)
        return sleeper

    # With the lock

    def join(self, seat: Seat[T]) -> None:
        """Put *seat* at the end. Needs the lock."""
        self._seats[seat.ticket] = seat

    def peek(self) -> Seat[T] | None:
        """Return whose turn it is, if anybody waits. Needs the lock."""
        return next(iter(self._seats.values()), None)

    def pop(self, value: T) -> Seat[T] | None:
        """Take out whose turn it is, if anybody waits, and give it *value*. Needs the lock."""
        seats = self._seats
        if not seats:
            return None
        _, seat = seats.popitem(last=False)
        seat.value = value
        seat.is_given = True
        return seat

    def pop_all(self, value: T) -> list[Seat[T]]:
        """Take all out and give each *value*. Needs the lock."""
        return list(iter(partial(self.pop, value), None))

    def clear(self) -> list[Seat[T]]:
        """Take all out. Needs the lock."""
        seats = list(self._seats.values())
        self._seats.clear()
        return seats

    def tags(self) -> Iterator[object]:
        """Return the tags of all, in order. Needs the lock."""
        return (seat.tag for seat in self._seats.values())

    def take(self, tag: object) -> list[Seat[T]]:
        """Take out all that have *tag*. Needs the lock."""
        seats = [seat for seat in self._seats.values() if seat.tag == tag]
        for seat in seats:
            del self._seats[seat.ticket]
        return seats

    # Without the lock

    def leave(self, ticket: int) -> None:
        """Discard who has *ticket*, if it is still in the line."""
        with self._guard:
            seat = self._seats.pop(ticket, None)
        if seat is None:
            return
        left = None if self._left is None else self._left()
        try:
            seat.discard()
        finally:
            if left is not None:
                left()

    def wait(self, sleeper: Sleeper[T] | ThreadSleeper[T], timeout: float | None) -> None:
        """Wait in a seat that has joined, until something is given, or the seat is lost or late.

        When this raises, because the greenlet is killed, the seat is given up; but if something
        was given before, the caller must pass it on.

        Args:
            timeout: seconds of the current clock; in a native thread without a hub, which cannot
                use the clock of another thread, real seconds. None means for ever.
        """
        try:
            if timeout is None:
                sleeper.wait()
            else:
                sleeper.wait_for(timeout, partial(self.leave, sleeper.ticket))
        except BaseException:
            self.leave(sleeper.ticket)
            raise


def _leave(reference: ref[Line[Any]], ticket: int) -> None:
    line = reference()
    if line is not None:
        line.leave(ticket)
