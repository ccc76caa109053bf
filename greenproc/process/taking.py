"""Taking events out of the mailbox in the middle of a handler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gevent import Timeout
from gevent.queue import Empty
from greenlet import getcurrent

from greenproc.errors import StateError
from greenproc.process.event import TerminateEvent
from greenproc.process.mailbox import AskedToTerminate, Item
from greenproc.process.record import ProcessRecord

if TYPE_CHECKING:
    from greenproc.process.manager import ProcessManager


def take_item(
    manager: ProcessManager, record: ProcessRecord, block: bool, timeout: float | None
) -> Item:
    """Take the next item out of the mailbox of *record*. See `Mailbox.get`."""
    if getcurrent() is not record.greenlet:
        raise StateError(
            f"expected {record.pid} itself, in a handler, to take events out of its mailbox, which "
            "it would miss otherwise: use peek(), a filter or a queue of your own"
        )
    limit = Timeout(timeout if block else None)
    try:
        with limit:
            while True:
                while not record.events:
                    if not block:
                        raise Empty
                    manager.scheduler.wait_for_event(record)
                item = _take_next(manager, record)
                if item is not None:
                    return item
    except Timeout as raised:
        if raised is not limit:
            raise
        raise Empty from None


def _take_next(manager: ProcessManager, record: ProcessRecord) -> Item | None:
    """Take the first item out; return None if the event filter dropped it."""
    assert record.events is not None
    if record.injected or isinstance(record.events[0], TerminateEvent):
        raise AskedToTerminate(f"process {record.pid} is asked to terminate")
    item = record.events.popleft()
    record.served += 1
    runner = manager.runner
    if runner.looks_closely and runner.is_filtered(record, item):
        return None
    return item
