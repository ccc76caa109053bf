"""RestartGaps: the time between two incarnations of a supervised process, and the events of that time."""

from __future__ import annotations

from functools import partial
from types import MethodType
from typing import TYPE_CHECKING

from greenproc.message import Message
from greenproc.process.event import DispatchEvent, HttpEvent, MessageEvent, is_exactly
from greenproc.process.flow import limit_mailbox
from greenproc.process.mailbox import Item
from greenproc.process.record import TERMINATING, ProcessRecord

if TYPE_CHECKING:
    from greenproc.process.manager import ProcessManager


class RestartGap:
    """The time in which a process is being restarted.

    Args:
        owner: the child record of its supervisor.
        holder: queues events for the next incarnation, within the usual mailbox bounds. None drops
            messages and answers requests with 503.
    """

    __slots__ = ("holder", "owner")

    def __init__(self, owner: object, holder: ProcessRecord | None) -> None:
        self.owner = owner
        self.holder = holder


class RestartGaps:
    """The gaps of one runtime, by process id."""

    def __init__(self, manager: ProcessManager) -> None:
        self._manager = manager
        self._gaps: dict[str, RestartGap] = {}

    def __contains__(self, id: object) -> bool:
        return id in self._gaps

    def __len__(self) -> int:
        return len(self._gaps)

    def find_holder(self, id: str) -> ProcessRecord | None:
        """Return the record that queues events for the process *id*, or None."""
        gap = self._gaps.get(id)
        return None if gap is None else gap.holder

    def is_kept_from(self, record: ProcessRecord) -> bool:
        """Return whether the id of *record* is reserved for another process."""
        gap = self._gaps.get(record.id) if self._gaps and record.id is not None else None
        if gap is None or gap.holder is None:
            return False
        return record.supervised is None or record.supervised.owner is not gap.owner

    def open(self, record: ProcessRecord, owner: object, *, keeps: bool) -> ProcessRecord | None:
        """Open the gap after the process of *record*, and return its holder.

        Args:
            record: the record of the process that ends.
            owner: the child record of its supervisor.
            keeps: whether events are kept; otherwise there is no holder.
        """
        id = record.pid.id
        gap = self._gaps.get(id)
        if gap is None or gap.owner is not owner:
            holder = None
            if keeps:
                holder = ProcessRecord(None, id)
                self._manager.bind(holder)
                if record.bound is not None:
                    limit_mailbox(self._manager, holder, record.bound.limit)
            gap = self._gaps[id] = RestartGap(owner, holder)
        return gap.holder

    def close(self, id: str, owner: object) -> None:
        """Close a gap without a next incarnation, and drop the events in it.

        Args:
            id: the id of the process.
            owner: the child record that opened the gap; a gap of another owner stays open.
        """
        holder = self._take(id, owner)
        while holder is not None and holder.events:
            reason = f"process {holder.pid} was not restarted"
            self._manager.runner.discard(holder, holder.events.popleft(), reason)

    def hand_over(self, record: ProcessRecord) -> None:
        """Close the gap and move its events to the mailbox of *record*, the next incarnation."""
        supervised = record.supervised
        holder = None if supervised is None else self._take(record.pid.id, supervised.owner)
        if holder is not None and holder.events:
            move(holder, record)
            self._manager.asks.follow(holder, record)

    def _take(self, id: str, owner: object) -> ProcessRecord | None:
        """Remove the gap of *owner* and return its holder, which accepts no further events."""
        gap = self._gaps.get(id)
        if gap is None or gap.owner is not owner:
            return None
        del self._gaps[id]
        holder = gap.holder
        if holder is None:
            return None
        holder.state = TERMINATING
        self._manager.quota.forget(holder)
        if holder.bound is not None:
            holder.bound.close()  # blocked senders deliver to the next process
        return holder


def move(source: ProcessRecord, target: ProcessRecord) -> None:
    """Move the events that a successor can serve.

    Args:
        source: the record with the events; those that cannot be moved stay there.
        target: the record whose mailbox they are appended to.
    """
    items = source.events
    assert items is not None and target.manager is not None
    kept = [item for item in items if is_movable(item, source)]
    others = [item for item in items if not is_movable(item, source)]
    items.clear()
    items.extend(others)
    if kept:
        target.manager.open_mailbox(target).queue.extend(kept)
        target.queued_bytes += source.queued_bytes


def is_movable(item: Item, source: ProcessRecord) -> bool:
    """Return whether a successor of the process can serve an event.

    Exits, terminates, calls without a future, such as those of timers, and methods bound to the
    ended object belong to one incarnation and are not moved.

    Args:
        item: the event.
        source: the record of the process that ends.
    """
    if isinstance(item, (Message, MessageEvent, HttpEvent)):
        return True
    if not is_exactly(item, DispatchEvent) or item.promise is None:
        return False
    method = item.method
    while isinstance(method, partial):
        method = method.func
    is_bound = isinstance(method, MethodType) and method.__self__ is source.process
    return not (is_bound and source.process is not None)
