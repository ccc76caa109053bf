"""`MailboxLimit`: how much may wait for one process, and what happens to what is too much.

What bounds every mailbox, whatever its process says, is in `greenproc.process.quota`.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gevent.event import Event as WakeUp
from greenlet import getcurrent

from greenproc.clock.microseconds import check_duration
from greenproc.errors import InvalidArgument
from greenproc.failures import FAILURES, log_failure
from greenproc.http.response import ServiceUnavailable
from greenproc.message import Message
from greenproc.pid import NO_SENDER
from greenproc.process.cell import NOTHING_FITS, Cell
from greenproc.process.dropping import drop_message
from greenproc.process.event import ControlCall, Event, ExitedEvent, HttpEvent, TerminateEvent
from greenproc.process.mailbox import Item
from greenproc.process.ports import ACCEPTED, FULL, NO_ROOM, Delivery
from greenproc.process.quota import MAILBOX_FULL, weigh_item

if TYPE_CHECKING:
    from greenproc.process.manager import ProcessManager

logger = logging.getLogger("greenproc.process")

Policy = Literal["refuse", "drop_oldest", "drop_newest", "block"]

POLICIES: tuple[Policy, ...] = ("refuse", "drop_oldest", "drop_newest", "block")


@dataclass(frozen=True, slots=True)
class MailboxLimit:
    """How much may wait for one process: its `Process.mailbox_limit`.

    ::

        class Mailer(Process):
            mailbox_limit = MailboxLimit(events=1000, when_full="drop_oldest")

    What is dropped is a dead letter with *mailbox full*, and `Signals.mailbox_full` is sent. An empty mailbox
    takes a message of any size. The news of an exit and an injected terminate are never
    refused, and go ahead of what is queued. Differs from libprocess, which has no bounds and one order.

    Args:
        events: how many messages, dispatches and requests; `Settings.max_mailbox_events` if None.
        bytes: how many bytes of them, each counted with 64 more; `Settings.max_mailbox_bytes` if None.
        when_full: what happens to the next one. ``refuse`` drops it and tells its sender, a remote
            one and a client by 503, a dispatch by its future. ``drop_newest`` drops it, but says
            to the sender of a message that it was accepted. ``drop_oldest`` drops what waits
            longest to make room. ``block`` lets the greenlet that calls ``send`` or ``post`` wait for room; what
            cannot wait is refused: what comes from other nodes and threads, a dispatch, a request, a
            call in the hub, and what the process sends to itself.
        timeout: how long ``block`` waits, in seconds of the runtime's clock; then the message is
            refused. It also ends circles of processes that wait for each other.

    Raises:
        InvalidArgument: a number is below 1 or none, or the policy is another text.
    """

    events: int | None = None
    bytes: int | None = None
    when_full: Policy = "refuse"
    timeout: float = 30.0

    def __post_init__(self) -> None:
        for name, value in (("events", self.events), ("bytes", self.bytes)):
            if value is not None and (type(value) is not int or value < 1):
                raise InvalidArgument(f"expected {name} of at least 1 or None, got {value!r}")
        if self.when_full not in POLICIES:
            raise InvalidArgument(
                f"expected when_full to be one of {', '.join(POLICIES)}, got {self.when_full!r}"
            )
        check_duration(self.timeout)


class MailboxBound:
    """What waits for a process that has a `MailboxLimit`, counted exactly.

    Control events, which the limit is not about, are not counted.
    """

    __slots__ = ("bytes", "count", "is_closed", "limit", "max_bytes", "max_events", "waiters")

    def __init__(self, limit: MailboxLimit, max_events: int, max_bytes: int) -> None:
        self.limit = limit
        self.max_events = max_events if limit.events is None else min(limit.events, max_events)
        self.max_bytes = max_bytes if limit.bytes is None else min(limit.bytes, max_bytes)
        self.count = 0
        self.bytes = 0
        self.waiters: deque[RoomWaiter] = deque()
        self.is_closed = False

    def admits(self, item: Item) -> bool:
        """Whether there is room for *item*."""
        if self.count == 0:
            return True
        return self.count < self.max_events and self.bytes + weigh_item(item) <= self.max_bytes

    def note_taken(self, item: Item) -> None:
        """Note that *item* is out of the mailbox, and wake the first sender that waits for room."""
        if not is_control(item):
            self.count -= 1
            self.bytes -= weigh_item(item)
            self.wake()

    def wake(self) -> None:
        """Let the first sender that waits look for room; it wakes the next one."""
        if self.waiters:
            self.waiters[0].woken.set()

    def close(self) -> None:
        """Let all that wait go: the process is over."""
        self.is_closed = True
        for waiter in self.waiters:
            waiter.woken.set()


class LimitedDeque(deque[Item]):
    """The queue inside the mailbox of a process that has a limit: counts, and puts control first."""

    __slots__ = ("_bound",)

    def __init__(self, bound: MailboxBound) -> None:
        super().__init__()
        self._bound = bound

    def append(self, item: Item, /) -> None:
        """Queue *item*: at the end, or ahead of all that is not urgent if it is."""
        if is_urgent(item):
            place = next((at for at, other in enumerate(self) if not is_urgent(other)), len(self))
            self.insert(place, item)
            return
        if not is_control(item):
            self._bound.count += 1
            self._bound.bytes += weigh_item(item)
        super().append(item)

    def popleft(self) -> Item:
        """Take the next item out, which may make room for what waits."""
        item = super().popleft()
        self._bound.note_taken(item)
        return item

    def extend(self, items: Iterable[Item], /) -> None:
        """Queue *items*, each as `append` does."""
        for item in items:
            self.append(item)

    def extendleft(self, items: Iterable[Item], /) -> None:
        """Put *items*, which are not urgent, one by one ahead of all that is not urgent either."""
        place = next((at for at, other in enumerate(self) if not is_urgent(other)), len(self))
        for item in items:
            self._bound.count += 1
            self._bound.bytes += weigh_item(item)
            self.insert(place, item)

    def clear(self) -> None:
        """Take all items out."""
        while self:
            self.popleft()

    def pop_oldest(self) -> Item | None:
        """Take out what has waited longest and is no control event."""
        for at, item in enumerate(self):
            if not is_control(item):
                del self[at]
                self._bound.note_taken(item)
                return item
        return None


def limit_mailbox(manager: ProcessManager, cell: Cell, limit: object) -> None:
    """Let *limit* hold for the mailbox of *cell*, so that each event that comes is looked at.

    Raises:
        InvalidArgument: it is no `MailboxLimit`.
    """
    if not isinstance(limit, MailboxLimit):
        raise InvalidArgument(
            f"expected {type(cell.process).__name__}.mailbox_limit to be a MailboxLimit, got {limit!r}"
        )
    if cell.context is None:  # else it was spawned before, and is not again
        cell.bound = MailboxBound(limit, manager.max_events, manager.quota.max_mailbox_bytes)
        cell.byte_mark, cell.max_events = NOTHING_FITS, 0


def make_queue(cell: Cell) -> LimitedDeque | None:
    """Return what the mailbox of *cell* holds its events in, if that is not a plain deque."""
    return None if cell.bound is None else LimitedDeque(cell.bound)


class RoomWaiter:
    """A sender that waits for room."""

    __slots__ = ("is_late", "woken")

    def __init__(self) -> None:
        self.woken = WakeUp()
        self.is_late = False

    def time_out(self) -> None:
        """Wait no longer."""
        self.is_late = True
        self.woken.set()


def is_control(item: Item) -> bool:
    """Whether *item* is of the runtime and not of a program: it is never refused or dropped."""
    return item.__class__ is not Message and isinstance(item, Event) and item.content is None


def is_urgent(item: Item) -> bool:
    """Whether *item* goes ahead of what is queued."""
    if item.__class__ is Message:
        return False
    return isinstance(item, ExitedEvent) or (isinstance(item, TerminateEvent) and item.inject)


def has_room(cell: Cell, item: Item) -> bool:
    """Whether *item* may be queued for *cell*, which has all the events that it may have, or a limit."""
    if cell.bound is None:
        return isinstance(item, (ExitedEvent, TerminateEvent, ControlCall))
    return is_control(item) or cell.bound.admits(item)


def make_room(
    manager: ProcessManager, cell: Cell, item: Item, *, may_wait: bool = False
) -> Delivery | None:
    """Make room for *item* in the mailbox of *cell*, which has a limit, as its policy says.

    Returns None if there is room, else what became of *item*, which is dropped and reported.

    Args:
        may_wait: whether the caller may wait for room.
    """
    bound = cell.bound
    assert bound is not None
    if bound.admits(item) and not (may_wait and bound.waiters):
        return None
    policy = bound.limit.when_full
    manager.observer.mailbox_full(cell.pid, policy)
    if policy == "drop_oldest":
        _drop_oldest(manager, cell, bound, item)
        if bound.admits(item):
            return None
    elif policy == "block" and may_wait and _wait_for_room(manager, cell, bound, item):
        if bound.is_closed and isinstance(item, Message):
            return manager.deliver(item, may_wait=True)  # to what has the id now, if anything
        return None
    drop_item(manager, cell, item)
    is_message = isinstance(item, Message)
    return ACCEPTED if policy == "drop_newest" and is_message else FULL


def drop_item(manager: ProcessManager, cell: Cell, item: Item) -> None:
    """Drop *item*, for which the mailbox of *cell* has no room, and tell what waits for it."""
    manager.quota.count_refused(weigh_item(item))
    if isinstance(item, Message):
        drop_message(manager, item, MAILBOX_FULL, NO_ROOM)
        return
    manager.observer.event_dropped(cell.pid, item, NO_SENDER, MAILBOX_FULL)
    try:
        if isinstance(item, HttpEvent):
            item.promise.set(ServiceUnavailable())
        else:
            item.drop(f"the mailbox of process {cell.pid} is full")
    except FAILURES:
        log_failure(logger, "what follows the drop of %r failed", item)


def _drop_oldest(manager: ProcessManager, cell: Cell, bound: MailboxBound, item: Item) -> None:
    while not bound.admits(item) and isinstance(cell.events, LimitedDeque):
        oldest = cell.events.pop_oldest()
        if oldest is None:
            return
        drop_item(manager, cell, oldest)


def _wait_for_room(manager: ProcessManager, cell: Cell, bound: MailboxBound, item: Item) -> bool:
    """Wait until it is the turn of *item*, and return whether that came in time.

    It is true as well when the process has ended: then `enqueue` tells what that means.
    """
    current = getcurrent()
    if current is manager.hub or current is cell.greenlet:
        return False  # neither the hub nor the process that is to make room can wait
    waiter = RoomWaiter()
    bound.waiters.append(waiter)
    timer = manager.clock.timer(bound.limit.timeout, waiter.time_out)
    try:
        while not waiter.is_late:
            if bound.is_closed or (bound.waiters[0] is waiter and bound.admits(item)):
                return True
            waiter.woken.clear()
            waiter.woken.wait()
        return False
    except BaseException:
        drop_item(manager, cell, item)
        raise
    finally:
        timer.cancel()
        bound.waiters.remove(waiter)
        bound.wake()
