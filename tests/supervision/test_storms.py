"""Supervisors in trouble: storms, hostile factories, kills, stops in the middle; delays of a back-off."""

from __future__ import annotations

import logging
import math
import random
from typing import Any

import gevent
import pytest
from gevent.event import Event
from greenlet import GreenletExit

from greenproc.errors import RestartLimit, StartFailed
from greenproc.process import Process
from greenproc.runtime import Runtime
from greenproc.settings import Settings
from greenproc.supervision import Backoff, Child, Supervisor
from greenproc.testing import RuntimeMaker, expect_failure
from tests.supervision.support import Deaf, Family, Poisoned, Worker
from tests.supervision.test_catalogue_stops import Held, stop, turns


class Gated(Worker):
    """Waits in ``initialize`` for what is next in a list of latches."""

    def __init__(self, id: str, log: list[str], latches: list[Event]) -> None:
        super().__init__(id, log)
        self.latches = latches

    def initialize(self) -> None:
        if self.latches:
            self.latches.pop(0).wait()
        super().initialize()


def test_a_child_that_dies_while_another_one_starts(family: Family) -> None:
    latch = Event()
    opened = Event()
    opened.set()
    latches = [opened, latch]
    family.start([Child(lambda: Gated("a", family.log, latches), "a"), family.worker("b")])
    with expect_failure(Poisoned):
        family.runtime.post(family.upid("a"), "poison")
        turns()
        family.runtime.post(family.upid("b"), "poison")
        turns()
        assert "+b" not in family.log[2:]
        latch.set()
        family.runtime.settle()
    assert family.incarnations() == [1, 1]
    assert [info.restarts for info in family.children()] == [1, 1]


def stamps(family: Family) -> int:
    supervising = family.runtime.processes.records[family.pid.id].supervising
    assert supervising is not None
    return int(supervising.describe_limit()["restarts_within"])


def test_two_of_a_group_that_die_together_count_once(family: Family) -> None:
    failed: list[str] = []
    family.runtime.signals.child_stop_failed.connect(lambda _, id, **values: failed.append(id))
    family.start([family.worker("a"), family.worker("b")], strategy="one_for_all")
    family.poison("a", "b")
    assert stamps(family) == 1
    assert failed == ["b"]
    assert family.incarnations() == [1, 1]


@pytest.mark.parametrize(("first", "count"), [("ca", 2), ("ac", 1)])
def test_two_of_a_chain_that_die_together(family: Family, first: str, count: int) -> None:
    family.start([family.worker(id) for id in "abc"], strategy="rest_for_one")
    family.poison(*first)
    assert stamps(family) == count


def test_the_supervisor_is_terminated_while_a_child_starts(family: Family) -> None:
    children = [
        family.worker("a"),
        Child(lambda: Gated("b", family.log, [Event()]), "b", shutdown=2.0),
        family.worker("c"),
    ]
    family.pid = family.runtime.spawn(Supervisor(children))
    turns()
    call = family.runtime.dispatch(family.pid, Supervisor.which_children)
    family.runtime.terminate(family.pid, inject=False)
    turns()
    assert family.running() == [family.pid.id, "a", "b"]
    family.runtime.clock.advance(2.0)
    family.runtime.settle()
    assert not family.is_alive and family.running() == []
    assert family.log == ["+a", "-a"]
    assert family.reason_of_end is None
    assert call.is_abandoned


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_delay_is_cancelled(family: Family, by_hand: bool) -> None:
    family.start([family.worker("a")], backoff=Backoff(first=5.0))
    family.poison("a")
    family.log.clear()
    if by_hand:
        family.call(Supervisor.terminate_child, "a")
    else:
        stop(family)
    assert family.runtime.clock.statistics()["timers"] == 0
    family.runtime.clock.advance(100.0)
    family.runtime.settle()
    assert family.log == []
    assert family.is_alive == by_hand


def test_a_storm_of_failed_starts_takes_no_time(
    family: Family, caplog: pytest.LogCaptureFixture
) -> None:
    class Second(Worker):
        def initialize(self) -> None:
            super().initialize()
            if len(self.log) > 1:
                raise ValueError("later")

    family.start([Child(lambda: Second("a", family.log), "a")])
    with expect_failure(ValueError), expect_failure(Poisoned):
        family.runtime.post(family.upid("a"), "poison")
        family.runtime.settle()
    assert family.log.count("+a") == 1 + 3
    error = family.reason_of_end
    assert isinstance(error, RestartLimit)
    assert isinstance(error.__cause__, StartFailed)
    assert str(error.__cause__.__cause__) == "later"
    told = [each for each in caplog.records if each.getMessage().startswith("child")]
    assert len(told) == 3


