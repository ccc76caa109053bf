"""`ChildTable`: the records of a supervisor's children, in start order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from greenproc.errors import ChildError, StateError
from greenproc.failures import clear_frames
from greenproc.pid import PID
from greenproc.supervision.child import Child, limit_of

if TYPE_CHECKING:
    from greenproc.clock import Timer
    from greenproc.supervision.incarnation import Incarnation

Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]


class ChildState(Enum):
    """The state of a child of a supervisor.

    Source: Erlang/OTP supervisor, where it is a pid, ``undefined`` or ``restarting``.
    """

    ABSENT = "absent"
    """There is no process: not started, ended and not restarted, stopped by `terminate_child`, or
    the factory returned None."""
    STARTING = "starting"
    """``initialize`` has not returned yet."""
    RUNNING = "running"
    STOPPING = "stopping"
    """The supervisor is stopping the process."""
    RESTARTING = "restarting"
    """A restart is pending, immediately or after a delay."""
    STUCK = "stuck"
    """The process was killed but has not ended."""


@dataclass(frozen=True, slots=True)
class ChildInfo:
    """The description of one child of a supervisor."""

    id: str
    pid: PID[Any] | None
    """The address of the process; None if there is none."""
    state: ChildState
    restart: str
    is_supervisor: bool
    """Whether the process is a `Supervisor`; False before the first start."""
    restarts: int
    """The number of restarts by the supervisor."""
    last_reason: BaseException | None
    """The error that ended the previous process; None if it ended without an error."""
    started_at: float | None
    """When the running process started, in seconds since 1970 of the runtime's clock."""
    incarnation: int
    """The number of processes before the present one."""
    ended_at: float | None
    """When the previous process ended, in seconds since 1970."""
    due_at: float | None
    """When a delayed restart is due, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class ChildCounts:
    """The numbers of children of a supervisor."""

    specs: int
    """All children."""
    active: int
    """Children with a running process."""
    supervisors: int
    """Children whose process is, or last was, a `Supervisor`."""
    workers: int
    """All other children."""


class ChildRecord:
    """The mutable state of one child.

    Args:
        spec: the specification.
        id: the id of the child; a placeholder if the specification has none.
        is_anonymous: whether the child was added without an id to a ``one_for_one`` supervisor.
    """

    __slots__ = (
        "attempts",
        "due",
        "id",
        "incarnation",
        "is_anonymous",
        "is_named",
        "is_supervisor",
        "last_ended_at",
        "last_reason",
        "number",
        "restarts",
        "spec",
        "state",
        "timer",
    )

    def __init__(self, spec: Child, id: str, *, is_anonymous: bool = False) -> None:
        self.spec = spec
        self.id = id
        self.is_named = spec.id is not None
        self.is_anonymous = is_anonymous
        self.is_supervisor = False
        self.state = ChildState.ABSENT
        self.incarnation: Incarnation | None = None
        self.number = 0  # of incarnations so far
        self.restarts = 0
        self.attempts = 0  # since the back-off began
        self.last_reason: BaseException | None = None
        self.last_ended_at: float | None = None
        self.timer: Timer | None = None
        self.due: Callable[[], None] | None = None
        """The restart attempt that runs when the supervisor serves its next event."""

    @property
    def is_temporary(self) -> bool:
        """Whether the child is removed when it has ended."""
        return self.spec.restart == "temporary"

    @property
    def shutdown(self) -> float:
        """The shutdown limit in seconds."""
        return limit_of(self.spec, is_supervisor=self.is_supervisor)

    @property
    def is_alive(self) -> bool:
        """Whether its process is in the registry."""
        return self.incarnation is not None and not self.incarnation.has_ended

    @property
    def label(self) -> str:
        """The name of the child in error messages."""
        if self.is_named:
            return self.id
        return str(getattr(self.spec.factory, "__name__", None) or self.id)

    def full_spec(self) -> Child:
        """Return the specification with the actual id and shutdown limit."""
        return replace(self.spec, id=self.id, shutdown=self.shutdown)

    def forget_factory(self) -> None:
        """Drop the factory, and with it its arguments: the child is not restarted."""
        if self.spec.factory is not _forgotten:
            self.spec = replace(self.spec, factory=_forgotten, id=self.id)

    def note_end(self, incarnation: Incarnation) -> None:
        """Keep the reason and the time of the end of *incarnation*, but not what its code used."""
        clear_frames(incarnation.reason)
        self.last_reason = incarnation.reason
        self.last_ended_at = incarnation.ended_at

    def void(self) -> None:
        """Cancel a pending restart attempt."""
        self.due = None
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def describe(self) -> ChildInfo:
        """Return the description of this child."""
        alive = self.incarnation if self.is_alive else None
        return ChildInfo(
            id=self.id,
            pid=None if alive is None else alive.pid,
            state=self.state,
            restart=self.spec.restart,
            is_supervisor=self.is_supervisor,
            restarts=self.restarts,
            last_reason=self.last_reason,
            started_at=None if alive is None else alive.started_at,
            incarnation=max(self.number - 1, 0),
            ended_at=self.last_ended_at,
            due_at=None if self.timer is None else self.timer.due,
        )

    def __repr__(self) -> str:
        return f"<ChildRecord {self.label} {self.state.value}, {self.restarts} restarts>"


def _forgotten() -> NoReturn:
    raise StateError("the factory of a temporary child is not kept")


class ChildTable:
    """The children of one supervisor, by id and in start order."""

    def __init__(self) -> None:
        self._records: dict[ChildRecord, None] = {}  # in the order of their starts
        self._by_id: dict[str, ChildRecord] = {}

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[ChildRecord]:
        return iter(list(self._records))

    def __contains__(self, record: ChildRecord) -> bool:
        return record in self._records

    def add(self, record: ChildRecord) -> None:
        """Append *record*, whose id must not be in the table."""
        self._records[record] = None
        self._by_id[record.id] = record

    def remove(self, record: ChildRecord) -> None:
        """Remove *record*, if it is in the table."""
        if record in self:
            del self._records[record]
            del self._by_id[record.id]

    def rename(self, record: ChildRecord, id: str) -> None:
        """Give *record* the id of its first process; its place in the order stays.

        Args:
            record: a child of the table.
            id: the new id.
        """
        record.is_named = True
        del self._by_id[record.id]
        record.id = id
        self._by_id[id] = record

    def find(self, id: str) -> ChildRecord | None:
        """Return the child with the id *id*, or None."""
        return self._by_id.get(id)

    def get(self, id: str) -> ChildRecord:
        """Return the child with the id *id*.

        Raises:
            ChildError: there is no such child.
        """
        record = self._by_id.get(id)
        if record is None:
            raise ChildError(f"there is no child {id!r}")
        return record

    def group(self, record: ChildRecord, strategy: Strategy) -> list[ChildRecord]:
        """Return the children that are restarted with *record*, itself included, in start order.

        Args:
            record: the child that has ended.
            strategy: that of the supervisor.
        """
        if strategy == "one_for_one":
            return [record]
        records = list(self._records)
        return records if strategy == "one_for_all" else records[records.index(record) :]

    def count(self) -> ChildCounts:
        """Count the children."""
        records = self._records
        supervisors = sum(record.is_supervisor for record in records)
        active = sum(record.state is ChildState.RUNNING and record.is_alive for record in records)
        return ChildCounts(len(records), active, supervisors, len(records) - supervisors)

    def __repr__(self) -> str:
        return f"<ChildTable of {len(self)}>"
