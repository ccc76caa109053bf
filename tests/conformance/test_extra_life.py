"""What libprocess does and its own tests do not tell: waiting, spawning, terminating, links."""

from __future__ import annotations

import logging

import gevent
import pytest

from greenproc.future import Promise
from greenproc.http.request import Request
from greenproc.http.url import URL
from greenproc.pid import UPID
from greenproc.process import ExitedEvent, Process, install, route
from greenproc.runtime import Runtime
from greenproc.testing import RuntimeMaker, await_ready
from tests.peer import Acceptor, closed_address


class Recorder(Process):
    def __init__(self, id: str | None = None) -> None:
        super().__init__(id)
        self.calls: list[object] = []

    @install("note")
    def on_note(self, sender: UPID, body: bytes) -> None:
        self.calls.append(body)

    def exited(self, pid: UPID) -> None:
        self.calls.append(("exited", pid))

    def call(self, value: object) -> object:
        self.calls.append(value)
        return value

    @route("/x")
    def on_x(self, request: Request) -> str:
        self.calls.append("request")
        return "x"


def hold(runtime: Runtime, process: Process) -> Promise[None]:
    """Keep *process* busy until the promise is set."""
    gate: Promise[None] = Promise()
    runtime.dispatch(process, gate.future.get)
    return gate


# Waiting


def test_wait_without_limit_is_false_at_once_unless_the_process_runs(runtime: Runtime) -> None:
    dead = runtime.spawn(Process())
    runtime.terminate(dead)
    runtime.wait(dead)
    with Acceptor() as acceptor:
        for pid in (UPID("nobody", runtime.address), dead, UPID("x", acceptor.address), UPID()):
            assert runtime.wait(pid) is False


def test_wait_without_limit_is_true_when_the_process_has_ended(runtime: Runtime) -> None:
    live = runtime.spawn(Process())
    gevent.get_hub().loop.run_callback(runtime.terminate, live)
    assert runtime.wait(live) is True


@pytest.mark.parametrize("seconds", [0.0, 0.05])
def test_wait_with_limit_takes_what_does_not_run_as_ended(
    runtime: Runtime, seconds: float
) -> None:
    dead = runtime.spawn(Process())
    runtime.terminate(dead)
    runtime.wait(dead)
    assert runtime.wait(dead, seconds) is True
    assert runtime.wait(UPID("nobody", runtime.address), seconds) is True
    assert runtime.wait(UPID(), seconds) is False


@pytest.mark.parametrize("seconds", [0.0, 0.05])
def test_wait_with_limit_is_false_while_the_process_lives(
    runtime: Runtime, seconds: float
) -> None:
    assert runtime.wait(runtime.spawn(Process()), seconds) is False


def test_wait_with_limit_follows_the_paused_clock(runtime: Runtime) -> None:
    runtime.clock.pause()
    waiting = gevent.spawn(runtime.wait, runtime.spawn(Process()), 5.0)
    runtime.settle()
    runtime.clock.advance(4.0)
    runtime.settle()
    assert not waiting.ready()
    runtime.clock.advance(1.0)
    assert waiting.get(timeout=15.0) is False


def test_wait_with_limit_ends_with_the_process(runtime: Runtime) -> None:
    runtime.clock.pause()
    pid = runtime.spawn(Process())
    waiting = gevent.spawn(runtime.wait, pid, 5.0)
    runtime.settle()
    runtime.terminate(pid)
    assert waiting.get(timeout=15.0) is True


def test_wait_with_limit_waits_for_the_connection_to_a_remote_process(runtime: Runtime) -> None:
    runtime.clock.pause()
    with Acceptor() as acceptor:
        waiting = gevent.spawn(runtime.wait, UPID("x", acceptor.address), 5.0)
        with acceptor.accept():
            runtime.settle()
            assert not waiting.ready()
    assert waiting.get(timeout=15.0) is True


def test_wait_with_limit_is_false_while_the_connection_stands(runtime: Runtime) -> None:
    runtime.clock.pause()
    with Acceptor() as acceptor:
        waiting = gevent.spawn(runtime.wait, UPID("x", acceptor.address), 5.0)
        with acceptor.accept():
            runtime.settle()
            runtime.clock.advance(5.0)
            assert waiting.get(timeout=15.0) is False


# Ids


