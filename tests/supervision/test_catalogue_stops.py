"""Twins of Erlang/OTP's supervisor_SUITE: how children are stopped, and how loops of restarts end."""

from __future__ import annotations

import math
from typing import Any

import gevent
import pytest
from gevent.event import Event
from greenlet import GreenletExit

from greenproc.pid import UPID
from greenproc.process import ExitedEvent
from greenproc.supervision import Backoff, Child, Supervisor
from greenproc.testing import expect_failure
from tests.supervision.support import Deaf, Family, Immortal, Poisoned, Worker, refused


class Slow(Worker):
    """Takes some seconds of the clock to clean up."""

    def __init__(self, id: str | None, seconds: float) -> None:
        super().__init__(id)
        self.seconds = seconds

    def finalize(self) -> None:
        self.runtime.clock.sleep(self.seconds)


class Held(Worker):
    """Cleans up when it is released."""

    def __init__(self, id: str, release: Event) -> None:
        super().__init__(id)
        self.release = release

    def finalize(self) -> None:
        self.release.wait()


def stop(family: Family) -> None:
    """Tell the supervisor to end, and let it come as far as it does without any time."""
    family.runtime.terminate(family.pid)
    turns()


def turns() -> None:
    """Let every greenlet run until it waits: `settle` would wait for those that wait in a handler."""
    for _ in range(20):
        gevent.idle()


def test_a_child_may_take_for_ever(family: Family) -> None:
    """supervisor_SUITE: sup_stop_infinity."""
    release = Event()
    children = [Child(lambda id=id: Held(id, release), id, shutdown=math.inf) for id in "ab"]
    family.start(children)
    stop(family)
    family.runtime.clock.advance(1e6)
    turns()
    assert family.running() != []
    release.set()
    family.runtime.settle()
    assert family.running() == []
    assert (family.reason("a"), family.reason("b")) == (None, None)


def test_a_child_that_hangs_is_killed_after_its_time(family: Family) -> None:
    """supervisor_SUITE: sup_stop_timeout."""
    family.start([family.worker("a", shutdown=1.0), family.worker("b", shutdown=1.0)])
    family.runtime.post(family.upid("b"), "wait")
    turns()
    stop(family)
    assert "b" in family.running() and "-a" not in family.log
    family.runtime.clock.advance(1.0)
    family.runtime.settle()
    assert family.log == ["+a", "+b", "-b", "-a"]
    assert family.reason("a") is None
    assert isinstance(family.reason("b"), GreenletExit)


def test_anonymous_children_are_told_at_once(family: Family) -> None:
    """supervisor_SUITE: sup_stop_timeout_dynamic, simple_one_for_one_shutdown."""
    family.start([])
    pids = [
        family.call(Supervisor.start_child, Child(lambda s=s: Slow(None, s), shutdown=2.0))
        for s in (1.0, 1.0, 5.0)
    ]
    stop(family)
    family.runtime.clock.advance(1.0)
    turns()
    assert len(family.running()) == 2
    family.runtime.clock.advance(1.0)
    family.runtime.settle()
    assert family.running() == []
    reasons = [type(family.reason(pid.id)) for pid in pids]
    assert reasons == [type(None), type(None), GreenletExit]


@pytest.mark.parametrize("dynamic", [False, True])
def test_no_seconds_are_a_kill(family: Family, dynamic: bool) -> None:
    """supervisor_SUITE: sup_stop_brutal_kill, sup_stop_brutal_kill_dynamic."""
    failed: list[object] = []
    family.runtime.signals.child_stop_failed.connect(lambda _, **values: failed.append(values))
    names = [f"k{number}" for number in range(10 if dynamic else 1)]
    family.start([] if dynamic else [family.worker("k0", shutdown=0), family.worker("w")])
    for name in names if dynamic else []:
        child = Child(lambda name=name: Worker(name, family.log), shutdown=0)
        family.call(Supervisor.start_child, child)
    stop(family)
    family.runtime.settle()
    assert all(isinstance(family.reason(name), GreenletExit) for name in names)
    assert family.running() == []
    assert failed == []


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
def test_children_that_end_while_the_supervisor_stops(family: Family, restart: str) -> None:
    """supervisor_SUITE: sup_stop_race."""
    failed: list[str] = []
    family.runtime.signals.child_stop_failed.connect(lambda _, id, **values: failed.append(id))
    release = Event()
    ways = ["poison", "bye", "kill", "terminate"]
    children = [family.worker(way, restart=restart) for way in ways]
    family.start([*children, Child(lambda: Held("last", release), "last")])
    stop(family)
    with expect_failure(Poisoned):
        family.runtime.post(family.upid("poison"), "poison")
        family.runtime.post(family.upid("bye"), "bye")
        family.kill("kill")
        family.runtime.terminate(family.upid("terminate"))
        turns()
        assert family.running() == [family.pid.id, "last"]
        release.set()
        family.runtime.settle()
    assert family.running() == []
    assert [entry for entry in family.log if entry[0] == "+"] == [f"+{way}" for way in ways]
    assert sorted(failed) == ["kill", "poison"]
    assert family.reason_of_end is None


