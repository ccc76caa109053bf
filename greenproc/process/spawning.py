"""Starting a process: the checks, its context, and its place in the runtime."""

from __future__ import annotations

import logging
from contextvars import copy_context
from typing import TYPE_CHECKING, TypeVar

from greenproc.checks import refuse_to_spawn
from greenproc.current import RUNTIME
from greenproc.errors import InvalidArgument
from greenproc.pid import PID
from greenproc.process.base import Process, cell_of
from greenproc.process.cell import TERMINATING, Cell
from greenproc.process.current import PROCESS, current_process
from greenproc.process.flow import limit_mailbox

if TYPE_CHECKING:
    from greenproc.process.manager import ProcessManager

P = TypeVar("P", bound=Process)

logger = logging.getLogger("greenproc.process")


def spawn_process(manager: ProcessManager, process: P) -> PID[P]:
    """Start *process*. See `Runtime.spawn`."""
    if not isinstance(process, Process):
        refuse_to_spawn(process)
    try:
        cell = cell_of(process)
    except AttributeError:
        raise InvalidArgument(
            f"{type(process).__name__}.__init__ must call super().__init__()"
        ) from None
    manager.check_thread("spawn")
    manager.bind(cell)
    if process.mailbox_limit is not None:
        limit_mailbox(manager, cell, process.mailbox_limit)
    refusal = reason_to_refuse(manager, cell)
    if refusal is not None:
        logger.warning("not spawning %s: %s", cell.pid, refusal)
        return PID()
    manager.gaps.hand_over(cell)
    cell.context = copy_context()
    cell.context.run(_enter, manager, process)
    if manager.clock.paused:
        manager.clock.order(current_process(), process)
    manager.cells[cell.pid.id] = cell
    try:
        manager.scheduler.schedule(cell)
    except BaseException:  # a signal handler's
        if cell not in manager.scheduler.ready:
            del manager.cells[cell.pid.id]
        raise
    manager.observer.process_spawned(cell.pid)
    return cell.pid


def reason_to_refuse(manager: ProcessManager, cell: Cell) -> str | None:
    """Return why the process of *cell*, which is bound, cannot be spawned; None if it can."""
    if not manager.accepting:
        return "the runtime has stopped" if manager.is_over else "the runtime is stopping"
    if cell.context is not None or cell.state is TERMINATING:
        return "it was spawned before; make a new process"
    if cell.id in manager.cells:
        return "a running process has that id"
    if manager.gaps.is_kept_from(cell):
        return "a process with that id is being restarted"
    return None


def _enter(manager: ProcessManager, process: Process) -> None:
    RUNTIME.set(manager.runtime)
    PROCESS.set(process)
