"""`ChildRunner`: starts and stops the processes of one supervisor, in its greenlet."""

from __future__ import annotations

import math
import traceback
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

import gevent
from gevent.event import Event as Gate
from greenlet import GreenletExit

from greenproc.errors import InvalidArgument, StartFailed, StateError
from greenproc.failures import FAILURES
from greenproc.pid import PID
from greenproc.process.base import Process, record_of
from greenproc.process.event import ExitedEvent
from greenproc.process.record import TERMINATING, ProcessRecord
from greenproc.process.spawning import reason_to_refuse
from greenproc.supervision.incarnation import Incarnation
from greenproc.supervision.limit import LimitWindow
from greenproc.supervision.reports import Reports, reason_text
from greenproc.supervision.table import ChildRecord, ChildState, ChildTable

if TYPE_CHECKING:
    from greenproc.process.manager import ProcessManager

Error = TypeVar("Error", bound=StartFailed)

KILL_SECONDS = 0.5  # of real time between two kills, as in the stop of a runtime


class StartInterrupted(StartFailed):
    """A start that was cancelled because the supervisor or the runtime is stopping."""


class ChildRunner:
    """Starts and stops children one at a time, and waits for them in the supervisor's greenlet.

    The waits depend on the records of incarnations, never on the delivery of an `ExitedEvent`.

    Args:
        supervisor: the process that owns the children.
        table: its children.

    Source: Erlang/OTP supervisor.erl, start_children, do_terminate and shutdown.
    """

    def __init__(self, supervisor: Process, table: ChildTable) -> None:
        self.supervisor = supervisor
        self._table = table
        self._record: ProcessRecord = record_of(supervisor)
        self._gate = Gate()
        self.manager: ProcessManager
        self.reports: Reports
        self._is_open = False
        self.is_ending = False
        """Whether the supervisor is terminating, or has been requested to."""

    def open(self) -> None:
        """Bind to the runtime that the supervisor was spawned in. Can be repeated.

        Raises:
            StateError: the supervisor was not spawned.
        """
        if self._is_open:
            return
        if self._record.manager is None:
            raise StateError(
                f"expected a supervisor that is running, got {self.supervisor!r}: spawn it, and "
                "dispatch its methods"
            )
        self.manager = self._record.manager
        is_root = self._record.supervised is None
        self.reports = Reports(self._record.pid, self.manager.runtime, is_root=is_root)
        self._is_open = True

    @property
    def restarts(self) -> int:
        """The number of restarts so far."""
        return self.reports.restarts if self._is_open else 0

    def count_lately(self, limit: LimitWindow) -> int:
        """Return the number of attempts in the window of *limit*."""
        return limit.count(self.manager.clock.now(None)) if self._is_open else 0

    @property
    def is_stopping(self) -> bool:
        """Whether children must not be started any more."""
        return self.is_ending or not self.manager.accepting

    def wake(self) -> None:
        """Wake the supervisor if it waits for a child."""
        self._gate.set()

    def end(self) -> None:
        """Refuse further starts, and cancel the one that is being waited for."""
        self.is_ending = True
        self._gate.set()

    def look(self, record: ChildRecord) -> None:
        """Queue an event that makes the supervisor look at *record*; a full mailbox takes it."""
        pid = PID[Any](record.id, self._record.pid.address)
        self.manager.enqueue(self._record, ExitedEvent(pid))

    # Starting

    def start(self, record: ChildRecord, *, is_restart: bool = False) -> PID[Any] | None:
        """Start a child and wait until it has started.

        Returns the address of its process, or None if the factory returned None.

        Args:
            record: the child, which must be down.
            is_restart: whether this is a restart, which is counted and logged as one.

        Raises:
            StartFailed: the child did not start.
            StartInterrupted: the supervisor or the runtime is stopping.
        """
        record.void()
        if self.is_stopping:
            raise self._interrupted(record)
        try:
            process = self._make(record)
            if process is None:
                self._note_absent(record, record.is_anonymous)
                return None
            self._stop_orphan(record_of(process).id)
            if self.is_stopping:  # which may have changed while the factory was waiting
                raise self._interrupted(record)
            incarnation = self._spawn(record, process, is_restart=is_restart)
            self._wait_started(record, incarnation)
        except StartFailed:
            if record.state is not ChildState.STUCK:
                record.state = ChildState.ABSENT
                record.incarnation = None
            raise
        except BaseException:
            # A kill or a timeout ends this wait, not the start: the process goes on, and its end is
            # handled like that of any running child.
            if not record.is_alive:
                record.state = ChildState.ABSENT
                record.incarnation = None
            raise
        self.reports.started(record, is_restart=is_restart)
        if record.is_temporary:
            record.forget_factory()
        return incarnation.pid

    def _make(self, record: ChildRecord) -> Process | None:
        """Call the factory of *record* and bind the new process to its id."""
        try:
            process = record.spec.factory()
        except FAILURES as error:
            why = f"its factory raised {reason_text(error)}"
            raise self._failed(record, why) from error
        if process is None:
            return None
        process_record = _find_record(process)
        if process_record is None:
            what = text_of_value(process)
            raise self._failed(record, f"its factory returned {what}, expected a Process or None")
        if (
            process_record.context is not None
            or process_record.supervised is not None
            or process_record.state is TERMINATING
        ):
            raise self._failed(
                record,
                "its factory returned a process that was spawned before: it has to make a new one "
                "each time",
            )
        if process_record.manager not in (None, self.manager):
            why = "its factory made a process that belongs to another runtime"
            raise self._failed(record, why)
        self._name(record, process_record)
        self.manager.bind(process_record)
        return process

    def _name(self, record: ChildRecord, process_record: ProcessRecord) -> None:
        """Give the process the id of the child; a child without an id takes that of its process."""
        if record.is_named and process_record.id is None:
            process_record.id = record.id
        elif process_record.id is None:
            self.manager.bind(process_record)
        assert process_record.id is not None
        if record.is_named and process_record.id != record.id:
            raise self._failed(record, f"its factory made a process called {process_record.id!r}")
        if record.is_named:
            return
        if process_record.id != record.id and self._table.find(process_record.id) is not None:
            raise self._failed(record, f"another child is called {process_record.id!r}")
        self._table.rename(record, process_record.id)

    def _stop_orphan(self, id: str | None) -> None:
        """Stop the process *id* if it is the child of a supervisor that has ended without it.

        Such a process was terminated but not awaited. As long as it runs, its id is taken, and the
        next incarnation of that supervisor would fail to start its child until it gives up.
        """
        process_record = self.manager.records.get(id or "")
        orphan = None if process_record is None else process_record.supervised
        if isinstance(orphan, Incarnation) and orphan.is_orphan:
            orphan.is_orphan = False
            orphan.wake = self.wake
            self.stop(orphan.owner)

    def _spawn(self, record: ChildRecord, process: Process, *, is_restart: bool) -> Incarnation:
        process_record = record_of(process)
        incarnation = Incarnation(
            process_record,
            record,
            self._record.pid,
            is_restart=is_restart,
            wake=self.wake,
            will_restart=self._will_restart,
        )
        process_record.supervise_by(incarnation)
        why = reason_to_refuse(self.manager, process_record)
        if why is not None:
            process_record.supervise_by(None)
            raise self._failed(record, why)
        record.is_supervisor = process_record.supervising is not None
        record.incarnation = incarnation
        record.number += 1
        record.state = ChildState.STARTING
        try:
            self.manager.runtime.spawn(process)
        except InvalidArgument as error:  # of an attribute of the class
            process_record.supervise_by(None)
            raise self._failed(record, str(error)) from error
        # In the same turn: a link to a process that has already ended carries no reason.
        self.supervisor.link(incarnation.pid)
        return incarnation

    def _wait_started(self, record: ChildRecord, incarnation: Incarnation) -> None:
        while not (incarnation.has_started or incarnation.has_ended):
            if self.is_ending:
                self.stop(record)
                raise self._interrupted(record)
            self._wait()
        if incarnation.has_started:
            return
        record.note_end(incarnation)
        reason = incarnation.reason
        if reason is None or isinstance(reason, GreenletExit):
            raise self._failed(record, "it ended while it started") from reason
        raise self._failed(record, f"initialize() raised {reason_text(reason)}") from reason

    def _failed(self, record: ChildRecord, why: str) -> StartFailed:
        return self._error(StartFailed, record, why)

    def _interrupted(self, record: ChildRecord) -> StartInterrupted:
        is_over = not self.manager.accepting
        why = "the runtime is stopping" if is_over else "the supervisor is stopping"
        return self._error(StartInterrupted, record, why)

    def _error(self, kind: type[Error], record: ChildRecord, why: str) -> Error:
        supervisor = self._record.pid
        text = f"child {record.label!r} of {supervisor} did not start: {why}"
        return kind(text, child=record.label, supervisor=supervisor)

    def _will_restart(self, incarnation: Incarnation) -> bool:
        """Return whether another incarnation will follow, as far as is known at this one's end."""
        record = incarnation.owner
        if self.is_stopping or record not in self._table:
            return False
        if incarnation.is_stopping:
            return incarnation.expects_restart and not record.is_temporary
        if not incarnation.has_started:
            return incarnation.is_restart
        if record.spec.restart == "transient":
            return incarnation.process_record.reason is not None
        return record.spec.restart == "permanent"

    # Stopping

    def stop(self, record: ChildRecord, *, for_restart: bool = False) -> None:
        """Stop a child: terminate it, and kill it when its shutdown limit has passed.

        Args:
            record: the child.
            for_restart: whether it is started again with its group, so that its id is reserved.
        """
        self.stop_together([record], for_restart=for_restart)

    def stop_together(self, records: list[ChildRecord], *, for_restart: bool = False) -> None:
        """Stop several children concurrently, each within its own shutdown limit.

        Args:
            records: the children.
            for_restart: whether they are started again with their group.
        """
        now = self.manager.clock.now(None)
        waited = [record for record in records if self._tell_to_end(record, for_restart)]
        for record in sorted(waited, key=lambda record: record.shutdown):
            self._wait_ended(record, now + record.shutdown)
        self._kill(waited)
        failed: dict[str, list[ChildRecord]] = {}
        for record in records:
            incarnation = record.incarnation
            if incarnation is not None and not self._is_fine(record, incarnation):
                failed.setdefault(reason_text(incarnation.reason), []).append(record)
        for alike in failed.values():
            self._report_stop(alike)
        for record in records:
            self._finish_stop(record, for_restart=for_restart)

    def _tell_to_end(self, record: ChildRecord, for_restart: bool) -> bool:
        """Request the process of *record* to terminate; return whether to wait for its end."""
        record.void()
        incarnation = record.incarnation
        if incarnation is None or incarnation.has_ended:
            return False
        record.state = ChildState.STOPPING
        incarnation.is_stopping = True
        incarnation.expects_restart = for_restart
        if record.shutdown > 0:
            self.manager.terminate(incarnation.pid, inject=False)
        return True

    def _wait_ended(self, record: ChildRecord, deadline: float) -> None:
        """Wait for the end of the process of *record* until *deadline* of the runtime's clock."""
        incarnation = record.incarnation
        assert incarnation is not None
        if incarnation.has_ended:
            return
        clock = self.manager.clock
        clock.update(self.supervisor, clock.now(None))
        left = deadline - clock.now(None)
        if left <= 0:
            return
        expired: list[bool] = []

        def expire() -> None:
            expired.append(True)
            self._gate.set()

        timer = None if math.isinf(left) else clock.timer(left, expire)
        try:
            while not incarnation.has_ended and not expired:
                self._wait()
        finally:
            if timer is not None:
                timer.cancel()

    def _kill(self, records: list[ChildRecord]) -> None:
        """Kill processes concurrently: first out of a handler, then out of ``finalize``."""
        for _ in range(2):
            alive = [record for record in records if record.is_alive]
            for record in alive:
                incarnation = record.incarnation
                assert incarnation is not None
                incarnation.is_killed = True
                process_record = incarnation.process_record
                if process_record.greenlet is None:
                    self.manager.end(process_record, GreenletExit())
                else:
                    gevent.kill(process_record.greenlet)
            deadline = monotonic() + KILL_SECONDS
            for record in alive:
                while record.is_alive and (left := deadline - monotonic()) > 0:
                    self._wait(left)

    def _is_fine(self, record: ChildRecord, incarnation: Incarnation) -> bool:
        """Return whether the process of *record* stopped cleanly."""
        if not incarnation.has_ended:
            return False
        reason = incarnation.reason
        was_asked = record.shutdown == 0 and incarnation.is_killed
        return reason is None or (was_asked and isinstance(reason, GreenletExit))

    def _report_stop(self, records: list[ChildRecord]) -> None:
        """Report children that did not stop cleanly, all for the same reason."""
        stuck = [record for record in records if record.is_alive]
        for record in stuck:
            assert record.incarnation is not None
            where = where_it_waits(record.incarnation.process_record)
            self.reports.stop_failed(record, record.incarnation, where=where)
        ended = [record for record in records if not record.is_alive]
        if ended:
            assert ended[0].incarnation is not None
            self.reports.stop_failed(ended[0], ended[0].incarnation, count=len(ended))

    def _finish_stop(self, record: ChildRecord, *, for_restart: bool) -> None:
        incarnation = record.incarnation
        if incarnation is not None and not incarnation.has_ended:
            record.state = ChildState.STUCK
            return
        if incarnation is not None:
            record.note_end(incarnation)
        self._note_absent(record, forget=False, keeps_gap=for_restart)

    def _note_absent(self, record: ChildRecord, forget: bool, *, keeps_gap: bool = False) -> None:
        """Mark *record* as absent; remove it if *forget* is set or it is temporary."""
        record.incarnation = None
        record.state = ChildState.ABSENT
        forget = forget or record.is_temporary
        if forget:
            self._table.remove(record)
        if forget or not keeps_gap:
            self.close_gap(record)

    def note_ended(self, record: ChildRecord) -> None:
        """Note that *record* has ended on its own and is not restarted."""
        self._note_absent(record, forget=False)

    def close_gap(self, record: ChildRecord) -> None:
        """Release the reserved id of *record*, and drop the events kept for its next process."""
        self.manager.gaps.close(record.id, record)

    def stop_all(self) -> None:
        """Stop all children: the anonymous ones concurrently, then the rest in reverse order.

        If the supervisor is killed meanwhile, the remaining children are terminated, not awaited.
        """
        self.open()
        self.is_ending = True
        try:
            self._void_all()
            self.stop_together([record for record in self._table if record.is_anonymous])
            for record in reversed(list(self._table)):
                if record.state is not ChildState.STUCK:
                    self.stop(record)
        except BaseException:
            self.abandon()
            raise

    def abandon(self) -> None:
        """Terminate all children immediately without waiting for their ends."""
        self.is_ending = True
        self._void_all()
        for record in reversed(list(self._table)):
            self.close_gap(record)
            if record.is_alive:
                assert record.incarnation is not None
                record.incarnation.is_stopping = record.incarnation.is_orphan = True
                self.manager.terminate(record.incarnation.pid)

    def _void_all(self) -> None:
        for record in self._table:
            record.void()

    # Waiting

    def _wait(self, seconds: float | None = None) -> None:
        """Wait until a child has started or ended, for at most *seconds* of real time."""
        self._gate.wait(seconds)
        self._gate.clear()


def text_of_value(value: object) -> str:
    """Return the repr of *value*, cut to one line of 80 characters."""
    try:
        return " ".join(repr(value)[:80].split())
    except FAILURES:
        return f"an object of {type(value).__name__}"


def where_it_waits(process_record: ProcessRecord) -> str:
    """Return the function and line where the process of *process_record* is waiting."""
    frame = None if process_record.greenlet is None else process_record.greenlet.gr_frame
    if frame is None:
        return "nowhere"
    stack = traceback.extract_stack(frame)
    own = [entry for entry in stack if "/gevent/" not in entry.filename] or list(stack)
    return f"in {own[-1].name}, {own[-1].filename}:{own[-1].lineno}"


def _find_record(process: object) -> ProcessRecord | None:
    """Return the record of *process*, or None if it is not an initialized `Process`."""
    if not isinstance(process, Process):
        return None
    try:
        return record_of(process)
    except AttributeError:  # its __init__ did not call super().__init__()
        return None
