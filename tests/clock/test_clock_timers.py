"""Timers of a clock: when they fire, where, in which order, and what it takes to stop them."""

from __future__ import annotations

import gc
import logging
import math
import weakref
from contextvars import ContextVar
from functools import partial
from itertools import count

import gevent
import pytest
from gevent import socket
from gevent.event import Event

from greenproc.clock.clock import Clock
from greenproc.clock.source import HubSource
from greenproc.errors import Closed, InvalidArgument, StateError
from tests.clock.support import START, Owner, World

LIMIT = 10.0
OWNER = Owner("owner")
VARIABLE: ContextVar[str] = ContextVar("VARIABLE", default="unset")


class TestRunning:
    def test_a_timer_fires_when_its_time_has_come(self, world: World) -> None:
        world.clock.timer(5.0, world.note("fired"))
        world.move(4.999)
        assert world.fired == []

        world.move(0.001)
        assert world.fired == ["fired"]

    def test_a_timer_fires_once(self, world: World) -> None:
        timer = world.clock.timer(5.0, world.note("fired"))
        world.move(5.0)
        world.move(5.0)

        assert world.fired == ["fired"]
        assert not timer.is_pending
        assert not timer.cancel()

    def test_many_that_are_due_leave_others_their_turn(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        moments = count()
        monkeypatch.setattr(
            "greenproc.hub.iteration_budget.perf_counter", lambda: float(next(moments))
        )
        fired: list[int] = []
        clock = Clock(HubSource())
        ours, theirs = socket.socketpair()
        with ours, theirs:
            reader = gevent.spawn(lambda: (theirs.recv(1), len(fired))[1])
            gevent.idle()
            clock.timer(0.0, lambda: ours.send(b"x"))
            for number in range(1000):
                clock.timer(0.0, partial(fired.append, number))

            assert reader.get(timeout=LIMIT) < 1000
        clock.sleep(0.0)
        assert fired == list(range(1000))
        clock.stop()

    @pytest.mark.parametrize("seconds", [0.0, -1.0, -math.inf, -1e300])
    def test_no_wait_fires_soon_but_not_at_once(self, world: World, seconds: float) -> None:
        world.clock.timer(seconds, world.note("fired"))
        assert world.fired == []

        world.run()
        assert world.fired == ["fired"]

    @pytest.mark.parametrize("seconds", [math.inf, 1e300, 1e12])
    def test_an_endless_wait_never_fires(self, world: World, seconds: float) -> None:
        world.clock.timer(seconds, world.note("fired"))
        world.move(5e9)

        assert world.fired == []

    def test_timers_fire_by_due_time_and_age(self, world: World) -> None:
        for seconds in [3, 1, 2, 1]:
            text = f"{len(world.fired)} {seconds}"
            world.clock.timer(seconds, world.note(text))
        world.clock.timer(2, world.note("last of 2"))
        world.move(3.0)

        assert world.fired == ["0 1", "0 1", "0 2", "last of 2", "0 3"]

    def test_an_earlier_timer_is_not_held_up_by_a_later_one(self, world: World) -> None:
        world.clock.timer(60.0, world.note("late"))
        world.clock.timer(5.0, world.note("early"))
        world.move(5.0)

        assert world.fired == ["early"]

    def test_an_early_call_of_the_source_fires_nothing_and_waits_again(self, world: World) -> None:
        world.clock.timer(5.0, world.note("fired"))
        world.source.step(-10.0)
        world.move(5.0)
        assert world.fired == []

        world.move(10.0)
        assert world.fired == ["fired"]

    def test_a_cancelled_timer_does_not_fire(self, world: World) -> None:
        timer = world.clock.timer(5.0, world.note("cancelled"))
        world.clock.timer(5.0, world.note("fired"))

        assert world.clock.cancel(timer)
        assert not world.clock.cancel(timer)
        world.move(5.0)
        assert world.fired == ["fired"]

    def test_without_timers_nothing_stays_armed(self, world: World) -> None:
        timers = [world.clock.timer(seconds, print) for seconds in (5.0, 6.0)]
        timers[0].cancel()
        assert world.source.is_armed

        timers[1].cancel()
        assert not world.source.is_armed

    def test_a_timer_of_another_clock_is_refused(self, world: World) -> None:
        timer = Clock(world.source).timer(5.0, print)

        with pytest.raises(InvalidArgument, match="of this clock"):
            world.clock.cancel(timer)
        assert timer.cancel()

    def test_a_timer_tells_when_it_is_due_and_who_made_it(self, world: World) -> None:
        outside = world.clock.timer(5.0, print)
        world.owner = OWNER
        inside = world.clock.timer(2.5, print)

        assert (outside.due, outside.creator) == (START + 5.0, None)
        assert (inside.due, inside.creator) == (START + 2.5, OWNER)

    @pytest.mark.parametrize("seconds", [math.nan, "5", None, 5j])
    def test_bad_seconds_are_refused_and_shown(self, world: World, seconds: float) -> None:
        for _ in ("running", "paused"):
            with pytest.raises(InvalidArgument) as caught:
                world.clock.timer(seconds, print)
            assert repr(seconds) in str(caught.value)
            world.clock.pause()
        assert world.clock.statistics()["timers"] == 0

    def test_what_cannot_be_called_is_refused(self, world: World) -> None:
        with pytest.raises(InvalidArgument, match="got None"):
            world.clock.timer(5.0, None)  # type: ignore[arg-type]


class TestThunks:
    def test_they_run_in_a_greenlet_of_the_clock(self, world: World) -> None:
        greenlets: list[object] = []
        for _ in range(2):
            world.clock.timer(1.0, lambda: greenlets.append(gevent.getcurrent()))
        world.move(1.0)

        assert greenlets == [world.greenlets[0]] * 2

    def test_they_run_outside_of_the_context_of_whoever_made_them(self) -> None:
        clock, seen, over = Clock(HubSource()), list[str](), Event()
        VARIABLE.set("of the test")
        clock.timer(0.0, lambda: seen.append(VARIABLE.get()))
        clock.timer(0.0, over.set)

        assert over.wait(LIMIT)
        assert seen == ["unset"]

    def test_they_may_wait(self, world: World) -> None:
        event = Event()
        world.clock.timer(1.0, event.wait)
        world.clock.timer(1.0, world.note("fired"))
        world.move(1.0)
        assert world.fired == []

        event.set()
        world.run()
        assert world.fired == ["fired"]

    def test_one_that_waits_holds_up_others_until_the_next_are_due(self, world: World) -> None:
        event = Event()
        world.clock.timer(1.0, event.wait)
        world.clock.timer(1.0, world.note("held up"))
        world.clock.timer(2.0, world.note("next"))
        world.move(1.0)
        world.move(1.0)

        assert world.fired == ["held up", "next"]
        event.set()

    def test_an_error_is_logged_once_and_stops_nobody(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        world.clock.timer(1.0, lambda: 1 / 0)
        world.clock.timer(1.0, world.note("fired"))
        with caplog.at_level(logging.ERROR, logger="greenproc.clock"):
            world.move(1.0)

        assert world.fired == ["fired"]
        (record,) = caplog.records
        assert record.name == "greenproc.clock"
        assert record.exc_info is not None
        assert record.exc_info[0] is ZeroDivisionError

    def test_a_timeout_of_gevent_is_an_error_like_others(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        def give_up() -> None:
            raise gevent.Timeout(1.0)

        world.clock.timer(1.0, give_up)
        world.clock.timer(1.0, world.note("fired"))
        world.move(1.0)

        assert world.fired == ["fired"]
        assert len(caplog.records) == 1

    def test_killing_their_greenlet_leaves_the_others_to_another(self, world: World) -> None:
        world.clock.timer(1.0, Event().wait)
        world.clock.timer(1.0, world.note("fired"))
        world.move(1.0)
        world.greenlets[0].kill()
        world.run()

        assert world.fired == ["fired"]
        assert world.clock.settled

    def test_they_may_make_timers(self, world: World) -> None:
        def fire() -> None:
            world.fired.append("first")
            world.clock.timer(0.0, world.note("at once"))
            world.clock.timer(5.0, world.note("later"))

        world.clock.timer(1.0, fire)
        world.move(1.0)
        assert world.fired == ["first", "at once"]

        world.move(5.0)
        assert world.fired == ["first", "at once", "later"]

    def test_they_may_cancel_timers_that_are_due_with_them(self, world: World) -> None:
        results: list[bool] = []
        world.clock.timer(1.0, lambda: results.append(other.cancel()))
        other = world.clock.timer(1.0, world.note("cancelled"))
        world.clock.timer(1.0, world.note("fired"))
        world.move(1.0)

        assert results == [True]
        assert world.fired == ["fired"]

    def test_they_are_let_go_of_when_over(self, world: World) -> None:
        class Thunk:
            def __call__(self) -> None: ...

        thunks = [Thunk(), Thunk()]
        fired, cancelled = (world.clock.timer(1.0, thunk) for thunk in thunks)
        references = [weakref.ref(thunk) for thunk in thunks]
        cancelled.cancel()
        world.move(1.0)
        del thunks
        gc.collect()

        assert [reference() for reference in references] == [None, None]
        assert not fired.is_pending


class TestPaused:
    @pytest.fixture(autouse=True)
    def pause(self, world: World) -> None:
        world.clock.pause()

    def test_real_time_fires_nothing(self, world: World) -> None:
        world.clock.timer(5.0, world.note("fired"))
        world.move(60.0)

        assert world.fired == []
        assert not world.source.is_armed

    def test_advancing_fires_what_becomes_due(self, world: World) -> None:
        world.clock.timer(5.0, world.note("fired"))
        world.advance(4.999999)
        assert world.fired == []

        world.advance(0.000001)
        assert world.fired == ["fired"]

    def test_advancing_only_schedules(self, world: World) -> None:
        world.clock.timer(5.0, world.note("fired"))
        world.clock.advance(5.0)

        assert world.fired == []
        assert not world.clock.settled

    def test_tenths_add_up_to_the_due_time(self, world: World) -> None:
        world.clock.timer(1.0, world.note("fired"))
        for _ in range(10):
            assert world.fired == []
            world.advance(0.1)

        assert world.fired == ["fired"]

    @pytest.mark.parametrize("seconds", [1 / 3, 0.7, 1e-6, 86400 / 7])
    def test_updating_to_the_due_time_fires(self, world: World, seconds: float) -> None:
        timer = world.clock.timer(seconds, world.note("fired"))
        world.clock.update(timer.due)
        world.run()

        assert world.fired == ["fired"]

    @pytest.mark.parametrize("seconds", [1 / 3, 0.7, 1e-6, 86400 / 7])
    def test_advancing_by_what_is_left_fires(self, world: World, seconds: float) -> None:
        world.clock.advance(0.123457)
        timer = world.clock.timer(seconds, world.note("fired"))
        world.advance(timer.due - world.clock.now())

        assert world.fired == ["fired"]

    def test_no_wait_fires_without_advancing(self, world: World) -> None:
        world.clock.timer(0.0, world.note("zero"))
        world.clock.timer(-5.0, world.note("negative"))
        assert world.fired == []

        world.run()
        assert world.fired == ["negative", "zero"]

    def test_an_advance_past_many_fires_them_in_order(self, world: World) -> None:
        for seconds in (3, 1, 2):
            world.clock.timer(seconds, world.note(str(seconds)))
        world.advance(10.0)

        assert world.fired == ["1", "2", "3"]

    def test_moving_an_owner_fires_nothing(self, world: World) -> None:
        world.owner = OWNER
        world.clock.timer(5.0, world.note("fired"))
        world.clock.advance(OWNER, 60.0)
        world.run()

        assert world.fired == []

    def test_the_timer_of_an_owner_that_lags_behind_may_be_due_at_once(self, world: World) -> None:
        world.clock.advance(60.0)
        world.owner = OWNER
        timer = world.clock.timer(5.0, world.note("fired"))
        assert timer.due == START + 5.0

        world.run()
        assert world.fired == ["fired"]

    def test_the_timer_of_an_owner_that_is_ahead_waits_for_the_global_time(
        self, world: World
    ) -> None:
        world.clock.advance(OWNER, 60.0)
        world.owner = OWNER
        world.clock.timer(5.0, world.note("fired"))
        world.advance(64.0)
        assert world.fired == []

        world.advance(1.0)
        assert world.fired == ["fired"]

    def test_a_timer_moves_its_creator_to_the_due_time_before_any_is_called(
        self, world: World
    ) -> None:
        seen: list[float] = []
        world.clock.timer(1.0, lambda: seen.append(world.clock.now(OWNER)))
        world.owner = OWNER
        world.clock.timer(5.0, print)
        world.owner = None
        world.advance(60.0)

        assert seen == [START + 5.0]
        assert world.clock.now(OWNER) == START + 5.0

    def test_a_timer_does_not_move_its_creator_back(self, world: World) -> None:
        world.owner = OWNER
        world.clock.timer(5.0, print)
        world.owner = None
        world.clock.advance(OWNER, 60.0)
        world.advance(5.0)

        assert world.clock.now(OWNER) == START + 60.0

    def test_resuming_arms_what_is_left(self, world: World) -> None:
        world.clock.timer(5.0, world.note("fired"))
        world.clock.advance(2.0)
        world.clock.resume()
        world.move(2.0)
        assert world.fired == []

        world.move(1.0)
        assert world.fired == ["fired"]

    def test_resuming_fires_what_real_time_has_passed(self, world: World) -> None:
        world.clock.timer(5.0, world.note("fired"))
        world.move(60.0)
        world.clock.resume()
        world.run()

        assert world.fired == ["fired"]


def test_pausing_holds_timers_made_before(world: World) -> None:
    world.clock.timer(5.0, world.note("fired"))
    world.clock.pause()
    world.move(60.0)
    assert world.fired == []

    world.advance(5.0)
    assert world.fired == ["fired"]


def test_pausing_does_not_hold_what_is_due(world: World) -> None:
    world.clock.timer(5.0, world.note("fired"))
    world.source.move(5.0)
    world.clock.pause()
    world.run()

    assert world.fired == ["fired"]
    assert world.clock.settled


def test_pausing_does_not_hold_what_a_step_of_the_wall_clock_made_due(world: World) -> None:
    world.clock.timer(5.0, world.note("fired"))
    world.source.step(60.0)
    world.clock.pause()
    world.run()

    assert world.fired == ["fired"]


def test_a_paused_clock_has_nothing_armed(world: World) -> None:
    world.clock.timer(5.0, print)
    world.clock.pause()

    assert not world.source.is_armed


@pytest.mark.parametrize("fraction", [0.0, 0.3e-6, 0.5e-6, 0.7e-6])
def test_a_timer_made_between_two_microseconds_fires_at_its_advance(
    world: World, monkeypatch: pytest.MonkeyPatch, fraction: float
) -> None:
    clock = Clock(world.source)
    monkeypatch.setattr(clock, "_wall", lambda: START + 0.25 + fraction)
    clock.timer(5.0, world.note("fired"))
    clock.pause()
    clock.advance(5.0)
    world.run()

    assert world.fired == ["fired"]


class TestSettled:
    def test_a_clock_without_timers_is_settled(self, world: World) -> None:
        assert world.clock.settled

    def test_timers_that_are_not_due_do_not_matter(self, world: World) -> None:
        world.clock.pause()
        world.clock.timer(5.0, print)

        assert world.clock.settled

    def test_it_is_not_settled_from_the_advance_until_the_last_thunk_is_over(
        self, world: World
    ) -> None:
        event, seen = Event(), list[bool]()
        world.clock.pause()
        world.clock.timer(5.0, lambda: seen.append(world.clock.settled))
        world.clock.timer(5.0, event.wait)
        world.clock.advance(5.0)
        assert not world.clock.settled

        world.run()
        assert seen == [False]
        assert not world.clock.settled

        event.set()
        world.run()
        assert world.clock.settled

    def test_a_cancelled_timer_that_was_due_does_not_matter(self, world: World) -> None:
        world.clock.pause()
        timer = world.clock.timer(0.0, print)
        assert not world.clock.settled

        timer.cancel()
        assert world.clock.settled


class TestSleep:
    def test_it_waits_for_this_clock(self, world: World) -> None:
        sleeper = gevent.spawn(world.clock.sleep, 5.0)
        world.run()
        world.move(4.0)
        assert not sleeper.dead

        world.move(1.0)
        assert sleeper.successful()

    def test_a_paused_clock_holds_it_until_it_is_advanced(self, world: World) -> None:
        world.clock.pause()
        sleeper = gevent.spawn(world.clock.sleep, 5.0)
        world.run()
        world.move(60.0)
        assert not sleeper.dead

        world.advance(5.0)
        assert sleeper.successful()

    def test_zero_lets_others_run(self, world: World) -> None:
        other = gevent.spawn(world.fired.append, "other")
        world.clock.sleep(0.0)

        assert world.fired == ["other"]
        assert other.dead

    def test_killing_it_leaves_no_timer(self, world: World) -> None:
        sleeper = gevent.spawn(world.clock.sleep, 5.0)
        world.run()
        assert world.clock.statistics()["timers"] == 1

        sleeper.kill()
        assert world.clock.statistics()["timers"] == 0
        assert world.clock.statistics()["sleepers"] == 0
        assert not world.source.is_armed

    @pytest.mark.parametrize("seconds", [-1.0, math.nan, "5"])
    def test_bad_seconds_are_refused(self, world: World, seconds: float) -> None:
        with pytest.raises(InvalidArgument):
            world.clock.sleep(seconds)

    def test_stopping_the_clock_ends_it(self, world: World) -> None:
        errors: list[Exception] = []

        def sleep() -> None:
            try:
                world.clock.sleep(5.0)
            except Closed as error:
                errors.append(error)

        gevent.spawn(sleep)
        world.run()
        world.clock.stop()
        world.run()

        assert [str(error) for error in errors] == ["the clock was stopped"]


class TestStop:
    def test_it_drops_timers_and_what_is_armed(self, world: World) -> None:
        timer = world.clock.timer(5.0, world.note("fired"))
        world.clock.stop()
        world.move(60.0)

        assert world.fired == []
        assert not timer.is_pending
        assert not world.source.is_armed

    def test_it_drops_timers_that_are_due_already(self, world: World) -> None:
        event = Event()
        world.clock.timer(0.0, event.wait)
        world.clock.timer(0.0, world.note("behind"))
        world.run()
        world.clock.timer(0.0, world.note("scheduled"))
        world.clock.stop()
        event.set()
        world.run()

        assert world.fired == []
        assert world.clock.settled

    def test_a_stopped_clock_takes_no_timers(self, world: World) -> None:
        world.clock.stop()

        with pytest.raises(StateError, match="start"):
            world.clock.timer(5.0, print)
        with pytest.raises(StateError, match="start"):
            world.clock.sleep(5.0)

    def test_a_timer_made_after_the_next_start_fires_on_time(self, world: World) -> None:
        world.clock.timer(5.0, world.note("before"))
        world.clock.stop()
        world.clock.start()
        world.clock.timer(60.0, world.note("after"))
        world.move(60.0)

        assert world.fired == ["after"]

    def test_a_timer_made_after_stop_in_a_pause_fires_too(self, world: World) -> None:
        world.clock.pause()
        world.clock.timer(5.0, world.note("before"))
        world.clock.advance(5.0)
        world.clock.stop()
        world.clock.start()
        world.clock.timer(1.0, world.note("after"))
        world.move(1.0)

        assert world.fired == ["after"]


def test_statistics_count_what_is_pending(world: World) -> None:
    world.clock.pause()
    world.clock.advance(1.5)
    world.clock.advance(OWNER, 1.0)
    event = Event()
    world.clock.timer(0.0, event.wait)
    world.clock.timer(0.0, print)
    world.clock.timer(5.0, print)
    world.run()

    assert world.clock.statistics() == {
        "timers": 2,
        "ticks": 1,
        "sleepers": 0,
        "owners": 1,
        "advanced": 1.5,
    }


class TestRealTime:
    """The same clock on the hub's loop. Seconds are last limits only."""

    @pytest.fixture
    def clock(self):
        clock = Clock(HubSource())
        yield clock
        clock.stop()
        gevent.idle()

    def test_timers_fire_in_order_and_not_early(self, clock: Clock) -> None:
        fired, over = list[tuple[str, bool]](), Event()
        late = clock.timer(0.006, over.set)
        early = clock.timer(0.002, lambda: fired.append(("early", clock.now() >= early.due)))
        middle = clock.timer(0.004, lambda: fired.append(("middle", clock.now() >= middle.due)))

        assert over.wait(LIMIT)
        assert fired == [("early", True), ("middle", True)]
        assert clock.now() >= late.due

    def test_a_program_whose_timers_are_cancelled_can_end(self, clock: Clock) -> None:
        timer = clock.timer(3600.0, print)
        gevent.idle()
        timer.cancel()

        assert gevent.wait(timeout=LIMIT)

    def test_advancing_wakes_at_once(self, clock: Clock) -> None:
        over = Event()
        clock.pause()
        clock.timer(3600.0, over.set)
        clock.advance(3600.0)

        assert over.wait(LIMIT)

    def test_sleep_ends(self, clock: Clock) -> None:
        start = clock.now()
        clock.sleep(0.002)

        assert clock.now() - start >= 0.002
