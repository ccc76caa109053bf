"""Calls that come again and again: in rhythm, never in a pile, and no longer than their process."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import gevent
import pytest

from greenproc import UPID, Cron, Future, MailboxLimit, Process, Promise, every
from greenproc.clock import Clock, ManualSource
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


@pytest.mark.parametrize(
    "seconds",
    [0, -1.0, 0.0001, float("nan"), float("inf"), 10**400, "1"],
    ids=lambda value: repr(value)[:8],
)
def test_a_period_that_is_none_is_refused(seconds: Any, beat: Beat) -> None:
    with pytest.raises(InvalidArgument):
        every(seconds, beat, Beat.beat)


def test_a_target_before_the_period_is_told(beat: Beat) -> None:
    with pytest.raises(InvalidArgument, match=r"write every\(1\.0, target, method\)"):
        every(beat, 1.0, Beat.beat)  # type: ignore[arg-type]


def test_what_does_not_run_or_cannot_be_called_is_refused(runtime: Runtime, beat: Beat) -> None:
    with pytest.raises(InvalidArgument, match="spawn it first"):
        every(1.0, UPID("gone", runtime.address), Beat.beat)
    with pytest.raises(InvalidArgument):
        every(1.0, beat, "beat")  # type: ignore[arg-type]


# By a crontab

DAY = 86_400.0


class Diary(Process):
    """Notes the times at which it is called; waits for a promise when it has one."""

    def __init__(self) -> None:
        super().__init__("diary")
        self.times: list[float] = []
        self.promise: Promise[None] | None = None

    def write(self) -> Future[None] | None:
        self.times.append(self.runtime.clock.now())
        return None if self.promise is None else self.promise.future

    def at(self, zone: str = "UTC") -> list[str]:
        times = [datetime.fromtimestamp(time, ZoneInfo(zone)) for time in self.times]
        return [f"{time:%d %H:%M:%S %z}" for time in times]


@pytest.fixture
def diary(runtime: Runtime) -> Diary:
    runtime.clock.pause()
    process = Diary()
    runtime.spawn(process)
    runtime.settle()
    return process


def begin(runtime: Runtime, text: str) -> None:
    """Let it be *text*, of some day to come, by the clock."""
    runtime.clock.update(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
    runtime.settle()


def test_a_cron_calls_through_a_day_at_its_times_and_at_no_others(
    runtime: Runtime, diary: Diary
) -> None:
    begin(runtime, "2041-03-01T00:00:30")
    repetition = every(Cron("15 */6 * * *"), diary, Diary.write)
    pass_by(runtime, 60.0, times=24 * 60)

    # The clock goes on by minutes: each call comes in the first one after its time.
    assert diary.at() == [f"01 {hour:02}:15:30 +0000" for hour in (0, 6, 12, 18)]
    assert (repetition.calls, repetition.skipped) == (4, 0)
    repetition.cancel()


def test_a_clock_that_goes_on_to_what_is_due_calls_at_the_very_time(
    runtime: Runtime, diary: Diary
) -> None:
    begin(runtime, "2041-03-30T12:00")
    repetition = every(Cron("30 2,3 * * *", zone="Europe/Paris"), diary, Diary.write)
    for _ in range(4):
        assert repetition.due is not None
        runtime.clock.update(repetition.due)
        runtime.settle()

    # In that night clocks are set forward from 02:00 to 03:00.
    assert diary.at("Europe/Paris") == [
        "31 03:00:00 +0200",
        "31 03:30:00 +0200",
        "01 02:30:00 +0200",
        "01 03:30:00 +0200",
    ]
    assert repr(repetition) == (
        f"<Repetition to {diary.pid} at '30 2,3 * * *' Europe/Paris, 4 calls>"
    )
    repetition.cancel()
    assert (repetition.due, repetition.is_active) == (None, False)
    pass_by(runtime, DAY, times=2)
    assert len(diary.times) == 4


@pytest.mark.parametrize(
    ("text", "days", "skipped", "following"),
    [
        ("@hourly", 1, 23, "03 01:00"),
        ("@daily", 1, 0, "04 00:00"),
        ("* * * * *", 400, 1000, "06 00:01"),  # no more are counted
    ],
)
def test_for_all_times_that_the_clock_jumps_over_one_call_is_made(
    runtime: Runtime, diary: Diary, text: str, days: int, skipped: int, following: str
) -> None:
    begin(runtime, "2041-03-02")
    repetition = every(Cron(text), diary, Diary.write)
    pass_by(runtime, days * DAY)

    assert (len(diary.times), repetition.calls, repetition.skipped) == (1, 1, skipped)
    assert repetition.due is not None
    assert f"{datetime.fromtimestamp(repetition.due, UTC):%d %H:%M}" == following
    repetition.cancel()


def test_calls_of_a_cron_do_not_pile_up_while_one_is_not_over(
    runtime: Runtime, diary: Diary
) -> None:
    begin(runtime, "2041-03-01")
    diary.promise = Promise()
    repetition = every(Cron("@hourly"), diary, Diary.write)
    pass_by(runtime, 3600.0, times=5)
    assert (repetition.calls, repetition.skipped) == (1, 4)

    diary.promise.set(None)
    pass_by(runtime, 3600.0)
    assert diary.at() == ["01 01:00:00 +0000", "01 06:00:00 +0000"]
    repetition.cancel()


def test_a_cron_ends_with_its_process(runtime: Runtime, diary: Diary) -> None:
    begin(runtime, "2041-03-01")
    repetition = every(Cron("@hourly"), diary, Diary.write)
    runtime.terminate(diary)
    runtime.wait(diary)
    successor = Diary()
    runtime.spawn(successor)
    pass_by(runtime, 3600.0, times=2)

    assert (successor.times, repetition.is_active) == ([], False)
    assert runtime.clock.statistics()["timers"] == 0


class System:
    """A clock of the system that a test can set, and the times at which a `Cron` calls by it."""

    def __init__(self, runtime: Runtime, time: str, cron: Cron) -> None:
        self.source = ManualSource(datetime.fromisoformat(time).replace(tzinfo=UTC).timestamp())
        self.times: list[str] = []
        clock = Clock(self.source)
        parts = {"processes": runtime.processes, "check_thread": runtime.check_thread}
        pid = runtime.spawn(Process("called"))
        Repetition(SimpleNamespace(clock=clock, **parts), cron, pid, (self._note, (), {}))

    def _note(self) -> None:
        self.times.append(f"{datetime.fromtimestamp(self.source.now(), UTC):%H:%M:%S}")

    def wait(self, minutes: int) -> None:
        for _ in range(minutes):
            self.source.move(60.0)
            gevent.idle()


def test_a_cron_notices_within_a_minute_that_the_clock_of_the_system_was_set_forward(
    runtime: Runtime,
) -> None:
    system = System(runtime, "2041-03-01T23:30", Cron("@daily"))
    system.wait(10)
    system.source.step(3600.0)
    gevent.idle()
    assert system.times == []
    system.wait(1)
    assert system.times == ["00:41:00"]


def test_a_cron_calls_nothing_twice_when_the_clock_of_the_system_was_set_back(
    runtime: Runtime,
) -> None:
    system = System(runtime, "2041-03-01T23:30", Cron("@hourly"))
    system.wait(31)
    system.source.step(-1800.0)
    system.wait(80)
    assert system.times == ["00:00:00"]
    system.wait(10)
    assert system.times == ["00:00:00", "01:00:00"]
