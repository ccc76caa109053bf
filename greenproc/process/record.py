"""What the runtime keeps about one process, apart from the object the user wrote."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import gevent
from gevent.event import Event as GateEvent

from greenproc.pid import PID
from greenproc.tracing import TRACE, TRACING

if TYPE_CHECKING:
    from greenlet import greenlet

    from greenproc.message import Message
    from greenproc.process.base import Process
    from greenproc.process.flow import MailboxBound
    from greenproc.process.mailbox import Item, Mailbox
    from greenproc.process.manager import ProcessManager
    from greenproc.process.ports import Supervised, Supervising
    from greenproc.process.postponed import Postponed
    from greenproc.process.routes import RouteTable


MAX_NAMED = 10  # processes in one message


class ProcessState(Enum):
    """Where a process is in its life.

    Source: libprocess include/process/process.hpp, ProcessBase::ProcessState.
    """

    BOTTOM = "bottom"
    """Not initialized yet; events queue up."""
    READY = "ready"
    """Running, or in the run queue."""
    BLOCKED = "blocked"
    """The mailbox is empty."""
    TERMINATING = "terminating"
    """Served its terminate event; every further event is refused."""


NOTHING_DECLARED: Final[dict[str, Callable[..., Any]]] = {}
"""The `ProcessRecord.declared` of what is no process: handlers of messages, by name, as its class has them."""

NOTHING_FITS = -1
"""The `ProcessRecord.byte_mark` of a process that is ending."""

BOTTOM, READY, BLOCKED, TERMINATING = (
    ProcessState  # the hot path reads a global faster than a member
)


UNBOUND: PID[Any] = PID()
"""The address of a process that belongs to no runtime yet."""


class ProcessRecord:
    """The runtime's record of one process.

    Nothing here is for users; a `Process` carries one record and everything the scheduler and the
    manager need is in it, so that a subclass has all attribute names for itself. A record is made to
    be small: mailbox, greenlet and tables exist only while they are needed.
    """

    __slots__ = (
        "bound",
        "byte_mark",
        "context",
        "declared",
        "delegates",
        "events",
        "gate",
        "greenlet",
        "handlers",
        "id",
        "injected",
        "mailbox",
        "manager",
        "max_events",
        "message",
        "pid",
        "postponed",
        "process",
        "queued_bytes",
        "reason",
        "routes",
        "served",
        "serving",
        "state",
        "supervised",
        "supervising",
        "__weakref__",
    )

    def __init__(self, process: Process | None, id: str | None) -> None:
        self.process: Process | None = process
        self.id = id
        self.state = ProcessState.BOTTOM
        self.manager: ProcessManager | None = None
        self.pid: PID[Any] = UNBOUND
        self.events: deque[Item] | None = None
        self.mailbox: Mailbox | None = None
        self.greenlet: greenlet | None = None
        self.context: Context | None = None
        self.injected = False
        self.message: Message | None = None  # whose handler runs
        self.reason: BaseException | None = None
        self.gate: GateEvent | None = None
        self.declared: dict[str, Callable[..., Any]] = NOTHING_DECLARED
        self.handlers: dict[str, Callable[..., Any]] | None = None
        self.delegates: dict[str, Any] | None = None
        self.routes: RouteTable | None = None
        self.postponed: Postponed | None = None
        self.served = 0  # in turns that are over
        self.queued_bytes = 0  # of events that may wait, at most; see `MailboxQuota`
        self.byte_mark = 0  # beyond it the quota is asked
        self.max_events = 0  # from so many on `enqueue` looks twice; of a bound one at each
        self.bound: MailboxBound | None = None
        self.serving = 0  # which event of its turn; 0 between turns
        self.supervised: Supervised | None = None  # what its supervisor keeps of it
        self.supervising: Supervising | None = None  # of a supervisor: its children

    def supervise_by(self, incarnation: Supervised | None) -> None:
        """Note what the supervisor keeps of the process; None if it has none."""
        self.supervised = incarnation

    def supervise(self, children: Supervising) -> None:
        """Note the children of the process, which is a supervisor."""
        self.supervising = children

    @contextmanager
    def serving_message(self, message: Message) -> Iterator[None]:
        """Note in a ``with`` block that a handler of *message* runs."""
        outer, self.message = self.message, message
        try:
            yield
        finally:
            self.message = outer

    def start_greenlet(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Start a greenlet in the process' context and return it; it ends with the runtime."""
        # Bound here: gevent has a parameter of its own, which *kwargs* may have the name of.
        greenlet = gevent.Greenlet(partial(function, *args, **kwargs))
        greenlet.gr_context = context = self.context.copy() if self.context is not None else None
        if TRACING.is_active and context is not None:
            # That of the caller, which may be another than that of the event that is served.
            context.run(TRACE.set, TRACE.get())
        assert self.manager is not None
        self.manager.keep_greenlet(greenlet)
        greenlet.start()
        return greenlet

    def __repr__(self) -> str:
        queued = len(self.events) if self.events else 0
        return f"<ProcessRecord {self.pid if self.manager else self.id} {self.state.name}, {queued} queued>"


def name_processes(
    records: Sequence[ProcessRecord], describe: Callable[[ProcessRecord], str]
) -> str:
    """Describe the first ten of *records* in one line, and say how many more there are."""
    named = [describe(record) for record in records[:MAX_NAMED]]
    if len(records) > MAX_NAMED:
        named.append(f"and {len(records) - MAX_NAMED} more")
    return ", ".join(named)


def describe_busy(records: Iterable[ProcessRecord]) -> str:
    """Name the processes of *records* that run or have events to serve; the first ten of them."""
    busy = [record for record in records if record.state is not BLOCKED]
    return name_processes(
        busy,
        lambda record: (
            f"{record.pid} ({record.state.name.lower()}, {len(record.events or ())} queued)"
        ),
    )
