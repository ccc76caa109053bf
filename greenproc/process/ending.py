"""The end of a process: it is taken out of everything, whatever fails meanwhile."""

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


def clean_up(manager: ProcessManager, record: ProcessRecord) -> None:
    """Take an ended process out of everything, in the order that libprocess keeps.

    From the first step on every event is refused, so that what the dropping of the old ones sets
    off cannot reach a successor with the same id. Calling it again makes the steps that are left.
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
    """Drop what the process of *record* has not served, but for what its next incarnation serves."""
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
    """Tell the supervisor of the process of *record*, and its children, that it is over.

    The supervisor knows it before it gets the `ExitedEvent`: what follows may wait.
    """
    if record.supervising is not None:
        attempt(hub, record.pid, record.supervising.ended)
    if record.supervised is not None:
        attempt(hub, record.pid, record.supervised.ended, record.reason)
    record.supervised = record.supervising = None


def rescue(manager: ProcessManager, record: ProcessRecord, error: BaseException) -> None:
    """Make the record of the running process of *record* whole after *error* came out of any line.

    What a signal handler raised goes to the main greenlet, and the process goes on. Anything else
    is a fault of the runtime or a kill: the process ends, as it would otherwise be there for ever.
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
