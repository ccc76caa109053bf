"""`Router` and `Pool`: processes that pass messages on to one of many workers."""

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
from greenproc.process.cell import BLOCKED
from greenproc.process.dropping import drop_message
from greenproc.process.event import ExitedEvent, MessageEvent
from greenproc.supervision import Child, ChildState, Supervisor

NO_WORKER = "no worker"
KEY_FAILED = "the key failed"

logger = logging.getLogger("greenproc.process")


class Router(Process):
    """Passes each message on to one of its workers, or to all; the sender stays that of the message.

    Answers go straight to the sender, and `ask` works through it. Dispatches and requests are those of the
    router itself. It links to its workers, here or on other nodes, and one that has ended gets
    no more. Without a worker a message is dropped, and reported with *no worker*.

    Args:
        workers: the first ones; `add` and `remove` are dispatched.
        route: ``"round_robin"``; ``"least_busy"``, by what is queued, where a worker of another
            node counts as idle; ``"hash"``, where messages with the same *key* go to the same worker, and
            few keys move when workers come and go; or ``"broadcast"``, to all.
        key: returns what of a message decides. If it fails, that message is dropped.

    Raises:
        InvalidArgument: an argument is not what it should be.
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
        """Link to the workers. An override must call this one."""
        for pid in self.__workers:
            self.__refuse_itself(pid)
        self.__chooser.use(list(self.__workers))
        for pid in list(self.__workers):
            self.link(pid)

    def add(self, worker: UPID | Process) -> bool:
        """Pass messages on to *worker*, too; return whether it is a new one.

        Raises:
            InvalidArgument: it is no address of a process, or that of the router itself, in which
                a message would go round for ever.
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
        """Pass nothing more on to *worker*; return whether it was one."""
        pid = as_upid(worker)
        if pid not in self.__workers:
            return False
        del self.__workers[pid]
        self.__chooser.use(list(self.__workers))
        return True

    def workers(self) -> tuple[UPID, ...]:
        """Return the workers, the oldest first."""
        return tuple(self.__workers)

    def exited(self, pid: UPID) -> None:
        """Pass nothing more on to a worker that has ended. An override must call this one."""
        self.remove(pid)

    def consume_message(self, event: MessageEvent) -> None:
        """Pass the message on."""
        pass_on(self, self.__chooser, event.message)

    def __refuse_itself(self, pid: UPID) -> None:
        if pid == self.pid:
            raise InvalidArgument(f"expected workers of {pid}, got the router itself")

    def __load(self, pid: UPID) -> int:
        return load_of(self, pid)


class Pool(Supervisor):
    """A `Router` that makes its workers and supervises them.

    ::

        pool = spawn(Pool(Resizer, 4, route="least_busy"))
        ask(pid, "resize", picture).get()

    A worker that fails is restarted, and what was queued for it, or comes meanwhile, is kept for the
    next one; the message that it failed with is lost, and the failure logged.

    Args:
        factory: makes a worker.
        size: how many.
        route: as for `Router`, and so *key*.
        max_restarts: of all workers together ...
        within: ... in so many seconds of the clock; one more ends the pool with all workers.

    Raises:
        InvalidArgument: an argument is not what it should be.
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
        """Start the workers. An override must call this one."""
        super().initialize()
        self.__look()

    def workers(self) -> tuple[UPID, ...]:
        """Return the addresses of the workers, which stay the same when they are restarted."""
        return self.__workers

    def start_child(self, child: Child) -> PID[Any] | None:
        """Start one more worker. See `Supervisor.start_child`."""
        pid = super().start_child(child)
        self.__look()
        return pid

    def terminate_child(self, id: str | UPID) -> None:
        """Stop a worker and pass nothing more on to it. See `Supervisor.terminate_child`."""
        super().terminate_child(id)
        self.__look()

    def restart_child(self, id: str | UPID) -> PID[Any] | None:
        """Start a worker that was stopped. See `Supervisor.restart_child`."""
        pid = super().restart_child(id)
        self.__look()
        return pid

    def consume_exited(self, event: ExitedEvent) -> None:
        """Restart a worker, or pass nothing more on to one that is not restarted."""
        super().consume_exited(event)
        self.__look()

    def consume_message(self, event: MessageEvent) -> None:
        """Pass the message on."""
        pass_on(self, self.__chooser, event.message)

    def __look(self) -> None:
        """Choose among the workers that run, or are being restarted, from now on."""
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
    """Send *message* to the workers that *chooser* says, or report that none gets it."""
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
    """Return how many events the local worker *pid* has to serve, the present one included."""
    manager = router.runtime.processes
    cell = manager.find_cell(pid) or manager.gaps.find_holder(pid.id)
    if cell is None:
        return 0
    return len(cell.events or ()) + (cell.state is not BLOCKED)
