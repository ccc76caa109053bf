"""`Supervisor`: a process that starts, restarts and stops other processes."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import Any

from greenproc.errors import ChildError, InvalidArgument, RestartLimit, StartFailed
from greenproc.pid import PID, UPID
from greenproc.process.base import Process, record_of
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
    """A process that starts child processes in order, restarts them when they end, and stops them.

    Each child starts after ``initialize`` of the previous one has returned; children stop in the
    reverse order. A restarted child keeps its id, so its address stays valid. No child outlives
    its supervisor. A supervisor can itself be the child of another supervisor.

    The methods must be dispatched: ``dispatch(pid, Supervisor.which_children)``. A child must not
    block on such a call, because the supervisor may be waiting for the child at that time.

    Args:
        children: the child specifications, in start order.
        strategy: which siblings are restarted together with a child: none (``"one_for_one"``),
            all (``"one_for_all"``), or those after it in start order (``"rest_for_one"``).
        max_restarts: the number of restarts, of all children together, that is allowed within
            *within* seconds. One more terminates the supervisor with `RestartLimit`, so that its
            own supervisor restarts it.
        within: the length of that window, in seconds of the runtime's clock.
        auto_shutdown: whether the supervisor terminates after a significant child has ended and
            is not restarted: ``"never"``, after the first one (``"any_significant"``), or after
            the last one (``"all_significant"``).
        backoff: the delays before restarts; None restarts without delay.
        id: the id of the supervisor; None generates ``Supervisor(1)`` and so on.

    Raises:
        InvalidArgument: an argument is out of range or of the wrong type.

    Source: Erlang/OTP supervisor. Differs: `Backoff` delays restarts; exceeding the limit
    terminates the supervisor with an error; a killed child still runs ``finalize``;
    ``simple_one_for_one`` is a ``one_for_one`` supervisor with children added by `start_child`.
    """

    def __init__(  # noqa: PLR0913 -- the supervisor flags of Erlang/OTP
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
        record_of(self).supervise(Family(runner, table, self.__restarts))

    # Life

    def initialize(self) -> None:
        """Start the children. An override must call the base method.

        Raises:
            StartFailed: a child did not start; the children started before it were stopped again.
            InvalidArgument: an override has already started a child with the same id.
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
        """Move the specifications given to the constructor into the table.

        No other reference to them is kept: a temporary child drops its factory once it started.

        Raises:
            InvalidArgument: an override has already started a child with the same id.
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
        """Stop the children. An override must call the base method."""
        self.__runner.stop_all()

    def consume_exited(self, event: ExitedEvent) -> None:
        """Handle the exit of a child; the exit of any other process goes to `exited`."""
        record = None
        if event.pid.address == self.pid.address:
            record = self.__table.find(event.pid.id)
        if record is None:
            super().consume_exited(event)
        else:
            self.__restarts.look(record)

    # Methods to dispatch

    def start_child(self, child: Child) -> PID[Any] | None:
        """Append a child and start it.

        Returns the address of its process, or None if the factory returned None.

        Raises:
            StartFailed: the child did not start; it was not added.
            ChildError: a child with that id exists.
            InvalidArgument: *child* is not a `Child`, or cannot be significant here.
        """
        check_child(child, self.__restarts.auto_shutdown)
        self.__runner.open()  # an override of initialize() may skip the base method
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
        """Stop a child and keep its specification; a temporary child is removed.

        The child stays down until `restart_child`, or a restart of its group, starts it.

        Args:
            id: the id of the child, or the address of its process.

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
        """Start a child that is down.

        Returns the address of its process, or None if the factory returned None.

        Args:
            id: the id of the child, or the address of its process.

        Raises:
            StartFailed: the child did not start.
            ChildError: there is no such child, or it is running or being restarted.
        """
        record = self.__get_absent(id)
        try:
            return self.__runner.start(record)
        except StartFailed as error:
            self.__report_failed(record, error)
            raise

    def delete_child(self, id: str | UPID) -> None:
        """Remove a child that is down, with its specification.

        Args:
            id: the id of the child, or the address of its process.

        Raises:
            ChildError: there is no such child, or it is running or being restarted.
        """
        record = self.__get_absent(id)
        self.__runner.close_gap(record)
        self.__table.remove(record)

    def which_children(self) -> list[ChildInfo]:
        """Return a description of each child, in start order."""
        return [record.describe() for record in self.__table]

    def which_child(self, id: str | UPID) -> ChildInfo:
        """Return the description of one child.

        Args:
            id: the id of the child, or the address of its process.

        Raises:
            ChildError: there is no such child.
        """
        return self.__get(id).describe()

    def count_children(self) -> ChildCounts:
        """Count the children."""
        return self.__table.count()

    def child_spec(self, id: str | UPID) -> Child:
        """Return the specification of a child, with its actual id and shutdown limit.

        The factory of a temporary child is dropped once the child has started.

        Args:
            id: the id of the child, or the address of its process.

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
        """Return an unused id for a child whose process does not exist yet.

        Args:
            taken: ids that other children are going to have.
        """
        manager = record_of(self).manager
        assert manager is not None
        while True:
            id = manager.names.generate("child")
            if id not in taken and self.__table.find(id) is None:
                return id

    def __report_failed(self, record: ChildRecord, error: StartFailed) -> None:
        if not isinstance(error, StartInterrupted):
            self.__runner.reports.start_failed(record, error)

    def __give_up(self, error: RestartLimit) -> None:
        manager = record_of(self).manager
        assert manager is not None
        manager.end(record_of(self), error)


class Family:
    """The view that the runtime has of a supervisor and its children."""

    __slots__ = ("_restarts", "_runner", "_table")

    def __init__(self, runner: ChildRunner, table: ChildTable, restarts: Restarts) -> None:
        self._runner = runner
        self._table = table
        self._restarts = restarts

    def asked_to_terminate(self) -> None:
        """Cancel a start that the supervisor is waiting for."""
        self._runner.end()

    def ended(self) -> None:
        """Terminate the remaining children: none outlives its supervisor."""
        if len(self._table):
            self._runner.abandon()

    def describe(self) -> Iterator[ChildInfo]:
        """Return a description of each child, in start order."""
        return (record.describe() for record in self._table)

    def count(self) -> ChildCounts:
        """Count the children."""
        return self._table.count()

    def describe_limit(self) -> dict[str, Any]:
        """Return the restart strategy, the limit, and the number of recent restarts."""
        limit = self._restarts.limit
        return {
            "strategy": self._restarts.strategy,
            "max_restarts": limit.most,
            "within": limit.within,
            "restarts_within": self._runner.count_lately(limit),
            "restarts": self._runner.restarts,
        }


def check_children(children: Iterable[Child], auto_shutdown: AutoShutdown) -> list[Child]:
    """Return *children* as a list of valid specifications with distinct ids.

    Args:
        children: the specifications given to a supervisor.
        auto_shutdown: that of the supervisor.

    Raises:
        InvalidArgument: an item is not a valid `Child`, or two have the same id.
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
    """Check that a supervisor can have *child*.

    Args:
        child: the specification to check.
        auto_shutdown: that of the supervisor.

    Raises:
        InvalidArgument: *child* is not a `Child`, or is significant although *auto_shutdown* is
            ``"never"``.
    """
    if not isinstance(child, Child):
        raise InvalidArgument(f"expected a Child, got {child!r}")
    if child.significant and auto_shutdown == "never":
        name = child.id or str(getattr(child.factory, "__name__", child.factory))
        raise InvalidArgument(f"child {name!r} is significant, but auto_shutdown is 'never'")
