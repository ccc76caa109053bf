"""`Incarnation`: one process of a child, from its spawn to its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gevent import Greenlet

from greenproc.process.record import ProcessRecord
from greenproc.process.restart_gaps import move
from greenproc.supervision.table import ChildState

if TYPE_CHECKING:
    from greenproc.pid import PID, UPID
    from greenproc.supervision.table import ChildRecord


class Incarnation:
    """The state of one process of a child: started, ended, and the reason of its end.

    All incarnations of a child share one UPID, so an `ExitedEvent` does not identify its
    incarnation; the supervisor decides by this record instead.

    Args:
        process_record: the runtime's record of the process.
        record: the child.
        supervisor: the address of the supervisor.
        is_restart: whether this is a restart by the supervisor.
        wake: called when the process has started, and when it has ended.
        will_restart: returns whether another incarnation will follow.
    """

    __slots__ = (
        "_greenlets",
        "_will_restart",
        "process_record",
        "ended_at",
        "expects_restart",
        "has_ended",
        "has_started",
        "is_killed",
        "is_orphan",
        "is_restart",
        "is_stopping",
        "number",
        "owner",
        "pid",
        "reason",
        "started_at",
        "supervisor",
        "wake",
    )

    def __init__(
        self,
        process_record: ProcessRecord,
        record: ChildRecord,
        supervisor: UPID,
        *,
        is_restart: bool,
        wake: Callable[[], None],
        will_restart: Callable[[Incarnation], bool],
    ) -> None:
        self.process_record = process_record
        self.owner: ChildRecord = record
        self.supervisor = supervisor
        self._greenlets: set[Greenlet[..., Any]] | None = None
        self.number = record.number
        self.pid: PID[Any] = process_record.pid
        self.is_restart = is_restart
        self.has_started = self.has_ended = False
        self.is_stopping = self.is_killed = self.expects_restart = False
        self.is_orphan = False  # terminated, but not awaited, by a supervisor that has ended
        self.reason: BaseException | None = None
        self.started_at: float | None = None
        self.ended_at: float | None = None
        self.wake = wake
        self._will_restart = will_restart

    def keep_greenlet(self, greenlet: Greenlet[..., Any]) -> None:
        """Kill *greenlet* when the process ends."""
        if self._greenlets is None:
            self._greenlets = set()
        self._greenlets.add(greenlet)
        greenlet.rawlink(self._greenlets.discard)

    def started(self) -> None:
        """Note that ``initialize`` has returned."""
        self.has_started = True
        self.started_at = self._now()
        if self.owner.incarnation is self and self.owner.state is ChildState.STARTING:
            self.owner.state = ChildState.RUNNING  # even if the wait of the supervisor was cut off
        self.wake()

    def hold(self) -> None:
        """Reserve the id of the ending process if it is restarted, and transfer its events."""
        if not self._will_restart(self):
            return
        manager = self.process_record.manager
        assert manager is not None
        keeps = self.owner.spec.mailbox == "keep"
        holder = manager.gaps.open(self.process_record, self.owner, keeps=keeps)
        if holder is not None and not self.is_killed and self.process_record.events:
            move(self.process_record, holder)

    def ended(self, reason: BaseException | None) -> None:
        """Note that the process is out of the registry."""
        self.has_ended = True
        self.reason = reason
        self.ended_at = self._now()
        self.wake()
        for greenlet in list(self._greenlets or ()):
            greenlet.kill(block=False)

    @property
    def seconds(self) -> float:
        """The uptime of the ended process, from its start to its end."""
        if self.started_at is None or self.ended_at is None:
            return 0.0
        return self.ended_at - self.started_at

    def _now(self) -> float:
        assert self.process_record.manager is not None
        return self.process_record.manager.clock.now(None)

    def __repr__(self) -> str:
        state = "ended" if self.has_ended else "started" if self.has_started else "new"
        return f"<Incarnation {self.number} of {self.pid}, {state}>"
