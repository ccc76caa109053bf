"""`Supervisor`: a process that starts, restarts and stops other processes."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import Any

from greenproc.errors import ChildError, InvalidArgument, RestartLimit, StartFailed
from greenproc.pid import PID, UPID
from greenproc.process.base import Process, cell_of
from greenproc.process.event import ExitedEvent
from greenproc.supervision.backoff import Backoff
from greenproc.supervision.child import Child, check_choice, is_number
from greenproc.supervision.limit import LimitWindow
from greenproc.supervision.restarts import AutoShutdown, Restarts
from greenproc.supervision.runner import ChildRunner, StartInterrupted
from greenproc.supervision.table import (
    ChildCounts,
    ChildInfo,
    ChildRecord,
    ChildState,
    ChildTable,
    Strategy,
)

STRATEGIES = ("one_for_one", "one_for_all", "rest_for_one")
SHUTDOWNS = ("never", "any_significant", "all_significant")


class Supervisor(Process):
    """A process that starts its children in order, restarts those that end, and stops them.

    Children start one after the other, each when ``initialize`` of the one before has returned,
    and stop in the reverse order. A child that has to be restarted keeps its id, so its address
    stays valid. No child outlives its supervisor. A supervisor can be the child of another one.

    The methods are to be dispatched: ``dispatch(pid, Supervisor.which_children)``. A child must
    not wait for such a call, since the supervisor may wait for the child.

    Args:
        children: in the order of their starts.
        strategy: what is restarted with a child: nothing (``"one_for_one"``), all children
            (``"one_for_all"``), or those behind it (``"rest_for_one"``).
        max_restarts: how many restarts of all children together ...
        within: ... are made in so many seconds of the clock; one more ends the supervisor with a
            `RestartLimit`, so that its own supervisor restarts it.
        auto_shutdown: whether the supervisor ends when a significant child has ended for good:
            ``"never"``, with the first one (``"any_significant"``), or with the last one
            (``"all_significant"``).
        backoff: how long to wait before restarts; not at all when None.
        id: of the supervisor itself; ``Supervisor(1)`` and so on when None.

    Raises:
        InvalidArgument: an argument is not what it should be.

    Source: Erlang/OTP supervisor. Differs: a `Backoff`; the limit ends it with an error; a kill
    lets ``finalize`` run; ``simple_one_for_one`` is a ``one_for_one`` supervisor whose children
    are added by `start_child`.
    """

    def __init__(  # noqa: PLR0913 -- as many as Erlang/OTP has flags
        self,
        children: Iterable[Child],
        *,
        strategy: Strategy = "one_for_one",
        max_restarts: int = 3,
        within: float = 5.0,
        auto_shutdown: AutoShutdown = "never",
        backoff: Backoff | None = None,
        id: str | None = None,
    ) -> None:
        super().__init__(id)
        check_choice("strategy", strategy, STRATEGIES)
        if isinstance(max_restarts, bool) or not isinstance(max_restarts, int) or max_restarts < 0:
            raise InvalidArgument(
                f"expected max_restarts to be a whole number from 0 on, got {max_restarts!r}"
            )
        if not is_number(within) or not 0 < within < float("inf"):
            raise InvalidArgument(f"expected within to be seconds above 0, got {within!r}")
        check_choice("auto_shutdown", auto_shutdown, SHUTDOWNS)
        if backoff is not None and not isinstance(backoff, Backoff):
            raise InvalidArgument(f"expected backoff to be a Backoff or None, got {backoff!r}")
        self.__children = check_children(children, auto_shutdown)
        self.__table = table = ChildTable()
        self.__runner = runner = ChildRunner(self, table)
        self.__restarts = Restarts(
            runner,
            table,
            LimitWindow(max_restarts, float(within)),
            strategy=strategy,
            auto_shutdown=auto_shutdown,
            backoff=backoff,
        )
        self.__restarts.give_up = self.__give_up
        self.__restarts.shut_down = self.terminate
        cell_of(self).supervising = Family(runner, table, self.__restarts)

    # Life

    def initialize(self) -> None:
        """Start the children. An override must call this one.

        Raises:
            StartFailed: one of them did not start; those before it were stopped again.
            InvalidArgument: an override has started a child with the id of one of them.
        """
        runner = self.__runner
        runner.open()
        try:
            for record in self.__take_children():
                runner.start(record)
        except StartInterrupted:
            runner.stop_all()
            self.terminate()
        except StartFailed as error:
            runner.reports.start_failed(record, error)
            runner.stop_all()
            raise
        except BaseException:
            runner.stop_all()
            raise

    def __take_children(self) -> list[ChildRecord]:
        """Add the children of the constructor, whose specs are not kept there any more.

        Raises:
            InvalidArgument: an override has started another child with the id of one of them.
        """
        specs, self.__children = self.__children, []
        ids = {spec.id for spec in specs}
        records = []
        specs.reverse()
        while specs:
            spec = specs.pop()
            record = ChildRecord(spec, spec.id or self.__generate_id(ids))
            if self.__table.find(record.id) is not None:
                raise InvalidArgument(f"two children have the id {record.id!r}")
            self.__table.add(record)
            records.append(record)
            del spec
        return records

    def finalize(self) -> None:
        """Stop the children. An override must call this one."""
        self.__runner.stop_all()

    def consume_exited(self, event: ExitedEvent) -> None:
        """Restart the child that has ended, if it is to be restarted; else call `exited`."""
        record = None
        if event.pid.address == self.pid.address:
            record = self.__table.find(event.pid.id)
        if record is None:
            super().consume_exited(event)
        else:
            self.__restarts.look(record)

    # To dispatch

    def start_child(self, child: Child) -> PID[Any] | None:
        """Append *child* and start it; return its address, or None if there is no process now.

        Raises:
            StartFailed: it did not start, and was not added.
            ChildError: there is a child with that id.
            InvalidArgument: *child* is none, or significant where that means nothing.
        """
        check_child(child, self.__restarts.auto_shutdown)
        self.__runner.open()  # an override of initialize() may not have called this class'
        is_anonymous = child.id is None and self.__restarts.strategy == "one_for_one"
        if is_anonymous and child.significant:
            raise InvalidArgument("an anonymous child cannot be significant: give it an id")
        there = None if child.id is None else self.__table.find(child.id)
        if there is not None and there.is_alive:
            raise ChildError(f"child {child.id!r} is already running")
        if there is not None:
            raise ChildError(f"child {child.id!r} is already there: restart_child() starts it")
        record = ChildRecord(child, child.id or self.__generate_id(), is_anonymous=is_anonymous)
        del child
        self.__table.add(record)
        try:
            return self.__runner.start(record)
        except StartFailed as error:
            self.__report_failed(record, error)
            self.__table.remove(record)
            raise
        except BaseException:
            if not record.is_alive:
                self.__table.remove(record)
            raise

    def terminate_child(self, id: str | UPID) -> None:
        """Stop the child *id*, an id or the address of its process; it stays known.

        It is not restarted until `restart_child`, or a restart of its group. A temporary child is
        forgotten.

        Raises:
            ChildError: there is no such child.
        """
        record = self.__get(id)
        was_restarting = record.state is ChildState.RESTARTING
        self.__runner.stop(record)
        record.attempts = 0
        if was_restarting:
            for each in self.__table:
                if each.state is ChildState.ABSENT:
                    self.__runner.close_gap(each)

    def restart_child(self, id: str | UPID) -> PID[Any] | None:
        """Start the child *id*, which has ended; return as `start_child` does.

        Raises:
            StartFailed: it did not start.
            ChildError: there is no such child, or it runs, or is being restarted.
        """
        record = self.__get_absent(id)
        try:
            return self.__runner.start(record)
        except StartFailed as error:
            self.__report_failed(record, error)
            raise

    def delete_child(self, id: str | UPID) -> None:
        """Forget the child *id*, which has ended.

        Raises:
            ChildError: there is no such child, or it runs, or is being restarted.
        """
        record = self.__get_absent(id)
        self.__runner.close_gap(record)
        self.__table.remove(record)

    def which_children(self) -> list[ChildInfo]:
        """Return what there is to know about each child, in the order of their starts."""
        return [record.describe() for record in self.__table]

    def which_child(self, id: str | UPID) -> ChildInfo:
        """Return what there is to know about the child *id*.

        Raises:
            ChildError: there is no such child.
        """
        return self.__get(id).describe()

    def count_children(self) -> ChildCounts:
        """Count the children."""
        return self.__table.count()

    def child_spec(self, id: str | UPID) -> Child:
        """Return how the child *id* is made and restarted, its id and limit filled in.

        The factory of a temporary child is not kept once that has started.

        Raises:
            ChildError: there is no such child.
        """
        return self.__get(id).full_spec()

    def __get(self, id: str | UPID) -> ChildRecord:
        if isinstance(id, UPID):
            record = self.__table.find(id.id) if id.address == self.pid.address else None
            if record is None:
                raise ChildError(f"there is no child {id.id!r} with the address {id.address}")
            return record
        if not isinstance(id, str):
            raise InvalidArgument(f"expected the id or the address of a child, got {id!r}")
        return self.__table.get(id)

    def __get_absent(self, id: str | UPID) -> ChildRecord:
        record = self.__get(id)
        if record.state is ChildState.RESTARTING:
            raise ChildError(f"child {record.id!r} is being restarted")
        if record.is_alive or record.state is ChildState.RUNNING:
            raise ChildError(f"child {record.id!r} is running")
        return record

    def __generate_id(self, taken: Container[str | None] = ()) -> str:
        """Return an id that neither a child has nor *taken*, for as long as there is no process."""
        manager = cell_of(self).manager
        assert manager is not None
        while True:
            id = manager.names.generate("child")
            if id not in taken and self.__table.find(id) is None:
                return id

    def __report_failed(self, record: ChildRecord, error: StartFailed) -> None:
        if not isinstance(error, StartInterrupted):
            self.__runner.reports.start_failed(record, error)

    def __give_up(self, error: RestartLimit) -> None:
        manager = cell_of(self).manager
        assert manager is not None
        manager.end(cell_of(self), error)


class Family:
    """What the runtime sees of the children of a supervisor."""

    __slots__ = ("_restarts", "_runner", "_table")

    def __init__(self, runner: ChildRunner, table: ChildTable, restarts: Restarts) -> None:
        self._runner = runner
        self._table = table
        self._restarts = restarts

    def asked_to_terminate(self) -> None:
        """Let the supervisor wait for no start any more."""
        self._runner.end()

    def ended(self) -> None:
        """End what is left: no child outlives its supervisor."""
        if len(self._table):
            self._runner.abandon()

    def describe(self) -> Iterator[ChildInfo]:
        """Tell what there is to know about each child, in the order of their starts."""
        return (record.describe() for record in self._table)

    def count(self) -> ChildCounts:
        """Count the children."""
        return self._table.count()

    def describe_limit(self) -> dict[str, Any]:
        """Return how children are restarted, and how often they were lately."""
        limit = self._restarts.limit
        return {
            "strategy": self._restarts.strategy,
            "max_restarts": limit.most,
            "within": limit.within,
            "restarts_within": self._runner.count_lately(limit),
            "restarts": self._runner.restarts,
        }


def check_children(children: Iterable[Child], auto_shutdown: AutoShutdown) -> list[Child]:
    """Return *children* as a list, if a supervisor can have them all.

    Raises:
        InvalidArgument: it cannot.
    """
    if isinstance(children, (str, bytes, Child)) or not isinstance(children, Iterable):
        raise InvalidArgument(f"expected a list of Child, got {children!r}")
    checked: list[Child] = []
    ids: set[str] = set()
    for child in children:
        check_child(child, auto_shutdown)
        if child.id in ids:
            raise InvalidArgument(f"two children have the id {child.id!r}")
        if child.id is not None:
            ids.add(child.id)
        checked.append(child)
    return checked


def check_child(child: object, auto_shutdown: AutoShutdown) -> None:
    """Refuse what is no child, or one that is significant where that means nothing.

    Raises:
        InvalidArgument: it is.
    """
    if not isinstance(child, Child):
        raise InvalidArgument(f"expected a Child, got {child!r}")
    if child.significant and auto_shutdown == "never":
        name = child.id or str(getattr(child.factory, "__name__", child.factory))
        raise InvalidArgument(f"child {name!r} is significant, but auto_shutdown is 'never'")
