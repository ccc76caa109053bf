"""Calls that come again and again: in rhythm, never in a pile, and no longer than their process."""

from __future__ import annotations

from typing import Any

import pytest

from greenproc import UPID, Future, MailboxLimit, Process, Promise, every
from greenproc.errors import InvalidArgument
from greenproc.patterns import Repetition
from greenproc.runtime import Runtime
from greenproc.testing import expect_failure


class Beat(Process):
    """Notes its calls; waits for a promise when it has one."""

    def __init__(self) -> None:
        super().__init__("beat")
        self.beats: list[Any] = []
        self.promise: Promise[None] | None = None

    def beat(self, *args: Any, **kwargs: Any) -> Future[None] | None:
        self.beats.append((*args, *kwargs.values()))
        return None if self.promise is None else self.promise.future

    def fail(self) -> None:
        raise ValueError("on purpose")


@pytest.fixture
def beat(runtime: Runtime) -> Beat:
    runtime.clock.pause()
    process = Beat()
    runtime.spawn(process)
    runtime.settle()
    return process


def pass_by(runtime: Runtime, seconds: float, times: int = 1) -> None:
    for _ in range(times):
        runtime.clock.advance(seconds)
        runtime.settle()


def test_a_method_is_called_again_and_again_until_it_is_cancelled(
    runtime: Runtime, beat: Beat
) -> None:
    repetition = every(2.0, beat, Beat.beat, 1, word="x")
    pass_by(runtime, 1.0)
    assert beat.beats == []
    pass_by(runtime, 1.0, times=5)
    assert beat.beats == [(1, "x")] * 3
    assert repr(repetition) == f"<Repetition to {beat.pid} every 2 s, 3 calls>"

    repetition.cancel()
    repetition.cancel()
    pass_by(runtime, 2.0, times=3)
    assert (len(beat.beats), repetition.is_active) == (3, False)


def test_calls_do_not_pile_up_while_one_is_not_over(runtime: Runtime, beat: Beat) -> None:
    beat.promise = Promise()
    repetition = every(1.0, beat, Beat.beat)
    pass_by(runtime, 1.0, times=5)
    assert (len(beat.beats), repetition.calls, repetition.skipped) == (1, 1, 4)

    beat.promise.set(None)
    pass_by(runtime, 1.0, times=2)
    assert len(beat.beats) == 3
    repetition.cancel()


def test_times_that_the_clock_jumps_over_are_left_out_and_the_rhythm_is_kept(
    runtime: Runtime, beat: Beat
) -> None:
    repetition = every(2.0, beat, Beat.beat)
    pass_by(runtime, 7.0)
    assert (len(beat.beats), repetition.skipped) == (1, 2)
    pass_by(runtime, 1.0)
    assert len(beat.beats) == 2
    repetition.cancel()


def test_it_ends_with_the_process_and_does_not_call_its_successor(
    runtime: Runtime, beat: Beat
) -> None:
    repetition = every(1.0, beat, Beat.beat)
    runtime.terminate(beat)
    runtime.wait(beat)
    successor = Beat()
    runtime.spawn(successor)
    pass_by(runtime, 1.0, times=2)

    assert (successor.beats, repetition.is_active) == ([], False)
    assert runtime.clock.statistics()["timers"] == 0


def test_an_error_in_the_method_is_that_of_the_process(runtime: Runtime, beat: Beat) -> None:
    repetition = every(1.0, beat, Beat.fail)
    with expect_failure(ValueError):
        pass_by(runtime, 1.0)
    assert not runtime.wait(beat)
    pass_by(runtime, 1.0)
    assert (repetition.calls, repetition.is_active) == (1, False)


def test_a_call_that_finds_no_room_is_a_dead_letter_and_the_next_one_is_made(
    runtime: Runtime,
) -> None:
    class Narrow(Beat):
        mailbox_limit = MailboxLimit(events=1)

        def wait(self, begun: Promise[None], until: Future[None]) -> None:
            begun.set(None)
            until.get(20.0)

    runtime.clock.pause()
    narrow, begun, gate = Narrow(), Promise[None](), Promise[None]()
    runtime.spawn(narrow)
    repetition = every(1.0, narrow, Narrow.beat)
    runtime.dispatch(narrow, Narrow.wait, begun, gate.future)
    begun.future.get(20.0)
    queued = runtime.dispatch(narrow, Narrow.beat, "queued")
    dropped = Promise[str]()
    runtime.dead_letters.subscribe(lambda letter: dropped.set(letter.name))

    runtime.clock.advance(1.0)
    assert dropped.future.get(20.0) == "Beat.beat"
    gate.set(None)
    queued.get(20.0)
    pass_by(runtime, 1.0)

    assert narrow.beats == [("queued",), ()]
    repetition.cancel()


def test_it_starts_in_initialize(runtime: Runtime) -> None:
    class Self(Beat):
        def initialize(self) -> None:
            self.repetition: Repetition = every(1.0, self, Self.beat)

    runtime.clock.pause()
    process = Self()
    runtime.spawn(process)
    runtime.settle()
    pass_by(runtime, 1.0, times=2)
    assert len(process.beats) == 2


@pytest.mark.parametrize("seconds", [0, -1.0, 0.0001, float("nan"), "1"])
def test_a_period_that_is_none_is_refused(seconds: Any, beat: Beat) -> None:
    with pytest.raises(InvalidArgument):
        every(seconds, beat, Beat.beat)


def test_what_does_not_run_or_cannot_be_called_is_refused(runtime: Runtime, beat: Beat) -> None:
    with pytest.raises(InvalidArgument, match="spawn it first"):
        every(1.0, UPID("gone", runtime.address), Beat.beat)
    with pytest.raises(InvalidArgument):
        every(1.0, beat, "beat")  # type: ignore[arg-type]
