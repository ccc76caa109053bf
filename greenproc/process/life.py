"""The life of a process: initialize, serve events, clean up.

Runs in the process' own greenlet, one turn at a time. What a turn may not do is wait for the next
event: that is the scheduler's part.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from gevent.hub import Hub
from greenlet import GreenletExit

from greenproc.message import Message
from greenproc.pid import UPID
from greenproc.process.base import Process, handle_message
from greenproc.process.cell import BOTTOM, READY, Cell
from greenproc.process.ended import why_unserved
from greenproc.process.event import Event, TerminateEvent
from greenproc.process.mailbox import Item, as_event, discard_until_terminate
from greenproc.process.ports import Observer

MAX_EVENTS_PER_TURN = 100  # then the next process has its turn

EventFilter = Callable[[UPID, Event], Any]
"""Called with the receiver and the event about to be served; true drops the event."""

logger = logging.getLogger("greenproc.process")


class Life:
    """Serves the events of processes and decides what a failing handler means.

    *end* asks a process to terminate because of an error; *on_end* is called once for each process
    when it is over, in its greenlet.

    Source: libprocess src/process.cpp, ProcessManager::resume.
    """

    def __init__(
        self,
        hub: Hub,
        observer: Observer,
        *,
        end: Callable[[Cell, BaseException], None],
        on_end: Callable[[Cell], None],
    ) -> None:
        self._hub = hub
        self._observer = observer
        self._end = end
        self._on_end = on_end
        self.filter: EventFilter | None = None

    def serve_turn(self, cell: Cell) -> bool:
        """Serve up to 100 events of *cell* and return whether the process lives on."""
        process = cell.process
        assert process is not None
        if cell.state is BOTTOM and not self._initialize(cell, process):
            self._on_end(cell)
            return False
        items = cell.events
        if not items:
            return True
        is_plain = process.serves_messages_plainly
        for serving in range(1, MAX_EVENTS_PER_TURN + 1):
            cell.serving = serving  # adding to a total for each event would slow a burst down
            item: Item | None = None
            try:
                if cell.injected:
                    discard_until_terminate(
                        items, partial(self.discard, reason=why_unserved(cell))
                    )
                item = items.popleft()
                if is_plain and item.__class__ is Message and self.filter is None:
                    handle_message(process, item)
                elif self.filter is None or not self._is_filtered(cell, item):
                    process.serve(as_event(item))
            except BaseException as error:
                self._fail(cell, process, None if item is None else as_event(item), error)
            if item.__class__ is TerminateEvent:
                cell.served += serving
                cell.serving = 0
                self._on_end(cell)
                return False
            if not items:
                break
        cell.served += serving
        cell.serving = 0
        return True

    def thrown(self, cell: Cell, error: BaseException) -> None:
        """Take *error*, which something threw into the process while it waited for events."""
        process = cell.process
        assert process is not None
        self._fail(cell, process, None, error)

    def discard(self, item: Item, reason: str | None = None) -> None:
        """Drop what was queued for a process that is ending, because of *reason*."""
        if isinstance(item, Message):
            self._observer.message_dropped(item, "process terminated")
        else:
            item.drop(reason)

    def _initialize(self, cell: Cell, process: Process) -> bool:
        try:
            process.initialize()
        except BaseException as error:
            self._fail(cell, process, None, error)
        cell.state = READY
        # A process whose initialize failed has nothing to finalize.
        return cell.reason is None

    def _is_filtered(self, cell: Cell, item: Item) -> bool:
        assert self.filter is not None
        event = as_event(item)
        try:
            dropped = bool(self.filter(cell.pid, event))
        except Exception:
            logger.exception(
                "the event filter failed on %r for %s; the event is served", event, cell.pid
            )
            return False
        if dropped:
            event.drop(f"the event filter dropped the call of process {cell.pid}")
        return dropped

    def _fail(
        self, cell: Cell, process: Process, event: Event | None, error: BaseException
    ) -> None:
        """Log *error*, tell observers, and let the process decide whether it lives on."""
        pid = cell.pid
        if event is not None:
            event.drop(
                f"process {pid} was interrupted while it served this"
            )  # nothing else will serve it
        if isinstance(error, GreenletExit):
            # Somebody killed the greenlet: no handler may object.
            self._end(cell, error)
            return
        doing = _doing(cell, event)
        error.add_note(f"in process {pid}, {doing}")
        if isinstance(error, self._hub.SYSTEM_ERROR):
            self._hub.handle_system_error(type(error), error)
        else:
            logger.error("process %s failed %s", pid, doing, exc_info=error)
        self._observer.process_failed(pid, event, error)
        try:
            process.failed(event, error)
        except Exception:
            logger.exception("failed() of process %s raised; the process terminates", pid)
            self._end(cell, error)


def _doing(cell: Cell, event: Event | None) -> str:
    """Say what the process of *cell* was doing when it failed."""
    if event is not None:
        return f"serving {event.kind}"
    if cell.state is BOTTOM:
        return "in initialize()"
    return "while it waited for events"
