"""Processes that record what happens to them, and short words for what tests do to them."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import gevent
import pytest
from greenlet import GreenletExit

from greenproc.errors import ChildError
from greenproc.future import Future
from greenproc.pid import PID, UPID
from greenproc.process import Process, install
from greenproc.runtime import Runtime
from greenproc.supervision import Child, ChildInfo, Supervisor
from greenproc.testing import expect_failure


class Poisoned(Exception):
    """What the handler of a poison message raises."""


class Worker(Process):
    """Writes its starts and ends into *log*, and can be told to fail in each way."""

    def __init__(self, id: str | None, log: list[str] | None = None) -> None:
        super().__init__(id)
        self.log = [] if log is None else log
        self.name = id or "?"
        self.served: list[bytes] = []

    def initialize(self) -> None:
        self.log.append(f"+{self.name}")

    def finalize(self) -> None:
        self.log.append(f"-{self.name}")

    @install("poison")
    def on_poison(self, sender: UPID, body: bytes) -> None:
        raise Poisoned(self.name)

    @install("bye")
    def on_bye(self, sender: UPID, body: bytes) -> None:
        self.terminate()

    @install("note")
    def on_note(self, sender: UPID, body: bytes) -> None:
        self.served.append(body)

    @install("wait")
    def on_wait(self, sender: UPID, body: bytes) -> None:
        gevent.event.Event().wait()

    def noted(self) -> list[bytes]:
        return self.served

    def itself(self) -> Worker:
        return self


class Deaf(Worker):
    """Waits for ever when it is to clean up."""

    def finalize(self) -> None:
        super().finalize()
        gevent.event.Event().wait()


class Immortal(Worker):
    """Swallows kills until it is released."""

    def __init__(self, id: str | None, release: gevent.event.Event) -> None:
        super().__init__(id)
        self.release = release

    def finalize(self) -> None:
        while not self.release.is_set():
            try:
                self.release.wait()
            except GreenletExit:
                continue


class Family:
    """A supervisor under test: what it has, and how to reach its children."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.log: list[str] = []
        self.ends: list[tuple[str, BaseException | None]] = []
        self.pid: PID[Supervisor] = PID()
        runtime.signals.process_terminated.connect(self._ended)

    def _ended(self, _: Any, *, pid: UPID, reason: BaseException | None) -> None:
        self.ends.append((pid.id, reason))

    def start(self, children: list[Child], **options: Any) -> Family:
        """Spawn a supervisor of *children*, and wait until all is quiet."""
        self.pid = self.runtime.spawn(Supervisor(children, **options))
        self.runtime.settle()
        return self

    def worker(self, id: str, kind: type[Worker] = Worker, **options: Any) -> Child:
        """Return a child called *id*, whose starts and ends are in the log."""
        return Child(lambda: kind(id, self.log), id, **options)

    def call(self, method: Callable[..., Any], *args: Any) -> Any:
        """Call *method* of the supervisor, and return its result."""
        future: Future[Any] = self.runtime.dispatch(self.pid, method, *args)
        return future.get(10)

    def upid(self, id: str) -> UPID:
        return UPID(id, self.runtime.address)

    def post(self, id: str, name: str, body: bytes = b"") -> None:
        """Send a message to the child *id*, and wait until all is quiet."""
        self.runtime.post(self.upid(id), name, body)
        self.runtime.settle()

    def poison(self, *ids: str) -> None:
        """Let the children fail, all in one turn, and wait until all is quiet."""
        with expect_failure(Poisoned):
            for id in ids:
                self.runtime.post(self.upid(id), "poison")
            self.runtime.settle()

    def die(self, id: str, how: str) -> None:
        """Let the child end: by ``poison``, ``bye``, ``kill`` or ``terminate`` from outside."""
        if how == "poison":
            self.poison(id)
        elif how == "bye":
            self.post(id, "bye")
        elif how == "terminate":
            self.runtime.terminate(self.upid(id))
        else:
            self.kill(id)
        self.runtime.settle()

    def kill(self, id: str) -> None:
        """Throw a kill into the greenlet of the child."""
        process_record = self.runtime.processes.records[id]
        assert process_record.greenlet is not None
        gevent.kill(process_record.greenlet)

    def children(self) -> list[ChildInfo]:
        return list(self.call(Supervisor.which_children))

    def states(self) -> list[str]:
        return [info.state.value for info in self.children()]

    def incarnations(self) -> list[int]:
        return [info.incarnation for info in self.children()]

    def counts(self) -> tuple[int, int, int, int]:
        found = self.call(Supervisor.count_children)
        return found.specs, found.active, found.supervisors, found.workers

    def object(self, id: str) -> Any:
        """Return the process that has the id now."""
        return self.runtime.processes.records[id].process

    @property
    def is_alive(self) -> bool:
        return self.pid.id in self.runtime.processes.records

    def reason(self, id: str) -> BaseException | None:
        """Return the reason of the last end of the process *id*."""
        return next(reason for name, reason in reversed(self.ends) if name == id)

    @property
    def reason_of_end(self) -> BaseException | None:
        return self.reason(self.pid.id)

    def running(self) -> list[str]:
        """Return which of the processes are workers or supervisors of the test."""
        return [
            process_record.pid.id
            for process_record in self.runtime.processes.records.values()
            if isinstance(process_record.process, (Worker, Supervisor))
        ]


def refused(text: str) -> AbstractContextManager[object]:
    """Expect that a call is refused as one that does not fit the state of the child."""
    return pytest.raises(ChildError, match=re.escape(text))
