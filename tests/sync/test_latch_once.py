"""Once: who does the work, and who waits for it."""

from __future__ import annotations

from typing import Any

import gevent
import pytest

from greenproc.errors import Deadlock, InvalidArgument
from greenproc.sync import Once
from tests.sync.support import expect_error, start, start_thread


@pytest.fixture
def once() -> Once:
    return Once()


def test_the_first_is_told_to_do_it(once: Once) -> None:
    assert once.once() is False
    once.done()
    assert once.once() is True


def test_others_wait_until_it_is_done(once: Once) -> None:
    once.once()
    others = [start(once.once) for _ in range(3)]
    future = once.finished()
    assert not any(other.ready() for other in others)
    assert future.is_pending

    once.done()

    assert future.is_ready
    gevent.joinall(others)
    assert [other.get() for other in others] == [True, True, True]


def test_saying_done_twice_does_nothing(once: Once) -> None:
    once.once()
    once.done()
    once.done()
    assert once.is_done


def test_call_calls_the_first_function_only(once: Once) -> None:
    seen: list[str] = []
    once.call(seen.append, "first")
    once.call(seen.append, "second")
    assert seen == ["first"]


def test_call_waits_for_a_call_under_way(once: Once) -> None:
    gate = gevent.event.Event()
    first = start(lambda: once.call(gate.wait))
    second = start(lambda: once.call(lambda: None))
    assert not second.ready()

    gate.set()

    gevent.joinall([first, second], raise_error=True)
    assert once.is_done


def test_what_the_function_raises_goes_to_the_first_only(once: Once) -> None:
    with pytest.raises(ZeroDivisionError):
        once.call(lambda: 1 / 0)
    once.call(pytest.fail, "called again")


def test_asking_again_before_it_is_done_is_a_deadlock(once: Once) -> None:
    once.call(lambda: expect_error(Deadlock, once.once))
    assert once.once()


def test_one_of_many_threads_does_it(once: Once) -> None:
    seen: list[int] = []
    for join in [start_thread(lambda: once.call(seen.append, 1)) for _ in range(8)]:
        join()
    assert seen == [1]


def test_repr_tells_the_state(once: Once) -> None:
    assert repr(once) == "<Once to be done>"
    once.once()
    assert repr(once) == "<Once under way>"
    once.done()
    assert repr(once) == "<Once done>"


def test_what_cannot_be_called_leaves_it_to_be_done(once: Once) -> None:
    function: Any = 3
    with pytest.raises(InvalidArgument, match="got 3"):
        once.call(function)
    assert repr(once) == "<Once to be done>"
