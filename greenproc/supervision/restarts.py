"""`Restarts`: the restart policy, applied when a child ends on its own or fails to start."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

from greenproc.errors import RestartLimit, StartFailed
from greenproc.supervision.backoff import Backoff
from greenproc.supervision.incarnation import Incarnation
from greenproc.supervision.limit import LimitWindow
from greenproc.supervision.runner import ChildRunner, StartInterrupted
from greenproc.supervision.table import ChildRecord, ChildState, ChildTable, Strategy

AutoShutdown = Literal["never", "any_significant", "all_significant"]

UNFINISHED = (ChildState.STARTING, ChildState.RUNNING, ChildState.RESTARTING)


class Restarts:
    """Decides on restarts and executes them, in the greenlet of the supervisor.

    One attempt stops and starts the whole group of the child that ended. If a member of the group
    fails to start, the next attempt is for that member; between two attempts, the supervisor
    serves its mailbox.

    Args:
        runner: starts and stops processes.
        table: the children.
        limit: the restart limit.
        strategy: which siblings are restarted with a child.
        auto_shutdown: when the end of a significant child terminates the supervisor.
        backoff: the delays before restarts, or None.

    Two callbacks are set by the supervisor: ``give_up`` terminates it with an error,
    ``shut_down`` without one.

    Source: Erlang/OTP supervisor.erl, restart_child, restart and add_restart.
    """

    def __init__(
        self,
        runner: ChildRunner,
        table: ChildTable,
        limit: LimitWindow,
        *,
        strategy: Strategy,
        auto_shutdown: AutoShutdown,
        backoff: Backoff | None,
    ) -> None:
        self._runner = runner
        self._table = table
        self.limit = limit
        self.strategy = strategy
        self.auto_shutdown = auto_shutdown
        self.backoff = backoff
        self.give_up: Callable[[RestartLimit], None]
        self.shut_down: Callable[[], None]

    def look(self, record: ChildRecord) -> None:
        """Handle the end of *record*, or the restart attempt that is due for it, if any."""
        if self._runner.is_stopping:
            return
        incarnation = record.incarnation
        if record.due is not None:
            due, record.due = record.due, None
            due()
        elif incarnation is None or not incarnation.has_ended:
            return  # a stale exit, of an earlier incarnation
        elif record.state in (ChildState.STUCK, ChildState.STOPPING):
            self._runner.note_ended(record)  # the wait for its end was given up or interrupted
        elif record.state in (ChildState.RUNNING, ChildState.STARTING):
            self._ended(record, incarnation)

    def _ended(self, record: ChildRecord, incarnation: Incarnation) -> None:
        reason = incarnation.reason
        record.note_end(incarnation)
        if self.backoff is not None:
            reset = self.limit.within if self.backoff.reset is None else self.backoff.reset
            if incarnation.seconds >= reset:
                record.attempts = 0
        restart = record.spec.restart
        if restart == "permanent" or (restart == "transient" and reason is not None):
            record.incarnation = None
            self._runner.reports.ended(record, incarnation, becomes="restart")
            self._attempt(record, reason)
            return
        becomes = "forgotten" if record.is_temporary else "absent"
        self._runner.note_ended(record)
        self._runner.reports.ended(record, incarnation, becomes=becomes)
        if self._ends_all(record):
            self.shut_down()

    def _ends_all(self, record: ChildRecord) -> bool:
        """Return whether the end of *record* terminates the supervisor."""
        if not record.spec.significant:
            return False
        others = (each for each in self._table if each.spec.significant and each is not record)
        return self.auto_shutdown == "any_significant" or not any(
            each.state in UNFINISHED for each in others
        )

    def _attempt(self, record: ChildRecord, reason: BaseException | None) -> None:
        """Restart the group of *record*, now or after a delay; give up if that exceeds the limit."""
        runner = self._runner
        now = runner.manager.clock.now(None)
        if self.limit.add(now):
            record.state = ChildState.ABSENT
            self._give_up(record, reason)
            return
        record.state = ChildState.RESTARTING
        delay = 0.0
        if self.backoff is not None:
            delay = self.backoff.delay(record.attempts, runner.manager.runtime.random)
            record.attempts += 1
        limit = f"{self.limit.most} in {self.limit.within} s"
        runner.reports.restarting(record, reason, delay, self.limit.count(now), limit)
        self._stop_group(record)
        if runner.is_stopping:
            return
        if self.backoff is None:
            self._start_group(record)
            return
        clock = runner.manager.clock
        clock.update(runner.supervisor, clock.now(None))
        record.timer = clock.timer(delay, partial(self._delay_over, record))

    def _delay_over(self, record: ChildRecord) -> None:
        record.timer = None
        record.due = partial(self._start_group, record)
        self._runner.look(record)

    def _stop_group(self, record: ChildRecord) -> None:
        """Stop the siblings that are restarted with *record*, in reverse start order.

        This cancels a pending attempt of a sibling, which is started with its group instead.
        """
        for sibling in reversed(self._table.group(record, self.strategy)):
            if sibling is not record and sibling.state is not ChildState.ABSENT:
                self._runner.stop(sibling, for_restart=True)

    def _start_group(self, record: ChildRecord) -> None:
        """Start the members of the group of *record* that are not running."""
        for member in self._table.group(record, self.strategy):
            if member.state is ChildState.RUNNING or member not in self._table:
                continue
            try:
                self._runner.start(member, is_restart=True)
            except StartInterrupted:
                return
            except StartFailed as error:
                if member is not record and record.state is ChildState.RESTARTING:
                    record.state = ChildState.ABSENT  # it starts with the next attempt of *member*
                self._start_failed(member, error)
                return

    def _start_failed(self, record: ChildRecord, error: StartFailed) -> None:
        """Schedule another attempt, behind the events that the supervisor has queued."""
        self._runner.reports.start_failed(record, error)
        if self._runner.is_stopping:
            return
        if self.backoff is not None:
            self._attempt(record, error)
            return
        record.state = ChildState.RESTARTING
        record.due = partial(self._attempt, record, error)
        self._runner.look(record)

    def _give_up(self, record: ChildRecord, reason: BaseException | None) -> None:
        supervisor = self._runner.supervisor.pid
        most, within = self.limit.most, self.limit.within
        error = RestartLimit(
            f"{supervisor} gave up: child {record.label!r} needed more than {most} restarts in "
            f"{within} s",
            supervisor=supervisor,
            child=record.label,
            restarts=most,
            within=within,
        )
        error.__cause__ = reason
        self._runner.end()
        self._runner.close_gap(record)
        self._runner.reports.gave_up(record, error)
        self.give_up(error)