def test_a_storm_of_kills(family: Family) -> None:
    family.start([family.worker("a")])
    for _ in range(4):
        family.die("a", "kill")
        family.runtime.clock.advance(6.0)
    assert family.is_alive
    for _ in range(4):
        family.die("a", "kill")
    assert not family.is_alive


def test_a_stranger_takes_the_id_in_a_delay(family: Family) -> None:
    family.start([family.worker("a")], backoff=Backoff(first=1.0, factor=1.0, jitter=0.0))
    family.poison("a")
    stranger = Worker("a")
    family.runtime.spawn(stranger)
    family.runtime.clock.advance(1.0)
    family.runtime.settle()
    assert family.states() == ["restarting"]
    assert family.children()[0].pid is None
    assert family.object("a") is stranger
    family.runtime.terminate(stranger)
    family.runtime.clock.advance(1.0)
    family.runtime.settle()
    assert family.states() == ["running"]
    assert family.children()[0].restarts == 1


def raise_timeout() -> Process:
    raise gevent.Timeout(1)


@pytest.mark.parametrize(
    ("factory", "text"),
    [
        (lambda: 1 / 0, "its factory raised ZeroDivisionError"),
        (raise_timeout, "its factory raised"),
        (lambda: 5, "its factory returned 5, expected a Process or None"),
        (lambda: Worker("y"), "its factory made a process called 'y'"),
        (lambda: Worker, "expected a Process or None"),
    ],
)
def test_a_factory_that_fails_at_the_start(family: Family, factory: Any, text: str) -> None:
    family.start([family.worker("a"), Child(factory, "x")])
    assert not family.is_alive
    assert text in str(family.reason_of_end)
    assert family.log == ["+a", "-a"]


def test_a_factory_that_is_killed_ends_the_supervisor(family: Family) -> None:
    def factory() -> Process:
        raise GreenletExit

    family.start([family.worker("a"), Child(factory, "x")])
    assert not family.is_alive
    assert family.log == ["+a", "-a"]
    assert isinstance(family.reason_of_end, GreenletExit)


def test_a_factory_that_waits_holds_its_supervisor_only(family: Family) -> None:
    latch = Event()

    def factory() -> Process:
        latch.wait()
        return Worker("x", family.log)

    family.pid = family.runtime.spawn(Supervisor([family.worker("a"), Child(factory, "x")]))
    turns()
    family.runtime.post(family.upid("a"), "note", b"1")
    turns()
    assert family.object("a").served == [b"1"]
    latch.set()
    family.runtime.settle()
    assert family.states() == ["running", "running"]


def test_a_factory_that_never_returns_is_left_by_a_kill(family: Family) -> None:
    def factory() -> Process:
        Event().wait()
        raise AssertionError

    family.pid = family.runtime.spawn(Supervisor([family.worker("a"), Child(factory, "x")]))
    turns()
    family.kill(family.pid.id)
    family.runtime.settle()
    assert family.running() == []
    assert family.log == ["+a", "-a"]


def test_an_object_is_started_once(family: Family) -> None:
    only = Worker("a")
    family.start([Child(lambda: only, "a")])
    family.poison("a")
    assert not family.is_alive
    error = family.reason_of_end
    assert isinstance(error, RestartLimit)
    assert "was spawned before" in str(error.__cause__)


def test_one_object_for_two_children(family: Family) -> None:
    only = Worker(None, family.log)
    family.start([Child(lambda: only, "a"), Child(lambda: only, "b")])
    assert "was spawned before" in str(family.reason_of_end)
    assert family.log == ["+?", "-?"]


@pytest.mark.parametrize("when", ["idle", "starting"])
def test_a_killed_supervisor_stops_its_children(family: Family, when: str) -> None:
    gate = Event()
    children = [family.worker("a"), family.worker("b")]
    if when == "starting":
        children.append(Child(lambda: Gated("g", family.log, [gate]), "g", shutdown=0.0))
    family.pid = family.runtime.spawn(Supervisor(children))
    turns()
    family.kill(family.pid.id)
    family.runtime.settle()
    assert family.running() == []
    assert family.log == ["+a", "+b", "-b", "-a"]
    assert isinstance(family.reason_of_end, GreenletExit)


def test_a_supervisor_that_is_killed_in_finalize_leaves_no_child(family: Family) -> None:
    release = Event()
    family.start([family.worker("a"), Child(lambda: Held("h", release), "h")])
    stop(family)
    family.kill(family.pid.id)
    turns()
    assert not family.is_alive
    assert "a" not in family.running()
    release.set()
    family.runtime.settle()
    assert family.running() == []


