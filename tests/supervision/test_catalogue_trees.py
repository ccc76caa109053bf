"""Twins of Erlang/OTP's supervisor_SUITE: significant children, trees, and what is kept of children."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import ref

import pytest

from greenproc.errors import InvalidArgument, RestartLimit
from greenproc.supervision import Child, Supervisor
from greenproc.testing import expect_failure
from tests.supervision.support import Family, Worker

ENDS = ["hand", "kill", "poison", "bye"]


def end(family: Family, id: str, how: str) -> None:
    """Let a child end, by hand or by itself."""
    if how == "hand":
        family.call(Supervisor.terminate_child, id)
        family.runtime.settle()
    else:
        family.die(id, how)


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("mode", ["never", "any_significant", "all_significant"])
@pytest.mark.parametrize("restart", ["temporary", "transient"])
def test_no_other_child_ends_its_supervisor(
    family: Family, restart: str, mode: str, how: str
) -> None:
    """supervisor_SUITE: nonsignificant_temporary, nonsignificant_transient."""
    family.start([family.worker("a", restart=restart), family.worker("b")], auto_shutdown=mode)
    end(family, "a", how)
    assert family.is_alive


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("mode", ["any_significant", "all_significant"])
@pytest.mark.parametrize("restart", ["temporary", "transient"])
def test_a_significant_child_ends_its_supervisor(
    family: Family, restart: str, mode: str, how: str
) -> None:
    """supervisor_SUITE: significant_temporary, significant_transient."""
    both = [family.worker(id, restart=restart, significant=True) for id in "ab"]
    family.start([family.worker("w"), *both], auto_shutdown=mode)
    end(family, "a", how)
    is_for_good = how == "bye" or (how != "hand" and restart == "temporary")
    assert family.is_alive == (mode == "all_significant" or not is_for_good)
    if not family.is_alive:
        assert family.log[-2:] == ["-b", "-w"]
        assert family.reason_of_end is None
        return
    if is_for_good:
        end(family, "b", how)
        assert not family.is_alive


def test_an_anonymous_child_is_not_significant(family: Family) -> None:
    """supervisor_SUITE: significant_simple."""
    family.start([], auto_shutdown="any_significant")
    child = Child(lambda: Worker(None), restart="temporary", significant=True)
    with pytest.raises(InvalidArgument, match="an anonymous child cannot be significant"):
        family.call(Supervisor.start_child, child)


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
@pytest.mark.parametrize("mode", ["any_significant", "all_significant"])
def test_a_significant_bystander_ends_nothing(family: Family, strategy: str, mode: str) -> None:
    """supervisor_SUITE: significant_bystander."""
    bystanders = [
        family.worker("t", restart="transient", significant=True),
        family.worker("x", restart="temporary", significant=True),
    ]
    family.start([family.worker("a"), *bystanders], strategy=strategy, auto_shutdown=mode)
    family.poison("a")
    assert family.is_alive


@pytest.mark.parametrize("significant", [False, True])
def test_an_automatic_shutdown_travels_up(family: Family, significant: bool) -> None:
    """supervisor_SUITE: significant_escalation."""

    def nested() -> Supervisor:
        leaf = family.worker("leaf", restart="transient", significant=True)
        return Supervisor([leaf], auto_shutdown="any_significant", id="nested")

    child = Child(nested, "nested", restart="transient", significant=significant)
    family.start([child], auto_shutdown="any_significant")
    family.die("leaf", "bye")
    assert "nested" not in family.running()
    assert family.is_alive != significant


def test_a_tree_restarts_what_has_ended(family: Family) -> None:
    """supervisor_SUITE: tree."""

    def nested() -> Supervisor:
        children = [family.worker(id) for id in "bcd"]
        return Supervisor(children, strategy="one_for_all", max_restarts=1, id="nested")

    family.start([family.worker("a"), Child(nested, "nested")])
    call = partial(family.runtime.dispatch, family.upid("nested"))
    call(Supervisor.start_child, family.worker("e")).get(10)
    call(Supervisor.terminate_child, "d").get(10)
    family.log.clear()
    family.poison("a")
    assert family.log == ["-a", "+a"]
    family.log.clear()
    family.poison("b")
    assert family.log == ["-b", "-e", "-c", "+b", "+c", "+d", "+e"]
    family.log.clear()
    family.poison("b")
    assert family.log == ["-b", "-e", "-d", "-c", "+b", "+c", "+d"]
    assert family.counts() == (2, 2, 1, 1)
    assert isinstance(family.reason("nested"), RestartLimit)


def test_supervisors_and_workers_come_back_under_their_names(family: Family) -> None:
    """supervisor_SUITE: simple_global_supervisor."""

    def nested() -> Supervisor:
        return Supervisor([family.worker("leaf")], id="nested")

    family.start([Child(nested, "nested")], max_restarts=10)
    for id, how in (("nested", "kill"), ("leaf", "kill"), ("leaf", "poison"), ("nested", "bye")):
        before = family.object(id)
        if (id, how) == ("nested", "bye"):
            family.call(Supervisor.terminate_child, "nested")
            assert family.running() == [family.pid.id]
            family.call(Supervisor.restart_child, "nested")
        else:
            family.die(id, how)
        assert sorted(family.running()) == sorted([family.pid.id, "nested", "leaf"])
        assert family.object(id) is not before


class Argument:
    """What a factory is made with."""


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
def test_the_factory_of_a_temporary_child_is_not_kept(
    family: Family, strategy: str, dynamic: bool
) -> None:
    """supervisor_SUITE: simple_one_for_one_corruption,
    do_not_save_start_parameters_for_temporary_children.
    """
    argument = Argument()
    kept = ref(argument)

    def child(argument: Argument) -> Child:
        return Child(lambda: Worker("t" if argument else None), "t", restart="temporary")

    family.start([] if dynamic else [child(argument)], strategy=strategy)
    if dynamic:
        family.call(Supervisor.start_child, child(argument))
    del argument
    assert kept() is None
    assert family.call(Supervisor.child_spec, "t").restart == "temporary"


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
def test_a_temporary_child_is_forgotten_and_others_are_not(
    family: Family, strategy: str, how: str
) -> None:
    """supervisor_SUITE: do_not_save_child_specs_for_temporary_children."""
    children = [family.worker("p"), family.worker("t", restart="temporary")]
    family.start([*children, family.worker("r", restart="transient")], strategy=strategy)
    end(family, "t", how)
    assert [info.id for info in family.children()] == ["p", "r"]
    end(family, "r", "hand")
    assert [info.id for info in family.children()] == ["p", "r"]
    assert family.call(Supervisor.start_child, family.worker("t")) == family.upid("t")


def test_a_report_is_one_line_with_all_that_is_known(
    family: Family, caplog: pytest.LogCaptureFixture
) -> None:
    """supervisor_SUITE: format_log_1, format_log_2."""
    family.start([family.worker("a")], max_restarts=1)
    with caplog.at_level(logging.DEBUG, "greenproc.supervision"):
        family.poison("a")
        family.poison("a")
    s = family.pid
    a, rest = family.upid("a"), "permanent, shutdown 5 s"
    ended = "ended, Poisoned('a'), and is to be restarted"
    over = "needed more than 1 restarts in 5.0 s; the last reason: Poisoned('a')"
    records = [each for each in caplog.records if each.name == "greenproc.supervision"]
    assert [(each.levelname, each.getMessage()) for each in records] == [
        ("WARNING", f"{s}: child 'a' ({a}, incarnation 0, {rest}) {ended}"),
        ("INFO", f"{s} restarts child 'a' now, 1 of 1 in 5.0 s"),
        ("INFO", f"{s} started 'a' ({a}, incarnation 1, {rest})"),
        ("WARNING", f"{s}: child 'a' ({a}, incarnation 1, {rest}) {ended}"),
        ("CRITICAL", f"{s} gave up: child 'a' {over}"),
    ]
    first = vars(records[0])
    assert (first["supervisor"], first["child"], first["incarnation"]) == (s, "a", 0)
    assert str(first["reason"]) == "a"


def test_a_huge_reason_is_cut(family: Family, caplog: pytest.LogCaptureFixture) -> None:
    """supervisor_SUITE: format_log_1, format_log_2."""

    class Failing(Worker):
        def initialize(self) -> None:
            raise ValueError("x\n" * 10_000)

    with expect_failure(ValueError):
        family.start([Child(lambda: Failing("a"), "a")])
    told = [record.getMessage() for record in caplog.records if "did not start" in record.message]
    assert told and all(len(text) < 400 and "\n" not in text for text in told)


def collect(family: Family) -> list[tuple[str, dict[str, Any]]]:
    """Return a list that gets the signals of supervision, by name."""
    signals = family.runtime.signals
    seen: list[tuple[str, dict[str, Any]]] = []

    def receiver(name: str) -> Callable[..., None]:
        return lambda _, **values: seen.append((name, values))

    for name in (
        "child_started",
        "child_ended",
        "child_start_failed",
        "child_restarting",
        "child_stop_failed",
        "supervisor_gave_up",
    ):
        getattr(signals, name).connect(receiver(name))
    return seen


def test_signals_tell_what_happens(family: Family) -> None:
    seen = collect(family)
    family.start([family.worker("a")], max_restarts=1)
    family.poison("a")
    family.poison("a")
    assert [name for name, _ in seen] == [
        "child_started",
        "child_ended",
        "child_restarting",
        "child_started",
        "child_ended",
        "supervisor_gave_up",
    ]
    assert all(values["supervisor"] == family.pid for _, values in seen)
    assert seen[1][1]["next"] == "restart"
    assert (seen[2][1]["delay"], seen[2][1]["count"]) == (0.0, 1)
    assert seen[3][1]["incarnation"] == 1
    assert isinstance(seen[5][1]["error"], RestartLimit)
