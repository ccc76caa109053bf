"""Deferred calls and which arguments they get; dispatch and which function it calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from greenproc.errors import InvalidArgument
from greenproc.future import Future
from greenproc.process import Process, _1, _2, _3
from greenproc.process.current import current_process
from greenproc.process.defer import resolve_method
from greenproc.runtime import Runtime
from greenproc.testing import await_abandoned, await_ready


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
    with pytest.raises(InvalidArgument, match="expected a function to defer, got 1"):
        runtime.defer(process, 1)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="expected a function to defer"):
        runtime.defer(UNCALLABLE)  # type: ignore[arg-type]


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