def test_a_killed_supervisor_is_restarted_with_its_static_children(family: Family) -> None:
    def nested() -> Supervisor:
        return Supervisor([family.worker("leaf")], id="nested")

    family.start([Child(nested, "nested")])
    family.runtime.dispatch(
        family.upid("nested"), Supervisor.start_child, family.worker("dynamic")
    )
    family.runtime.settle()
    family.die("nested", "kill")
    assert sorted(family.running()) == sorted([family.pid.id, "nested", "leaf"])


def delays(family: Family, times: int) -> list[float]:
    """Let the child fail *times* times, and return the delays of its restarts."""
    seen: list[float] = []
    signal = family.runtime.signals.child_restarting

    def add(_: Any, *, delay: float, **values: Any) -> None:
        seen.append(delay)

    signal.connect(add)
    for _ in range(times):
        family.poison("a")
        family.runtime.clock.advance(seen[-1])
        family.runtime.settle()
    signal.disconnect(add)
    return seen


def test_delays_grow_up_to_the_most_and_begin_again(family: Family) -> None:
    backoff = Backoff(first=0.1, most=0.8, jitter=0.0, reset=10.0)
    family.start([family.worker("a"), family.worker("b")], max_restarts=100, backoff=backoff)
    assert delays(family, 5) == [0.1, 0.2, 0.4, 0.8, 0.8]
    family.runtime.clock.advance(10.0)
    assert delays(family, 2) == [0.1, 0.2]
    assert family.incarnations() == [7, 0]


def test_the_random_part_of_delays_repeats_with_a_seed(family: Family) -> None:
    backoff = Backoff(jitter=0.5)
    family.runtime.random.seed(7)
    family.start([family.worker("a")], max_restarts=100, backoff=backoff)
    seen = delays(family, 4)
    generator = random.Random(7)
    assert seen == [backoff.delay(attempt, generator) for attempt in range(4)]
    assert all(0.1 * 2**n <= delay < 0.15 * 2**n for n, delay in enumerate(seen))


def test_a_huge_exponent_gives_the_most() -> None:
    assert Backoff(jitter=0.0).delay(10_000, random.Random(1)) == 30.0


def test_an_attempt_of_one_is_void_when_its_group_restarts(family: Family) -> None:
    backoff = Backoff(first=4.0, jitter=0.0, factor=1.0)
    family.start([family.worker(id) for id in "ab"], strategy="rest_for_one", backoff=backoff)
    family.poison("b")
    family.runtime.clock.advance(3.0)
    family.poison("a")
    assert family.states() == ["restarting", "absent"]
    family.runtime.clock.advance(3.0)
    family.runtime.settle()
    assert family.states() == ["restarting", "absent"]
    family.runtime.clock.advance(1.0)
    family.runtime.settle()
    assert family.states() == ["running", "running"]
    assert family.incarnations() == [1, 1]


def test_siblings_are_down_in_a_delay(family: Family) -> None:
    backoff = Backoff(first=1.0, jitter=0.0)
    family.start([family.worker(id) for id in "abc"], strategy="one_for_all", backoff=backoff)
    family.poison("b")
    assert family.states() == ["absent", "restarting", "absent"]
    assert family.log[3:] == ["-b", "-c", "-a"]
    family.runtime.clock.advance(1.0)
    family.runtime.settle()
    assert family.states() == ["running"] * 3


def test_a_runtime_stops_a_tree_in_order(
    make_runtime: RuntimeMaker, caplog: pytest.LogCaptureFixture
) -> None:
    runtime: Runtime = make_runtime()
    runtime.clock.pause()
    family = Family(runtime)

    def inner() -> Supervisor:
        return Supervisor([family.worker("c"), family.worker("d")], id="inner")

    def outer() -> Supervisor:
        return Supervisor([family.worker("b"), Child(inner, "inner")], id="outer")

    children = [family.worker("a"), Child(outer, "outer"), family.worker("late")]
    family.start(children, backoff=Backoff(first=5.0))
    family.poison("late")
    family.call(Supervisor.terminate_child, "a")
    family.call(Supervisor.restart_child, "a")  # the youngest, and yet the last one to stop
    family.log.clear()
    caplog.clear()
    with caplog.at_level(logging.INFO, "greenproc"):
        assert runtime.stop() == ()
    assert family.log == ["-d", "-c", "-b", "-a"]
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING] == []


def test_nothing_is_restarted_while_a_runtime_stops(make_runtime: RuntimeMaker) -> None:
    runtime = make_runtime()
    family = Family(runtime)

    class Failing(Worker):
        def finalize(self) -> None:
            raise ValueError("in finalize")

    family.start([Child(lambda: Failing("a", family.log), "a")])
    with expect_failure(ValueError):
        runtime.stop()
    assert family.log == ["+a"]