def test_second_process_of_an_id_is_not_spawned(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = Recorder("a"), Recorder("a")
    runtime.spawn(first)
    with caplog.at_level(logging.WARNING):
        pid = runtime.spawn(second)
    assert not pid
    assert pid.is_empty
    assert "a running process has that id" in caplog.text
    assert runtime.dispatch(second.pid, Recorder.call, 1).get() == 1  # pid names the first
    assert (first.calls, second.calls) == ([1], [])


def test_old_address_reaches_the_next_process_of_that_id(runtime: Runtime) -> None:
    old = runtime.spawn(Recorder("a"))
    runtime.terminate(old)
    runtime.wait(old)
    successor = Recorder("a")
    assert runtime.spawn(successor) == old
    runtime.post(old, "note", b"1")
    runtime.settle()
    assert successor.calls == [b"1"]


def test_process_is_not_spawned_again_after_its_end(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    process = Recorder("a")
    runtime.terminate(runtime.spawn(process))
    runtime.wait(process)
    assert not runtime.spawn(process)
    assert "it was spawned before" in caplog.text


# Terminating


def test_injected_terminate_drops_what_is_queued(runtime: Runtime) -> None:
    process = Recorder("p")
    runtime.spawn(process)
    gate = hold(runtime, process)
    gevent.sleep(0)
    dispatched = runtime.dispatch(process, Recorder.call, 1)
    answered = runtime._parts().router.serve(Request("GET", URL.parse("/p/x")))
    runtime.post(process, "note", b"2")

    runtime.terminate(process)
    gate.set(None)

    assert runtime.wait(process)
    assert dispatched.is_abandoned
    assert await_ready(answered).status == 500
    assert process.calls == []


def test_terminate_behind_the_queue_lets_it_be_served(runtime: Runtime) -> None:
    process = Recorder("p")
    runtime.spawn(process)
    gate = hold(runtime, process)
    gevent.sleep(0)
    dispatched = runtime.dispatch(process, Recorder.call, 1)
    answered = runtime._parts().router.serve(Request("GET", URL.parse("/p/x")))
    runtime.terminate(process, inject=False)
    too_late = runtime.dispatch(process, Recorder.call, 2)
    gate.set(None)

    assert runtime.wait(process)
    assert dispatched.value == 1
    assert await_ready(answered).status == 200
    assert too_late.is_abandoned
    assert process.calls == [1, "request"]


def test_injected_terminate_stops_at_the_first_terminate(runtime: Runtime) -> None:
    process = Recorder()
    runtime.spawn(process)
    gate = hold(runtime, process)
    gevent.sleep(0)
    dropped = runtime.dispatch(process, Recorder.call, 1)
    runtime.terminate(process, inject=False)
    runtime.terminate(process)
    gate.set(None)
    assert runtime.wait(process)
    assert dropped.is_abandoned


class Finalizer(Process):
    """Tells itself and *other* something at its end."""

    def __init__(self, other: UPID) -> None:
        super().__init__()
        self.other = other
        self.calls: list[object] = []

    def finalize(self) -> None:
        self.send(self.other, "note", b"last words")
        self.own = self.runtime.dispatch(self, self.calls.append, 1)


def test_what_a_process_sends_itself_while_it_finalizes_is_dropped(runtime: Runtime) -> None:
    other = Recorder()
    process = Finalizer(runtime.spawn(other))
    runtime.terminate(runtime.spawn(process))
    runtime.wait(process)
    runtime.settle()
    assert other.calls == [b"last words"]
    assert process.own.is_abandoned
    assert process.calls == []


# Links


def link(runtime: Runtime, linker: Process, *pids: UPID) -> None:
    for pid in pids:
        runtime.dispatch(linker, lambda pid=pid: linker.link(pid)).get()


def test_exit_is_in_the_mailbox_of_the_linker_when_wait_returns(runtime: Runtime) -> None:
    linkee, linker = runtime.spawn(Process()), Recorder()
    runtime.spawn(linker)
    link(runtime, linker, linkee)
    gate = hold(runtime, linker)
    gevent.sleep(0)

    runtime.terminate(linkee)
    assert runtime.wait(linkee)

    assert linker.event_count(ExitedEvent) == 1
    gate.set(None)


def test_link_to_an_unknown_local_id_exits_at_once(runtime: Runtime) -> None:
    linker, nobody = Recorder(), UPID("nobody", runtime.address)
    runtime.spawn(linker)
    link(runtime, linker, nobody)
    runtime.settle()
    assert linker.calls == [("exited", nobody)]


def test_two_links_give_one_exit(runtime: Runtime) -> None:
    linkee, linker = runtime.spawn(Process()), Recorder()
    runtime.spawn(linker)
    link(runtime, linker, linkee, linkee)
    runtime.terminate(linkee)
    runtime.settle()
    assert linker.calls == [("exited", linkee)]


def test_link_to_oneself_is_never_told(runtime: Runtime) -> None:
    linker = Recorder()
    runtime.spawn(linker)
    link(runtime, linker, linker.pid)
    runtime.terminate(linker)
    assert runtime.wait(linker)
    assert linker.calls == []


def test_link_to_the_empty_id_does_nothing(runtime: Runtime) -> None:
    linker = Recorder()
    runtime.spawn(linker)
    link(runtime, linker, UPID())
    runtime.settle()
    assert linker.calls == []
    assert runtime.statistics()["processes"]["links"] == 0


class Told(Recorder):
    """Completes a future once it has been told of so many exits."""

    def __init__(self, expected: int) -> None:
        super().__init__()
        self.expected = expected
        self.told: Promise[None] = Promise()

    def exited(self, pid: UPID) -> None:
        super().exited(pid)
        if len(self.calls) == self.expected:
            self.told.set(None)


def test_link_to_a_closed_port_exits(runtime: Runtime) -> None:
    linker, nobody = Told(1), UPID("x", closed_address())
    runtime.spawn(linker)
    link(runtime, linker, nobody)
    await_ready(linker.told.future)
    assert linker.calls == [("exited", nobody)]


def test_lost_connection_gives_one_exit_for_each_linkee(runtime: Runtime) -> None:
    linker = Told(2)
    runtime.spawn(linker)
    with Acceptor() as acceptor:
        first, second = UPID("first", acceptor.address), UPID("second", acceptor.address)
        link(runtime, linker, first, second)
        acceptor.accept().close()
    await_ready(linker.told.future)
    runtime.settle()
    assert linker.calls == [("exited", first), ("exited", second)]


def test_end_of_a_remote_process_is_not_noticed(make_runtime: RuntimeMaker) -> None:
    here, there = make_runtime(), make_runtime()
    linkee, linker = there.spawn(Process()), Told(1)
    here.spawn(linker)
    link(here, linker, linkee)
    there.terminate(linkee)
    there.wait(linkee)
    here.settle()
    assert linker.calls == []

    there.stop()
    await_ready(linker.told.future)
    assert linker.calls == [("exited", linkee)]
