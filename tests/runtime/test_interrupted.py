"""A start or stop that is interrupted: by Ctrl-C, a timeout, or the end of its greenlet."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent.event import Event

import greenproc
from greenproc.current import default
from greenproc.pid import UPID
from greenproc.process import Process
from greenproc.runtime import Runtime, RuntimeState
from greenproc.runtime.lifecycle import Stage
from greenproc.runtime.parts import Parts
from greenproc.testing import RuntimeMaker
from tests.peer import Acceptor, Peer

STAGES = [stage.name for stage in Runtime()._build().lifecycle.stages]
KINDS = (KeyboardInterrupt, gevent.GreenletExit, gevent.Timeout)
LIMIT = 15.0  # real seconds


def interrupt_stop(node: Runtime, name: str, kind: type[BaseException], *, early: bool) -> None:
    """Let the stop of one stage be interrupted once, before it does anything or after."""
    stages = node._parts().lifecycle._begun
    (index,) = (number for number, stage in enumerate(stages) if stage.name == name)
    whole = stages[index]
    raised: list[BaseException] = []

    def stop(seconds: float) -> None:
        if raised:
            whole.stop(seconds)
            return
        raised.append(kind())
        if not early:
            whole.stop(seconds)
        raise raised[0]

    stages[index] = Stage(name, whole.start, stop)


@pytest.mark.parametrize("early", [True, False], ids=["early", "late"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stage", STAGES)
def test_stop_interrupted_in_a_stage_is_finished_by_calling_it_again(
    stage: str, kind: type[BaseException], early: bool
) -> None:
    node = Runtime()
    node.start()
    node.spawn(Process())
    interrupt_stop(node, stage, kind, early=early)

    with pytest.raises(kind):
        node.stop()
    assert node.state is RuntimeState.STOPPING

    assert node.stop() == ()
    assert node.state is RuntimeState.STOPPED


@pytest.mark.parametrize("stage", STAGES)
def test_greenlet_that_waits_for_an_interrupted_stop_finishes_it(stage: str) -> None:
    node = Runtime()
    node.start()
    entered, gate = Event(), Event()
    stages = node._parts().lifecycle._begun
    (index,) = (number for number, one in enumerate(stages) if one.name == stage)
    whole = stages[index]

    def stop(seconds: float) -> None:
        if not entered.is_set():
            entered.set()
            gate.wait()
        whole.stop(seconds)

    stages[index] = Stage(stage, whole.start, stop)
    first = gevent.spawn(node.stop)
    entered.wait(LIMIT)
    second = gevent.spawn(node.stop)
    gevent.sleep(0)

    first.kill()

    assert second.get(timeout=LIMIT) == ()
    assert node.state is RuntimeState.STOPPED


def test_stop_that_is_killed_after_any_turn_of_the_hub_can_be_finished(
    make_runtime: RuntimeMaker,
) -> None:
    """The walk ends with the first stop that needs no more turns than it was given."""
    turns = 0
    is_over = False
    while not is_over:
        is_over = stop_after(turns, make_runtime())
        turns += 1
    assert turns > 3


def close_when_told(peer: Peer) -> None:
    """Be the node at the other end of a link: close when the peer does, else it waits for that."""
    with peer:
        peer.read_to_end()


def stop_after(turns: int, node: Runtime) -> bool:
    """Kill a stop after a number of turns, finish it, and tell whether it was over before."""
    linker = Process()
    node.spawn(linker)
    node.dispatch(node.spawn(Process()), gevent.sleep, 0)
    with Acceptor() as acceptor, Peer.connect(node.address):
        node.dispatch(linker, linker.link, UPID("x", acceptor.address)).get()
        closing = gevent.spawn(close_when_told, acceptor.accept())
        stopping = gevent.spawn(node.stop)
        for _ in range(turns):
            gevent.sleep(0)
        was_over = stopping.ready()
        stopping.kill()
        node.stop()
        closing.get()
    assert node.state is RuntimeState.STOPPED
    return was_over


def test_timeout_around_a_stop_leaves_a_stop_that_can_be_finished() -> None:
    node = Runtime()
    node.start()
    gate = Event()
    node.dispatch(node.spawn(Process()), gate.wait)
    gevent.sleep(0)
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.01):
        node.stop()

    gate.set()

    assert node.stop() == ()


def test_killed_process_is_told_once_however_often_the_stop_is_interrupted() -> None:
    node = Runtime()
    node.start()
    stuck = node.spawn(Process("stuck"))
    node.dispatch(stuck, Event().wait)
    gevent.sleep(0)
    interrupt_stop(node, "processes", KeyboardInterrupt, early=False)
    with pytest.raises(KeyboardInterrupt):
        node.stop(0.01)

    assert node.stop() == (stuck,)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stage", STAGES)
def test_interrupted_start_leaves_nothing(
    stage: str, kind: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Runtime()
    interrupt_start(node, monkeypatch, stage, kind)

    with pytest.raises(kind):
        node.start()

    assert node.state is RuntimeState.STOPPED
    assert node.stop() == ()


@pytest.mark.parametrize("stage", STAGES)
def test_start_interrupted_twice_is_finished_by_stop(
    stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Runtime()
    interrupt_start(node, monkeypatch, stage, KeyboardInterrupt, stop_is_interrupted=True)

    with pytest.raises(KeyboardInterrupt):
        node.start()
    assert node.state is RuntimeState.STOPPING

    node.stop()
    assert node.state is RuntimeState.STOPPED


def interrupt_start(
    node: Runtime,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    kind: type[BaseException],
    *,
    stop_is_interrupted: bool = False,
) -> None:
    """Let the start be interrupted when one stage has done its work, and its stop if wanted."""
    build = node._build

    def build_interrupted() -> object:
        parts = build()
        stages = parts.lifecycle.stages
        (index,) = (number for number, stage in enumerate(stages) if stage.name == name)
        whole = stages[index]

        def start() -> None:
            whole.start()
            if stop_is_interrupted:
                interrupt_begun(parts.lifecycle._begun)
            raise kind

        stages[index] = Stage(name, start, whole.stop)
        return parts

    monkeypatch.setattr(node, "_build", build_interrupted)


def interrupt_begun(begun: list[Stage]) -> None:
    """Let the stop of the last stage be interrupted once."""
    whole = begun[-1]
    raised: list[BaseException] = []

    def stop(seconds: float) -> None:
        if not raised:
            raised.append(KeyboardInterrupt())
            raise raised[0]
        whole.stop(seconds)

    begun[-1] = Stage(whole.name, whole.start, stop)


# The default runtime


@pytest.fixture
def finalized() -> Iterator[None]:
    yield
    greenproc.finalize()


@pytest.mark.usefixtures("finalized")
@pytest.mark.parametrize("stage", STAGES)
def test_initialize_works_after_an_interrupted_finalize(stage: str) -> None:
    greenproc.initialize()
    first = default.runtime
    interrupt_stop(first, stage, KeyboardInterrupt, early=True)
    with pytest.raises(KeyboardInterrupt):
        greenproc.finalize()

    assert greenproc.initialize() is True

    assert first.state is RuntimeState.STOPPED
    assert default.runtime is not first
    assert greenproc.current_runtime().state is RuntimeState.RUNNING


@pytest.mark.usefixtures("finalized")
def test_interrupted_finalize_is_finished_by_calling_it_again() -> None:
    greenproc.initialize()
    first = default.runtime
    interrupt_stop(first, "processes", KeyboardInterrupt, early=True)
    with pytest.raises(KeyboardInterrupt):
        greenproc.finalize()

    greenproc.finalize()

    assert first.state is RuntimeState.STOPPED
    assert default.runtime is None


@pytest.mark.usefixtures("finalized")
def test_initialize_works_after_the_default_runtime_was_stopped_by_hand() -> None:
    greenproc.initialize()
    default.runtime.stop()

    assert greenproc.initialize() is True


class Gate:
    """Holds up the start of the next runtimes, or lets it fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.starting = Event()
        self.error: BaseException | None = None
        self._event = Event()
        monkeypatch.setattr("greenproc.runtime.parts.Parts._bind", self._bind(monkeypatch))

    def _bind(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[object], None]:
        bind = Parts._bind

        def wait_and_bind(parts: Parts) -> None:
            self.starting.set()
            self._event.wait(LIMIT)
            if self.error is not None:
                raise self.error
            bind(parts)

        return wait_and_bind

    def open(self, error: BaseException | None = None) -> None:
        self.error = error
        self._event.set()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(monkeypatch)


