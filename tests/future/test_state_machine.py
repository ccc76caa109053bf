"""The state machine beyond what libprocess tests of it."""

from __future__ import annotations

import weakref
from typing import Any

import pytest

from greenproc.errors import InvalidArgument, StateError
from greenproc.future import StateMachine
from tests.sync.support import Interrupted, interrupt


def test_who_waits_for_a_state_is_told_before_the_function_is_called() -> None:
    machine = StateMachine("stopped")
    order: list[str] = []
    machine.when("running").on_ready(lambda _: order.append(f"told of {machine.state}"))

    machine.transition("stopped", "running", lambda: order.append("called"))

    assert order == ["told of running", "called"]


def test_the_error_tells_both_states_or_what_the_caller_says() -> None:
    machine = StateMachine("stopped")

    with pytest.raises(StateError, match="expected the state 'running', but it is 'stopped'"):
        machine.transition("running", "stopped")
    with pytest.raises(StateError, match="not started"):
        machine.transition("running", "stopped", message="not started")


def test_a_transition_may_lead_to_the_same_state() -> None:
    machine = StateMachine("running")

    machine.transition("running", "running")

    assert repr(machine) == "<StateMachine 'running'>"


def test_who_waits_is_told_even_if_the_state_moves_on_at_once() -> None:
    machine = StateMachine("one")
    first, second = machine.when("two"), machine.when("two")
    third = machine.when("three")
    first.on_ready(lambda _: machine.transition("two", "three"))

    machine.transition("one", "two")

    assert (first.is_ready, second.is_ready, third.is_ready) == (True, True, True)
    assert machine.state == "three"


def test_who_waits_is_told_once() -> None:
    machine = StateMachine("one")
    calls: list[None] = []
    machine.when("two").on_ready(calls.append)

    for _ in range(2):
        machine.transition("one", "two")
        machine.transition("two", "one")

    assert calls == [None]


def test_a_machine_that_is_garbage_abandons_who_waits() -> None:
    machine = StateMachine("one")
    future = machine.when("two")

    del machine

    assert future.is_abandoned


def test_who_was_told_is_forgotten() -> None:
    machine = StateMachine("one")
    told = weakref.ref(machine.when("two"))

    machine.transition("one", "two")

    assert told() is None


def test_all_who_wait_are_told_though_one_of_them_ends_the_greenlet() -> None:
    machine = StateMachine("one")
    first, second = machine.when("two"), machine.when("two")
    first.on_ready(lambda _: interrupt())
    called: list[str] = []

    with pytest.raises(Interrupted):
        machine.transition("one", "two", lambda: called.append("function"))

    assert (first.is_ready, second.is_ready, machine.state) == (True, True, "two")
    assert called == ["function"]


def test_what_is_no_function_changes_nothing() -> None:
    machine = StateMachine("one")

    with pytest.raises(InvalidArgument, match="expected a function to call, got 5"):
        machine.transition("one", "two", 5)  # type: ignore[arg-type]

    assert machine.state == "one"


def test_who_discards_is_not_waited_for_any_more() -> None:
    machine = StateMachine("one")
    first, second = machine.when("two"), machine.when("two")

    assert first.discard()
    assert (first.is_discarded, second.is_pending) == (True, True)
    left = weakref.ref(first)
    del first
    assert left() is None

    machine.transition("one", "two")
    assert second.is_ready


def test_a_request_is_too_late_when_the_state_is_there() -> None:
    machine = StateMachine("one")
    future = machine.when("two")
    future.on_ready(lambda _: future.discard() and None)

    machine.transition("one", "two")

    assert future.is_ready


def test_a_state_that_cannot_be_hashed_is_refused() -> None:
    none: Any = []
    machine: StateMachine[Any] = StateMachine("one")
    for attempt in (
        lambda: StateMachine(none),
        lambda: machine.transition("one", none),
        lambda: machine.transition(none, "one"),
        lambda: machine.when(none),
    ):
        with pytest.raises(InvalidArgument, match="can be hashed"):
            attempt()
    assert machine.state == "one"
