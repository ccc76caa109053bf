"""What time it is: the table of a paused and a running clock."""

from __future__ import annotations

import math

import pytest

from greenproc.clock.clock import Clock
from greenproc.errors import InvalidArgument
from tests.clock.support import START, Owner, World

OWNER = Owner("owner")
OTHER = Owner("other")


class TestRunning:
    def test_there_is_one_time_for_all(self, world: World) -> None:
        world.source.move(5.0)

        assert world.clock.now() == START + 5.0
        assert world.clock.now(None) == START + 5.0
        assert world.clock.now(OWNER) == START + 5.0

    def test_moving_it_is_ignored(self, world: World) -> None:
        world.clock.advance(5.0)
        world.clock.advance(OWNER, 5.0)
        world.clock.update(START + 5.0)
        world.clock.update(OWNER, START + 5.0)
        world.clock.update(OWNER, START + 5.0, force=True)
        world.clock.order(OWNER, OTHER)

        assert world.clock.now() == START
        assert world.clock.now(OWNER) == START
        world.clock.pause()
        assert world.clock.now() == START
        assert world.clock.now(OWNER) == START

    def test_resuming_is_ignored(self, world: World) -> None:
        world.clock.resume()

        assert world.clock.paused is False

    def test_bad_arguments_are_refused_all_the_same(self, world: World) -> None:
        with pytest.raises(InvalidArgument):
            world.clock.advance(-1.0)


