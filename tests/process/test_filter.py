"""Filters of events."""

from __future__ import annotations

from typing import Any

from greenproc.pid import UPID
from greenproc.process import DispatchEvent, ExitedEvent, Filter, MessageEvent, Process, install
from greenproc.runtime import Runtime
from greenproc.testing import expect_failure


class Receiver(Process):
    def __init__(self) -> None:
        super().__init__("receiver")
        self.calls: list[object] = []

    @install("m")
    def on_m(self, sender: UPID, body: bytes) -> None:
        self.calls.append(body)

    def exited(self, pid: UPID) -> None:
        self.calls.append(("exited", pid))

    def call(self) -> None:
        self.calls.append("call")


class Dropping(Filter):
    """Drops messages with the body ``bad``, every dispatch and every exit; notes all it sees."""

    def __init__(self) -> None:
        self.seen: list[tuple[UPID, str]] = []

    def visit_message(self, event: MessageEvent) -> Any:
        self.seen.append((self.pid, event.kind))
        return event.message.body == b"bad"

    def visit_dispatch(self, event: DispatchEvent) -> Any:
        self.seen.append((self.pid, event.kind))
        return True

    def visit_exited(self, event: ExitedEvent) -> Any:
        self.seen.append((self.pid, event.kind))
        return True


def test_filter_drops_what_its_methods_tell(runtime: Runtime) -> None:
    receiver, dropping = Receiver(), Dropping()
    pid = runtime.spawn(receiver)
    runtime.filter(dropping)

    runtime.post(pid, "m", b"good")
    runtime.post(pid, "m", b"bad")
    future = runtime.dispatch(pid, Receiver.call)
    runtime.processes.inject_exited(UPID(), pid)
    runtime.settle()

    assert receiver.calls == [b"good"]
    assert future.is_abandoned
    assert dropping.seen == [
        (pid, "MESSAGE"),
        (pid, "MESSAGE"),
        (pid, "DISPATCH"),
        (pid, "EXITED"),
    ]


def test_base_filter_drops_nothing(runtime: Runtime) -> None:
    receiver = Receiver()
    pid = runtime.spawn(receiver)
    runtime.filter(Filter())
    runtime.post(pid, "m", b"1")
    runtime.dispatch(pid, Receiver.call).get()
    runtime.terminate(pid)
    assert runtime.wait(pid)
    assert receiver.calls == [b"1", "call"]


def test_filter_sees_events_when_they_are_taken_out(runtime: Runtime) -> None:
    receiver, dropping = Receiver(), Dropping()
    pid = runtime.spawn(receiver)
    runtime.post(pid, "m", b"bad")
    runtime.filter(dropping)  # after it was queued
    runtime.settle()
    assert receiver.calls == []


def test_removed_filter_sees_nothing(runtime: Runtime) -> None:
    receiver, dropping = Receiver(), Dropping()
    pid = runtime.spawn(receiver)
    runtime.filter(dropping)
    runtime.filter(None)
    runtime.post(pid, "m", b"bad")
    runtime.settle()
    assert receiver.calls == [b"bad"]
    assert dropping.seen == []


def test_event_is_served_when_the_filter_fails(runtime: Runtime) -> None:
    receiver = Receiver()
    pid = runtime.spawn(receiver)
    runtime.filter(lambda pid, event: 1 / 0)
    with expect_failure(ZeroDivisionError):
        runtime.post(pid, "m", b"1")
        runtime.settle()
    assert receiver.calls == [b"1"]
