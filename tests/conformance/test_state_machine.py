"""libprocess' state_machine_tests.cpp: allowed transitions, and futures of states."""

from __future__ import annotations

from enum import Enum

import pytest

from greenproc.errors import StateError
from greenproc.future import Failure, Future, Promise, StateMachine


class State(Enum):
    INITIAL = "initial"
    STARTED = "started"
    RUNNING = "running"
    STOPPED = "stopped"
    COMPLETED = "completed"
    FINISHED = "finished"


def refuse(machine: StateMachine[State], before: State, after: State) -> None:
    called: list[bool] = []
    state = machine.state
    with pytest.raises(StateError):
        machine.transition(before, after, lambda: called.append(True))
    assert (machine.state, called) == (state, [])


def test_transition() -> None:
    """StateMachineTest.Transition; where the original returns an error, this raises."""
    machine = StateMachine(State.INITIAL)

    assert machine.transition(State.INITIAL, State.STARTED, lambda: "value") == "value"
    refuse(machine, State.INITIAL, State.STARTED)

    # A function that succeeds, and one that does not. Either way the state has changed.
    assert machine.transition(State.STARTED, State.RUNNING, lambda: 42) == 42
    refuse(machine, State.STARTED, State.RUNNING)

    def fail() -> int:
        raise Failure("Error")

    with pytest.raises(Failure, match="Error"):
        machine.transition(State.RUNNING, State.STOPPED, fail)
    refuse(machine, State.RUNNING, State.STOPPED)

    # A future that is ready later, and one that has failed.
    promise: Promise[int] = Promise()
    future = machine.transition(State.STOPPED, State.COMPLETED, lambda: promise.future)
    assert future is not None
    assert future.is_pending
    promise.set(42)
    assert future.get() == 42
    refuse(machine, State.STOPPED, State.COMPLETED)

    failed = machine.transition(
        State.COMPLETED, State.FINISHED, lambda: Future[int].failed("Error")
    )
    assert failed is not None
    assert failed.is_failed
    refuse(machine, State.COMPLETED, State.FINISHED)


def test_is() -> None:
    """StateMachineTest.Is."""
    machine = StateMachine(State.INITIAL)
    assert machine.is_(State.INITIAL)

    machine.transition(State.INITIAL, State.RUNNING)

    assert not machine.is_(State.INITIAL)
    assert machine.is_(State.RUNNING)


def test_when() -> None:
    """StateMachineTest.When."""
    machine = StateMachine(State.INITIAL)
    assert machine.when(State.INITIAL).is_ready

    running = machine.when(State.RUNNING)
    assert running.is_pending

    machine.transition(State.INITIAL, State.RUNNING)

    assert running.is_ready
