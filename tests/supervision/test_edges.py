"""Supervisors at their edges: interrupted starts and stops, ids that clash, many children."""

from __future__ import annotations

import gc
import logging
import math
import weakref
from typing import Any

import gevent
import pytest
from gevent.event import Event

from greenproc.errors import InvalidArgument, StartFailed, StateError
from greenproc.runtime import Runtime
from greenproc.settings import Settings
from greenproc.supervision import Backoff, Child, Supervisor
from greenproc.supervision import runner as runner_module
from greenproc.testing import RuntimeMaker, expect_failure
from tests.supervision.support import Family, Worker
from tests.supervision.test_catalogue_stops import Held, turns
from tests.supervision.test_storms import Gated


class Impatient(Supervisor):
    """Leaves a start or a stop when a time limit of its own is over."""

    def start_within(self, expired: Event, child: Child) -> str:
        return self.interrupted(expired, self.start_child, child)

    def stop_within(self, expired: Event, id: str) -> str:
        return self.interrupted(expired, self.terminate_child, id)

    def interrupted(self, expired: Event, method: Any, *args: Any) -> str:
        greenlet = gevent.getcurrent()
        limit = gevent.Timeout(None)
        expired.rawlink(lambda _: gevent.kill(greenlet, limit))
        try:
            method(*args)
        except gevent.Timeout as raised:
            return "interrupted" if raised is limit else "another"
        return "done"


def impatient(family: Family, children: list[Child]) -> None:
    family.pid = family.runtime.spawn(Impatient(children))
    family.runtime.settle()


def test_a_child_whose_start_was_interrupted_is_supervised(family: Family) -> None:
    impatient(family, [])
    latch, expired = Event(), Event()
    child = Child(lambda: Gated("slow", family.log, [latch]), "slow")
    call = family.runtime.dispatch(family.pid, Impatient.start_within, expired, child)
    turns()
    expired.set()
    turns()
    assert call.get(5) == "interrupted"
    assert family.states() == ["starting"]

    latch.set()
    family.runtime.settle()
    assert family.states() == ["running"]
    family.poison("slow")
    assert family.incarnations() == [1]


def test_a_child_whose_stop_was_interrupted_is_absent_at_its_end(family: Family) -> None:
    release, expired = Event(), Event()
    impatient(family, [Child(lambda: Held("a", release), "a", shutdown=math.inf)])
    call = family.runtime.dispatch(family.pid, Impatient.stop_within, expired, "a")
    turns()
    expired.set()
    turns()
    assert call.get(5) == "interrupted"
    assert family.states() == ["stopping"]

    release.set()
    family.runtime.settle()
    assert family.states() == ["absent"]
    family.call(Supervisor.restart_child, "a")
    assert family.states() == ["running"]


def test_a_supervisor_that_starts_none_of_its_children_ends_without_an_error(
    family: Family,
) -> None:
    class Forgetful(Supervisor):
        def initialize(self) -> None:
            """Start nothing."""

    family.pid = family.runtime.spawn(Forgetful([family.worker("a")]))
    family.runtime.settle()
    family.runtime.terminate(family.pid)
    family.runtime.settle()
    assert not family.is_alive
    assert family.reason_of_end is None


class Early(Supervisor):
    """Starts a child before those of its list."""

    def __init__(self, early: Child, children: list[Child]) -> None:
        super().__init__(children)
        self.early = early

    def initialize(self) -> None:
        self.start_child(self.early)
        super().initialize()


def test_a_child_that_is_started_before_the_others_is_started_once(family: Family) -> None:
    family.pid = family.runtime.spawn(Early(family.worker("early"), [family.worker("a")]))
    family.runtime.settle()
    assert family.log == ["+early", "+a"]
    assert family.states() == ["running", "running"]


def test_a_child_of_the_list_whose_id_was_started_before_is_refused(family: Family) -> None:
    with expect_failure(InvalidArgument):
        family.pid = family.runtime.spawn(Early(family.worker("a"), [family.worker("a")]))
        family.runtime.settle()
    assert str(family.reason_of_end) == "two children have the id 'a'"
    assert family.log == ["+a", "-a"]


@pytest.mark.parametrize("number", range(1, 4))
def test_an_id_that_looks_like_a_generated_one_is_no_other_child(
    family: Family, number: int
) -> None:
    named = f"child({number})"
    family.start([Child(Idless), Child(Idless), family.worker(named)])
    assert family.counts() == (3, 3, 0, 3)
    assert named in family.running()


class Idless(Worker):
    """Gets its id from its class."""

    def __init__(self) -> None:
        super().__init__(None)


def test_a_factory_adds_a_child_of_its_own(family: Family) -> None:
    supervisors: list[Supervisor] = []

    def make() -> Worker:
        supervisors[0].start_child(family.worker("added", restart="temporary"))
        return Worker("a", family.log)

    supervisors.append(Supervisor([Child(make, "a"), family.worker("b")], strategy="one_for_all"))
    family.pid = family.runtime.spawn(supervisors[0])
    family.runtime.settle()
    assert family.log == ["+added", "+a", "+b"]
    family.log.clear()
    family.poison("b")
    assert sorted(family.running()) == sorted([family.pid.id, "a", "added", "b"])


