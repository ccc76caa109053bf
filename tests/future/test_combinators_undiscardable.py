"""Shielding futures from discard requests."""

from __future__ import annotations

from typing import Any

import gevent
import pytest

from greenproc.errors import InvalidArgument
from greenproc.future import Future, Promise, select, undiscardable


@pytest.mark.parametrize("act", ["set", "fail", "discard"])
def test_it_ends_as_the_source_does(act: str) -> None:
    promise: Promise[Any] = Promise()
    future = undiscardable(promise.future)

    getattr(promise, act)(*() if act == "discard" else ("text",))

    assert str(future) == str(promise.future)
    assert future.value == promise.future.value


def test_a_request_stays_with_the_result() -> None:
    promise: Promise[int] = Promise()
    future = undiscardable(promise.future)

    future.discard()

    assert future.has_discard
    assert not promise.future.has_discard


def test_abandonment_is_passed_on_only_when_the_source_is_gone() -> None:
    promise: Promise[int] = Promise()
    source = promise.future
    future = undiscardable(source)

    promise.abandon()
    assert not future.is_abandoned

    del promise, source
    gevent.idle()
    assert future.is_abandoned


def test_a_future_as_the_value_stays_the_value() -> None:
    first = Future(1)
    assert undiscardable(select([first])).get() is first


def test_a_function_must_return_a_future() -> None:
    shielded: Any = undiscardable(lambda: 42)  # type: ignore[arg-type, return-value]
    with pytest.raises(InvalidArgument):
        shielded()


def test_a_shielded_function_keeps_its_name_and_arguments() -> None:
    def add(first: int, second: int = 2) -> Future[int]:
        return Future(first + second)

    shielded = undiscardable(add)

    assert shielded.__name__ == "add"
    assert shielded(1, second=3).get() == 4


def test_what_is_neither_a_future_nor_a_function_is_refused_at_once() -> None:
    with pytest.raises(InvalidArgument, match="got 5"):
        undiscardable(5)  # type: ignore[call-overload]
