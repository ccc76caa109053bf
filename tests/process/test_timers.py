"""Timers that call methods of processes, which end before the timers are due."""

from __future__ import annotations

import gc
from collections.abc import Callable
from weakref import ref

import gevent
import pytest

from greenproc.clock import Timer
from greenproc.process import Process
from greenproc.runtime import Runtime

ticks: list[object] = []


class Ticking(Process):
    """Notes who ticks, as an object and as the process that its greenlet runs for."""

    def __init__(self) -> None:
        super().__init__("ticking")

    def tick(self) -> None:
        ticks.append(self)

    def start_other(self, seconds: float) -> Timer:
        return self.runtime.clock.timer(seconds, bool)


@pytest.fixture(autouse=True)
def _no_ticks() -> None:
    ticks.clear()


def delay_bound(runtime: Runtime, process: Ticking) -> Timer:
    return runtime.delay(5.0, process.pid, process.tick)


def delay_plain(runtime: Runtime, process: Ticking) -> Timer:
    return runtime.delay(5.0, process, Ticking.tick)


def make_timer(runtime: Runtime, process: Ticking) -> Timer:
    return runtime.clock.timer(5.0, process.tick)


def make_timer_inside(runtime: Runtime, process: Ticking) -> Timer:
    return runtime.dispatch(process, Ticking.start_other, 5.0).get(timeout=15.0)


BOUND = [delay_bound, make_timer]


@pytest.mark.parametrize("start", [*BOUND, delay_plain])
def test_timer_calls_the_method_of_a_process_that_runs(
    runtime: Runtime, start: Callable[[Runtime, Ticking], Timer]
) -> None:
    runtime.clock.pause()
    process = Ticking()
    runtime.spawn(process)
    start(runtime, process)
    runtime.clock.advance(5.0)
    runtime.settle()
    assert ticks == [process]


@pytest.mark.parametrize("start", [*BOUND, delay_plain, make_timer_inside])
def test_timer_keeps_no_process_that_ended(
    runtime: Runtime, start: Callable[[Runtime, Ticking], Timer]
) -> None:
    runtime.clock.pause()
    process = Ticking()
    runtime.spawn(process)
    timer = start(runtime, process)
    runtime.terminate(process)
    runtime.wait(process)
    dead = ref(process)
    gc.disable()
    try:
        del process
        gevent.idle()
        assert dead() is None
    finally:
        gc.enable()
    assert timer.is_pending
    runtime.clock.advance(5.0)
    runtime.settle()
    assert not timer.is_pending


@pytest.mark.parametrize("start", BOUND)
def test_timer_does_not_call_the_method_of_a_process_that_ended(
    runtime: Runtime, start: Callable[[Runtime, Ticking], Timer]
) -> None:
    runtime.clock.pause()
    process = Ticking()
    runtime.spawn(process)
    start(runtime, process)
    runtime.terminate(process)
    runtime.wait(process)
    runtime.spawn(Ticking())  # a successor with the same id
    runtime.clock.advance(5.0)
    runtime.settle()
    assert ticks == []


def test_timer_that_an_ended_process_made_gives_it_no_time_of_its_own(runtime: Runtime) -> None:
    runtime.clock.pause()
    process = Ticking()
    runtime.spawn(process)
    make_timer_inside(runtime, process)
    runtime.terminate(process)
    runtime.wait(process)
    runtime.settle()
    owners = runtime.clock.statistics()["owners"]
    runtime.clock.advance(5.0)
    runtime.settle()
    assert runtime.clock.statistics()["owners"] == owners


def test_timer_keeps_a_process_that_is_not_spawned_yet(runtime: Runtime) -> None:
    runtime.clock.pause()
    runtime.clock.timer(5.0, Ticking().tick)
    runtime.clock.advance(5.0)
    runtime.settle()
    assert len(ticks) == 1


def test_bound_method_of_anything_else_is_called_as_it_is(runtime: Runtime) -> None:
    runtime.clock.pause()

    class Noting:
        def note(self) -> None:
            ticks.append(self)

    runtime.clock.timer(5.0, Noting().note)
    runtime.clock.advance(5.0)
    runtime.settle()
    assert len(ticks) == 1
