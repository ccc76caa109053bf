"""What must be true of the processes of a runtime whenever one of them begins or ends a turn.

For tests: the scheduler counts and flags what could be looked up, since that is what makes it
fast, and a difference between the two shows up late, as a process that is never served again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from greenproc.process.cell import BLOCKED, BOTTOM, READY, TERMINATING, Cell

if TYPE_CHECKING:
    from greenproc.process.manager import ProcessManager


def check_invariants(manager: ProcessManager) -> None:
    """Raise unless all the states of *manager*'s processes agree.

    Raises:
        AssertionError: they do not; the message names each difference.
    """
    found = [*_check_scheduler(manager), *_check_cells(manager)]
    assert not found, "the states of processes do not agree:\n" + "\n".join(found)


def _check_scheduler(manager: ProcessManager) -> Iterator[str]:
    scheduler, cells = manager.scheduler, list(manager.cells.values())
    queued = set(scheduler.ready)
    if len(queued) != len(scheduler.ready):
        yield "- a process is in the run queue twice"
    if queued - set(cells):
        yield f"- in the run queue is what is not running: {queued - set(cells)}"
    if scheduler.ready and not scheduler.will_run:
        yield f"- nobody is going to run the queue of {len(queued)}"
    if scheduler.scheduled and not scheduler.will_run:
        yield "- the queue counts as scheduled, but neither callback nor timer is pending"
    busy = sum(cell.state in (BOTTOM, READY) for cell in cells) + manager.ending
    if scheduler.busy != busy:
        yield f"- {scheduler.busy} processes count as busy, and {busy} are"
    parked = sum(_is_parked(cell, queued) for cell in cells)
    if scheduler.parked != parked:
        yield f"- {scheduler.parked} greenlets count as parked, and {parked} are"


def _check_cells(manager: ProcessManager) -> Iterator[str]:
    queued = set(manager.scheduler.ready)
    for cell in manager.cells.values():
        alive = cell.greenlet is not None and not cell.greenlet.dead
        if cell.state is BLOCKED and cell in queued:
            yield f"- {cell} is blocked and in the run queue"
        if cell.state is BLOCKED and cell.events:
            yield f"- {cell} is blocked and has events"
        if cell.state in (BOTTOM, READY) and cell not in queued and not alive:
            yield f"- {cell} is ready, but neither queued nor running"
        if cell.greenlet is not None and not alive:
            yield f"- {cell} has a greenlet that is over"
        if cell.state is not TERMINATING and cell.process is None:
            yield f"- {cell} has no process"
        if (cell.mailbox is None) != (cell.events is None):
            yield f"- {cell} has half a mailbox"


def _is_parked(cell: Cell, queued: set[Cell]) -> bool:
    return cell.greenlet is not None and (cell.state is BLOCKED or cell in queued)
