"""Which children are restarted, in which order, and when a supervisor gives up."""

from __future__ import annotations

import pytest
from gevent.event import Event

from greenproc.errors import RestartLimit
from greenproc.supervision import Supervisor
from greenproc.testing import expect_failure
from tests.supervision.support import Family, Poisoned
from tests.supervision.test_catalogue_stops import turns


def test_children_start_in_order_and_stop_in_reverse(family: Family) -> None:
    family.start([family.worker("c"), family.worker("a"), family.worker("b")])
    family.runtime.terminate(family.pid)
    family.runtime.settle()
    assert family.log == ["+c", "+a", "+b", "-b", "-a", "-c"]
    assert family.reason_of_end is None


@pytest.mark.parametrize(
    ("strategy", "log"),
    [
        ("one_for_one", ["-b", "+b"]),
        ("rest_for_one", ["-b", "-d", "-c", "+b", "+c", "+d"]),
        ("one_for_all", ["-b", "-d", "-c", "-a", "+a", "+b", "+c", "+d"]),
    ],
)
def test_a_strategy_restarts_its_group(family: Family, strategy: str, log: list[str]) -> None:
    family.start([family.worker(id) for id in "abcd"], strategy=strategy)
    family.log.clear()
    family.poison("b")
    assert family.log == log
    assert family.states() == ["running"] * 4


@pytest.mark.parametrize("how", ["bye", "terminate", "poison", "kill"])
@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
def test_the_kind_of_restart_and_of_the_end_decide(family: Family, restart: str, how: str) -> None:
    """supervisor_SUITE: permanent_normal, permanent_shutdown, permanent_abnormal, transient_normal,
    transient_shutdown, transient_abnormal, temporary_normal, temporary_shutdown, temporary_abnormal.
    """
    family.start([family.worker("a", restart=restart)])
    family.die("a", how)
    is_error = how in ("poison", "kill")
    if restart == "temporary":
        assert family.children() == []
        assert family.call(Supervisor.start_child, family.worker("a")) == family.upid("a")
    elif restart == "permanent" or is_error:
        assert (family.states(), family.incarnations()) == (["running"], [1])
    else:
        assert family.states() == ["absent"]
        assert family.call(Supervisor.restart_child, "a") == family.upid("a")


def test_the_limit_ends_the_supervisor_with_its_reason(family: Family) -> None:
    family.start([family.worker("a"), family.worker("b")])
    for _ in range(4):
        family.poison("a")
    assert not family.is_alive
    error = family.reason_of_end
    assert isinstance(error, RestartLimit)
    assert (error.child, error.restarts, error.within) == ("a", 3, 5.0)
    assert str(error.__cause__) == "a"
    assert family.running() == []


def test_an_attempt_at_the_edge_of_the_window_counts(family: Family) -> None:
    family.start([family.worker("a")], max_restarts=1, within=5.0)
    family.poison("a")
    family.runtime.clock.advance(5.0)
    family.poison("a")
    assert not family.is_alive


def test_an_attempt_behind_the_window_does_not_count(family: Family) -> None:
    family.start([family.worker("a")], max_restarts=1, within=5.0)
    for _ in range(4):
        family.poison("a")
        family.runtime.clock.advance(5.000001)
    assert family.is_alive


def test_a_restarted_process_keeps_its_address(family: Family) -> None:
    family.start([family.worker("a")])
    before = family.call(Supervisor.which_child, "a")
    family.poison("a")
    after = family.call(Supervisor.which_child, before.pid)
    assert after.pid == before.pid
    assert (after.restarts, str(after.last_reason)) == (1, "a")


@pytest.mark.parametrize("signal", ["link_lost", "process_terminated", "child_ended"])
def test_a_receiver_that_waits_does_not_hide_the_end_of_a_child(
    family: Family, signal: str
) -> None:
    latch = Event()
    getattr(family.runtime.signals, signal).connect(lambda *_, **__: latch.wait())
    family.start([family.worker("a")])
    with expect_failure(Poisoned):
        family.runtime.post(family.upid("a"), "poison")
        turns()
        latch.set()
        family.runtime.settle()
    assert family.incarnations() == [1]
