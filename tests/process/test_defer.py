"""Deferred calls and which arguments they get; dispatch and which function it calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import greenproc
from greenproc.errors import InvalidArgument
from greenproc.future import Future
from greenproc.process import Process, _1, _2, _3
from greenproc.process.current import current_process
from greenproc.process.defer import resolve_method
from greenproc.process.executor import Executor
from greenproc.runtime import Runtime
from greenproc.testing import await_abandoned, await_ready, expect_failure


class Taking(Process):
    def nothing(self) -> tuple[Any, ...]:
        return ()

    def two(self, a: int, b: int = 0) -> tuple[Any, ...]:
        return a, b

    def all(self, *args: int) -> tuple[Any, ...]:
        return args

    def named(self, a: int, *, flag: bool = False) -> tuple[Any, ...]:
        return a, flag

    def virtual(self) -> str:
        return "base"

    @staticmethod
    def static(a: int) -> tuple[Any, ...]:
        return ("static", a)

    @classmethod
    def of_class(cls, a: int) -> tuple[Any, ...]:
        return cls.__name__, a


class Overriding(Taking):
    def virtual(self) -> str:
        return "derived"


@pytest.fixture
def process(runtime: Runtime) -> Taking:
    process = Taking()
    runtime.spawn(process)
    return process


@pytest.mark.parametrize(
    ("method", "given", "got"),
    [
        (Taking.nothing, (1, 2), ()),
        (Taking.two, (1,), (1, 0)),
        (Taking.two, (1, 2, 3), (1, 2)),
        (Taking.all, (1, 2, 3), (1, 2, 3)),
        (Taking.named, (1, 2), (1, False)),
        (lambda: "plain", (1, 2), "plain"),
        (lambda a: ("plain", a), (1, 2), ("plain", 1)),
    ],
)
def test_without_bound_arguments_as_many_as_are_taken_are_passed(
    runtime: Runtime, process: Taking, method: Any, given: tuple[int, ...], got: object
) -> None:
    assert await_ready(runtime.defer(process, method)(*given)) == got


@pytest.mark.parametrize(
    ("bound", "given", "got"),
    [
        ((1, 2), (), (1, 2)),
        ((1, 2), (7, 8), (1, 2)),
        ((_1, 2), (7,), (7, 2)),
        ((_2, _1), (7, 8), (8, 7)),
        ((_1, _1), (7,), (7, 7)),
        ((_3,), (7, 8, 9), (9,)),
    ],
)
def test_with_bound_arguments_only_placeholders_take(
    runtime: Runtime, process: Taking, bound: Any, given: tuple[int, ...], got: object
) -> None:
    assert await_ready(runtime.defer(process, Taking.all, *bound)(*given)) == got


def test_missing_argument_for_a_placeholder_is_told(runtime: Runtime, process: Taking) -> None:
    with pytest.raises(InvalidArgument, match="expected at least 2 arguments for _2"):
        runtime.defer(process, Taking.all, _2)(1)


def test_what_cannot_be_called_is_not_deferred(runtime: Runtime, process: Taking) -> None:
    with pytest.raises(InvalidArgument, match="expected a method or a function to call, got 1"):
        runtime.defer(process, 1)  # type: ignore[call-overload]
    with pytest.raises(InvalidArgument, match="expected a method or a function to call, got 1"):
        runtime.defer(UNCALLABLE)  # type: ignore[call-overload]


UNCALLABLE = 1


def test_deferred_may_be_called_many_times(runtime: Runtime, process: Taking) -> None:
    deferred = runtime.defer(process, Taking.all)
    assert [await_ready(deferred(number)) for number in range(3)] == [(0,), (1,), (2,)]


def test_deferred_of_a_dead_process_is_abandoned(runtime: Runtime, process: Taking) -> None:
    deferred = runtime.defer(process, Taking.nothing)
    runtime.terminate(process)
    runtime.wait(process)
    await_abandoned(deferred())


def test_deferred_call_to_oneself_goes_through_the_mailbox(
    runtime: Runtime, process: Taking
) -> None:
    def call_deferred() -> bool:
        return process.defer(Taking.nothing)().is_pending

    assert runtime.dispatch(process, call_deferred).get() is True


def test_defer_in_a_process_runs_in_that_process(runtime: Runtime, process: Taking) -> None:
    deferred = runtime.dispatch(process, lambda: runtime.defer(current_process)).get()
    assert await_ready(deferred()) is process


def test_defer_outside_runs_one_after_the_other_in_one_process(runtime: Runtime) -> None:
    deferred = runtime.defer(current_process)
    first, second = await_ready(deferred()), await_ready(runtime.defer(current_process)())
    assert first is second
    assert first.pid.id == "__executor__(1)"


def test_repr_names_function_and_target(runtime: Runtime, process: Taking) -> None:
    assert repr(runtime.defer(process, Taking.all)) == f"<Deferred all to {process.pid}>"
    assert repr(_2) == "_2"


# Which function is called


def test_override_is_called_as_a_virtual_method(runtime: Runtime) -> None:
    process = Overriding()
    runtime.spawn(process)
    assert runtime.dispatch(process, Taking.virtual).get() == "derived"


@pytest.mark.parametrize(
    ("function", "args", "got"),
    [
        (Taking.static, (1,), ("static", 1)),
        (Taking.of_class, (1,), ("Taking", 1)),
        (lambda: "plain", (), "plain"),
        (max, (1, 3, 2), 3),
    ],
)
def test_other_callables_are_called_as_they_are(
    runtime: Runtime, process: Taking, function: Any, args: tuple[int, ...], got: object
) -> None:
    assert runtime.dispatch(process, function, *args).get() == got


def test_bound_method_is_called_as_it_is(runtime: Runtime, process: Taking) -> None:
    assert runtime.dispatch(process, process.two, 1).get() == (1, 0)


def test_keyword_arguments_are_passed(runtime: Runtime, process: Taking) -> None:
    assert runtime.dispatch(process, Taking.named, 1, flag=True).get() == (1, True)


def test_method_of_an_unrelated_class_is_called_as_it_is() -> None:
    class Unrelated:
        def nothing(self) -> None: ...

    assert resolve_method(Taking(), Unrelated.nothing) is Unrelated.nothing


def test_dispatch_never_runs_inline(runtime: Runtime, process: Taking) -> None:
    calls: list[str] = []

    def outer() -> Future[None]:
        future: Future[None] = runtime.dispatch(process, calls.append, "inner")
        calls.append("outer")
        return future

    runtime.dispatch(process, outer).get()
    assert calls == ["outer", "inner"]


class Aliased(Process):
    by_lambda = lambda self: "lambda"  # noqa: E731 -- its __name__ is not the attribute's


def helper(self: Process) -> str:
    return type(self).__name__


Aliased.helped = helper  # type: ignore[attr-defined]


@pytest.mark.parametrize("method", [Aliased.by_lambda, helper])
def test_function_of_the_class_under_another_name_is_called_as_a_method(
    runtime: Runtime, method: Callable[..., object]
) -> None:
    assert runtime.dispatch(runtime.spawn(Aliased()), method).get()


# What users call their parameters


class Retargeted(Process):
    def take(self, target: str, method: str = "", seconds: float = 0.0) -> tuple[object, ...]:
        return target, method, seconds


class Told(Process):
    def __init__(self) -> None:
        super().__init__()
        self.told: dict[str, object] = {}

    def take(self, **told: object) -> dict[str, object]:
        self.told = told
        return told


NAMES = {
    "self": 1,
    "target": 2,
    "method": 3,
    "seconds": 4,
    "function": 5,
    "manager": 6,
    "run": 7,
    "pid": 8,
    "args": 9,
    "kwargs": 10,
}


def test_parameters_may_be_called_as_those_of_dispatch(runtime: Runtime) -> None:
    pid = runtime.spawn(Retargeted())

    future = runtime.dispatch(pid, Retargeted.take, target="a", method="b", seconds=1.0)
    assert future.get() == ("a", "b", 1.0)
    assert greenproc.dispatch(pid, Retargeted.take, target="a").get() == ("a", "", 0.0)
    deferred = greenproc.defer(pid, Retargeted.take, target=_1, method="b")
    assert deferred("a").get() == ("a", "b", 0.0)


def test_parameters_may_have_any_name(runtime: Runtime) -> None:
    def told(**names: int) -> dict[str, int]:
        return names

    pid = runtime.spawn(Process())
    executor = Executor(runtime.processes)

    assert runtime.dispatch(pid, told, **NAMES).get() == NAMES
    assert runtime.defer(pid, told, **NAMES)().get() == NAMES
    assert runtime.run_async(told, **NAMES).get() == NAMES
    assert executor.execute(told, **NAMES).get() == NAMES
    assert executor.defer(told, **NAMES)().get() == NAMES
    assert runtime.spawn_greenlet(told, **NAMES).get() == NAMES
    executor.stop()


def test_a_delayed_call_takes_keywords(runtime: Runtime) -> None:
    process = Told()
    runtime.clock.pause()
    runtime.delay(1.0, runtime.spawn(process), Told.take, target=1, method=2, seconds=3)
    runtime.clock.advance(1.0)
    runtime.settle()

    assert process.told == {"target": 1, "method": 2, "seconds": 3}


# Mistakes


def test_the_result_of_a_call_for_a_method_is_refused(runtime: Runtime, process: Taking) -> None:
    told = r"expected a method or a function to call, got \(\): .* dispatch\(pid, Class\.method"

    with pytest.raises(InvalidArgument, match=told):
        runtime.dispatch(process, process.nothing())  # type: ignore[call-overload]
    with pytest.raises(InvalidArgument, match=told):
        runtime.delay(0.1, process, process.nothing())  # type: ignore[call-overload]
    with pytest.raises(InvalidArgument, match=told):
        runtime.defer(process, process.nothing())  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("args", "kwargs", "told"),
    [
        ((1,), {"falg": True}, "got an unexpected keyword argument 'falg'"),
        ((), {}, "missing 1 required positional argument: 'a'"),
        ((1, 2), {}, "takes 2 positional arguments but 3 were given"),
    ],
)
def test_an_error_of_the_arguments_names_the_parameters(
    runtime: Runtime, process: Taking, args: Any, kwargs: Any, told: str
) -> None:
    future = runtime.dispatch(process, Taking.named, *args, **kwargs)

    with pytest.raises(TypeError, match=f"{told}: expected Taking.named") as caught:
        future.get()
    assert "(a: 'int', *, flag: 'bool' = False)" in str(caught.value)


def test_an_error_in_the_method_is_left_alone(runtime: Runtime, process: Taking) -> None:
    def wrong() -> None:
        raise TypeError("in the method")

    with pytest.raises(TypeError, match=r"^in the method\n"):
        runtime.dispatch(process, wrong).get()
    with pytest.raises(TypeError, match=r"^unsupported operand type"):
        runtime.dispatch(process, sum, ["a"]).get()


def test_a_function_without_signature_fails_in_its_own_words(
    runtime: Runtime, process: Taking
) -> None:
    with pytest.raises(TypeError, match=r"^min expected at least 1 argument, got 0\n"):
        runtime.dispatch(process, min).get()  # type: ignore[call-overload]


def test_a_coroutine_fails_the_future_and_is_closed(runtime: Runtime, process: Taking) -> None:
    async def fetch() -> int:
        return 1

    with pytest.raises(InvalidArgument, match="fetch is an async def, and nothing here runs"):
        runtime.dispatch(process, fetch).get()


def test_a_coroutine_of_a_delayed_call_is_an_error_of_the_process(
    runtime: Runtime, process: Taking
) -> None:
    async def fetch() -> int:
        return 1

    with expect_failure(InvalidArgument, "fetch is an async def"):
        runtime.delay(0.0, process, fetch)
        assert runtime.wait(process)
