"""`Incarnation`: one process of a child, from its spawn to its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gevent import Greenlet

from greenproc.process.cell import Cell
from greenproc.process.gaps import move
from greenproc.supervision.table import ChildState

if TYPE_CHECKING:
    from greenproc.pid import PID, UPID
    from greenproc.supervision.table import ChildRecord


class Incarnation:
    """What the supervisor keeps of one process: whether it has started and ended, and why.

    UPIDs are names that all incarnations share, so an exit is looked up here.

    Args:
        cell: the record of the process.
        record: the child that it is one of.
        supervisor: the address of its supervisor.
        is_restart: whether the supervisor has started it by itself.
        wake: called when it has started or ended.
        will_restart: tells whether there will be another one after it.
    """

    __slots__ = (
        "_greenlets",
        "_will_restart",
        "cell",
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
        cell: Cell,
        record: ChildRecord,
        supervisor: UPID,
        *,
        is_restart: bool,
        wake: Callable[[], None],
        will_restart: Callable[[Incarnation], bool],
    ) -> None:
        self.cell = cell
        self.owner: ChildRecord = record
        self.supervisor = supervisor
        self._greenlets: set[Greenlet[..., Any]] | None = None
        self.number = record.number
        self.pid: PID[Any] = cell.pid
        self.is_restart = is_restart
        self.has_started = self.has_ended = False
        self.is_stopping = self.is_killed = self.expects_restart = False
        self.is_orphan = False  # left behind, told to end, by a supervisor that is over
        self.reason: BaseException | None = None
        self.started_at: float | None = None
        self.ended_at: float | None = None
        self.wake = wake
        self._will_restart = will_restart

    def keep_greenlet(self, greenlet: Greenlet[..., Any]) -> None:
        """Let *greenlet* end with the process."""
        if self._greenlets is None:
            self._greenlets = set()
        self._greenlets.add(greenlet)
        greenlet.rawlink(self._greenlets.discard)

    def started(self) -> None:
        """``initialize`` has returned."""
        self.has_started = True
        self.started_at = self._now()
        if self.owner.incarnation is self and self.owner.state is ChildState.STARTING:
            self.owner.state = ChildState.RUNNING  # the supervisor may not wait for it any more
        self.wake()

    def hold(self) -> None:
        """The process ends: keep its id, and its events if they are to be handed over."""
        if not self._will_restart(self):
            return
        manager = self.cell.manager
        assert manager is not None
        keeps = self.owner.spec.mailbox == "keep"
        holder = manager.gaps.open(self.cell, self.owner, keeps=keeps)
        if holder is not None and not self.is_killed and self.cell.events:
            move(self.cell, holder)

    def ended(self, reason: BaseException | None) -> None:
        """The process is out of the registry."""
        self.has_ended = True
        self.reason = reason
        self.ended_at = self._now()
        self.wake()
        for greenlet in list(self._greenlets or ()):
            greenlet.kill(block=False)

    @property
    def seconds(self) -> float:
        """How long it has run."""
        if self.started_at is None or self.ended_at is None:
            return 0.0
        return self.ended_at - self.started_at

    def _now(self) -> float:
        assert self.cell.manager is not None
        return self.cell.manager.clock.now(None)

    def __repr__(self) -> str:
        state = "ended" if self.has_ended else "started" if self.has_started else "new"
        return f"<Incarnation {self.number} of {self.pid}, {state}>"
