"""Twins of libprocess' process_tests.cpp: the life of processes, messages, links and filters."""

from __future__ import annotations

import greenproc
from greenproc.future import Promise
from greenproc.pid import PID, UPID
from greenproc.process import ExitedEvent, MessageEvent, Process, TerminateEvent, install
from greenproc.runtime import Runtime
from greenproc.testing import (
    await_abandoned,
    await_ready,
    drop_dispatch,
    drop_exited,
    drop_message,
    future_dispatch,
    future_exited,
    inject_exited,
)


class Recorder(Process):
    """Notes what happens to it."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id)
        self.calls: list[object] = []

    def initialize(self) -> None:
        self.calls.append("initialize")

    def finalize(self) -> None:
        self.calls.append("finalize")

    def exited(self, pid: UPID) -> None:
        self.calls.append(("exited", pid))

    def call(self) -> None:
        self.calls.append("call")

    @install("handler")
    def on_handler(self, sender: UPID, body: bytes) -> None:
        self.calls.append(("handler", sender, body))


class Linker(Recorder):
    def __init__(self, linkee: UPID) -> None:
        super().__init__()
        self.linkee = linkee

    def initialize(self) -> None:
        self.link(self.linkee)


def test_event() -> None:
    """ProcessTest.Event."""
    event = TerminateEvent(UPID(), inject=False)
    assert isinstance(event, TerminateEvent)
    assert not isinstance(event, (MessageEvent, ExitedEvent))


def test_spawn(runtime: Runtime) -> None:
    """ProcessTest.Spawn."""
    process = Recorder()
    pid = runtime.spawn(process)
    assert pid
    assert not pid.is_empty
    assert runtime.wait(pid, 0.0) is False
    assert process.calls == ["initialize"]

    runtime.terminate(pid)
    assert runtime.wait(pid)
    assert process.calls == ["initialize", "finalize"]


def test_handlers(runtime: Runtime) -> None:
    """ProcessTest.Handlers."""

    class Installs(Recorder):
        def __init__(self) -> None:
            super().__init__()
            self.install("func", self.func)

        def func(self, sender: UPID, body: bytes) -> None:
            self.calls.append(("func", sender, body))

    process = Installs()
    pid = runtime.spawn(process)
    runtime.post(pid, "func")
    runtime.terminate(pid, inject=False)
    assert runtime.wait(pid)
    assert process.calls == ["initialize", ("func", UPID(), b""), "finalize"]


def test_expect(runtime: Runtime) -> None:
    """ProcessTest.Expect."""
    process = Recorder()
    pid = runtime.spawn(process)
    message = drop_message("handler", UPID(), pid)
    runtime.post(pid, "handler")
    await_ready(message)

    dispatched = drop_dispatch(pid, Recorder.call)
    result = runtime.dispatch(pid, Recorder.call)
    await_ready(dispatched)
    await_abandoned(result)
    assert process.calls == ["initialize"]


def test_action(runtime: Runtime) -> None:
    """ProcessTest.Action."""

    class Adder(Process):
        def add(self, number: int) -> None: ...

    pid = runtime.spawn(Adder())
    second = future_dispatch(pid, Adder.add)
    first = future_dispatch(pid, Adder.add)

    runtime.dispatch(pid, Adder.add, 42)
    assert await_ready(first).args == (42,)
    runtime.settle()
    assert second.is_pending

    runtime.dispatch(pid, Adder.add, 43)
    await_ready(second)


def test_inheritance(runtime: Runtime) -> None:
    """ProcessTest.Inheritance."""

    class Base(Process):
        def foo(self) -> int:
            return 1

    class Derived(Base):
        def foo(self) -> int:
            return 2

    process = Derived()
    derived: PID[Derived] = runtime.spawn(process)
    base: PID[Base] = PID(derived.id, derived.address)
    assert base == derived == process.pid
    assert await_ready(runtime.dispatch(base, Base.foo)) == 2
    assert await_ready(runtime.dispatch(derived, Derived.foo)) == 2


def test_delegate(runtime: Runtime) -> None:
    """ProcessTest.Delegate."""
    delegatee, delegator = Recorder("delegatee"), Process("delegator")
    delegator.delegate("handler", delegatee.pid)
    runtime.spawn(delegator)
    runtime.spawn(delegatee)
    sender = UPID("sender", runtime.address)

    runtime.post(delegator, "handler", b"body", sender=sender)

    runtime.settle()
    assert delegatee.calls == ["initialize", ("handler", sender, b"body")]


def test_donate(runtime: Runtime) -> None:
    """ProcessTest.Donate."""

    class Donor(Process):
        def donate(self) -> bool:
            pid = self.runtime.spawn(Process())
            self.runtime.terminate(pid)
            waited: bool = self.runtime.wait(pid)
            return waited

    assert await_ready(runtime.dispatch(runtime.spawn(Donor()), Donor.donate)) is True


def test_exited(runtime: Runtime) -> None:
    """ProcessTest.Exited."""
    linkee = runtime.spawn(Process())
    linker = Linker(linkee)
    runtime.spawn(linker)
    runtime.settle()

    runtime.terminate(linkee)

    runtime.settle()
    assert linker.calls == [("exited", linkee)]


def test_inject_exited(runtime: Runtime) -> None:
    """ProcessTest.InjectExited."""
    linkee = runtime.spawn(Process())
    linker = Linker(linkee)
    runtime.spawn(linker)

    assert inject_exited(linkee, linker)

    runtime.settle()
    assert linker.calls == [("exited", linkee)]
    assert runtime.wait(linkee, 0.0) is False


def test_future_exited(runtime: Runtime) -> None:
    """ProcessTest.FutureExited."""
    linkee = runtime.spawn(Process())
    linker = Linker(linkee)
    runtime.spawn(linker)
    runtime.settle()
    exited = future_exited(linkee, linker)

    runtime.terminate(linkee)

    await_ready(exited)
    runtime.settle()
    assert linker.calls == [("exited", linkee)]


def test_drop_exited(runtime: Runtime) -> None:
    """ProcessTest.DropExited."""
    linkee = runtime.spawn(Process())
    linker = Linker(linkee)
    runtime.spawn(linker)
    runtime.settle()
    exited = drop_exited(linkee, linker)

    runtime.terminate(linkee)

    await_ready(exited)
    runtime.settle()
    assert linker.calls == []


def test_pid(runtime: Runtime) -> None:
    """ProcessTest.Pid."""
    process = Recorder()
    pid: PID[Recorder] = process.pid
    assert pid
    assert pid.address == runtime.address


def test_listener(runtime: Runtime) -> None:
    """ProcessTest.Listener."""

    class FirstListener(Process):
        def event1(self) -> str:
            raise NotImplementedError

    class SecondListener(Process):
        def event2(self) -> str:
            raise NotImplementedError

    class Both(FirstListener, SecondListener):
        def event1(self) -> str:
            return "first"

        def event2(self) -> str:
            return "second"

    process = Both()
    runtime.spawn(process)
    first: PID[FirstListener] = PID(process.pid.id, runtime.address)
    second: PID[SecondListener] = PID(process.pid.id, runtime.address)
    assert await_ready(runtime.dispatch(first, FirstListener.event1)) == "first"
    assert await_ready(runtime.dispatch(second, SecondListener.event2)) == "second"


def test_timer_after_reinitialize(monkeypatch) -> None:
    """ProcessTest.TimerAfterReinitialize."""
    monkeypatch.setenv("LIBPROCESS_IP", "127.0.0.1")
    greenproc.initialize()
    greenproc.current_runtime().clock.timer(3600.0, lambda: None)
    greenproc.finalize()

    greenproc.initialize()
    fired: Promise[None] = Promise()
    greenproc.current_runtime().clock.timer(0.01, lambda: fired.set(None))
    await_ready(fired.future)
    greenproc.finalize()
