"""`Restarts`: what follows when a child ends by itself, or does not start again."""

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
    """Decides about restarts and makes them, in the greenlet of the supervisor.

    One attempt stops and starts the whole group of the child that ended. If one of the group does
    not start, the next attempt is its own; in between, the supervisor serves its mailbox.

    Args:
        give_up: ends the supervisor with an error.
        shut_down: ends it without one.

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
        """See whether *record* has ended, or an attempt is due, and do what is to be done."""
        if self._runner.is_stopping:
            return
        incarnation = record.incarnation
        if record.due is not None:
            due, record.due = record.due, None
            due()
        elif incarnation is None or not incarnation.has_ended:
            return  # told about an earlier incarnation, which was seen to
        elif record.state in (ChildState.STUCK, ChildState.STOPPING):
            self._runner.note_ended(record)  # nothing waits for its end any more
        elif record.state in (ChildState.RUNNING, ChildState.STARTING):
            self._ended(record, incarnation)

    def _ended(self, record: ChildRecord, incarnation: Incarnation) -> None:
        reason = incarnation.reason
        record.last_reason = reason
        record.last_ended_at = incarnation.ended_at
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
        """Return whether the supervisor ends because *record* has ended for good."""
        if not record.spec.significant:
            return False
        others = (each for each in self._table if each.spec.significant and each is not record)
        return self.auto_shutdown == "any_significant" or not any(
            each.state in UNFINISHED for each in others
        )

    def _attempt(self, record: ChildRecord, reason: BaseException | None) -> None:
        """Try to restart the group of *record*, now or after a delay, unless it is once too often."""
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
        """Stop the siblings of *record* that are restarted with it, the last one first.

        An attempt that is due for one of them is void: it is started with the others.
        """
        for sibling in reversed(self._table.group(record, self.strategy)):
            if sibling is not record and sibling.state is not ChildState.ABSENT:
                self._runner.stop(sibling, for_restart=True)

    def _start_group(self, record: ChildRecord) -> None:
        """Start *record* and those that are restarted with it, where they do not run."""
        for member in self._table.group(record, self.strategy):
            if member.state is ChildState.RUNNING or member not in self._table:
                continue
            try:
                self._runner.start(member, is_restart=True)
            except StartInterrupted:
                return
            except StartFailed as error:
                self._start_failed(member, error)
                return

    def _start_failed(self, record: ChildRecord, error: StartFailed) -> None:
        """Try again, after the supervisor has served what is queued for it."""
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
