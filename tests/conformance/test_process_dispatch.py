"""Twins of libprocess' process_tests.cpp: dispatch, defer, executors and plain functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from greenproc.future import Future, Promise
from greenproc.process import Executor, Process, _1, _2
from greenproc.runtime import Runtime
from greenproc.testing import await_ready


class Dispatched(Process):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[object] = []

    def func0(self) -> None:
        self.calls.append("func0")

    def func1(self, value: bool) -> bool:
        return value

    def func2(self, value: bool) -> Future[bool]:
        return Future(value)

    def func3(self, value: int) -> int:
        return value

    def func4(self, value: bool, number: int) -> Future[tuple[bool, int]]:
        return Future((value, number))

    def func5(self, box: list[int]) -> list[int]:
        return box


@pytest.fixture
def process(runtime: Runtime) -> Dispatched:
    process = Dispatched()
    runtime.spawn(process)
    return process


def test_dispatch(runtime: Runtime, process: Dispatched) -> None:
    """ProcessTest.Dispatch."""
    box = [42]
    runtime.dispatch(process.pid, Dispatched.func0)
    future1 = runtime.dispatch(process.pid, Dispatched.func1, True)
    future2 = runtime.dispatch(process.pid, Dispatched.func2, True)
    future5 = runtime.dispatch(process.pid, Dispatched.func5, box)
    assert await_ready(future1) is True
    assert await_ready(future2) is True
    assert await_ready(future5) is box
    assert process.calls == ["func0"]


def test_defer1(runtime: Runtime, process: Dispatched) -> None:
    """ProcessTest.Defer1."""
    pid, defer, box = process.pid, runtime.defer, [42]
    await_ready(defer(pid, Dispatched.func0)())
    assert process.calls == ["func0"]
    assert await_ready(defer(pid, Dispatched.func1, True)()) is True
    assert await_ready(defer(pid, Dispatched.func2, True)()) is True
    assert await_ready(defer(pid, Dispatched.func4, True, 42)()) == (True, 42)
    assert await_ready(defer(pid, Dispatched.func4, True, _1)(42)) == (True, 42)
    assert await_ready(defer(pid, Dispatched.func4, _1, 42)(True)) == (True, 42)
    assert await_ready(defer(pid, Dispatched.func4, _2, _1)(42, True)) == (True, 42)
    assert await_ready(defer(pid, Dispatched.func5, box)()) is box
    assert await_ready(defer(pid, Dispatched.func5, _1)(box)) is box


class Continues(Process):
    def __init__(self) -> None:
        super().__init__()
        self.promise: Promise[int] = Promise()

    def func1(self) -> Future[str]:
        return self.promise.future.then(self.defer(Continues._func1, _1))

    def func2(self) -> Future[str]:
        return self.promise.future.then(self.defer(Continues._func2))

    def func4(self, number: int) -> int:
        return number

    def _func1(self, number: int) -> str:
        return str(number)

    def _func2(self) -> str:
        return "42"


def test_defer2(runtime: Runtime) -> None:
    """ProcessTest.Defer2."""
    process = Continues()
    pid = runtime.spawn(process)
    future1 = runtime.dispatch(pid, Continues.func1)
    future2 = runtime.dispatch(pid, Continues.func2)
    runtime.settle()
    assert future1.is_pending

    process.promise.set(41)

    assert await_ready(future1) == "41"
    assert await_ready(future2) == "42"
    assert await_ready(runtime.dispatch(pid, Continues.func4, 42)) == 42


def test_defer3(runtime: Runtime) -> None:
    """ProcessTest.Defer3."""
    calls: list[str] = []
    called: Promise[None] = Promise()

    def note(text: str) -> None:
        calls.append(text)
        called.set(None)

    deferred = runtime.defer(note)
    future = deferred("called")
    assert calls == []

    await_ready(called.future)
    await_ready(future)
    assert calls == ["called"]


def test_thunk(runtime: Runtime) -> None:
    """ProcessTest.Thunk."""

    def add(*numbers: int) -> int:
        return sum(numbers)

    assert await_ready(runtime.run_async(add, 21, 21)) == 42


def test_async(runtime: Runtime) -> None:
    """ProcessTest.Async."""
    calls: list[tuple[Any, ...]] = []

    def note(*args: Any) -> None:
        calls.append(args)

    expected = [("one", "two", "three", "four")[:count] for count in range(5)]
    for args in expected:
        assert await_ready(runtime.run_async(note, *args)) is None
    assert calls == expected

    box = [1]
    assert await_ready(runtime.run_async(lambda given: given, box)) is box
    assert await_ready(runtime.run_async(lambda: Future("inner"))) == "inner"


def test_executor_defer(runtime: Runtime) -> None:
    """ProcessTest.Executor_Defer."""
    executor = Executor(runtime.processes)
    calls: list[object] = []
    first = executor.defer(calls.append)
    second = executor.defer(lambda text, number: calls.append((text, number)))

    await_ready(first(42))
    await_ready(second("42", 42))

    assert calls == [42, ("42", 42)]
    executor.stop()


def test_executor_execute(runtime: Runtime) -> None:
    """ProcessTest.Executor_Execute."""
    executor = Executor(runtime.processes)
    calls: list[object] = []

    assert await_ready(executor.execute(lambda: None)) is None
    assert await_ready(executor.execute(calls.append, "state")) is None
    assert calls == ["state"]
    assert await_ready(executor.execute(lambda: "value")) == "value"
    assert await_ready(executor.execute(lambda: Future("in a future"))) == "in a future"
    executor.stop()


class Functor:
    def __init__(self, result: object) -> None:
        self.result = result

    def __call__(self, value: int) -> object:
        return self.result


class Mixed(Process):
    """Has the ways to take or leave an argument and to give a value or a future."""

    def without_argument(self) -> str:
        return "42"

    def with_argument(self, value: int) -> str:
        return str(value)

    def future_without_argument(self) -> Future[str]:
        return Future("42")

    def future_with_argument(self, value: int) -> Future[str]:
        return Future(str(value))


CALLABLES: list[Callable[..., Any]] = [
    Mixed.without_argument,
    Mixed.with_argument,
    Mixed.future_without_argument,
    Mixed.future_with_argument,
    lambda: "42",
    str,
    lambda: Future("42"),
    lambda value: Future(str(value)),
    Functor("42"),
    Functor(Future("42")),
]


@pytest.mark.parametrize("function", CALLABLES)
def test_defers(runtime: Runtime, function: Callable[..., Any]) -> None:
    """ProcessTest.Defers."""
    pid = runtime.spawn(Mixed())
    assert await_ready(runtime.defer(pid, function)(42)) == "42"
    assert await_ready(Future(42).then(runtime.defer(pid, function))) == "42"


def test_defers_of_bound_arguments(runtime: Runtime) -> None:
    """ProcessTest.Defers."""
    pid = runtime.spawn(Mixed())
    bound = runtime.defer(pid, Mixed.with_argument, 42)
    assert await_ready(bound()) == "42"
    assert await_ready(Future("ignored").then(bound)) == "42"
    placed = runtime.defer(pid, Mixed.future_with_argument, _1)
    assert await_ready(Future(42).then(placed)) == "42"
