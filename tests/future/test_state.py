"""The state machine of a future: each cell of the table in its documentation is walked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from greenproc.future import Future, Promise, state
from tests.state_table import read_table

TABLE = read_table(state)
MOVES = ["set", "fail", "discard", "abandon", "associate", "source ends"]

EVENTS: dict[str, Callable[[Promise[Any]], bool]] = {
    "set": lambda promise: promise.set(1),
    "fail": lambda promise: promise.fail("boom"),
    "discard": lambda promise: promise.discard(),
    "abandon": lambda promise: promise.abandon(),
}

ROUTES: dict[str, str] = {
    "READY": "set",
    "FAILED": "fail",
    "DISCARDED": "discard",
    "ABANDONED": "abandon",
}

FLAGS = {
    "PENDING": ("PENDING", True, False),
    "FOLLOWING": ("PENDING", False, False),
    "READY": ("READY", False, False),
    "FAILED": ("FAILED", False, False),
    "DISCARDED": ("DISCARDED", False, False),
    "ABANDONED": ("PENDING", False, True),
}


def state_of(future: Future[Any]) -> str:
    flags = (future._state.name, future._is_open, future._is_abandoned)
    return next(name for name, known in FLAGS.items() if known == flags)


class Machine:
    """A promise whose future was brought into a state, and the source that it may follow."""

    def __init__(self, name: str) -> None:
        self.promise: Promise[Any] = Promise()
        self.source: Promise[Any] = Promise()
        if name == "FOLLOWING":
            self.promise.associate(self.source.future)
        elif name != "PENDING":
            EVENTS[ROUTES[name]](self.promise)
        assert state_of(self.promise.future) == name

    @property
    def state(self) -> str:
        return state_of(self.promise.future)


CELLS = [(name, event) for name, row in TABLE.items() for event in row if event != "source ends"]


def test_the_table_has_a_row_for_each_state() -> None:
    assert list(TABLE) == list(FLAGS)
    assert all(list(row) == MOVES for row in TABLE.values())


@pytest.mark.parametrize(("name", "event"), CELLS)
def test_a_promise_moves_its_future_as_the_table_says(name: str, event: str) -> None:
    machine = Machine(name)
    after = TABLE[name][event]

    if event == "associate":
        had_effect = machine.promise.associate(machine.source.future)
    else:
        had_effect = EVENTS[event](machine.promise)

    assert had_effect is (after != "-")
    assert machine.state == (name if after == "-" else after)


@pytest.mark.parametrize("end", list(ROUTES))
@pytest.mark.parametrize("name", list(TABLE))
def test_the_end_of_another_future_moves_only_what_follows_it(name: str, end: str) -> None:
    machine = Machine(name)
    after = TABLE[name]["source ends"]

    EVENTS[ROUTES[end]](machine.source)

    assert machine.state == {"-": name, "as source": end}[after]


@pytest.mark.parametrize("name", list(TABLE))
def test_a_discard_request_moves_nothing(name: str) -> None:
    machine = Machine(name)

    machine.promise.future.discard()

    assert machine.state == name
    assert machine.promise.future.has_discard is (FLAGS[name][0] == "PENDING")


def test_the_garbage_collection_of_a_promise_abandons() -> None:
    machine = Machine("PENDING")
    future = machine.promise.future

    del machine

    assert state_of(future) == "ABANDONED"
