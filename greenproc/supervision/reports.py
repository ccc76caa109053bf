"""The reports of a supervisor: each event is one log record and one signal."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from greenproc.failures import FAILURES
from greenproc.pid import UPID

if TYPE_CHECKING:
    from greenproc.errors import RestartLimit, StartFailed
    from greenproc.runtime.runtime import Runtime
    from greenproc.supervision.incarnation import Incarnation
    from greenproc.supervision.table import ChildRecord

logger = logging.getLogger("greenproc.supervision")

MAX_TEXT = 200  # characters of a reason

MAX_COUNTED = 256  # supervisors


class SupervisionCounts:
    """Counters by supervisor id; they survive the supervisor. Bounded to 256 ids each."""

    def __init__(self) -> None:
        self.restarts: dict[str, int] = {}
        """The number of restarts of children."""
        self.gave_up: dict[str, int] = {}
        """How often the restart limit was exceeded."""

    def count(self, counts: dict[str, int], id: str) -> None:
        """Increment a counter; beyond the bound, the oldest id is removed.

        Args:
            counts: `restarts` or `gave_up`.
            id: the id of the supervisor.
        """
        if id not in counts and len(counts) >= MAX_COUNTED:
            del counts[next(iter(counts))]
        counts[id] = counts.get(id, 0) + 1

    def __repr__(self) -> str:
        restarts, gave_up = sum(self.restarts.values()), sum(self.gave_up.values())
        return f"<SupervisionCounts {restarts} restarts, {gave_up} given up>"


class Reports:
    """Logs, signals and counts the events of one supervisor.

    Args:
        supervisor: the address of the supervisor.
        runtime: the runtime, whose signals are sent.
        is_root: whether the supervisor has no supervisor itself.

    Source: Erlang/OTP supervisor.erl, its progress, error and shutdown reports.
    """

    def __init__(self, supervisor: UPID, runtime: Runtime, *, is_root: bool) -> None:
        self._supervisor = supervisor
        self._runtime = runtime
        self._is_root = is_root
        self.restarts = 0
        self._counts: SupervisionCounts = runtime.supervision

    def started(self, record: ChildRecord, *, is_restart: bool) -> None:
        """Report that a child has started."""
        incarnation = record.incarnation
        assert incarnation is not None
        if is_restart:
            self.restarts += 1
            self._counts.count(self._counts.restarts, self._supervisor.id)
            record.restarts += 1
        level = logging.INFO if is_restart else logging.DEBUG
        if logger.isEnabledFor(level):
            logger.log(
                level,
                "%s started %s",
                self._supervisor,
                self._describe(record, incarnation),
                extra=self._fields(record, incarnation=incarnation.number),
            )
        self._emit(
            "child_started",
            id=record.id,
            pid=incarnation.pid,
            incarnation=incarnation.number,
        )

    def ended(self, record: ChildRecord, incarnation: Incarnation, *, becomes: str) -> None:
        """Report that a child has ended on its own.

        Args:
            record: the child.
            incarnation: the process that has ended.
            becomes: what follows: ``restart``, ``absent`` or ``forgotten``.
        """
        reason = incarnation.reason
        is_worse = becomes == "restart" or reason is not None
        level = logging.WARNING if is_worse else logging.DEBUG
        if logger.isEnabledFor(level):
            logger.log(
                level,
                "%s: child %s ended, %s, and is %s",
                self._supervisor,
                self._describe(record, incarnation),
                reason_text(reason),
                {"restart": "to be restarted", "absent": "not restarted"}.get(becomes, becomes),
                extra=self._fields(record, incarnation=incarnation.number, reason=reason),
            )
        self._emit("child_ended", id=record.id, pid=incarnation.pid, reason=reason, next=becomes)

    def start_failed(self, record: ChildRecord, error: StartFailed) -> None:
        """Report that a child did not start."""
        logger.error("%s", _cut(str(error)), extra=self._fields(record, reason=error))
        self._emit("child_start_failed", id=record.id, error=error, attempt=record.attempts)

    def restarting(
        self,
        record: ChildRecord,
        reason: BaseException | None,
        delay: float,
        count: int,
        limit: str,
    ) -> None:
        """Report that a child will be restarted.

        Args:
            record: the child.
            reason: the error of its last end or start, if any.
            delay: the seconds until the restart.
            count: the number of attempts in the window, this one included.
            limit: the restart limit as text.
        """
        logger.info(
            "%s restarts child %r %s, %d of %s",
            self._supervisor,
            record.id,
            f"in {delay:.3f} s" if delay else "now",
            count,
            limit,
            extra=self._fields(record, reason=reason, delay=delay),
        )
        self._emit("child_restarting", id=record.id, reason=reason, delay=delay, count=count)

    def stop_failed(
        self, record: ChildRecord, incarnation: Incarnation, *, count: int = 1, where: str = ""
    ) -> None:
        """Report that a child did not stop cleanly.

        Args:
            record: the child.
            incarnation: its process.
            count: the number of children that stopped for the same reason.
            where: the place where a process that cannot be killed is waiting; empty if it ended.
        """
        what = self._describe(record, incarnation)
        if where:
            what = f"{what} was killed but has not ended, it is waiting {where}"
        else:
            what = f"{what} did not stop cleanly: {reason_text(incarnation.reason)}"
        more = f" (and {count - 1} more like it)" if count > 1 else ""
        reason = incarnation.reason
        fields = self._fields(record, incarnation=incarnation.number, reason=reason)
        logger.error("%s: child %s%s", self._supervisor, what, more, extra=fields)
        self._emit("child_stop_failed", id=record.id, pid=incarnation.pid, reason=reason)

    def gave_up(self, record: ChildRecord, error: RestartLimit) -> None:
        """Report that the supervisor terminates because *record* exceeded the restart limit."""
        self._counts.count(self._counts.gave_up, self._supervisor.id)
        level = logging.CRITICAL if self._is_root else logging.ERROR
        logger.log(
            level,
            "%s; the last reason: %s",
            error,
            reason_text(error.__cause__),
            extra=self._fields(record, reason=error),
        )
        self._emit("supervisor_gave_up", id=record.id, error=error)

    def _describe(self, record: ChildRecord, incarnation: Incarnation) -> str:
        return (
            f"{record.id!r} ({incarnation.pid}, incarnation {incarnation.number}, "
            f"{record.spec.restart}, shutdown {record.shutdown:g} s)"
        )

    def _fields(self, record: ChildRecord, **values: Any) -> dict[str, Any]:
        """Return the attributes that log records carry besides their text."""
        return {"supervisor": self._supervisor, "child": record.id, **values}

    def _emit(self, name: str, **values: Any) -> None:
        signal = getattr(self._runtime.signals, name)
        if signal.receivers:
            signal.emit(self._runtime, supervisor=self._supervisor, **values)

    def __repr__(self) -> str:
        return f"<Reports of {self._supervisor}, {self.restarts} restarts>"


def reason_text(reason: BaseException | None) -> str:
    """Return the reason of an end as one line of text."""
    if reason is None:
        return "without a reason"
    try:
        return _cut(repr(reason))
    except FAILURES:
        return type(reason).__name__


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}..."
