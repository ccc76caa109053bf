"""Where time comes from. Real seconds are last limits only."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace

import gevent
import pytest
from gevent.event import Event

from greenproc.clock.source import MAX_WAIT, HubSource, ManualSource, Source

LIMIT = 10.0


class FakeLoop:
    """A loop that counts milliseconds, as libuv's does, and notes how long it is to wait."""

    approx_timer_resolution = 0.001

    def __init__(self) -> None:
        self.waits: list[float] = []

    def timer(self, seconds: float) -> SimpleNamespace:
        self.waits.append(seconds)
        return SimpleNamespace(start=lambda *_, update: None, close=lambda: None)


@pytest.fixture
def hub_source() -> Iterator[HubSource]:
    source = HubSource()
    yield source
    source.close()


class TestHubSource:
    def test_it_tells_the_wall_clock(self, hub_source: HubSource) -> None:
        before = time.time()
        now = hub_source.now()
        assert before <= now <= time.time()

    def test_it_calls_back_in_the_hub(self, hub_source: HubSource) -> None:
        callers, fired = [], Event()

        def callback() -> None:
            callers.append(gevent.getcurrent())
            fired.set()

        hub_source.arm(0.001, callback)
        assert fired.wait(LIMIT)
        assert callers == [gevent.get_hub()]

    def test_it_calls_back_once(self, hub_source: HubSource) -> None:
        calls, over = [], Event()
        hub_source.arm(0.001, lambda: calls.append("armed"))
        other = HubSource()
        other.arm(0.02, over.set)

        assert over.wait(LIMIT)
        assert calls == ["armed"]

    def test_arming_again_replaces(self, hub_source: HubSource) -> None:
        calls, over = [], Event()
        hub_source.arm(0.001, lambda: calls.append("first"))
        hub_source.arm(0.002, over.set)

        assert over.wait(LIMIT)
        assert calls == []

    def test_a_callback_may_arm_again(self, hub_source: HubSource) -> None:
        over = Event()
        hub_source.arm(0.001, lambda: hub_source.arm(0.001, over.set))

        assert over.wait(LIMIT)

    def test_zero_calls_back_too_and_not_at_once(self, hub_source: HubSource) -> None:
        over = Event()
        hub_source.arm(0.0, over.set)

        assert not over.is_set()
        assert over.wait(LIMIT)

    @pytest.mark.parametrize("release", ["disarm", "close"])
    def test_what_is_disarmed_is_not_called(self, hub_source: HubSource, release: str) -> None:
        calls, over = [], Event()
        hub_source.arm(0.001, lambda: calls.append("armed"))
        getattr(hub_source, release)()
        getattr(hub_source, release)()
        other = HubSource()
        other.arm(0.01, over.set)

        assert over.wait(LIMIT)
        assert calls == []
        assert repr(hub_source) == "<HubSource>"

    def test_it_can_be_armed_for_ever(self, hub_source: HubSource) -> None:
        hub_source.arm(1e12, print)

        assert repr(hub_source) == "<HubSource armed>"

    @pytest.mark.parametrize(
        ("seconds", "wait"), [(0.0, 0.001), (0.0001, 0.001), (2.5, 2.5), (1e12, MAX_WAIT)]
    )
    def test_it_waits_no_shorter_than_the_loop_can_and_no_longer_than_a_day(
        self, hub_source: HubSource, seconds: float, wait: float
    ) -> None:
        loop = FakeLoop()
        hub_source._hub = SimpleNamespace(loop=loop)
        hub_source.arm(seconds, print)

        assert loop.waits == [wait]

    def test_soon_comes_before_any_wait_but_not_at_once(self, hub_source: HubSource) -> None:
        over = Event()
        hub_source.soon(over.set)

        assert not over.is_set()
        assert over.wait(LIMIT)


class TestManualSource:
    def test_time_stands_still(self) -> None:
        source = ManualSource(100.0)
        assert source.now() == 100.0
        assert source.now() == 100.0

    def test_moving_calls_what_is_armed_at_its_time(self) -> None:
        source, calls = ManualSource(100.0), list[float]()
        source.arm(5.0, lambda: calls.append(source.now()))
        source.move(4.0)
        assert calls == []

        source.move(4.0)
        assert calls == [105.0]
        assert source.now() == 108.0
        assert not source.is_armed

    def test_a_callback_may_arm_again_within_one_move(self) -> None:
        source, calls = ManualSource(100.0), list[float]()

        def callback() -> None:
            calls.append(source.now())
            source.arm(2.0, callback)

        source.arm(2.0, callback)
        source.move(5.0)
        assert calls == [102.0, 104.0]
        assert source.is_armed

    def test_a_step_of_the_wall_clock_lets_no_time_pass(self) -> None:
        source, calls = ManualSource(100.0), list[float]()
        source.arm(5.0, lambda: calls.append(source.now()))
        source.step(50.0)
        assert calls == []
        assert source.now() == 150.0

        source.move(5.0)
        assert calls == [155.0]

    @pytest.mark.parametrize("release", ["disarm", "close"])
    def test_what_is_disarmed_is_not_called(self, release: str) -> None:
        source, calls = ManualSource(), list[str]()
        source.arm(5.0, lambda: calls.append("armed"))
        getattr(source, release)()
        source.move(10.0)

        assert calls == []

    def test_its_repr_tells_the_time(self) -> None:
        source = ManualSource(100.0)
        source.arm(5.0, print)

        assert repr(source) == "<ManualSource 100.0 armed>"


def test_both_are_sources() -> None:
    sources: list[Source] = [HubSource(), ManualSource()]

    assert all(source.now() > 0 for source in sources)
