"""Detection of deadlocks: cycles of processes that wait for each other, when one closes.

A wait counts if only another process can end it: for the future of a dispatch, for the answer to an
ask whose message is still queued or being handled, or, without a limit, for the end of a process.
"""

from __future__ import annotations

import itertools
from typing import Any

from gevent.event import Event as Gate
from greenlet import getcurrent, greenlet

from greenproc.errors import Deadlock
from greenproc.future.state import is_open
from greenproc.message import Message
from greenproc.process.asking import AskFuture
from greenproc.process.base import Process
from greenproc.process.event import DispatchFuture
from greenproc.process.record import TERMINATING, ProcessRecord

MAX_NAMED = 5  # processes of a circle in one message


class WaitingGreenlet(greenlet):
    """The greenlet of a process, with the object that it waits for without a limit."""

    record: ProcessRecord
    waits_for: Any = None
    """A future, or the record of a process that is to end; None when it is neither."""

    def begin_wait(self, what: Any) -> None:
        """Note that the process is going to wait for *what*; `end_wait` must follow.

        Raises:
            Deadlock: *what* will not happen before this process goes on.
        """
        circle = find_circle(self.record, what)
        if circle:
            raise Deadlock(_describe(circle, what))
        self.waits_for = what

    def end_wait(self) -> None:
        """Note that the process waits no more."""
        self.waits_for = None


def wait_for_end(record: ProcessRecord) -> None:
    """Wait for the end of the process of *record*.

    Raises:
        Deadlock: that end will not come before what is running here goes on.
    """
    gate = record.gate
    if gate is None:
        gate = record.gate = Gate()
    here = getcurrent()
    if not isinstance(here, WaitingGreenlet):
        gate.wait()
        return
    here.begin_wait(record)
    try:
        gate.wait()
    finally:
        here.end_wait()


def check_own_end(record: ProcessRecord | None) -> None:
    """Raise when the process of *record* is what is running here.

    Raises:
        Deadlock: it is, so its end would be waited for in vain.
    """
    if record is not None and getcurrent() is record.greenlet:
        raise Deadlock(_describe([record], record))


def find_circle(record: ProcessRecord, what: Any) -> list[ProcessRecord]:
    """Return the processes, *record* first, each of which waits for the next, if they are a circle.

    Args:
        what: the future or the record of a process that *record* is going to wait for.
    """
    chain = [record]
    while True:
        owner = _find_owner(what)
        if owner is None or owner in chain[1:]:
            return []
        following = None if owner is record else getattr(owner.greenlet, "waits_for", None)
        if owner is not record and following is None:
            return []
        if isinstance(what, AskFuture) and not _owes(owner, what):
            return []
        if owner is record:
            return chain
        chain.append(owner)
        what = following


def _find_owner(what: Any) -> ProcessRecord | None:
    """Return the process that has to go on for *what* to happen."""
    owner = None
    if isinstance(what, ProcessRecord):
        owner = what
    elif isinstance(what, DispatchFuture) and is_open(what):  # not when it follows another future
        owner = what.target
    elif isinstance(what, AskFuture) and is_open(what) and isinstance(what.target, ProcessRecord):
        return what.target
    if owner is None or owner.state is TERMINATING:
        return None
    # A process that serves dispatches in its own way may answer them from elsewhere.
    return owner if owner is what or _serves_plainly(owner) else None


def _owes(record: ProcessRecord, ask: AskFuture[Any]) -> bool:
    """Whether the process of *record* has to go on before the answer to *ask* can come.

    So it is as long as the message is queued or postponed. While its handler runs, that could have let another
    process answer; then it is not expected to wait itself. Looks at the whole mailbox.
    """
    is_served = record.message is not None and record.message.sender.id == ask.id
    postponed = () if record.postponed is None else record.postponed.messages
    return is_served or any(
        isinstance(item, Message) and item.sender.id == ask.id
        for item in itertools.chain(record.events or (), postponed)
    )


def _serves_plainly(record: ProcessRecord) -> bool:
    assert record.process is not None
    kind = type(record.process)
    return kind.serve is Process.serve and kind.consume_dispatch is Process.consume_dispatch


def _describe(circle: list[ProcessRecord], what: Any) -> str:
    end = isinstance(what, ProcessRecord)
    if len(circle) > 1:
        named = " -> ".join(str(record.pid) for record in [*circle[:MAX_NAMED], circle[0]])
        return f"processes wait for each other: {named}; use then() instead of waiting"
    if end:
        return f"{circle[0].pid} waits for its own end: terminate() and return instead"
    kind = "an answer of" if isinstance(what, AskFuture) else "a dispatch to"
    return (
        f"{circle[0].pid} waits for {kind} itself, which it can serve only after the event "
        "that it is serving: call the method, or use then()"
    )
