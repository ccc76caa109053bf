"""Work in native threads, and its results as events of the process that wants them."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from greenproc import Process, Promise
from greenproc.errors import InvalidArgument
from greenproc.runtime import Runtime
from greenproc.testing import await_ready, expect_failure


class Worker(Process):
    """Offloads what it is told to, and notes what comes back and where."""

    def __init__(self) -> None:
        super().__init__("worker")
        self.results: list[Any] = []
        self.done: Promise[Any] = Promise()
        self.is_serving = False

    def work(self, function: Any, *args: Any, **kwargs: Any) -> None:
        self.offload(function, *args, **kwargs).then(self.on_result)

    def on_result(self, result: Any) -> None:
        self.done.set((result, threading.get_ident()))

    def hold(self, begun: Promise[None], until: Promise[None]) -> None:
        self.is_serving = True
        begun.set(None)
        until.future.get(20.0)
        self.is_serving = False

    def wait_for(self, function: Any) -> Any:
        return self.offload(function).future.get(20.0)


@pytest.fixture
def worker(runtime: Runtime) -> Worker:
    process = Worker()
    runtime.spawn(process)
    return process


def test_the_result_comes_back_in_the_thread_of_the_process(
    runtime: Runtime, worker: Worker
) -> None:
    runtime.dispatch(
        worker, Worker.work, lambda *, number: (number, threading.get_ident()), number=7
    )

    (number, there), here = await_ready(worker.done.future)
    assert number == 7
    assert there != here == threading.get_ident()


def test_it_comes_in_a_turn_and_not_in_the_middle_of_another(
    runtime: Runtime, worker: Worker
) -> None:
    begun, until = Promise[None](), Promise[None]()
    called, seen = Promise[None](), []

    def on_result(result: object) -> None:
        seen.append(worker.is_serving)
        worker.done.set(result)

    worker.on_result = on_result  # type: ignore[method-assign]
    in_thread = threading.Event()
    runtime.dispatch(worker, Worker.work, in_thread.wait)
    runtime.dispatch(worker, Worker.hold, begun, until)
    await_ready(begun.future)
    offloaded = worker.offload(lambda: None)
    offloaded.future.on_any(lambda _: called.set(None))
    in_thread.set()
    await_ready(called.future)
    until.set(None)
    await_ready(worker.done.future)

    assert seen == [False]


def test_a_handler_may_wait_for_the_future(runtime: Runtime, worker: Worker) -> None:
    assert runtime.dispatch(worker, Worker.wait_for, lambda: 7).get(20.0) == 7


@pytest.mark.parametrize("where", ["function", "method"])
def test_an_error_is_that_of_the_process(where: str, runtime: Runtime, worker: Worker) -> None:
    def fail(*args: object) -> None:
        raise ValueError("on purpose")

    if where == "method":
        worker.on_result = fail  # type: ignore[method-assign]
    ended = Promise[Any]()
    runtime.signals.process_terminated.connect(lambda _, pid, reason: ended.set(reason))
    with expect_failure(ValueError):
        runtime.dispatch(worker, Worker.work, fail if where == "function" else int)
        assert isinstance(await_ready(ended.future), ValueError)


def test_a_process_that_has_ended_is_not_called(runtime: Runtime, worker: Worker) -> None:
    gate, over = threading.Event(), Promise[None]()
    runtime.dispatch(worker, Worker.work, gate.wait).get(20.0)
    offloaded = worker.offload(gate.wait)
    offloaded.future.on_any(lambda _: over.set(None))
    runtime.terminate(worker)
    runtime.wait(worker)
    gate.set()
    await_ready(over.future)
    runtime.settle()

    assert worker.done.future.is_pending


def test_what_cannot_be_called_is_refused(runtime: Runtime, worker: Worker) -> None:
    with pytest.raises(InvalidArgument):
        worker.offload(7)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument):
        worker.offload(int).then("on_result")  # type: ignore[arg-type]
