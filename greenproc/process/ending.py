"""Clean-up of an ended process: each step runs, whatever the step before raised."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gevent.hub import Hub
from greenlet import GreenletExit

from greenproc.failures import FAILURES, log_failure
from greenproc.pid import UPID
from greenproc.process.ended import why_unserved
from greenproc.process.interrupts import raise_in_main
from greenproc.process.postponed import restore
from greenproc.process.record import NOTHING_FITS, TERMINATING, ProcessRecord

if TYPE_CHECKING:
    from greenproc.process.manager import ProcessManager

logger = logging.getLogger("greenproc.process")


def attempt(hub: Hub, pid: UPID, step: Callable[..., object], *args: Any) -> None:
    """Run one *step* of the clean-up of process *pid*, and log its error, so that the next step runs.

    A step calls callbacks of futures and receivers of signals. These may raise; they may also wait,
    and an exception may be thrown into the wait. A kill has no further effect: the process is ending.

    Args:
        hub: the hub of the runtime.
        pid: the address of the process, for the log.
        step: the function to call.
        args: its arguments.
    """
    try:
        step(*args)
    except GreenletExit:
        logger.debug("process %s was killed while it ended", pid)
    except FAILURES:
        log_failure(logger, "what follows the end of process %s failed", pid)
    except BaseException as error:
        raise_in_main(hub, error)


def clean_up(manager: ProcessManager, record: ProcessRecord) -> None:
    """Remove an ended process from the runtime, in the order of libprocess.

    Every event is refused from the first step on, so that callbacks of dropped events cannot send to
    a successor with the same id. A second call runs the steps that are left.
    """
    process, pid, hub = record.process, record.pid, manager.hub
    if process is None:
        return
    if record.state is not TERMINATING:
        restore(record)
        manager.ending += 1
        record.state = TERMINATING
        record.byte_mark = NOTHING_FITS
    drop_queued(manager, record)
    if record.bound is not None:
        record.bound.close()
    if record.routes is not None and record.routes.auth_queue is not None:
        attempt(hub, pid, record.routes.auth_queue.close)
    while record.routes is not None and record.routes.connections:
        attempt(hub, pid, record.routes.connections.popitem()[0].process_ended)
    if manager.records.get(pid.id) is record:
        manager.served_by_ended += record.served
        del manager.records[pid.id]
        manager.ended.remember(record)
    attempt(hub, pid, manager.asks.end_of_process, record)
    linkers = manager.linking.end(record)
    report_end(hub, record)
    for linker in linkers:
        attempt(hub, pid, manager.linking.tell_end, linker, record)
    manager.clock.forget(process)
    record.process = record.greenlet = record.mailbox = record.events = None
    manager.quota.forget(record)
    record.handlers = record.delegates = record.routes = record.context = record.message = None
    manager.ending -= 1
    manager.scheduler.count_ended()
    if record.gate is not None:
        record.gate.set()
    reason_of_end, record.reason = record.reason, None  # its traceback holds the record
    attempt(hub, pid, manager.observer.process_terminated, pid, reason_of_end)


def drop_queued(manager: ProcessManager, record: ProcessRecord) -> None:
    """Drop the queued events of *record*, except those that its next incarnation serves."""
    if record.supervised is not None:
        attempt(manager.hub, record.pid, record.supervised.hold)
    reason = why_unserved(record) if record.events else None
    while record.events:
        attempt(
            manager.hub,
            record.pid,
            manager.runner.discard,
            record,
            record.events.popleft(),
            reason,
        )


def report_end(hub: Hub, record: ProcessRecord) -> None:
    """Report the end of the process of *record* to its supervisor, and to its children.

    The report precedes the `ExitedEvent`, because the steps in between may wait.
    """
    if record.supervising is not None:
        attempt(hub, record.pid, record.supervising.ended)
    if record.supervised is not None:
        attempt(hub, record.pid, record.supervised.ended, record.reason)
    record.supervised = record.supervising = None


def rescue(manager: ProcessManager, record: ProcessRecord, error: BaseException) -> None:
    """Repair the state of *record*, whose greenlet runs, after *error* came out of any line.

    The exception of a signal handler is raised in the main greenlet, and the process lives on. Any
    other one is a fault of the runtime or a kill: the process ends, because its greenlet has ended
    and no other would serve the mailbox.

    Args:
        manager: the process manager of the runtime.
        record: the record of the process.
        error: the exception.
    """
    manager.scheduler.recount(record, manager.records.values(), manager.ending)
    if isinstance(error, manager.hub.SYSTEM_ERROR):
        raise_in_main(manager.hub, error)
        if record.state is not TERMINATING:
            return
    elif not isinstance(error, GreenletExit):
        log_failure(logger, "process %s ends by an error in the runtime", record.pid, error=error)
    if record.reason is None:
        record.reason = error
    clean_up(manager, record)
