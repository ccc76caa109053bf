"""Other limits of turns than the usual ones, and a look at the states of processes at each turn.

The command line says it for a whole run: ``pytest --turn-limits events=1,turns=1 tests/process``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from greenproc.process.invariants import check_invariants
from greenproc.process.record import ProcessRecord
from greenproc.process.runner import ProcessRunner
from greenproc.process.scheduler import TurnLimits
from greenproc.runtime.parts import Parts
from greenproc.settings import Settings

OPTION = "turn_limits"
MAX_CHECKED = 100  # processes: looking at each of them at each of their turns is quadratic


def parse_limits(text: str) -> dict[str, int]:
    """Return the limits that *text*, such as ``events=1,turns=1``, names."""
    pairs = [pair.partition("=")[::2] for pair in text.split(",") if pair]
    return {name: int(value) for name, value in pairs}


@contextmanager
def turns_limited(**limits: int) -> Iterator[None]:
    """Let runtimes that are made within the block have these limits of `TurnLimits`."""

    def turn_limits(settings: Settings) -> TurnLimits:
        return replace(TurnLimits(parked=settings.max_parked_greenlets), **limits)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Parts, "turn_limits", staticmethod(turn_limits))
        yield


@contextmanager
def states_checked(*, at_each_turn: bool) -> Iterator[None]:
    """Check the states of all processes when a runtime stops and, if told so, at each turn."""

    def check_before_the_end(parts: Parts, seconds: float) -> None:
        check_invariants(parts.processes)
        end_processes(parts, seconds)
        check_invariants(parts.processes)

    def check_around_turn(runner: ProcessRunner, record: ProcessRecord) -> bool:
        manager = record.manager
        assert manager is not None
        if len(manager.records) > MAX_CHECKED:
            return serve_turn(runner, record)
        check_invariants(manager)
        lives_on = serve_turn(runner, record)
        check_invariants(manager)
        return lives_on

    end_processes: Callable[[Parts, float], None] = Parts._end_processes
    serve_turn = ProcessRunner.serve_turn
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Parts, "_end_processes", check_before_the_end)
        if at_each_turn:
            patch.setattr(ProcessRunner, "serve_turn", check_around_turn)
        yield
