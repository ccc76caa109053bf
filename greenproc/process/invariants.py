"""What must be true of the processes of a runtime whenever one of them begins or ends a turn.

For tests: the scheduler counts and flags what could be looked up, since that is what makes it
fast, and a difference between the two shows up late, as a process that is never served again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from greenproc.process.record import BLOCKED, BOTTOM, READY, TERMINATING, ProcessRecord

if TYPE_CHECKING:
    from greenproc.process.manager import ProcessManager


def check_invariants(manager: ProcessManager) -> None:
    """Raise unless all the states of *manager*'s processes agree.

    Raises:
        AssertionError: they do not; the message names each difference.
    """
    found = [*_check_scheduler(manager), *_check_records(manager)]
    assert not found, "the states of processes do not agree:\n" + "\n".join(found)


def _check_scheduler(manager: ProcessManager) -> Iterator[str]:
    scheduler, records = manager.scheduler, list(manager.records.values())
    queued = set(scheduler.ready)
    if len(queued) != len(scheduler.ready):
        yield "- a process is in the run queue twice"
    if queued - set(records):
        yield f"- in the run queue is what is not running: {queued - set(records)}"
    if scheduler.ready and not scheduler.will_run:
        yield f"- no callback will run the queue of {len(queued)}"
    if scheduler.scheduled and not scheduler.will_run:
        yield "- the queue counts as scheduled, but neither callback nor timer is pending"
    busy = sum(record.state in (BOTTOM, READY) for record in records) + manager.ending
    if scheduler.busy != busy:
        yield f"- {scheduler.busy} processes count as busy, and {busy} are"
    parked = sum(_is_parked(record, queued) for record in records)
    if scheduler.parked != parked:
        yield f"- {scheduler.parked} greenlets count as parked, and {parked} are"


def _check_records(manager: ProcessManager) -> Iterator[str]:
    queued = set(manager.scheduler.ready)
    for record in manager.records.values():
        alive = record.greenlet is not None and not record.greenlet.dead
        if record.state is BLOCKED and record in queued:
            yield f"- {record} is blocked and in the run queue"
        if record.state is BLOCKED and record.events:
            yield f"- {record} is blocked and has events"
        if record.state in (BOTTOM, READY) and record not in queued and not alive:
            yield f"- {record} is ready, but neither queued nor running"
        if record.greenlet is not None and not alive:
            yield f"- {record} has a greenlet that is over"
        if record.state is not TERMINATING and record.process is None:
            yield f"- {record} has no process"
        if (record.mailbox is None) != (record.events is None):
            yield f"- {record} has half a mailbox"


def _is_parked(record: ProcessRecord, queued: set[ProcessRecord]) -> bool:
    return record.greenlet is not None and (record.state is BLOCKED or record in queued)
