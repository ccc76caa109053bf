"""Turns: that nobody starves, and what becomes of greenlets."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent.event import Event
from gevent.threadpool import ThreadPool
from gevent.util import format_run_info

from greenproc.future import Promise
from greenproc.hub.iteration_budget import yield_to_io
from greenproc.pid import UPID
from greenproc.process import Process, install, scheduler
from greenproc.process.base import record_of
from greenproc.process.record import ProcessState
from greenproc.process.scheduler import ProcessGreenlet, Scheduler, TurnLimits
from greenproc.runtime import Runtime
from greenproc.settings import Settings
from greenproc.testing import RuntimeMaker, await_ready
from tests.peer import Peer

NAME: ContextVar[str] = ContextVar("name", default="nobody")


class Endless(Process):
    """Sends to itself for as long as it is there."""

    @install("again")
    def again(self, sender: UPID, body: bytes) -> None:
        self.send(self.pid, "again")


@pytest.fixture
def endless(runtime: Runtime) -> Endless:
    process = Endless()
    runtime.spawn(process)
    runtime.post(process, "again")
    yield process
    runtime.terminate(process)


class Counter(Process):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def call(self) -> int:
        self.calls += 1
        return self.calls

    def name(self) -> str:
        return NAME.get()


# Fairness


def test_endless_process_lets_other_processes_have_turns(
    runtime: Runtime, endless: Endless
) -> None:
    counter = Counter()
    runtime.spawn(counter)
    for number in range(1, 4):
        assert runtime.dispatch(counter, Counter.call).get(timeout=15.0) == number


def test_endless_process_lets_sockets_be_served(runtime: Runtime, endless: Endless) -> None:
    with Peer.connect(runtime.address) as peer:
        assert peer.get("/nobody").code == 404


def test_endless_process_lets_plain_greenlets_do_io(runtime: Runtime, endless: Endless) -> None:
    left, right = socket.socketpair()
    reader = gevent.spawn(right.recv, 10)
    left.sendall(b"data")
    assert reader.get(timeout=15.0) == b"data"
    left.close()
    right.close()


def test_endless_process_lets_timers_fire(runtime: Runtime, endless: Endless) -> None:
    fired: Promise[None] = Promise()
    runtime.clock.timer(0.01, lambda: fired.set(None))
    await_ready(fired.future)
    gevent.sleep(0)


@pytest.fixture
def players(runtime: Runtime) -> Iterator[None]:
    """Let two processes play for ever; their turns are short, so the hub is back often."""

    class Player(Process):
        @install("ball")
        def on_ball(self, sender: UPID, body: bytes) -> None:
            self.send(self.other, "ball")

    players = [Player(), Player()]
    for player, other in zip(players, reversed(players), strict=True):
        player.other = runtime.spawn(other)
    runtime.post(players[0], "ball")
    yield
    for player in players:
        runtime.terminate(player)


def test_two_processes_that_play_for_ever_let_others_go_on(
    runtime: Runtime, players: None
) -> None:
    with Peer.connect(runtime.address) as peer:
        assert peer.get("/nobody").code == 404


def test_two_processes_that_play_for_ever_let_native_threads_run(players: None) -> None:
    pool = ThreadPool(1)
    with gevent.Timeout(15.0):
        assert [pool.apply(abs, (-number,)) for number in range(100)] == list(range(100))
    pool.kill()


class Seconds:
    """A clock of the scheduler that goes on by a step each time it is looked at."""

    def __init__(self, step: float) -> None:
        self.now = 1000.0
        self.step = step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


@pytest.mark.parametrize(("step", "least", "most"), [(1.0, 10, 1000), (1e-9, 0, 1)])
@pytest.mark.usefixtures("players")
def test_native_threads_are_let_run_once_a_period_while_processes_keep_busy(
    monkeypatch: pytest.MonkeyPatch, step: float, least: int, most: int
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(scheduler, "perf_counter", Seconds(step))
    monkeypatch.setattr(scheduler, "sleep_for_real", slept.append)
    for _ in range(100):
        yield_to_io()  # unlike sleep(0) that lets timers fire
    assert least <= len(slept) <= most
    assert set(slept) <= {scheduler.THREADS_SECONDS}


class Handle:
    """A timer of the hub that notes whether it was closed."""

    def __init__(self, timer: Any) -> None:
        self._timer = timer
        self.is_closed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._timer, name)

    def close(self) -> None:
        self.is_closed = True
        self._timer.close()


@pytest.mark.parametrize("disown", [False, True])
def test_timer_of_the_scheduler_is_given_back(make_runtime: RuntimeMaker, disown: bool) -> None:
    node = make_runtime()
    manager = node.processes
    handle = manager.scheduler._continue = Handle(manager.scheduler._continue)
    if disown:
        others = Scheduler(manager.hub, manager.runner, print, TurnLimits())
        handle = others._continue = Handle(others._continue)
        others.disown()
    node.stop()
    assert handle.is_closed


@pytest.mark.usefixtures("usual_turns")
def test_flood_is_served_in_turns_of_a_hundred(runtime: Runtime) -> None:
    order: list[str] = []

    class Noting(Process):
        @install("m")
        def on_m(self, sender: UPID, body: bytes) -> None:
            order.append(self.pid.id)

    first, second = runtime.spawn(Noting("first")), runtime.spawn(Noting("second"))
    for _ in range(150):
        runtime.post(first, "m")
    runtime.post(second, "m")
    runtime.settle()
    assert order.index("second") == 100
    assert len(order) == 151


def test_blocked_handler_holds_up_nobody_else(runtime: Runtime) -> None:
    gate: Promise[str] = Promise()
    blocked = [runtime.dispatch(runtime.spawn(Process()), gate.future.get) for _ in range(20)]
    counter = Counter()
    runtime.spawn(counter)
    assert runtime.dispatch(counter, Counter.call).get(timeout=15.0) == 1
    gate.set("open")
    assert [future.get(timeout=15.0) for future in blocked] == ["open"] * 20


def test_blocked_process_serves_nothing_meanwhile(runtime: Runtime) -> None:
    counter = Counter()
    runtime.spawn(counter)
    gate: Promise[None] = Promise()
    runtime.dispatch(counter, gate.future.get)
    later = runtime.dispatch(counter, Counter.call)
    gevent.idle()
    assert later.is_pending
    gate.set(None)
    assert later.get(timeout=15.0) == 1


# Greenlets


@pytest.mark.usefixtures("usual_turns")
def test_idle_greenlets_beyond_the_cache_are_given_back(make_runtime: RuntimeMaker) -> None:
    node = make_runtime(Settings(ip="127.0.0.1", max_parked_greenlets=5))
    counters = [Counter() for _ in range(20)]
    for counter in counters:
        node.spawn(counter)
    for expected in (1, 2):
        futures = [node.dispatch(counter, Counter.call) for counter in counters]
        assert [future.get(timeout=15.0) for future in futures] == [expected] * 20
        node.settle()
        assert node.statistics()["processes"]["parked_greenlets"] == 5
        assert sum(record_of(counter).greenlet is not None for counter in counters) <= 5


def test_process_without_a_greenlet_still_terminates_and_is_waited_for(
    make_runtime: RuntimeMaker,
) -> None:
    node = make_runtime(Settings(ip="127.0.0.1", max_parked_greenlets=0))
    pid = node.spawn(Process())
    node.settle()
    node.terminate(pid)
    assert node.wait(pid)


@pytest.mark.parametrize("parked", [0, 1000])
def test_context_of_a_process_survives_its_greenlets(
    make_runtime: RuntimeMaker, parked: int
) -> None:
    node = make_runtime(Settings(ip="127.0.0.1", max_parked_greenlets=parked))
    counter = Counter()
    token = NAME.set("spawner")
    node.spawn(counter)
    NAME.reset(token)
    assert node.dispatch(counter, Counter.name).get() == "spawner"
    node.dispatch(counter, NAME.set, "changed").get()
    node.settle()
    assert node.dispatch(counter, Counter.name).get() == "changed"
    assert NAME.get() == "nobody"


def test_two_processes_have_contexts_of_their_own(runtime: Runtime) -> None:
    first, second = Counter(), Counter()
    runtime.spawn(first)
    runtime.spawn(second)
    runtime.dispatch(first, NAME.set, "first").get()
    assert runtime.dispatch(second, Counter.name).get() == "nobody"


def test_run_info_of_gevent_names_the_process(runtime: Runtime) -> None:
    gate: Promise[None] = Promise()
    pid = runtime.spawn(Process("stuck"))
    future = runtime.dispatch(pid, gate.future.get)
    gevent.idle()
    told = "\n".join(format_run_info())
    assert f"<ProcessGreenlet {pid} ready>" in told
    gate.set(None)
    future.get(timeout=15.0)


def test_greenlet_of_an_ended_process_is_gone(runtime: Runtime) -> None:
    pid = runtime.spawn(Process("ended"))
    runtime.settle()
    runtime.terminate(pid)
    runtime.wait(pid)
    runtime.settle()
    names = [repr(found) for found in gc.get_objects() if isinstance(found, ProcessGreenlet)]
    assert not [name for name in names if "ended@" in name]


@pytest.mark.usefixtures("usual_turns")
def test_stale_switch_gives_no_turn(runtime: Runtime) -> None:
    counter = Counter()
    runtime.spawn(counter)
    runtime.settle()
    record = record_of(counter)
    gevent.get_hub().loop.run_callback(record.greenlet.switch, "stale")
    gevent.idle()
    assert record.state is ProcessState.BLOCKED
    assert runtime.statistics()["processes"]["busy"] == 0
    assert runtime.dispatch(counter, Counter.call).get(timeout=15.0) == 1


@pytest.mark.usefixtures("usual_turns")
def test_kill_of_an_idle_process_ends_it(runtime: Runtime) -> None:
    pid = runtime.spawn(Process())
    runtime.settle()
    gevent.kill(record_of(runtime.processes.find_process(pid)).greenlet)
    assert runtime.wait(pid)
    assert runtime.statistics()["processes"]["busy"] == 0


def test_nobody_is_busy_after_all(runtime: Runtime) -> None:
    built_in = runtime.statistics()["processes"]["processes"]
    counters = [Counter() for _ in range(10)]
    for counter in counters:
        runtime.spawn(counter)
        runtime.dispatch(counter, gevent.sleep, 0)
    runtime.settle()
    told = runtime.statistics()["processes"]
    assert (told["busy"], told["processes"]) == (0, built_in + 10)
    for counter in counters:
        runtime.terminate(counter)
    runtime.settle()
    assert runtime.statistics()["processes"]["processes"] == built_in


def test_chain_longer_than_the_stack_is_no_recursion(runtime: Runtime) -> None:
    """Processes are switched into one from another; that must not nest."""

    class Chain(Process):
        def pass_on(self, left: int) -> None:
            if left:
                self.runtime.dispatch(self.following, Chain.pass_on, left - 1)
            else:
                done.set()

    done = Event()
    chain = [Chain() for _ in range(50)]
    for one, following in zip(chain, chain[1:] + chain[:1], strict=True):
        runtime.spawn(one)
        one.following = following
    runtime.dispatch(chain[0], Chain.pass_on, 5000)
    assert done.wait(15.0)


def test_chain_of_spawns_is_no_recursion(runtime: Runtime) -> None:
    class Nested(Process):
        def __init__(self, left: int) -> None:
            super().__init__()
            self.left = left

        def initialize(self) -> None:
            if self.left:
                self.runtime.spawn(Nested(self.left - 1))
            else:
                done.set()

    done = Event()
    runtime.spawn(Nested(3000))
    assert done.wait(15.0)


def test_a_turn_that_is_used_up_counts_as_the_time_it_took(
    make_runtime: RuntimeMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    served: list[int] = []
    iterations: set[int] = set()

    class Slow(Process):
        @install("m")
        def on_m(self, sender: UPID, body: bytes) -> None:
            nonlocal now
            now += 0.0001  # so that a full turn takes 10 ms
            served.append(len(served))
            if len(served) % 100 == 0:
                iterations.add(gevent.get_hub().loop.iteration)

    monkeypatch.setattr("greenproc.process.scheduler.perf_counter", lambda: now)
    node = make_runtime()
    slow = Slow()
    node.spawn(slow)
    for _ in range(1000):
        node.post(slow, "m")
    node.settle()

    assert len(served) == 1000
    assert len(iterations) == 10
