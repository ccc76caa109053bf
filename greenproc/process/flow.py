"""`MailboxLimit`: the mailbox bound of one process, and the overflow policy.

The bounds of all mailboxes, set by the node, are in `greenproc.process.quota`.
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
from greenproc.process.dropping import drop_message
from greenproc.process.event import ControlCall, Event, ExitedEvent, HttpEvent, TerminateEvent
from greenproc.process.mailbox import Item
from greenproc.process.ports import ACCEPTED, FULL, NO_ROOM, Delivery
from greenproc.process.quota import MAILBOX_FULL, weigh_item
from greenproc.process.record import NOTHING_FITS, ProcessRecord

if TYPE_CHECKING:
    from greenproc.process.manager import ProcessManager

logger = logging.getLogger("greenproc.process")

Policy = Literal["refuse", "drop_oldest", "drop_newest", "block"]

POLICIES: tuple[Policy, ...] = ("refuse", "drop_oldest", "drop_newest", "block")


@dataclass(frozen=True, slots=True)
class MailboxLimit:
    """The bound of a mailbox and its overflow policy: the value of `Process.mailbox_limit`.

    ::

        class Mailer(Process):
            mailbox_limit = MailboxLimit(events=1000, when_full="drop_oldest")

    A dropped event becomes a dead letter with the reason *mailbox full*, and
    `Signals.mailbox_full` is sent. An empty mailbox accepts a message of any size. Exit events and
    injected terminates are never refused, and go ahead of queued events.

    Args:
        events: the maximum number of queued messages, dispatches and requests; None takes
            `Settings.max_mailbox_events`.
        bytes: the maximum size of these, with 64 bytes of overhead each; None takes
            `Settings.max_mailbox_bytes`.
        when_full: the policy for an event that does not fit. ``refuse`` drops it and notifies its
            sender: 503 to another node or an HTTP client, an abandoned future to a dispatch.
            ``drop_newest`` drops it, but acknowledges a message as accepted. ``drop_oldest`` drops
            the oldest queued events until it fits. ``block`` blocks the greenlet that calls
            ``send`` or ``post`` until there is room; it refuses whatever cannot block: events from
            other nodes and threads, dispatches, requests, calls in the hub, and messages of the
            process to itself.
        timeout: the maximum wait of ``block``, in seconds of the runtime's clock, after which the
            message is refused. It also breaks deadlocks of processes that block on each other.

    Raises:
        InvalidArgument: a bound is below 1 or not an int, or the policy is unknown.

    Differs: libprocess has unbounded mailboxes in a single order.
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
    """The exact fill level of a mailbox with a `MailboxLimit`. Control events do not count.

    Args:
        limit: the limit of the process.
        max_events: the bound of the node, which caps that of the limit.
        max_bytes: likewise in bytes.
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
        """Return whether there is room for *item*."""
        if self.count == 0:
            return True
        return self.count < self.max_events and self.bytes + weigh_item(item) <= self.max_bytes

    def note_taken(self, item: Item) -> None:
        """Subtract *item*, which left the mailbox, and wake the first blocked sender."""
        if not is_control(item):
            self.count -= 1
            self.bytes -= weigh_item(item)
            self.wake()

    def wake(self) -> None:
        """Wake the first blocked sender, which wakes the next one if there is more room."""
        if self.waiters:
            self.waiters[0].woken.set()

    def close(self) -> None:
        """Release all blocked senders: the process has ended."""
        self.is_closed = True
        for waiter in self.waiters:
            waiter.woken.set()


class LimitedDeque(deque[Item]):
    """The queue of a mailbox with a limit: it counts its events, and puts urgent ones first."""

    __slots__ = ("_bound",)

    def __init__(self, bound: MailboxBound) -> None:
        super().__init__()
        self._bound = bound

    def append(self, item: Item, /) -> None:
        """Queue *item* at the end; an urgent one ahead of all that are not."""
        if is_urgent(item):
            place = next((at for at, other in enumerate(self) if not is_urgent(other)), len(self))
            self.insert(place, item)
            return
        if not is_control(item):
            self._bound.count += 1
            self._bound.bytes += weigh_item(item)
        super().append(item)

    def popleft(self) -> Item:
        """Remove and return the first item, which may unblock a sender."""
        item = super().popleft()
        self._bound.note_taken(item)
        return item

    def extend(self, items: Iterable[Item], /) -> None:
        """Queue each of *items* as `append` does."""
        for item in items:
            self.append(item)

    def extendleft(self, items: Iterable[Item], /) -> None:
        """Insert *items*, none of them urgent, one by one behind the urgent ones."""
        place = next((at for at, other in enumerate(self) if not is_urgent(other)), len(self))
        for item in items:
            self._bound.count += 1
            self._bound.bytes += weigh_item(item)
            self.insert(place, item)

    def clear(self) -> None:
        """Remove all items."""
        while self:
            self.popleft()

    def pop_oldest(self) -> Item | None:
        """Remove and return the oldest item that is not a control event, if any."""
        for at, item in enumerate(self):
            if not is_control(item):
                del self[at]
                self._bound.note_taken(item)
                return item
        return None


def limit_mailbox(manager: ProcessManager, record: ProcessRecord, limit: object) -> None:
    """Apply *limit* to the mailbox of a process that is about to be spawned.

    It also disables the fast path of delivery, so that every event is checked.

    Args:
        manager: the process manager of the runtime.
        record: the record of the process.
        limit: the value of `Process.mailbox_limit`.

    Raises:
        InvalidArgument: *limit* is not a `MailboxLimit`.
    """
    if not isinstance(limit, MailboxLimit):
        raise InvalidArgument(
            f"expected {type(record.process).__name__}.mailbox_limit to be a MailboxLimit, got {limit!r}"
        )
    if record.context is None:  # otherwise it was spawned before, and the spawn will be refused
        record.bound = MailboxBound(limit, manager.max_events, manager.quota.max_mailbox_bytes)
        record.byte_mark, record.max_events = NOTHING_FITS, 0


def make_queue(record: ProcessRecord) -> LimitedDeque | None:
    """Return the queue for the mailbox of *record* if it has a limit, else None for the default."""
    return None if record.bound is None else LimitedDeque(record.bound)


class RoomWaiter:
    """A sender that is blocked by a full mailbox."""

    __slots__ = ("is_late", "woken")

    def __init__(self) -> None:
        self.woken = WakeUp()
        self.is_late = False

    def time_out(self) -> None:
        """End the wait without success."""
        self.is_late = True
        self.woken.set()


def is_control(item: Item) -> bool:
    """Return whether *item* is a control event of the runtime, which is never refused."""
    return item.__class__ is not Message and isinstance(item, Event) and item.content is None


def is_urgent(item: Item) -> bool:
    """Return whether *item* goes ahead of queued events."""
    if item.__class__ is Message:
        return False
    return isinstance(item, ExitedEvent) or (isinstance(item, TerminateEvent) and item.inject)


def has_room(record: ProcessRecord, item: Item) -> bool:
    """Return whether *item* may be queued beyond the fast path's bound of *record*.

    Args:
        record: the record of a process whose mailbox is full or has a `MailboxLimit`.
        item: the event.
    """
    if record.bound is None:
        return isinstance(item, (ExitedEvent, TerminateEvent, ControlCall))
    return is_control(item) or record.bound.admits(item)


def make_room(
    manager: ProcessManager, record: ProcessRecord, item: Item, *, may_wait: bool = False
) -> Delivery | None:
    """Apply the overflow policy of *record*, which has a limit, to an event.

    Returns None if there is room for it now; otherwise the event was dropped and reported, and the
    result is the outcome for its sender.

    Args:
        manager: the process manager of the runtime.
        record: the record of the receiver.
        item: the event.
        may_wait: whether the caller may be blocked.
    """
    bound = record.bound
    assert bound is not None
    if bound.admits(item) and not (may_wait and bound.waiters):
        return None
    policy = bound.limit.when_full
    manager.observer.mailbox_full(record.pid, policy)
    if policy == "drop_oldest":
        _drop_oldest(manager, record, bound, item)
        if bound.admits(item):
            return None
    elif policy == "block" and may_wait and _wait_for_room(manager, record, bound, item):
        if bound.is_closed and isinstance(item, Message):
            return manager.deliver(item, may_wait=True)  # to the successor with that id, if any
        return None
    is_accepted = policy == "drop_newest" and isinstance(item, Message)
    drop_item(manager, record, item, is_refused=not (is_accepted or may_wait))
    return ACCEPTED if is_accepted else FULL


def drop_item(
    manager: ProcessManager, record: ProcessRecord, item: Item, *, is_refused: bool = False
) -> None:
    """Drop and report an event that does not fit, and fail the future that waits for it.

    Args:
        manager: the process manager of the runtime.
        record: the record of the receiver.
        item: the event.
        is_refused: whether a remote sender is answered 503, and may retry.
    """
    manager.quota.count_refused(weigh_item(item))
    if isinstance(item, Message):
        drop_message(manager, item, MAILBOX_FULL, NO_ROOM, is_refused=is_refused)
        return
    manager.observer.event_dropped(record.pid, item, NO_SENDER, MAILBOX_FULL)
    try:
        if isinstance(item, HttpEvent):
            item.promise.set(ServiceUnavailable())
        else:
            item.drop(f"the mailbox of process {record.pid} is full")
    except FAILURES:
        log_failure(logger, "what follows the drop of %r failed", item)


def _drop_oldest(
    manager: ProcessManager, record: ProcessRecord, bound: MailboxBound, item: Item
) -> None:
    while not bound.admits(item) and isinstance(record.events, LimitedDeque):
        oldest = record.events.pop_oldest()
        if oldest is None:
            return
        drop_item(manager, record, oldest)


def _wait_for_room(
    manager: ProcessManager, record: ProcessRecord, bound: MailboxBound, item: Item
) -> bool:
    """Block until there is room for *item*; return False after the timeout.

    The result is also True if the process has ended: `enqueue` then determines the outcome.
    """
    current = getcurrent()
    if current is manager.hub or current is record.greenlet:
        return False  # neither the hub nor the receiver itself can block
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
        drop_item(manager, record, item)
        raise
    finally:
        timer.cancel()
        bound.waiters.remove(waiter)
        bound.wake()