def test_anonymous_children_that_end_in_other_ways(family: Family) -> None:
    """supervisor_SUITE: sup_stop_non_shutdown_exit_dynamic."""

    class Raising(Worker):
        def finalize(self) -> None:
            raise ValueError(self.name)

    class Leaving(Worker):
        def finalize(self) -> None:
            self.terminate()

    family.start([])
    for kind in (Raising, Leaving, Raising):
        family.call(Supervisor.start_child, Child(lambda kind=kind: kind(None)))
    with expect_failure(ValueError):
        stop(family)
        family.runtime.settle()
    assert family.running() == []
    assert family.reason_of_end is None


def test_an_exit_that_is_lost_does_not_hang_a_stop(family: Family) -> None:
    """supervisor_SUITE: child_unlink."""
    family.start([family.worker("a")])
    family.runtime.filter(lambda pid, event: isinstance(event, ExitedEvent))
    family.call(Supervisor.terminate_child, "a")
    assert family.states() == ["absent"]


def test_restarts_below_the_limit_go_on(family: Family) -> None:
    """supervisor_SUITE: multiple_restarts."""
    family.start([family.worker("a")], max_restarts=1, within=1.0)
    for _ in range(4):
        family.poison("a")
        family.runtime.clock.advance(1.000001)
    assert family.incarnations() == [4]


class Failing:
    """A factory of a worker whose ``initialize`` raises in the calls from *first* to *last*."""

    def __init__(self, family: Family, id: str, *, first: int, last: float = math.inf) -> None:
        self.family, self.id, self.first, self.last = family, id, first, last
        self.calls = 0

    def __call__(self) -> Worker:
        self.calls += 1
        if self.first <= self.calls <= self.last:
            self.family.log.append(f"!{self.id}")
            raise ValueError(self.id)
        return Worker(self.id, self.family.log)


@pytest.mark.parametrize("dynamic", [False, True])
def test_starts_that_fail_use_up_the_limit(family: Family, dynamic: bool) -> None:
    """supervisor_SUITE: one_for_one_escalation, simple_one_for_one_escalation."""
    factory = Failing(family, "a", first=2)
    static = [] if dynamic else [Child(factory, "a")]
    family.start([*static, family.worker("b")], max_restarts=4)
    if dynamic:
        family.call(Supervisor.start_child, Child(factory))
    family.poison("a")
    assert factory.calls == 1 + 4
    assert not family.is_alive
    assert family.running() == []


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_a_sibling_that_cannot_start_again(family: Family, strategy: str) -> None:
    """supervisor_SUITE: one_for_all_escalation, rest_for_one_escalation."""
    factory = Failing(family, "b", first=2)
    family.start([family.worker("a"), Child(factory, "b")], strategy=strategy, max_restarts=4)
    family.poison("a")
    assert not family.is_alive
    assert factory.calls == 1 + 4


@pytest.mark.parametrize(
    ("strategy", "log"),
    [
        ("one_for_all", ["-a", "-b", "+a", "!b", "-a", "+a", "+b"]),
        ("rest_for_one", ["-a", "-b", "+a", "!b", "+b"]),
    ],
)
def test_another_of_the_group_fails_once(family: Family, strategy: str, log: list[str]) -> None:
    """supervisor_SUITE: one_for_all_other_child_fails_restart, rest_for_one_other_child_fails_restart."""
    factory = Failing(family, "b", first=2, last=2)
    family.start([family.worker("a"), Child(factory, "b")], strategy=strategy)
    family.log.clear()
    family.poison("a")
    assert family.log == log
    assert family.states() == ["running", "running"]
    assert family.reason("a") is None or strategy == "rest_for_one"


def test_the_limit_of_one_for_one(family: Family) -> None:
    """supervisor_SUITE: one_for_one, one_for_all, rest_for_one, simple_one_for_one,
    simple_one_for_one_extra.
    """
    family.start([family.worker("a"), family.worker("b")], max_restarts=2)
    family.poison("a")
    assert family.incarnations() == [1, 0]
    family.poison("a")
    family.poison("b")
    assert not family.is_alive


@pytest.mark.parametrize(
    ("strategy", "incarnations"), [("one_for_all", [1, 1, 1]), ("rest_for_one", [0, 1, 1])]
)
def test_a_group_is_new(family: Family, strategy: str, incarnations: list[int]) -> None:
    """supervisor_SUITE: one_for_all, rest_for_one, order_of_children."""
    family.start([family.worker(id) for id in "bac"], strategy=strategy)
    family.poison("a")
    assert family.incarnations() == incarnations
    assert family.reason("c") is None


