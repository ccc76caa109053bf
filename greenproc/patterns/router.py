"""`Router` and `Pool`: processes that forward messages to workers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from greenproc.checks import whole_number
from greenproc.errors import InvalidArgument
from greenproc.failures import FAILURES, log_failure
from greenproc.message import Message
from greenproc.patterns.choosers import Chooser, Key, Route
from greenproc.pid import PID, UPID
from greenproc.process.arguments import as_receiver, as_upid
from greenproc.process.base import Process
from greenproc.process.dropping import drop_message
from greenproc.process.event import ExitedEvent, MessageEvent
from greenproc.process.record import BLOCKED
from greenproc.supervision import Child, ChildState, Supervisor

NO_WORKER = "no worker"
KEY_FAILED = "the key failed"

logger = logging.getLogger("greenproc.process")


class Router(Process):
    """Forwards each message to one of its workers, or to all of them, and preserves the sender.

    Workers answer the sender directly, so `ask` works through a router. Dispatches and HTTP
    requests are served by the router itself. The router links to its workers, which may be on
    other nodes, and removes a worker that has ended. Without workers, a message is dropped with
    the reason *no worker*.

    Args:
        workers: the initial workers; `add` and `remove`, to be dispatched, change them.
        route: ``"round_robin"``; ``"least_busy"``, the shortest mailbox, where a worker on another
            node counts as idle; ``"hash"``, the same worker for the same *key*, with consistent
            hashing, so that few keys move when workers are added or removed; or ``"broadcast"``.
        key: returns the routing key of a message, for ``"hash"``; a message for which it raises is
            dropped.
        id: the id of the router; None generates ``Router(1)`` and so on.

    Raises:
        InvalidArgument: an argument is out of range or of the wrong type.
    """

    def __init__(
        self,
        workers: Iterable[UPID | Process] = (),
        *,
        route: Route = "round_robin",
        key: Key | None = None,
        id: str | None = None,
    ) -> None:
        super().__init__(id)
        if not isinstance(workers, Iterable):
            raise InvalidArgument(f"expected a list of workers, got {workers!r}")
        self.__chooser = Chooser(route, key, self.__load)
        self.__workers = dict.fromkeys(map(as_receiver, workers))

    def initialize(self) -> None:
        """Link to the workers. An override must call the base method."""
        for pid in self.__workers:
            self.__refuse_itself(pid)
        self.__chooser.use(list(self.__workers))
        for pid in list(self.__workers):
            self.link(pid)

    def add(self, worker: UPID | Process) -> bool:
        """Add a worker; return whether it is new.

        Raises:
            InvalidArgument: *worker* is not the address of a process, or is the router itself,
                which would forward a message to itself for ever.
        """
        pid = as_receiver(worker)
        self.__refuse_itself(pid)
        if pid in self.__workers:
            return False
        self.__workers[pid] = None
        self.__chooser.use(list(self.__workers))
        self.link(pid)
        return True

    def remove(self, worker: UPID | Process) -> bool:
        """Remove a worker; return whether it was one."""
        pid = as_upid(worker)
        if pid not in self.__workers:
            return False
        del self.__workers[pid]
        self.__chooser.use(list(self.__workers))
        return True

    def workers(self) -> tuple[UPID, ...]:
        """Return the workers in the order of their addition."""
        return tuple(self.__workers)

    def exited(self, pid: UPID) -> None:
        """Remove a worker that has ended. An override must call the base method."""
        self.remove(pid)

    def consume_message(self, event: MessageEvent) -> None:
        """Forward the message."""
        pass_on(self, self.__chooser, event.message)

    def __refuse_itself(self, pid: UPID) -> None:
        if pid == self.pid:
            raise InvalidArgument(f"expected workers of {pid}, got the router itself")

    def __load(self, pid: UPID) -> int:
        return load_of(self, pid)


class Pool(Supervisor):
    """A `Router` that creates and supervises its workers.

    ::

        pool = spawn(Pool(Resizer, 4, route="least_busy"))
        ask(pid, "resize", picture).get()

    A worker that fails is restarted. Its queued messages, and those that arrive meanwhile, are
    kept for the next process; the message that caused the failure is lost, and the error logged.

    Args:
        factory: creates a worker process.
        size: the number of workers, at least 1.
        route: the routing rule, as for `Router`.
        key: the routing key, as for `Router`.
        max_restarts: the number of restarts, of all workers together, that is allowed within
            *within* seconds; one more terminates the pool and its workers.
        within: the length of that window, in seconds of the runtime's clock.
        id: the id of the pool, whose workers are ``id-1`` and so on; None generates ids.

    Raises:
        InvalidArgument: an argument is out of range or of the wrong type.
    """

    def __init__(  # noqa: PLR0913 -- those of a router and those of a supervisor
        self,
        factory: Callable[[], Process],
        size: int,
        *,
        route: Route = "round_robin",
        key: Key | None = None,
        max_restarts: int = 3,
        within: float = 5.0,
        id: str | None = None,
    ) -> None:
        size = whole_number("size", size, least=1)
        self.__chooser = Chooser(route, key, self.__load)
        self.__workers: tuple[UPID, ...] = ()
        names = [None if id is None else f"{id}-{number}" for number in range(1, size + 1)]
        children = [Child(factory, name, mailbox="keep") for name in names]
        super().__init__(children, max_restarts=max_restarts, within=within, id=id)

    def initialize(self) -> None:
        """Start the workers. An override must call the base method."""
        super().initialize()
        self.__look()

    def workers(self) -> tuple[UPID, ...]:
        """Return the addresses of the workers; a restart does not change them."""
        return self.__workers

    def start_child(self, child: Child) -> PID[Any] | None:
        """Add and start a worker. See `Supervisor.start_child`."""
        pid = super().start_child(child)
        self.__look()
        return pid

    def terminate_child(self, id: str | UPID) -> None:
        """Stop a worker, which gets no further message. See `Supervisor.terminate_child`."""
        super().terminate_child(id)
        self.__look()

    def restart_child(self, id: str | UPID) -> PID[Any] | None:
        """Start a stopped worker. See `Supervisor.restart_child`."""
        pid = super().restart_child(id)
        self.__look()
        return pid

    def consume_exited(self, event: ExitedEvent) -> None:
        """Restart a worker that has ended, or remove it from the routing."""
        super().consume_exited(event)
        self.__look()

    def consume_message(self, event: MessageEvent) -> None:
        """Forward the message."""
        pass_on(self, self.__chooser, event.message)

    def __look(self) -> None:
        """Route to the workers that are running or being restarted."""
        gone = (ChildState.ABSENT, ChildState.STUCK)
        workers = tuple(
            PID[Any](child.id, self.pid.address)
            for child in self.which_children()
            if child.state not in gone
        )
        if workers != self.__workers:
            self.__workers = workers
            self.__chooser.use(workers)

    def __load(self, pid: UPID) -> int:
        return load_of(self, pid)


def pass_on(router: Process, chooser: Chooser, message: Message) -> None:
    """Forward *message* to the chosen workers, or drop it if there are none.

    Args:
        router: the process that forwards.
        chooser: its routing rule.
        message: the message, whose sender is preserved.
    """
    manager = router.runtime.processes
    try:
        chosen = chooser.choose(message)
    except FAILURES:
        log_failure(logger, "the key of %s failed on %r, which is dropped", router.pid, message)
        drop_message(manager, message, KEY_FAILED, "its key function failed")
        return
    for pid in chosen:
        manager.forward(message, pid)
    if not chosen:
        drop_message(manager, message, NO_WORKER, "it has no worker")


def load_of(router: Process, pid: UPID) -> int:
    """Return the number of events of a worker, the one being served included.

    Args:
        router: a process of the same node.
        pid: the worker; one on another node has a load of 0.
    """
    manager = router.runtime.processes
    record = manager.find_record(pid) or manager.gaps.find_holder(pid.id)
    if record is None:
        return 0
    return len(record.events or ()) + (record.state is not BLOCKED)