def test_a_process_of_another_runtime_fails_the_start(
    family: Family, make_runtime: RuntimeMaker
) -> None:
    other = make_runtime(Settings(ip="127.0.0.1", port=0))
    other.spawn(Worker("a"))

    def make() -> Worker:
        worker = Worker("a")
        other.spawn(worker)  # refused, but bound
        return worker

    family.start([])
    with pytest.raises(StartFailed, match="made a process that belongs to another runtime"):
        family.call(Supervisor.start_child, Child(make, "a"))
    assert family.is_alive and family.children() == []


def test_children_that_finalize_for_long_are_killed_together(
    family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "KILL_SECONDS", 0.05)
    interrupted: list[str] = []

    class Tough(Worker):
        """Takes two kills: one out of its handler, one out of its clean-up."""

        def on_wait(self, sender: Any, body: bytes) -> None:
            try:
                super().on_wait(sender, body)
            finally:
                interrupted.append("handler")

        def finalize(self) -> None:
            try:
                Event().wait()
            finally:
                interrupted.append("finalize")

    family.start([])
    for _ in range(3):
        child = Child(lambda: Tough(None), shutdown=0, restart="temporary")
        pid = family.call(Supervisor.start_child, child)
        family.runtime.post(pid, "wait")
    turns()
    family.runtime.terminate(family.pid)
    family.runtime.wait(family.pid)
    assert interrupted == ["handler"] * 3 + ["finalize"] * 3


def test_ten_thousand_unnamed_children_start_and_stop(runtime: Runtime) -> None:
    family = Family(runtime)
    family.start([Child(Idless)] * 10_000)
    assert family.counts() == (10_000, 10_000, 0, 10_000)
    runtime.terminate(family.pid)
    runtime.wait(family.pid)
    assert family.running() == []


def test_a_delay_without_bound_is_the_longest_of_the_clock(family: Family) -> None:
    backoff = Backoff(first=1e300, most=math.inf, factor=1e300, jitter=1e300)
    family.start([family.worker("a")], backoff=backoff)
    family.poison("a")
    assert family.states() == ["restarting"]


@pytest.mark.parametrize("is_released", [True, False])
def test_a_tree_comes_back_when_a_process_of_the_old_one_still_ends(
    family: Family, is_released: bool
) -> None:
    release = Event()
    leaf = Child(lambda: Held("leaf", release), "leaf", shutdown=2.0)
    family.start([Child(lambda: Supervisor([leaf]), "middle")], id="top")
    for _ in range(2):  # out of the wait for events, and out of finalize()
        family.kill("middle")
        turns()
    old = family.object("leaf")
    assert family.reason("middle") is not None

    if is_released:
        release.set()
    else:
        family.runtime.clock.advance(2.0)
        turns()
        release.set()
    family.runtime.settle()
    assert family.object("leaf") is not old
    assert family.incarnations() == [1]


@pytest.mark.parametrize("how", ["poison", "initialize", "stop"])
def test_the_reason_of_an_end_does_not_keep_the_process(
    family: Family, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    caplog.set_level(logging.CRITICAL, "greenproc.supervision")  # whose records have the errors
    made: list[weakref.ref[Worker]] = []

    class Failing(Worker):
        def initialize(self) -> None:
            super().initialize()
            if how == "initialize" and len(made) == 2:
                raise ValueError("the second")

        def finalize(self) -> None:
            if how == "stop" and len(made) == 1:
                raise ValueError("the first")

    def make() -> Worker:
        worker = Failing("a", family.log)
        made.append(weakref.ref(worker))
        return worker

    family.start([Child(make, "a")])
    with expect_failure(Exception):
        if how == "stop":
            family.call(Supervisor.terminate_child, "a")
            family.call(Supervisor.restart_child, "a")
        else:
            family.runtime.post(family.upid("a"), "poison")
        family.runtime.settle()

    gc.collect()
    assert [worker() is None for worker in made] == [True] * (len(made) - 1) + [False]
    assert isinstance(family.children()[0].last_reason, Exception)


def test_a_child_cannot_be_started_before_its_supervisor() -> None:
    with pytest.raises(StateError, match="expected a supervisor that is running"):
        Supervisor([]).start_child(Child(Idless))


def test_a_child_waits_for_the_sibling_that_failed_to_start_with_it(family: Family) -> None:
    made: list[Worker] = []

    class Leaving(Worker):
        def finalize(self) -> None:
            super().finalize()  # the call is served before the next attempt to start this child
            self.runtime.dispatch(family.pid, Supervisor.terminate_child, "a")

    def make() -> Worker:
        if made:
            raise ValueError("the second time")
        made.append(Leaving("a", family.log))
        return made[0]

    family.start([Child(make, "a"), family.worker("b")], strategy="one_for_all")
    family.poison("b")
    assert family.states() == ["absent", "absent"]

    family.call(Supervisor.restart_child, "b")
    assert family.states() == ["absent", "running"]