def test_a_restart_that_makes_no_process_forgets_an_anonymous_child(family: Family) -> None:
    """supervisor_SUITE: simple_one_for_one_restart_ignore."""
    made: list[Any] = [Worker("a"), Worker("a")]
    family.start([])
    family.call(Supervisor.start_child, Child(lambda: made.pop(0) if made else None))
    family.poison("a")
    assert family.incarnations() == [1]
    family.poison("a")
    assert family.children() == []


HANGING = Backoff(first=1.0, jitter=0.0, factor=1.0)


@pytest.mark.parametrize("dynamic", [False, True])
def test_a_loop_of_restarts_is_ended_by_hand(family: Family, dynamic: bool) -> None:
    """supervisor_SUITE: hanging_restart_loop, hanging_restart_loop_simple, count_restarting_children."""
    factory = Failing(family, "a", first=2)
    family.start([] if dynamic else [Child(factory, "a")], max_restarts=100, backoff=HANGING)
    if dynamic:
        family.call(Supervisor.start_child, Child(factory))
    family.poison("a")
    for _ in range(3):
        family.runtime.clock.advance(1.0)
        family.runtime.settle()
    assert family.states() == ["restarting"]
    assert family.counts() == (1, 0, 0, 1)
    with refused("child 'a' is already there"):
        family.call(Supervisor.start_child, family.worker("a"))
    with refused("child 'a' is being restarted"):
        family.call(Supervisor.restart_child, "a")
    with refused("child 'a' is being restarted"):
        family.call(Supervisor.delete_child, "a")
    family.call(Supervisor.terminate_child, "a")
    calls = factory.calls
    family.runtime.clock.advance(100.0)
    family.runtime.settle()
    assert (family.states(), factory.calls) == (["absent"], calls)
    factory.first = 100
    family.call(Supervisor.restart_child, "a")
    factory.first = 2
    family.poison("a")
    stop(family)
    family.runtime.settle()
    assert not family.is_alive
    assert family.runtime.clock.statistics()["timers"] == 0


def test_a_loop_of_restarts_in_a_group(family: Family) -> None:
    """supervisor_SUITE: hanging_restart_loop_rest_for_one."""
    children = [family.worker("a"), Child(Failing(family, "b", first=2), "b"), family.worker("c")]
    family.start(children, strategy="rest_for_one", max_restarts=100, backoff=HANGING)
    family.poison("b")
    family.runtime.clock.advance(1.0)
    family.runtime.settle()
    assert family.states() == ["running", "restarting", "absent"]
    family.call(Supervisor.terminate_child, "b")
    assert family.states() == ["running", "absent", "absent"]


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_a_temporary_sibling_is_not_started_again(family: Family, strategy: str) -> None:
    """supervisor_SUITE: temporary_bystander."""
    children = [family.worker("a"), family.worker("t", restart="temporary")]
    family.start(children, strategy=strategy)
    family.die("a", "bye")
    assert [info.id for info in family.children()] == ["a"]
    assert family.is_alive


def test_what_does_not_let_itself_be_killed_is_stuck(
    family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenproc.supervision.runner.KILL_SECONDS", 0.01)
    failed: list[str] = []
    family.runtime.signals.child_stop_failed.connect(lambda _, id, **values: failed.append(id))
    release = Event()
    family.start([family.worker("a"), Child(lambda: Immortal("i", release), "i", shutdown=1.0)])
    future = family.runtime.dispatch(family.pid, Supervisor.terminate_child, "i")
    turns()
    family.runtime.clock.advance(1.0)
    future.get(10)
    assert family.states() == ["running", "stuck"]
    assert failed == ["i"]
    release.set()
    family.runtime.settle()
    assert family.states() == ["running", "absent"]


def test_a_finalize_that_waits_is_ended_by_one_kill(family: Family) -> None:
    family.start([Child(lambda: Deaf("d", family.log), "d", shutdown=5.0), family.worker("a")])
    stop(family)
    family.runtime.clock.advance(5.0)
    family.runtime.settle()
    assert family.log == ["+d", "+a", "-a", "-d"]
    assert isinstance(family.reason("d"), GreenletExit)
    assert not family.is_alive


def test_an_injected_exit_of_a_child_that_lives_does_nothing(family: Family) -> None:
    family.start([family.worker("a")])
    family.runtime.processes.inject_exited(family.upid("a"), family.pid)
    family.runtime.processes.inject_exited(UPID("x", family.runtime.address), family.pid)
    family.runtime.settle()
    assert family.incarnations() == [0]
