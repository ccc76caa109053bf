"""Settling, and waiting with a limit."""

from __future__ import annotations

import gevent
import pytest

from greenproc.errors import InvalidArgument, NotSettled, StateError
from greenproc.future import Promise
from greenproc.process import Process
from greenproc.runtime import Runtime
from greenproc.settings import Settings
from greenproc.testing import RuntimeMaker


def test_settle_names_ten_of_the_busy_and_counts_the_others(runtime: Runtime) -> None:
    gate: Promise[None] = Promise()
    for number in range(12):
        runtime.dispatch(runtime.spawn(Process(f"stuck-{number}")), gate.future.get)
    with pytest.raises(NotSettled) as raised:
        runtime.settle(timeout=0.01)
    gate.set(None)

    assert str(raised.value).count("stuck-") == 10
    assert str(raised.value).endswith(", and 2 more")


def test_settle_names_who_is_busy(runtime: Runtime) -> None:
    gate: Promise[None] = Promise()
    stuck = Process("stuck")
    runtime.spawn(stuck)
    runtime.spawn(Process("idle"))
    runtime.dispatch(stuck, gate.future.get)
    runtime.dispatch(stuck, int)
    runtime.dispatch(stuck, int)
    with pytest.raises(NotSettled) as raised:
        runtime.settle(timeout=0.01)
    told = str(raised.value)
    assert f"{stuck.pid} (ready, 2 queued)" in told
    assert "idle@" not in told
    gate.set(None)
    runtime.settle()


def test_settle_waits_for_due_timers(runtime: Runtime) -> None:
    runtime.clock.pause()
    fired: list[int] = []
    runtime.clock.timer(1.0, lambda: fired.append(1))
    runtime.clock.timer(5.0, lambda: fired.append(5))
    runtime.clock.advance(1.0)
    runtime.settle()
    assert fired == [1]


def test_settle_waits_for_what_a_timer_still_does(runtime: Runtime) -> None:
    runtime.clock.pause()
    done: list[bool] = []

    def slow() -> None:
        for _ in range(10):
            gevent.sleep(0)
        done.append(True)

    runtime.clock.timer(0.0, slow)
    runtime.settle()
    assert done == [True]


def test_settle_names_the_clock(runtime: Runtime) -> None:
    gate: Promise[None] = Promise()
    runtime.clock.pause()
    runtime.clock.timer(0.0, gate.future.get)
    with pytest.raises(NotSettled, match="the clock"):
        runtime.settle(timeout=0.01)
    gate.set(None)


def test_settle_works_with_a_running_clock(runtime: Runtime) -> None:
    runtime.clock.timer(1000.0, lambda: None)
    future = runtime.dispatch(runtime.spawn(Process()), lambda: 1)
    runtime.settle()
    assert future.is_ready


def test_process_cannot_settle(runtime: Runtime) -> None:
    with pytest.raises(StateError, match="called from a process"):
        runtime.dispatch(runtime.spawn(Process()), runtime.settle).get()


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), True, "1"])
def test_limit_of_a_wait_is_checked(runtime: Runtime, seconds: float) -> None:
    with pytest.raises(InvalidArgument, match=r"expected .*seconds"):
        runtime.wait(runtime.spawn(Process()), seconds)


def test_exit_that_is_there_already_wins_over_the_limit(runtime: Runtime) -> None:
    runtime.clock.pause()
    pid = runtime.spawn(Process())
    waiting = gevent.spawn(runtime.wait, pid, 5.0)
    runtime.settle()
    runtime.terminate(pid)
    runtime.clock.advance(5.0)
    assert waiting.get(timeout=15.0) is True


def test_wait_with_a_limit_leaves_nothing_behind(runtime: Runtime) -> None:
    pid = runtime.spawn(Process())
    before = runtime.statistics()["processes"]["processes"]
    assert runtime.wait(pid, 0.0) is False
    runtime.settle()
    told = runtime.statistics()
    assert told["processes"]["processes"] == before
    assert told["processes"]["links"] == 0
    assert told["clock"]["timers"] == 0


def test_wait_with_a_limit_leaves_no_timer_when_the_process_ends(runtime: Runtime) -> None:
    pid = runtime.spawn(Process())
    waiting = gevent.spawn(runtime.wait, pid, 1000.0)
    runtime.settle()
    runtime.terminate(pid)
    assert waiting.get(timeout=15.0) is True
    runtime.settle()
    assert runtime.statistics()["clock"]["timers"] == 0


def test_process_may_wait_with_a_limit(runtime: Runtime) -> None:
    pid = runtime.spawn(Process())
    assert runtime.dispatch(runtime.spawn(Process()), runtime.wait, pid, 0.0).get() is False


def test_wait_with_a_limit_ends_when_the_runtime_stops(make_runtime: RuntimeMaker) -> None:
    node = make_runtime()
    waiting = gevent.spawn(node.wait, node.spawn(Process()), 1000.0)
    gevent.sleep(0)
    node.stop()
    waiting.join(timeout=2.0)
    ended = waiting.ready()
    waiting.kill()
    assert ended


def test_wait_with_a_limit_while_the_runtime_stops_does_not_hang(
    make_runtime: RuntimeMaker,
) -> None:
    node = make_runtime(Settings(ip="127.0.0.1", stop_timeout=1.0))
    oldest = node.spawn(Process("oldest"))

    class Last(Process):
        def finalize(self) -> None:
            self.runtime.wait(oldest, 0.0)

    node.spawn(Last())
    assert node.stop() == ()


@pytest.mark.parametrize("kind", [gevent.Timeout, gevent.GreenletExit, KeyboardInterrupt])
def test_interrupted_wait_with_a_limit_leaves_nothing_behind(
    runtime: Runtime, kind: type[BaseException]
) -> None:
    pid = runtime.spawn(Process())
    before = runtime.statistics()["processes"]["processes"]

    def wait() -> None:
        with pytest.raises(kind):
            runtime.wait(pid, 1000.0)

    waiting = gevent.spawn(wait)
    runtime.settle()
    waiting.kill(kind, timeout=15.0)

    runtime.settle()
    told = runtime.statistics()
    assert told["processes"]["processes"] == before
    assert told["processes"]["links"] == 0
    assert told["clock"]["timers"] == 0
