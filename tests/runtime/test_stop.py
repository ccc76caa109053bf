"""Stopping a node: in order, within a limit, whatever its processes do."""

from __future__ import annotations

import gc
import logging
import weakref
from contextlib import suppress
from typing import Any

import gevent
import pytest
from gevent.event import Event

from greenproc.errors import StateError
from greenproc.future import Promise
from greenproc.pid import UPID
from greenproc.process import Process, install
from greenproc.runtime import Runtime, RuntimeState, life
from greenproc.settings import Settings
from greenproc.testing import RuntimeMaker, await_ready, future_message
from tests.peer import Acceptor, Peer

LOOPBACK = Settings(ip="127.0.0.1")


class Receiver(Process):
    def __init__(self) -> None:
        super().__init__()
        self.pong: Promise[bytes] = Promise()

    @install("pong")
    def on_pong(self, sender: UPID, body: bytes) -> None:
        self.pong.set(body)


def test_stop_does_nothing_when_it_does_not_run() -> None:
    node = Runtime(LOOPBACK)
    node.start()
    assert node.stop() == ()
    assert node.stop() == ()


def test_stop_lets_processes_serve_what_they_have(make_runtime: RuntimeMaker) -> None:
    node = make_runtime()
    calls: list[str] = []

    class Last(Process):
        def finalize(self) -> None:
            calls.append("finalize")

    pid = node.spawn(Last())
    node.dispatch(pid, gevent.sleep, 0)
    node.dispatch(pid, calls.append, "queued")
    assert node.stop() == ()
    assert calls == ["queued", "finalize"]


def test_youngest_process_ends_first(make_runtime: RuntimeMaker) -> None:
    node = make_runtime()
    ended: list[str] = []
    node.signals.process_terminated.connect(lambda sender, pid, reason: ended.append(pid.id))
    for id in "abc":
        node.spawn(Process(id))
    node.stop()
    assert ended[:3] == ["c", "b", "a"]
    assert ended[-1] == "help"  # the first of the built-in ones


def test_stop_sends_what_processes_say_at_their_end(make_runtime: RuntimeMaker) -> None:
    node, other = make_runtime(), make_runtime()
    receiver = Receiver()
    other.spawn(receiver)

    class Last(Process):
        def finalize(self) -> None:
            self.send(receiver, "pong", b"goodbye")

    node.spawn(Last())
    node.stop()
    assert await_ready(receiver.pong.future) == b"goodbye"


def test_nothing_is_spawned_while_it_stops(make_runtime: RuntimeMaker) -> None:
    node = make_runtime()
    pids: list[UPID] = []

    class Last(Process):
        def finalize(self) -> None:
            pids.append(self.runtime.spawn(Process()))

    node.spawn(Last())
    node.stop()
    assert [bool(pid) for pid in pids] == [False]


def test_handler_that_blocks_for_ever_is_killed_and_told(make_runtime: RuntimeMaker) -> None:
    node = make_runtime(Settings(ip="127.0.0.1", stop_timeout=0.05))
    stuck, fine = Process("stuck"), Process("fine")
    node.spawn(fine)
    node.spawn(stuck)
    called = node.dispatch(stuck, Event().wait)
    queued = node.dispatch(stuck, int)
    gevent.sleep(0)
    assert node.stop() == (stuck.pid,)
    assert called.is_abandoned
    assert queued.is_abandoned
    assert node.state is RuntimeState.STOPPED