@pytest.mark.usefixtures("finalized")
def test_first_use_by_several_greenlets_starts_one_runtime(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(default, "implicit_start", True)
    using = [gevent.spawn(greenproc.spawn, Process()) for _ in range(3)]
    asking = gevent.spawn(greenproc.address)
    gate.starting.wait(LIMIT)
    gevent.sleep(0)
    assert default.runtime is None  # what is half started is not shown

    gate.open()

    pids = [one.get(timeout=LIMIT) for one in using]
    assert all(pids)
    assert {pid.address for pid in pids} == {asking.get(timeout=LIMIT)}


def test_error_of_the_start_reaches_all_who_wait_for_it(gate: Gate) -> None:
    starting = [gevent.spawn(greenproc.initialize) for _ in range(3)]
    gate.starting.wait(LIMIT)
    gevent.sleep(0)

    gate.open(ValueError("on purpose"))
    gevent.joinall(starting, timeout=LIMIT)

    assert [str(one.exception) for one in starting] == ["on purpose"] * 3
    assert default.runtime is None


@pytest.mark.usefixtures("finalized")
def test_who_waits_for_a_start_that_is_interrupted_starts_it(gate: Gate) -> None:
    first = gevent.spawn(greenproc.initialize)
    gate.starting.wait(LIMIT)
    second = gevent.spawn(greenproc.initialize)
    gevent.sleep(0)

    first.kill()
    gate.open()

    assert second.get(timeout=LIMIT) is True
    assert default.runtime.state is RuntimeState.RUNNING


def test_finalize_waits_for_a_start_and_stops_it(gate: Gate) -> None:
    first = gevent.spawn(greenproc.initialize)
    gate.starting.wait(LIMIT)
    ending = gevent.spawn(greenproc.finalize)
    gevent.sleep(0)

    gate.open()

    assert first.get(timeout=LIMIT) is True
    ending.get(timeout=LIMIT)
    assert default.runtime is None


def test_stop_waits_for_a_start(gate: Gate) -> None:
    node = Runtime()
    starting = gevent.spawn(node.start)
    gate.starting.wait(LIMIT)
    stopping = gevent.spawn(node.stop)
    gevent.sleep(0)

    gate.open()

    starting.get(timeout=LIMIT)
    assert stopping.get(timeout=LIMIT) == ()
    assert node.state is RuntimeState.STOPPED


def test_receivers_of_signals_may_stop_the_runtime() -> None:
    node = Runtime()
    states: list[RuntimeState] = []

    def stop(sender: Runtime) -> None:
        sender.stop()
        states.append(sender.state)

    node.signals.runtime_started.connect(stop)
    node.signals.runtime_stopping.connect(stop)
    node.start()

    assert states == [RuntimeState.STOPPED] * 2
    node.stop()
