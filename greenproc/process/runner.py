"""`ProcessRunner`: initialize a process, serve its events, handle its failures.

It runs in the greenlet of the process, one turn at a time. The scheduler waits for the next event.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from gevent.hub import Hub
from greenlet import GreenletExit

from greenproc.errors import StartFailed
from greenproc.failures import FAILURES, log_failure, note
from greenproc.message import Message
from greenproc.pid import NO_SENDER, UPID
from greenproc.process.base import Process, handle_message
from greenproc.process.ended import why_unserved
from greenproc.process.event import Event, TerminateEvent
from greenproc.process.interrupts import came_from_signal, raise_in_main
from greenproc.process.mailbox import (
    AskedToTerminate,
    Item,
    as_event,
    discard_until_terminate,
)
from greenproc.process.ports import TERMINATED, Observer
from greenproc.process.postponed import restore
from greenproc.process.record import BOTTOM, READY, ProcessRecord
from greenproc.process.recording import Recorder
from greenproc.tracing import TRACE, TRACING

EventFilter = Callable[[UPID, Event], Any]
"""Called with the receiver and the event about to be served; true drops the event."""

logger = logging.getLogger("greenproc.process")


class ProcessRunner:
    """Serves the events of processes and handles the failures of handlers.

    Args:
        hub: the hub of the runtime.
        observer: receives the reports of failures and dropped events.
        max_events: the maximum number of events in one turn.
        end: terminates a process because of an error.
        on_end: called once for each ended process, in its greenlet.
        drop: reports a message that an ending process does not serve.

    Source: libprocess src/process.cpp, ProcessManager::resume.
    """

    def __init__(
        self,
        hub: Hub,
        observer: Observer,
        *,
        max_events: int,
        end: Callable[[ProcessRecord, BaseException], None],
        on_end: Callable[[ProcessRecord], None],
        drop: Callable[[ProcessRecord, Message], None],
    ) -> None:
        self._hub = hub
        self._observer = observer
        self._end = end
        self._on_end = on_end
        self._drop_message = drop
        self._servings = range(1, max_events + 1)
        self._filter: EventFilter | None = None
        self._recorder: Recorder | None = None
        self.looks_closely = False
        """Whether there is a filter or a recorder, so that `is_filtered` must be called."""
        self._is_plain = True

    @property
    def filter(self) -> EventFilter | None:
        """The event filter, which may drop an event before it is served."""
        return self._filter

    @filter.setter
    def filter(self, filter: EventFilter | None) -> None:
        self._filter = filter
        self.choose_path()

    @property
    def recorder(self) -> Recorder | None:
        """The recorder, called with each event that is served."""
        return self._recorder

    @recorder.setter
    def recorder(self, recorder: Recorder | None) -> None:
        self._recorder = recorder
        self.choose_path()

    def choose_path(self) -> None:
        """Select the fast path of `serve_turn`, or `_serve_closely`."""
        self.looks_closely = not (self._recorder is None and self._filter is None)
        self._is_plain = not (self.looks_closely or TRACING.is_active)

    def serve_turn(self, record: ProcessRecord) -> bool:
        """Serve the events of one turn of *record* and return whether the process lives on."""
        process = record.process
        assert process is not None
        if record.state is BOTTOM and not self._initialize(record, process):
            self._on_end(record)
            return False
        items = record.events
        if not items:
            return True
        is_plain = process.serves_messages_plainly
        for serving in self._servings:
            record.serving = serving  # adding to a total for each event would slow a burst down
            item: Item | None = None
            try:
                if record.injected and items[0].__class__ is not TerminateEvent:
                    self._make_way(record, items)
                item = items.popleft()
                if not self._is_plain:
                    self._serve_closely(record, process, item)
                elif is_plain and item.__class__ is Message:
                    handle_message(process, item)
                else:
                    record.message = None
                    process.serve(item if isinstance(item, Event) else as_event(item))
            except BaseException as error:
                self._fail(record, process, None if item is None else as_event(item), error)
            if item.__class__ is TerminateEvent:
                record.served += serving
                record.serving = 0
                self._on_end(record)
                return False
            if not items:
                break
        record.served += serving
        record.serving = 0
        record.message = None  # its body may be large
        return True

    def _serve_closely(self, record: ProcessRecord, process: Process, item: Item) -> None:
        """Serve *item* in its trace context, unless the event filter drops it.

        The context is set for each event, also to None: an exception may have come out of the
        line that unset it. What follows a failure still belongs to it.
        """
        try:
            TRACE.set(item.trace)
            if self.looks_closely and self.is_filtered(record, item):
                return
            if process.serves_messages_plainly and isinstance(item, Message):
                handle_message(process, item)
            else:
                record.message = None
                process.serve(as_event(item))
        except BaseException as error:
            self._fail(record, process, as_event(item), error)
        finally:
            TRACE.set(None)

    def thrown(self, record: ProcessRecord, error: BaseException) -> None:
        """Handle *error*, which was thrown into the process while it waited for events."""
        process = record.process
        assert process is not None
        self._fail(record, process, None, error)

    def discard(
        self,
        record: ProcessRecord,
        item: Item,
        reason: str | None = None,
        sender: UPID = NO_SENDER,
    ) -> None:
        """Drop what was sent to the process of *record*, which is ending, because of *reason*."""
        if isinstance(item, Message):
            self._drop_message(record, item)
        else:
            self._observer.event_dropped(record.pid, item, sender, TERMINATED)
            self._drop(item, reason)

    def _drop(self, event: Event, reason: str | None) -> None:
        try:
            event.drop(reason)
        except FAILURES:
            log_failure(logger, "what follows the drop of %r failed", event)

    def _make_way(self, record: ProcessRecord, items: deque[Item]) -> None:
        """Move an injected terminate ahead of the queued events, which a successor may serve."""
        restore(record)
        if record.supervised is not None:
            record.supervised.hold()
        discard_until_terminate(items, partial(self.discard, record, reason=why_unserved(record)))

    def _initialize(self, record: ProcessRecord, process: Process) -> bool:
        try:
            process.initialize()
        except BaseException as error:
            self._fail(record, process, None, error)
        if not self._is_plain:
            TRACE.set(None)  # that of what spawned it; from now on events bring their own
        record.state = READY
        # A process whose initialize failed has nothing to finalize.
        if record.reason is not None:
            return False
        if record.supervised is not None:
            record.supervised.started()
        return True

    def is_filtered(self, record: ProcessRecord, item: Item) -> bool:
        """Return whether the event filter drops *item*, and drop it then; else record it.

        The filter is not called for the end of a process that failed or was killed: it may be the cause.
        """
        is_forced_end = record.reason is not None and item.__class__ is TerminateEvent
        if self._filter is not None and not is_forced_end:
            event = as_event(item)
            if self.drops(record.pid, event):
                event.drop(f"the event filter dropped the call of process {record.pid}")
                return True
        if self._recorder is not None:
            try:
                self._recorder.serving(record, item)
            except FAILURES:
                log_failure(logger, "the recorder failed on an event of %s", record.pid)
        return False

    def drops(self, pid: UPID, event: Event) -> bool:
        """Return whether the event filter, which must be there, drops *event*, which *pid* would get."""
        assert self._filter is not None
        try:
            return bool(self._filter(pid, event))
        except FAILURES:
            log_failure(
                logger, "the event filter failed on %r for %s; the event is served", event, pid
            )
            return False

    def _fail(
        self, record: ProcessRecord, process: Process, event: Event | None, error: BaseException
    ) -> None:
        """Report *error* and call `Process.failed`, which decides; the process ends if that raises."""
        try:
            lives_on = self._survives(record, process, event, error)
        except GreenletExit:  # killed meanwhile
            lives_on = False
        except FAILURES:
            lives_on = False
            log_failure(
                logger, "failed() of process %s raised; the process terminates", record.pid
            )
        except BaseException as another:
            lives_on = False
            raise_in_main(self._hub, another)
        if not lives_on:
            self._end(record, error)

    def _survives(
        self, record: ProcessRecord, process: Process, event: Event | None, error: BaseException
    ) -> bool:
        """Report *error*; return False if the process must end without a call of `Process.failed`."""
        pid = record.pid
        if event is not None:
            # The event was taken out of the mailbox: nothing else will complete its future.
            self._drop(event, f"process {pid} was interrupted while it served this")
        if isinstance(error, GreenletExit):
            return False  # the greenlet was killed: no handler may object
        if isinstance(error, AskedToTerminate):
            return True  # what the handler had is over; the request comes next
        doing = _doing(record, event)
        if record.supervising is not None and isinstance(error, StartFailed) and event is None:
            return False  # the supervisor has reported it, and its child's own error before
        if isinstance(error, self._hub.SYSTEM_ERROR):
            if came_from_signal(error):
                logger.debug("a signal interrupted process %s %s", pid, doing)
                raise_in_main(self._hub, error)
                return True
            note(error, f"in process {pid}, {doing}")
            self._hub.handle_system_error(type(error), error)
        else:
            note(error, f"in process {pid}, {doing}")
            log_failure(logger, "process %s failed %s", pid, doing, error=error)
        self._observer.process_failed(pid, event, error)
        process.failed(event, error)
        return True


def _doing(record: ProcessRecord, event: Event | None) -> str:
    """Return the activity of *record* at its failure, for a log record."""
    if event is not None:
        return f"serving {event.kind}"
    if record.state is BOTTOM:
        return "in initialize()"
    return "while it waited for events"
