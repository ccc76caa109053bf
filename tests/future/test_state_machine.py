"""The state machine beyond what libprocess tests of it."""

from __future__ import annotations

import weakref

import pytest

from greenproc.errors import StateError
from greenproc.future import StateMachine


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
