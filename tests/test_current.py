"""Finding the runtime of a greenlet."""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import copy_context

import pytest

from greenproc.current import RUNTIME, default, find_runtime


@pytest.fixture(autouse=True)
def empty() -> Iterator[None]:
    """No default runtime during the test, and the former one after it."""
    former, default.runtime = default.runtime, None
    yield
    default.runtime = former


class Falsy:
    """A runtime may look empty and is one all the same."""

    def __bool__(self) -> bool:
        return False


def in_runtime(runtime: object) -> object | None:
    RUNTIME.set(runtime)
    return find_runtime()


def test_there_is_none_at_first() -> None:
    assert find_runtime() is None


def test_the_default_runtime_is_found_everywhere() -> None:
    default.runtime = "default"

    assert find_runtime() == "default"
    assert copy_context().run(find_runtime) == "default"


def test_the_runtime_of_the_context_comes_first() -> None:
    default.runtime = "default"

    assert copy_context().run(in_runtime, "mine") == "mine"
    assert find_runtime() == "default"


def test_a_runtime_that_is_false_is_found_too() -> None:
    default.runtime = "default"
    runtime = Falsy()

    assert copy_context().run(in_runtime, runtime) is runtime


def test_the_default_tells_what_it_holds() -> None:
    assert repr(default) == "<DefaultRuntime None>"
