"""One node as a whole: start, stop, several at a time."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context

import gevent
import pytest
from gevent.event import Event
from gevent.monkey import get_original

import greenproc
from greenproc.current import RUNTIME, find_runtime
from greenproc.errors import BindError, InvalidArgument, InvalidSettings, StateError
from greenproc.future import Promise
from greenproc.pid import UPID
from greenproc.process import Process, install
from greenproc.runtime import Runtime, RuntimeState
from greenproc.settings import Settings, TLSSettings
from greenproc.testing import RuntimeMaker, await_ready
from tests.peer import Peer

LOOPBACK = Settings(ip="127.0.0.1")


class Echo(Process):
    """Answers each ``ping`` with a ``pong``."""

    def __init__(self, id: str = "echo") -> None:
        super().__init__(id)
        self.pong: Promise[bytes] = Promise()

    @install("ping")
    def on_ping(self, sender: UPID, body: bytes) -> None:
        self.send(sender, "pong", body)

    @install("pong")
    def on_pong(self, sender: UPID, body: bytes) -> None:
        self.pong.set(body)


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


# Start


def test_runtime_goes_through_its_states() -> None:
    node = Runtime(LOOPBACK)
    assert node.state is RuntimeState.NEW
    assert repr(node) == "<Runtime unbound new>"
    node.start()
    assert node.state is RuntimeState.RUNNING
    assert repr(node) == f"<Runtime {node.address} running>"
    node.stop()
    assert node.state is RuntimeState.STOPPED


def test_runtime_does_not_serve_in_plain_what_is_to_be_encrypted() -> None:
    tls = TLSSettings(enabled=True, cert_file="/cert", key_file="/key")
    node = Runtime(Settings(ip="127.0.0.1", tls=tls))
    with pytest.raises(InvalidSettings, match=r"^expected tls\.enabled to be False, .* a proxy"):
        node.start()
    assert node.state is RuntimeState.STOPPED


def test_started_runtime_cannot_be_started(runtime: Runtime) -> None:
    with pytest.raises(StateError, match="starts once, this one is running"):
        runtime.start()


def test_stopped_runtime_cannot_be_started_again() -> None:
    with Runtime(LOOPBACK) as node:
        pass
    with pytest.raises(StateError, match="this one is stopped: make a new one"):
        node.start()


def test_runtime_that_is_not_started_has_nothing() -> None:
    node = Runtime(LOOPBACK)
    for use in (
        lambda: node.address,
        lambda: node.clock,
        lambda: node.spawn(Process()),
        lambda: node.post(UPID(), "m"),
        node.statistics,
        node.settle,
    ):
        with pytest.raises(StateError, match=r"not started: call start\(\) first"):
            use()
    assert node.stop() == ()


def test_busy_port_is_told_and_nothing_is_left(runtime: Runtime) -> None:
    taken = Runtime(Settings(ip="127.0.0.1", port=runtime.address.port))
    with pytest.raises(BindError):
        taken.start()
    assert taken.state is RuntimeState.STOPPED


def test_port_is_free_again_after_the_stop() -> None:
    with Runtime(LOOPBACK) as node, Peer.connect(node.address) as peer:
        peer.get("/nobody")  # leaves a connection in TIME_WAIT
    with Runtime(Settings(ip="127.0.0.1", port=node.address.port)) as again:
        assert again.address == node.address


def test_bad_setting_is_told_before_anything_starts() -> None:
    with pytest.raises(InvalidSettings, match="port"):
        Settings(port=70_000)


def test_error_in_the_block_stops_the_runtime() -> None:
    node = Runtime(LOOPBACK)
    with pytest.raises(KeyError), node:
        raise KeyError
    assert node.state is RuntimeState.STOPPED


# Several


def test_two_runtimes_talk_to_each_other(make_runtime: RuntimeMaker) -> None:
    first, second = make_runtime(), make_runtime()
    here, there = Echo(), Echo()  # the same id on both
    first.spawn(here)
    second.spawn(there)
    here.send(there, "ping", b"over and back")
    assert await_ready(here.pong.future) == b"over and back"
    assert there.pong.future.is_pending


def test_each_runtime_has_its_own_clock_and_filter(make_runtime: RuntimeMaker) -> None:
    first, second = make_runtime(), make_runtime()
    first.clock.pause()
    first.filter(lambda pid, event: True)
    assert not second.clock.paused
    assert second.dispatch(second.spawn(Process()), lambda: 1).get() == 1


def test_process_of_another_runtime_is_not_local(make_runtime: RuntimeMaker) -> None:
    first, second = make_runtime(), make_runtime()
    pid = second.spawn(Process())
    assert first.dispatch(pid, lambda: 1).is_abandoned
    assert first.wait(pid) is False
    first.terminate(pid)
    assert second.dispatch(pid, lambda: 2).get() == 2


def test_selected_runtime_is_that_of_the_block(make_runtime: RuntimeMaker) -> None:
    first, second = make_runtime(), make_runtime()
    before = find_runtime()
    with first.selected() as selected:
        assert selected is first
        with second.selected():
            assert find_runtime() is second
        assert find_runtime() is first
    assert find_runtime() is before


def test_runtime_of_a_with_block_is_the_current_one_of_the_block() -> None:
    before = find_runtime()
    with Runtime() as outer:
        assert greenproc.current_runtime() is outer
        pid = greenproc.spawn(Process())
        with Runtime() as inner:
            assert find_runtime() is inner
        assert find_runtime() is outer
        assert greenproc.dispatch(pid, find_runtime).get() is outer
    assert find_runtime() is before


def test_error_in_the_block_restores_the_runtime_before(make_runtime: RuntimeMaker) -> None:
    first = make_runtime()
    with first.selected():
        with pytest.raises(ValueError, match="on purpose"), Runtime():
            raise ValueError("on purpose")
        assert find_runtime() is first


def test_failing_start_leaves_the_runtime_before(runtime: Runtime) -> None:
    with pytest.raises(BindError), Runtime(Settings(port=runtime.address.port)):
        raise AssertionError("the port is taken")
    assert find_runtime() is runtime


def test_interrupted_stop_restores_the_runtime_before(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Runtime()
    node.__enter__()
    with monkeypatch.context() as patch:
        patch.setattr(node, "_finish", interrupt)
        with pytest.raises(KeyboardInterrupt):
            node.__exit__(None, None, None)

    assert find_runtime() is runtime
    node.stop()


@pytest.mark.parametrize("enter", [Runtime.__enter__, lambda node: node.start()])
def test_block_may_be_left_in_another_context(enter: Callable[[Runtime], object]) -> None:
    node = Runtime()
    copy_context().run(enter, node)
    before = find_runtime()

    copy_context().run(node.__exit__, None, None, None)

    assert node.state is RuntimeState.STOPPED
    assert find_runtime() is before


def test_block_left_in_a_copied_context_is_left_there_too(runtime: Runtime) -> None:
    node = Runtime()
    inside = copy_context()
    inside.run(node.__enter__)
    copied = inside.copy()

    copied.run(node.__exit__, None, None, None)

    assert copied.run(find_runtime) is runtime


def test_handler_may_run_a_node_of_its_own(runtime: Runtime) -> None:
    def run_node() -> bool:
        with Runtime() as node:
            return greenproc.current_runtime() is node

    assert runtime.dispatch(runtime.spawn(Process()), run_node).get() is True


def test_what_runs_in_a_runtime_finds_it(make_runtime: RuntimeMaker) -> None:
    node, other = make_runtime(), make_runtime()
    with other.selected():
        assert node.spawn_greenlet(find_runtime).get(timeout=15.0) is node
        assert node.dispatch(node.spawn(Process()), find_runtime).get() is node
        fired: Promise[object] = Promise()
        node.clock.timer(0.0, lambda: fired.set(RUNTIME.get()))
        assert await_ready(fired.future) is node


def test_runtime_may_live_in_another_native_thread(runtime: Runtime) -> None:
    """Each thread has a hub of its own; messages go over sockets, calls through the loop."""
    echo = Echo("here")
    runtime.spawn(echo)
    thread_has_node: Promise[Runtime] = Promise()

    def work() -> None:
        with Runtime(LOOPBACK) as node:
            node.spawn(Echo("there"))
            stop = gevent.get_hub().loop.async_()
            stopped = Event()
            stop.start(stopped.set)
            node.stop_it = stop.send  # type: ignore[attr-defined]
            thread_has_node.set(node)
            stopped.wait(15.0)
            stop.close()
        gevent.get_hub().destroy()

    thread = get_original("threading", "Thread")(target=work)
    thread.start()
    node = await_ready(thread_has_node.future)
    there = UPID("there", node.address)
    echo.send(there, "ping", b"to another thread")
    assert await_ready(echo.pong.future) == b"to another thread"
    assert node.dispatch(there, lambda: "called").get(timeout=15.0) == "called"
    node.stop_it()
    # This hub must go on: the other node waits for what ours has to answer.
    gevent.get_hub().threadpool.apply(thread.join)


# The rest


def test_statistics_count_what_there_is(runtime: Runtime) -> None:
    built_in = runtime.statistics()["processes"]["processes"]
    runtime.spawn(Process())
    runtime.clock.timer(1000.0, lambda: None)
    runtime.settle()
    told = runtime.statistics()
    assert told["state"] == "running"
    assert told["processes"]["processes"] == built_in + 1
    assert told["clock"]["timers"] == 1
    assert set(told) == {
        "state",
        "processes",
        "clock",
        "inbound",
        "outbound",
        "websockets",
        "event_streams",
        "messages_dropped",
    }


def test_workers_are_those_of_the_settings() -> None:
    assert Runtime(Settings(num_worker_threads=12)).workers() == 12


@pytest.mark.parametrize("seconds", [-1, float("nan"), True, "1", None])
def test_delay_takes_seconds_only(runtime: Runtime, seconds: float) -> None:
    with pytest.raises(InvalidArgument, match=r"expected .*seconds"):
        runtime.delay(seconds, runtime.spawn(Process()), print)


def test_delay_can_be_cancelled(runtime: Runtime) -> None:
    runtime.clock.pause()
    calls: list[int] = []
    timer = runtime.delay(1.0, runtime.spawn(Process()), calls.append, 1)
    assert timer.cancel() is True
    runtime.clock.advance(1.0)
    runtime.settle()
    assert calls == []


def test_delay_to_an_ended_process_does_nothing(runtime: Runtime) -> None:
    runtime.clock.pause()
    pid = runtime.spawn(Process())
    runtime.delay(1.0, pid, print)
    runtime.terminate(pid)
    runtime.wait(pid)
    runtime.clock.advance(1.0)
    runtime.settle()


def test_host_names_are_resolved(runtime: Runtime) -> None:
    assert runtime.resolve("127.0.0.1") == "127.0.0.1"
