"""Functions in processes of their own."""

from __future__ import annotations

import gevent
import pytest

from greenproc.errors import InvalidArgument
from greenproc.future import Promise
from greenproc.process import Executor
from greenproc.process.current import current_process
from greenproc.runtime import Runtime
from greenproc.testing import await_ready


@pytest.fixture
def executor(runtime: Runtime) -> Executor:
    return Executor(runtime.processes)


def test_functions_of_one_executor_run_one_after_the_other(executor: Executor) -> None:
    order: list[str] = []
    gate: Promise[None] = Promise()

    def slow() -> None:
        gate.future.get()
        order.append("slow")

    first = executor.execute(slow)
    second = executor.execute(order.append, "quick")
    gevent.idle()
    assert order == []
    gate.set(None)
    await_ready(first)
    await_ready(second)
    assert order == ["slow", "quick"]


def test_keyword_arguments_are_passed(executor: Executor) -> None:
    assert await_ready(executor.execute(sorted, [1, 2], reverse=True)) == [2, 1]


def test_error_of_a_function_is_that_of_its_future(executor: Executor) -> None:
    failing = executor.execute(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        failing.get()
    assert await_ready(executor.execute(int)) == 0


def test_stopped_executor_drops_what_is_queued(runtime: Runtime, executor: Executor) -> None:
    gate: Promise[str] = Promise()
    running = executor.execute(gate.future.get)
    queued = executor.execute(int)
    gevent.idle()
    executor.stop()
    later = executor.execute(int)
    gate.set("finished")
    assert await_ready(running) == "finished"
    runtime.settle()
    assert queued.is_abandoned
    assert later.is_abandoned


def test_async_runs_side_by_side(runtime: Runtime) -> None:
    gate: Promise[str] = Promise()
    blocked = runtime.run_async(gate.future.get)
    assert await_ready(runtime.run_async(lambda: "quick")) == "quick"
    gate.set("slow")
    assert await_ready(blocked) == "slow"


def test_process_of_an_async_call_ends_with_it(runtime: Runtime) -> None:
    before = runtime.statistics()["processes"]["processes"]
    process = await_ready(runtime.run_async(current_process))
    assert process.pid.id == "__async_executor__(1)"
    runtime.settle()
    assert runtime.statistics()["processes"]["processes"] == before


def test_failing_async_call_fails_its_future(runtime: Runtime) -> None:
    with pytest.raises(ZeroDivisionError):
        runtime.run_async(lambda: 1 / 0).get()


def test_repr_names_the_process(runtime: Runtime, executor: Executor) -> None:
    assert repr(executor) == f"<Executor __executor__(1)@{runtime.address}>"


def test_what_cannot_be_called_is_refused_where_it_is_given(runtime: Runtime) -> None:
    with pytest.raises(InvalidArgument, match="expected a function to call, got 3"):
        runtime.run_async(3)