def test_a_call_of_start_child_while_the_supervisor_stops(family: Family) -> None:
    release = Event()
    family.start([Child(lambda: Held("h", release), "h")])
    stop(family)
    future = family.runtime.dispatch(family.pid, Supervisor.start_child, family.worker("a"))
    release.set()
    family.runtime.settle()
    assert future.is_abandoned
    assert family.log == []


def test_a_child_that_lives_on_has_not_ended(family: Family) -> None:
    class Tough(Worker):
        def failed(self, event: Any, error: BaseException) -> None:
            if self.log.count("+t") > 1:
                self.terminate()

        def value(self) -> None:
            raise ValueError("a dispatch")

    family.start([family.worker("t", Tough, restart="transient")])
    family.poison("t")
    assert family.incarnations() == [0]
    with pytest.raises(ValueError, match="a dispatch"):
        family.runtime.dispatch(family.upid("t"), Tough.value).get(1)
    family.log.append("+t")
    family.poison("t")
    assert family.states() == ["absent"]


def test_a_child_that_waits_for_its_own_end_is_killed(family: Family) -> None:
    class Eager(Worker):
        def end(self) -> None:
            self.runtime.dispatch(family.pid, Supervisor.terminate_child, self.pid.id).get()

    family.start([family.worker("e", Eager, shutdown=1.0)])
    family.runtime.dispatch(family.upid("e"), Eager.end)
    turns()
    family.runtime.clock.advance(1.0)
    family.runtime.settle()
    assert family.states() == ["absent"]


def test_the_limit_of_a_stop_is_above_that_of_children(
    caplog: pytest.LogCaptureFixture,
) -> None:
    runtime = Runtime(Settings(ip="127.0.0.1", port=0, blocked_after=0.0))
    runtime.start()
    family = Family(runtime)
    family.start([Child(lambda: Deaf("deaf", family.log), "deaf", shutdown=math.inf)])
    killed = runtime.stop(timeout=0.05)
    assert family.upid("deaf") in killed
    assert family.running() == []
    assert "deaf@" in caplog.text


def test_a_supervisor_that_forgot_its_initialize(family: Family) -> None:
    class Forgetful(Supervisor):
        def initialize(self) -> None:
            """Start nothing."""

    family.pid = family.runtime.spawn(Forgetful([family.worker("a")]))
    family.runtime.settle()
    family.call(Supervisor.start_child, family.worker("b"))
    assert family.running() == [family.pid.id, "b"]
    family.runtime.terminate(family.pid)
    family.runtime.settle()
    assert family.running() == []


def test_a_failing_supervisor_stops_its_children(family: Family) -> None:
    class Failing(Supervisor):
        def value(self) -> None:
            self.runtime.delay(0.0, self.pid, Failing.fail)

        def fail(self) -> None:
            raise ValueError("own")

    family.pid = family.runtime.spawn(Failing([family.worker("a")]))
    with expect_failure(ValueError):
        family.runtime.dispatch(family.pid, Failing.value)
        family.runtime.settle()
        family.runtime.clock.advance(0.0)
        family.runtime.settle()
    assert not family.is_alive and family.log == ["+a", "-a"]


def test_a_supervisor_that_forgot_its_finalize_leaves_no_child(family: Family) -> None:
    class Forgetful(Supervisor):
        def finalize(self) -> None:
            """Stop nothing."""

    family.pid = family.runtime.spawn(Forgetful([family.worker("a")]))
    family.runtime.settle()
    family.runtime.terminate(family.pid)
    family.runtime.settle()
    assert family.running() == []


def test_a_delay_begins_at_the_time_of_the_clock(family: Family) -> None:
    backoff = Backoff(first=1.0, jitter=0.0)
    family.start([family.worker("a")], backoff=backoff)
    family.runtime.clock.advance(100.0)  # which moves no process, and neither does a kill
    family.kill("a")
    family.runtime.settle()
    assert "a" not in family.running()
    family.runtime.clock.advance(1.0)
    family.runtime.settle()
    assert "a" in family.running()


def test_a_limit_of_a_stop_begins_at_the_time_of_the_clock(family: Family) -> None:
    family.start(
        [family.worker("a"), family.worker("b", shutdown=5.0)],
        strategy="rest_for_one",
    )
    family.runtime.post(family.upid("b"), "wait")
    turns()
    before = family.object("b")
    family.runtime.clock.advance(100.0)
    family.kill("a")
    turns()
    assert family.object("b") is before
    family.runtime.clock.advance(5.0)
    family.runtime.settle()
    assert family.states() == ["running", "running"]
    assert family.object("b") is not before
