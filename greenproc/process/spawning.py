"""Starting a process: the checks, its context, and its place in the runtime."""

from __future__ import annotations

import logging
from contextvars import copy_context
from typing import TYPE_CHECKING, TypeVar

from greenproc.checks import refuse_to_spawn
from greenproc.current import RUNTIME
from greenproc.errors import InvalidArgument
from greenproc.pid import PID
from greenproc.process.base import Process, record_of
from greenproc.process.current import PROCESS, current_process
from greenproc.process.flow import limit_mailbox
from greenproc.process.record import TERMINATING, ProcessRecord

if TYPE_CHECKING:
    from greenproc.process.manager import ProcessManager

P = TypeVar("P", bound=Process)

logger = logging.getLogger("greenproc.process")


def spawn_process(manager: ProcessManager, process: P) -> PID[P]:
    """Start *process*. See `Runtime.spawn`."""
    if not isinstance(process, Process):
        refuse_to_spawn(process)
    try:
        record = record_of(process)
    except AttributeError:
        raise InvalidArgument(
            f"{type(process).__name__}.__init__ must call super().__init__()"
        ) from None
    manager.check_thread("spawn")
    manager.bind(record)
    if process.mailbox_limit is not None:
        limit_mailbox(manager, record, process.mailbox_limit)
    refusal = reason_to_refuse(manager, record)
    if refusal is not None:
        logger.warning("not spawning %s: %s", record.pid, refusal)
        return PID()
    manager.gaps.hand_over(record)
    record.context = copy_context()
    record.context.run(_enter, manager, process)
    if manager.clock.paused:
        manager.clock.order(current_process(), process)
    manager.records[record.pid.id] = record
    try:
        manager.scheduler.schedule(record)
    except BaseException:  # a signal handler's
        if record not in manager.scheduler.ready:
            del manager.records[record.pid.id]
        raise
    manager.observer.process_spawned(record.pid)
    return record.pid


def reason_to_refuse(manager: ProcessManager, record: ProcessRecord) -> str | None:
    """Return why the process of *record*, which is bound, cannot be spawned; None if it can."""
    if not manager.accepting:
        return "the runtime has stopped" if manager.is_over else "the runtime is stopping"
    if record.context is not None or record.state is TERMINATING:
        return "it was spawned before; make a new process"
    if record.id in manager.records:
        return "a running process has that id"
    if manager.gaps.is_kept_from(record):
        return "a process with that id is being restarted"
    return None


def _enter(manager: ProcessManager, process: Process) -> None:
    RUNTIME.set(manager.runtime)
    PROCESS.set(process)
