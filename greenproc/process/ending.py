"""The end of a process: it is taken out of everything, whatever fails meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gevent.hub import Hub
from greenlet import GreenletExit

from greenproc.failures import FAILURES, log_failure
from greenproc.pid import UPID
from greenproc.process.cell import NOTHING_FITS, TERMINATING, Cell
from greenproc.process.ended import why_unserved
from greenproc.process.interrupts import raise_in_main
from greenproc.process.postponed import restore

if TYPE_CHECKING:
    from greenproc.process.manager import ProcessManager

logger = logging.getLogger("greenproc.process")


def attempt(hub: Hub, pid: UPID, step: Callable[..., object], *args: Any) -> None:
    """Make one *step* of what ends the process *pid*; the steps after it are made whatever it raises.

    A step calls callbacks of futures and receivers of signals, which may raise, and may wait, so
    that something is thrown into them. A kill needs no more: what it ends is ending.
    """
    try:
        step(*args)
    except GreenletExit:
        logger.debug("process %s was killed while it ended", pid)
    except FAILURES:
        log_failure(logger, "what follows the end of process %s failed", pid)
    except BaseException as error:
        raise_in_main(hub, error)


def clean_up(manager: ProcessManager, cell: Cell) -> None:
    """Take an ended process out of everything, in the order that libprocess keeps.

    From the first step on every event is refused, so that what the dropping of the old ones sets
    off cannot reach a successor with the same id. Calling it again makes the steps that are left.
    """
    process, pid, hub = cell.process, cell.pid, manager.hub
    if process is None:
        return
    if cell.state is not TERMINATING:
        restore(cell)
        manager.ending += 1
        cell.state = TERMINATING
        cell.byte_mark = NOTHING_FITS
    drop_queued(manager, cell)
    if cell.bound is not None:
        cell.bound.close()
    if cell.routes is not None and cell.routes.line is not None:
        attempt(hub, pid, cell.routes.line.close)
    while cell.routes is not None and cell.routes.connections:
        attempt(hub, pid, cell.routes.connections.popitem()[0].process_ended)
    if manager.cells.get(pid.id) is cell:
        manager.served_by_ended += cell.served
        del manager.cells[pid.id]
        manager.ended.remember(cell)
    attempt(hub, pid, manager.asks.end_of_process, cell)
    linkers = manager.linking.end(cell)
    report_end(hub, cell)
    for linker in linkers:
        attempt(hub, pid, manager.linking.tell_end, linker, cell)
    manager.clock.forget(process)
    cell.process = cell.greenlet = cell.mailbox = cell.events = None
    manager.quota.forget(cell)
    cell.handlers = cell.delegates = cell.routes = cell.context = cell.message = None
    manager.ending -= 1
    manager.scheduler.busy -= 1
    if cell.gate is not None:
        cell.gate.set()
    reason_of_end, cell.reason = cell.reason, None  # its traceback holds the record
    attempt(hub, pid, manager.observer.process_terminated, pid, reason_of_end)


def drop_queued(manager: ProcessManager, cell: Cell) -> None:
    """Drop what the process of *cell* has not served, but for what its next incarnation serves."""
    if cell.supervised is not None:
        attempt(manager.hub, cell.pid, cell.supervised.hold)
    reason = why_unserved(cell) if cell.events else None
    while cell.events:
        attempt(manager.hub, cell.pid, manager.life.discard, cell, cell.events.popleft(), reason)


def report_end(hub: Hub, cell: Cell) -> None:
    """Tell the supervisor of the process of *cell*, and its children, that it is over.

    The supervisor knows it before it gets the `ExitedEvent`: what follows may wait.
    """
    if cell.supervising is not None:
        attempt(hub, cell.pid, cell.supervising.ended)
    if cell.supervised is not None:
        attempt(hub, cell.pid, cell.supervised.ended, cell.reason)
    cell.supervised = cell.supervising = None


def rescue(manager: ProcessManager, cell: Cell, error: BaseException) -> None:
    """Make the record of the running process of *cell* whole after *error* came out of any line.

    What a signal handler raised goes to the main greenlet, and the process goes on. Anything else
    is a fault of the runtime or a kill: the process ends, as it would otherwise be there for ever.
    """
    manager.scheduler.recount(cell, manager.cells.values(), manager.ending)
    if isinstance(error, manager.hub.SYSTEM_ERROR):
        raise_in_main(manager.hub, error)
        if cell.state is not TERMINATING:
            return
    elif not isinstance(error, GreenletExit):
        log_failure(logger, "process %s ends by an error in the runtime", cell.pid, error=error)
    if cell.reason is None:
        cell.reason = error
    clean_up(manager, cell)
