"""Taking events out of the mailbox in the middle of a handler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gevent import Timeout
from gevent.queue import Empty
from greenlet import getcurrent

from greenproc.errors import StateError
from greenproc.process.cell import Cell
from greenproc.process.event import TerminateEvent
from greenproc.process.mailbox import AskedToTerminate, Item

if TYPE_CHECKING:
    from greenproc.process.manager import ProcessManager


def take_item(manager: ProcessManager, cell: Cell, block: bool, timeout: float | None) -> Item:
    """Take the next item out of the mailbox of *cell*. See `Mailbox.get`."""
    if getcurrent() is not cell.greenlet:
        raise StateError(
            f"expected {cell.pid} itself, in a handler, to take events out of its mailbox, which "
            "it would miss otherwise: use peek(), a filter or a queue of your own"
        )
    limit = Timeout(timeout if block else None)
    try:
        with limit:
            while True:
                while not cell.events:
                    if not block:
                        raise Empty
                    manager.scheduler.wait_for_event(cell)
                item = _take_next(manager, cell)
                if item is not None:
                    return item
    except Timeout as raised:
        if raised is not limit:
            raise
        raise Empty from None


def _take_next(manager: ProcessManager, cell: Cell) -> Item | None:
    """Take the first item out; return None if the event filter dropped it."""
    assert cell.events is not None
    if cell.injected or isinstance(cell.events[0], TerminateEvent):
        raise AskedToTerminate(f"process {cell.pid} is asked to terminate")
    item = cell.events.popleft()
    cell.served += 1
    life = manager.life
    if life.looks_closely and life.is_filtered(cell, item):
        return None
    return item
