"""What waits for supervised processes between the end of one incarnation and the next one."""

from __future__ import annotations

from functools import partial
from types import MethodType
from typing import TYPE_CHECKING

from greenproc.message import Message
from greenproc.process.cell import TERMINATING, Cell
from greenproc.process.event import DispatchEvent, HttpEvent, MessageEvent, is_exactly
from greenproc.process.flow import limit_mailbox
from greenproc.process.mailbox import Item

if TYPE_CHECKING:
    from greenproc.process.manager import ProcessManager


class Gap:
    """The time in which a process is being restarted; *owner* is the child of its supervisor.

    A *holder* queues events for the next incarnation, within the bounds of any mailbox. Without
    one, messages are dropped and requests are answered 503.
    """

    __slots__ = ("holder", "owner")

    def __init__(self, owner: object, holder: Cell | None) -> None:
        self.owner = owner
        self.holder = holder


class Gaps:
    """The gaps of one runtime, by the id of the process that is being restarted."""

    def __init__(self, manager: ProcessManager) -> None:
        self._manager = manager
        self._gaps: dict[str, Gap] = {}

    def __contains__(self, id: object) -> bool:
        return id in self._gaps

    def __len__(self) -> int:
        return len(self._gaps)

    def find_holder(self, id: str) -> Cell | None:
        """Return the record that queues events for the process *id*; None if none are kept."""
        gap = self._gaps.get(id)
        return None if gap is None else gap.holder

    def is_kept_from(self, cell: Cell) -> bool:
        """Return whether the id of *cell* is kept for another process than that of *cell*."""
        gap = self._gaps.get(cell.id) if self._gaps and cell.id is not None else None
        if gap is None or gap.holder is None:
            return False
        return cell.supervised is None or cell.supervised.owner is not gap.owner

    def open(self, cell: Cell, owner: object, *, keeps: bool) -> Cell | None:
        """Open a gap for the process of *cell*; return what holds its events if it *keeps* them."""
        id = cell.pid.id
        gap = self._gaps.get(id)
        if gap is None or gap.owner is not owner:
            holder = None
            if keeps:
                holder = Cell(None, id)
                self._manager.bind(holder)
                if cell.bound is not None:
                    limit_mailbox(self._manager, holder, cell.bound.limit)
            gap = self._gaps[id] = Gap(owner, holder)
        return gap.holder

    def close(self, id: str, owner: object) -> None:
        """Close the gap, if *owner* has opened it, and drop what was held."""
        holder = self._take(id, owner)
        while holder is not None and holder.events:
            reason = f"process {holder.pid} was not restarted"
            self._manager.life.discard(holder, holder.events.popleft(), reason)

    def hand_over(self, cell: Cell) -> None:
        """Close the gap and put what was held into the mailbox of *cell*, the next incarnation."""
        supervised = cell.supervised
        holder = None if supervised is None else self._take(cell.pid.id, supervised.owner)
        if holder is not None and holder.events:
            move(holder, cell)

    def _take(self, id: str, owner: object) -> Cell | None:
        """Forget the gap of *owner*, and return what held events in it, which takes no more."""
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
            holder.bound.close()  # what waits for room goes to the next process
        return holder


def move(source: Cell, target: Cell) -> None:
    """Append what can be served by another process than that of *source* to *target*."""
    items = source.events
    assert items is not None and target.manager is not None
    kept = [item for item in items if is_movable(item, source)]
    others = [item for item in items if not is_movable(item, source)]
    items.clear()
    items.extend(others)
    if kept:
        target.manager.open_mailbox(target).queue.extend(kept)
        target.queued_bytes += source.queued_bytes


def is_movable(item: Item, source: Cell) -> bool:
    """Return whether a successor of the process of *source* can serve *item*.

    Exits and terminates are of one incarnation, and so is what nothing waits for, such as the call
    of a timer, and a call that is bound to the object that ended.
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