def test_process_that_will_not_be_killed_is_left(
    make_runtime: RuntimeMaker, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenproc.runtime.parts.UNWIND_SECONDS", 0.02)
    node = make_runtime(Settings(ip="127.0.0.1", stop_timeout=0.02))
    gate: Promise[None] = Promise()

    def resist() -> None:
        while not gate.future.is_ready:
            try:
                gate.future.get()
            except gevent.GreenletExit:
                continue

    pid = node.spawn(Process("resisting"))
    node.dispatch(pid, resist)
    gevent.sleep(0)
    with caplog.at_level(logging.ERROR):
        assert node.stop() == (pid,)
    assert "do not let themselves be killed" in caplog.text
    gate.set(None)
    gevent.idle()


def test_paused_clock_does_not_hold_up_the_stop(make_runtime: RuntimeMaker) -> None:
    node = make_runtime()
    node.clock.pause()
    assert node.stop() == ()
    assert not node.clock.paused


def test_process_cannot_stop_its_own_runtime(runtime: Runtime) -> None:
    with pytest.raises(StateError, match="use another greenlet"):
        runtime.dispatch(runtime.spawn(Process()), runtime.stop).get()


def test_process_may_stop_another_runtime(make_runtime: RuntimeMaker) -> None:
    node, other = make_runtime(), make_runtime()
    assert node.dispatch(node.spawn(Process()), other.stop).get() == ()
    assert other.state is RuntimeState.STOPPED


def test_connections_are_closed_at_the_stop(make_runtime: RuntimeMaker) -> None:
    node = make_runtime()
    with Peer.connect(node.address) as peer:
        assert peer.get("/nobody").code == 404
        node.stop()
        assert peer.read_to_end() == b""


def test_link_of_another_node_is_closed_at_the_stop(make_runtime: RuntimeMaker) -> None:
    node = make_runtime()
    linker = Process()
    node.spawn(linker)
    with Acceptor() as acceptor:
        node.dispatch(linker, linker.link, UPID("x", acceptor.address)).get()
        with acceptor.accept() as peer:
            node.stop()
            assert peer.read_to_end() == b""


def test_greenlets_of_the_runtime_end_with_it(make_runtime: RuntimeMaker) -> None:
    node = make_runtime()
    greenlet = node.spawn_greenlet(Event().wait)
    gevent.sleep(0)
    node.stop()
    assert greenlet.dead


def test_greenlets_of_processes_end_with_the_runtime(make_runtime: RuntimeMaker) -> None:
    node = make_runtime()
    process, ended = Process(), Process()
    node.spawn(process)
    node.spawn(ended)
    greenlets = [each.spawn_greenlet(Event().wait) for each in (process, ended)]
    node.terminate(ended)
    node.wait(ended)
    assert not any(greenlet.dead for greenlet in greenlets)  # they run beside the processes

    node.stop()

    assert all(greenlet.dead for greenlet in greenlets)


def test_greenlet_that_will_not_be_killed_is_left_and_told(
    make_runtime: RuntimeMaker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(life, "KILL_SECONDS", 0.01)
    node = make_runtime()
    may_end = Event()

    def cling() -> None:
        while not may_end.is_set():
            with suppress(gevent.GreenletExit):
                may_end.wait()

    greenlet = node.spawn_greenlet(cling)
    gevent.sleep(0)

    node.stop()

    assert node.state is RuntimeState.STOPPED
    assert not greenlet.dead
    assert "1 greenlets of the runtime did not end when they were killed" in caplog.text
    may_end.set()
    greenlet.join()


def test_greenlet_that_ended_is_not_kept(make_runtime: RuntimeMaker) -> None:
    node = make_runtime()
    process = Process()
    node.spawn(process)
    before = len(node.processes.greenlets)
    process.spawn_greenlet(int).join()
    gevent.idle()
    assert len(node.processes.greenlets) == before


def test_stopped_runtime_is_garbage() -> None:
    with Runtime(LOOPBACK) as node:
        node.spawn(Process())
        reference = weakref.ref(node)
    del node
    gc.collect()
    assert reference() is None


class Player(Process):
    """Sends every ball back to where it came from."""

    @install("ball")
    def on_ball(self, sender: UPID, body: bytes) -> None:
        self.send(sender, "ball")


def test_processes_that_wait_for_each_other_are_killed(make_runtime: RuntimeMaker) -> None:
    node = make_runtime(Settings(ip="127.0.0.1", stop_timeout=0.05))
    first, second = node.spawn(Process()), node.spawn(Process())
    # By events of gevent: what is a circle of waits for processes is refused.
    gates = Event(), Event()
    node.dispatch(first, gates[1].wait)
    node.dispatch(second, gates[0].wait)
    gevent.sleep(0)
    assert set(node.stop()) == {first, second}


def test_process_that_sends_to_itself_for_ever_ends(make_runtime: RuntimeMaker) -> None:
    node = make_runtime()
    pid = node.spawn(Player())
    node.post(pid, "ball", sender=pid)
    gevent.sleep(0)
    assert node.stop() == ()


def test_processes_that_play_over_sockets_end(make_runtime: RuntimeMaker) -> None:
    node, other = make_runtime(), make_runtime()
    here, there = node.spawn(Player()), other.spawn(Player())
    with node.selected():
        returned = future_message("ball", to=here)
    node.post(there, "ball", sender=here)
    await_ready(returned)
    assert node.stop() == ()


def test_stop_from_call_from_thread_completes(make_runtime: RuntimeMaker) -> None:
    node = make_runtime()
    stopped: Promise[tuple[UPID, ...]] = Promise()
    node.call_from_thread(lambda: stopped.set(node.stop()))
    assert await_ready(stopped.future, timeout=5.0) == ()
    assert node.state is RuntimeState.STOPPED


def test_stop_from_a_timer_completes(make_runtime: RuntimeMaker) -> None:
    node = make_runtime()
    stopped: Promise[tuple[UPID, ...]] = Promise()
    node.clock.timer(0.0, lambda: stopped.set(node.stop()))
    assert await_ready(stopped.future, timeout=5.0) == ()
    assert node.state is RuntimeState.STOPPED


def test_second_stop_waits_for_the_first(make_runtime: RuntimeMaker) -> None:
    node = make_runtime()
    node.dispatch(node.spawn(Process()), gevent.sleep, 0.05)
    first = gevent.spawn(node.stop)
    gevent.sleep(0)
    node.stop()
    assert node.state is RuntimeState.STOPPED
    first.join()


def test_failing_start_leaves_no_greenlet(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Runtime(Settings(ip="127.0.0.1"))
    started: list[gevent.Greenlet[..., Any]] = []

    def fail(_: object) -> None:
        started.append(node.spawn_greenlet(gevent.sleep, 1000.0))
        gevent.sleep(0)
        raise ValueError

    monkeypatch.setattr("greenproc.runtime.parts.Parts._spawn_builtins", fail)
    with pytest.raises(ValueError):
        node.start()
    alive = not started[0].dead
    gevent.killall(started)
    assert not alive