class TestPaused:
    @pytest.fixture(autouse=True)
    def pause(self, world: World) -> None:
        world.clock.pause()

    def test_it_says_so(self, world: World) -> None:
        assert world.clock.paused is True

    def test_real_time_does_not_flow(self, world: World) -> None:
        world.source.move(5.0)

        assert world.clock.now() == START

    def test_pausing_again_changes_nothing(self, world: World) -> None:
        world.clock.advance(5.0)
        world.source.move(60.0)
        world.clock.pause()

        assert world.clock.now() == START + 5.0
        assert world.clock.now(OWNER) == START

    def test_advancing_moves_the_global_time(self, world: World) -> None:
        world.clock.advance(5.0)
        world.clock.advance(seconds=2.0)
        world.clock.advance(None, 1.0)

        assert world.clock.now() == START + 8.0
        assert world.clock.now(None) == START + 8.0

    def test_advancing_moves_no_owner(self, world: World) -> None:
        world.clock.advance(OWNER, 1.0)
        world.clock.advance(5.0)

        assert world.clock.now(OWNER) == START + 1.0
        assert world.clock.now(OTHER) == START

    def test_an_owner_can_be_advanced_alone(self, world: World) -> None:
        world.clock.advance(OWNER, 5.0)
        world.clock.advance(OWNER, 2.0)

        assert world.clock.now(OWNER) == START + 7.0
        assert world.clock.now(OTHER) == START
        assert world.clock.now() == START

    def test_now_is_the_time_of_the_caller(self, world: World) -> None:
        world.clock.advance(OWNER, 5.0)
        world.owner = OWNER

        assert world.clock.now() == START + 5.0
        assert world.clock.now(None) == START

    def test_updating_moves_forward(self, world: World) -> None:
        world.clock.update(START + 5.0)
        world.clock.update(OWNER, START + 3.0)

        assert world.clock.now() == START + 5.0
        assert world.clock.now(OWNER) == START + 3.0

    def test_updating_to_an_earlier_time_is_ignored(self, world: World) -> None:
        world.clock.update(START - 5.0)
        world.clock.update(OWNER, START - 5.0)

        assert world.clock.now() == START
        assert world.clock.now(OWNER) == START

    def test_force_moves_an_owner_back(self, world: World) -> None:
        world.clock.update(OWNER, START - 5.0, force=True)

        assert world.clock.now(OWNER) == START - 5.0

    def test_order_moves_the_second_to_the_first(self, world: World) -> None:
        world.clock.advance(OWNER, 5.0)
        world.clock.order(OWNER, OTHER)

        assert world.clock.now(OTHER) == START + 5.0

    def test_order_does_not_move_back(self, world: World) -> None:
        world.clock.advance(OTHER, 5.0)
        world.clock.order(OWNER, OTHER)

        assert world.clock.now(OTHER) == START + 5.0
        assert world.clock.now(OWNER) == START

    def test_what_comes_from_outside_brings_the_global_time(self, world: World) -> None:
        world.clock.advance(5.0)
        world.clock.order(None, OWNER)

        assert world.clock.now(OWNER) == START + 5.0

    def test_the_outside_is_not_moved_by_order(self, world: World) -> None:
        world.clock.advance(OWNER, 5.0)
        world.clock.order(OWNER, None)

        assert world.clock.now() == START

    def test_a_forgotten_owner_is_at_the_time_of_the_pause(self, world: World) -> None:
        world.clock.advance(OWNER, 5.0)
        world.clock.forget(OWNER)
        world.clock.forget(OTHER)

        assert world.clock.now(OWNER) == START
        assert world.clock.statistics()["owners"] == 0

    def test_sums_of_tenths_are_exact(self, world: World) -> None:
        for _ in range(10):
            world.clock.advance(0.1)

        assert world.clock.now() == START + 1.0

    def test_an_owner_can_be_brought_to_a_time_that_the_clock_told(self, world: World) -> None:
        world.clock.advance(OWNER, 1 / 3)
        world.clock.update(OTHER, world.clock.now(OWNER))
        assert world.clock.now(OTHER) == world.clock.now(OWNER)

    def test_resuming_keeps_what_was_advanced(self, world: World) -> None:
        world.clock.advance(5.0)
        world.clock.update(START + 3600.0)
        world.source.move(60.0)
        world.clock.resume()

        assert world.clock.paused is False
        assert world.clock.now() == START + 3600.0 + 60.0
        world.source.move(1.0)
        assert world.clock.now() == START + 3600.0 + 61.0

    def test_a_second_pause_starts_from_the_advanced_time(self, world: World) -> None:
        world.clock.advance(5.0)
        world.clock.resume()
        world.source.move(1.0)
        world.clock.pause()

        assert world.clock.now() == START + 6.0
        assert world.clock.now(OWNER) == START + 6.0

    def test_resuming_forgets_the_times_of_owners(self, world: World) -> None:
        world.clock.advance(OWNER, 5.0)
        world.clock.resume()
        world.clock.pause()

        assert world.clock.now(OWNER) == START

    @pytest.mark.parametrize("seconds", [-1.0, math.nan, math.inf, "5", None, [5]])
    def test_bad_seconds_are_refused_and_shown(self, world: World, seconds: float) -> None:
        for arguments in [(seconds,), (OWNER, seconds)]:
            if arguments == (OWNER, None):
                continue  # means advance(OWNER), which is tested below
            with pytest.raises(InvalidArgument, match="expected"):
                world.clock.advance(*arguments)
        assert world.clock.now() == START
        assert world.clock.now(OWNER) == START

    def test_an_owner_alone_is_no_time(self, world: World) -> None:
        with pytest.raises(InvalidArgument, match="got owner"):
            world.clock.advance(OWNER)  # type: ignore[arg-type]
        with pytest.raises(InvalidArgument, match="got owner"):
            world.clock.update(OWNER)  # type: ignore[arg-type]

    @pytest.mark.parametrize("time", [math.nan, math.inf, 1e10, "5"])
    def test_bad_times_are_refused(self, world: World, time: float) -> None:
        for arguments in [(time,), (OWNER, time)]:
            with pytest.raises(InvalidArgument, match="expected"):
                world.clock.update(*arguments)
        assert world.clock.now() == START

    def test_the_global_time_cannot_be_forced_back(self, world: World) -> None:
        with pytest.raises(InvalidArgument, match="owner"):
            world.clock.update(None, START - 5.0, force=True)

    def test_advancing_beyond_the_last_year_is_refused(self, world: World) -> None:
        with pytest.raises(InvalidArgument, match="2262"):
            world.clock.advance(9e9)
        assert world.clock.now() == START


def test_stopping_resumes_and_keeps_what_was_advanced(world: World) -> None:
    world.clock.pause()
    world.clock.advance(5.0)
    world.clock.stop()
    world.clock.start()

    assert world.clock.paused is False
    assert world.clock.now() == START + 5.0


def test_its_repr_tells_its_state(world: World) -> None:
    assert repr(world.clock) == "<Clock running at 1000000000.0, 0 timers>"

    world.clock.pause()
    world.clock.advance(5.0)
    world.clock.timer(1.0, print)
    assert repr(world.clock) == "<Clock paused at 1000000005.0, 1 timers>"

    world.clock.stop()
    assert repr(world.clock) == "<Clock stopped at 1000000005.0, 0 timers>"


def test_without_more_nobody_owns_a_time(world: World) -> None:
    clock = Clock(world.source)
    clock.pause()
    clock.advance(5.0)

    assert clock.now() == START + 5.0
