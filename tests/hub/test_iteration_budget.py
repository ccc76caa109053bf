"""Sharing a hub with its descriptors."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from threading import Thread

import gevent
import pytest
from gevent import get_hub, socket
from gevent.exceptions import BlockingSwitchOutError

from greenproc.hub.iteration_budget import (
    IterationBudget,
    iteration_budget,
    yield_if_spent,
    yield_to_io,
)
from tests.shell import Program

TURNS = 3  # of the loop, until what is readable has been read


@pytest.fixture
def spent() -> IterationBudget:
    """A budget that is enough for one piece of work in each iteration."""
    return IterationBudget(get_hub(), max_seconds=0.0)


def read_meanwhile(give_turn: Callable[[], object]) -> list[bytes]:
    """Return what another greenlet reads from its socket while this one gives turns."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        received: list[bytes] = []
        reader = gevent.spawn(lambda: received.append(theirs.recv(10)))
        yield_to_io()  # it waits now
        ours.send(b"news")
        for _ in range(TURNS):
            give_turn()
        seen = received.copy()
        reader.join()
        return seen


def test_descriptors_are_polled_in_between() -> None:
    assert read_meanwhile(yield_to_io) == [b"news"]


def test_time_that_is_left_is_not_given_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("greenproc.hub.iteration_budget.perf_counter", lambda: 0.0)

    assert read_meanwhile(yield_if_spent) == []


def test_when_the_time_is_over_the_turn_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter(range(1000))
    monkeypatch.setattr(
        "greenproc.hub.iteration_budget.perf_counter", lambda: float(next(moments))
    )

    assert read_meanwhile(lambda: [yield_if_spent() for _ in range(2)]) == [b"news"]


def test_the_time_begins_with_the_first_question_of_an_iteration(spent: IterationBudget) -> None:
    asked = [spent.is_spent(), spent.is_spent()]
    spent.wait()
    asked += [spent.is_spent(), spent.is_spent()]

    # That it goes on was the first piece of work in the second iteration.
    assert asked == [False, True, True, True]


def test_those_who_wait_go_on_in_order_as_many_as_fit(spent: IterationBudget) -> None:
    went_on: list[tuple[int, int]] = []

    def work(number: int) -> None:
        spent.wait()
        went_on.append((number, get_hub().loop.iteration))

    gevent.joinall([gevent.spawn(work, number) for number in range(3)])

    assert [number for number, _ in went_on] == [0, 1, 2]
    assert len({iteration for _, iteration in went_on}) == 3
    assert spent.statistics() == {"waiting": 0}


def test_small_work_goes_ahead_and_starves_nothing(spent: IterationBudget) -> None:
    went_on: list[str] = []

    def work(name: str, ahead: bool) -> None:
        spent.wait(ahead=ahead)
        went_on.append(name)

    busy = [gevent.spawn(work, name, False) for name in ("first", "second")]
    small = [gevent.spawn(work, name, True) for name in ("a", "b", "c")]
    gevent.joinall(busy + small)

    # One of each in every iteration, the small one before.
    assert went_on == ["a", "first", "b", "second", "c"]
    assert spent.statistics() == {"waiting": 0}


def test_small_work_that_is_killed_waits_no_longer(spent: IterationBudget) -> None:
    killed = gevent.spawn(spent.wait, ahead=True)
    gevent.sleep(0)

    killed.kill()

    assert spent.statistics() == {"waiting": 0}


def test_a_greenlet_that_is_killed_waits_no_longer(spent: IterationBudget) -> None:
    killed = gevent.spawn(spent.wait)
    gevent.sleep(0)
    assert spent.statistics() == {"waiting": 1}

    killed.kill()

    assert spent.statistics() == {"waiting": 0}
    gevent.spawn(spent.wait).get(timeout=10)


def test_a_stale_switch_does_not_wake_it(spent: IterationBudget) -> None:
    waiting = gevent.spawn(spent.wait)
    gevent.sleep(0)

    get_hub().loop.run_callback(waiting.switch)
    gevent.sleep(0)
    assert spent.statistics() == {"waiting": 1}
    assert not waiting.ready()

    waiting.get(timeout=10)


def test_what_fails_does_not_stop_those_behind_it(spent: IterationBudget) -> None:
    seen: list[str] = []
    hub = get_hub()

    def fail() -> None:
        raise ZeroDivisionError

    hub.handle_error, original = (
        lambda _context, kind, *_: seen.append(kind.__name__),
        hub.handle_error,
    )
    try:
        spent.call_later(fail)
        gevent.spawn(spent.wait).get(timeout=10)
    finally:
        hub.handle_error = original
    assert seen == ["ZeroDivisionError"]


def test_a_callback_of_the_hub_cannot_wait() -> None:
    refused: list[BaseException] = []

    def call_back() -> None:
        try:
            yield_to_io()
        except BlockingSwitchOutError as error:
            refused.append(error)

    get_hub().loop.run_callback(call_back)
    yield_to_io()

    assert len(refused) == 1
    assert iteration_budget().statistics() == {"waiting": 0}


def test_each_thread_has_its_own() -> None:
    found: list[IterationBudget] = []

    def work() -> None:
        yield_to_io()
        found.append(iteration_budget())
        get_hub().destroy(destroy_loop=True)

    thread = Thread(target=work)
    thread.start()
    thread.join()

    assert found[0] is not iteration_budget()


SCRIPT = """
import gevent
from gevent import socket
from greenproc.hub.iteration_budget import iteration_budget, yield_to_io
ours, theirs = socket.socketpair()
received = []
gevent.spawn(lambda: received.append(theirs.recv(10)))
yield_to_io()
ours.send(b"news")
for _ in range(3):
    yield_to_io()
assert not iteration_budget().is_spent() or iteration_budget()._counter.iteration > 0
print("received", received)
"""


@pytest.mark.parametrize("loop", ["libev-cext", "libev-cffi", "libuv"])
def test_every_loop_of_gevent_can_be_shared(loop: str) -> None:
    environ = {**os.environ, "GEVENT_LOOP": loop}
    with Program(sys.executable, "-c", SCRIPT, env=environ) as program:
        assert program.line("received (.*)")[1] == "[b'news']"
