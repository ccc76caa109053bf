"""The children of one supervisor: what is kept about each, in the order of their starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from greenproc.errors import ChildError, StateError
from greenproc.pid import PID
from greenproc.supervision.child import Child, limit_of

if TYPE_CHECKING:
    from greenproc.clock import Timer
    from greenproc.supervision.incarnation import Incarnation

Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]


class ChildState(Enum):
    """Where a child of a supervisor is.

    Source: Erlang/OTP supervisor has a pid, ``undefined`` and ``restarting``.
    """

    ABSENT = "absent"
    """There is no process: not started yet, ended for good, stopped by hand, or none was made."""
    STARTING = "starting"
    """``initialize`` has not returned."""
    RUNNING = "running"
    STOPPING = "stopping"
    """The supervisor waits for its end."""
    RESTARTING = "restarting"
    """It is going to be started again: at once, or after a delay."""
    STUCK = "stuck"
    """It did not end although it was killed."""


@dataclass(frozen=True, slots=True)
class ChildInfo:
    """What a supervisor tells about one child."""

    id: str
    pid: PID[Any] | None
    """None while there is no process."""
    state: ChildState
    restart: str
    is_supervisor: bool
    """Whether its process is a `Supervisor`; False as long as there was none."""
    restarts: int
    """How often it was started again by the supervisor."""
    last_reason: BaseException | None
    """The error of its last end."""
    started_at: float | None
    """Seconds since 1970, by the clock of the runtime, when the running process had started."""
    incarnation: int
    """How many processes there were before this one."""
    ended_at: float | None
    """When its last process ended."""
    due_at: float | None
    """When it is started again, if that is delayed."""


@dataclass(frozen=True, slots=True)
class ChildCounts:
    """How many children a supervisor has."""

    specs: int
    """All of them."""
    active: int
    """Those whose process runs."""
    supervisors: int
    """Those whose process is a `Supervisor`, also when it has ended."""
    workers: int
    """The others."""


class ChildRecord:
    """What a supervisor keeps about one child."""

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
        """What is to be done as soon as the supervisor has its turn."""

    @property
    def is_temporary(self) -> bool:
        """Whether the child is forgotten when it has ended."""
        return self.spec.restart == "temporary"

    @property
    def shutdown(self) -> float:
        """The seconds that its process may take to end."""
        return limit_of(self.spec, is_supervisor=self.is_supervisor)

    @property
    def is_alive(self) -> bool:
        """Whether its process is in the registry."""
        return self.incarnation is not None and not self.incarnation.has_ended

    @property
    def label(self) -> str:
        """What it is called in texts."""
        if self.is_named:
            return self.id
        return str(getattr(self.spec.factory, "__name__", None) or self.id)

    def full_spec(self) -> Child:
        """Return the spec with its id and its limit, which is that of its kind if none is given."""
        return replace(self.spec, id=self.id, shutdown=self.shutdown)

    def forget_factory(self) -> None:
        """Keep neither the factory nor its arguments: this one is not started again."""
        if self.spec.factory is not _forgotten:
            self.spec = replace(self.spec, factory=_forgotten, id=self.id)

    def void(self) -> None:
        """Take back the attempt to start it again, if one is pending."""
        self.due = None
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def describe(self) -> ChildInfo:
        """Return what there is to know about this child."""
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
    """The children of one supervisor by id, in the order in which they are started."""

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
        """Append *record*, whose id is not there yet."""
        self._records[record] = None
        self._by_id[record.id] = record

    def remove(self, record: ChildRecord) -> None:
        """Forget *record*."""
        if record in self:
            del self._records[record]
            del self._by_id[record.id]

    def rename(self, record: ChildRecord, id: str) -> None:
        """Call *record* *id* from now on, in the same place."""
        record.is_named = True
        del self._by_id[record.id]
        record.id = id
        self._by_id[id] = record

    def find(self, id: str) -> ChildRecord | None:
        """Return the child called *id*, if there is one."""
        return self._by_id.get(id)

    def get(self, id: str) -> ChildRecord:
        """Return the child called *id*.

        Raises:
            ChildError: there is none.
        """
        record = self._by_id.get(id)
        if record is None:
            raise ChildError(f"there is no child {id!r}")
        return record

    def group(self, record: ChildRecord, strategy: Strategy) -> list[ChildRecord]:
        """Return the children that are started again together with *record*, which is one."""
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
