"""Twins of Erlang/OTP's supervisor_SUITE: how children and supervisors start, and what is refused.

The docstring names the original.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from greenproc.errors import Abandoned, InvalidArgument, StartFailed
from greenproc.process import Process
from greenproc.runtime import Runtime
from greenproc.supervision import Backoff, Child, Supervisor
from greenproc.testing import expect_failure
from tests.supervision.support import Family, Worker, refused


class Flaky:
    """A factory whose calls do what is next in a list; the last one again and again."""

    def __init__(self, id: str | None, *results: object) -> None:
        self.id = id
        self.results = list(results)
        self.calls = 0

    def __call__(self) -> Any:
        self.calls += 1
        result = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        if isinstance(result, BaseException):
            raise result
        return Worker(self.id) if result is Worker else result


def test_a_supervisor_without_children(family: Family, caplog: pytest.LogCaptureFixture) -> None:
    """supervisor_SUITE: sup_start_normal."""
    with caplog.at_level(logging.INFO, "greenproc"):
        family.start([])
        family.runtime.terminate(family.pid)
        family.runtime.settle()
    assert not family.is_alive
    assert caplog.records == []


def test_a_permanent_child_whose_factory_makes_none(family: Family) -> None:
    """supervisor_SUITE: sup_start_ignore_child."""
    family.start([Child(Flaky("a", None, Worker), "a"), family.worker("b")])
    assert family.counts() == (2, 1, 0, 2)
    assert family.call(Supervisor.restart_child, "a") == family.upid("a")
    assert family.counts() == (2, 2, 0, 2)


@pytest.mark.parametrize("id", ["c", None])
def test_a_temporary_child_whose_factory_makes_none_is_forgotten(
    family: Family, id: str | None
) -> None:
    """supervisor_SUITE: sup_start_ignore_temporary_child, sup_start_ignore_temporary_child_start_child,
    sup_start_ignore_temporary_child_start_child_simple.
    """
    none = Child(lambda: None, "a", restart="temporary")
    family.start([none, family.worker("b")])
    assert family.counts() == (1, 1, 0, 1)
    dynamic = Child(lambda: None, id, restart="temporary")
    assert family.call(Supervisor.start_child, dynamic) is None
    assert family.counts() == (1, 1, 0, 1)


def test_an_anonymous_permanent_child_whose_factory_makes_none(family: Family) -> None:
    """supervisor_SUITE: sup_start_ignore_permanent_child_start_child_simple."""
    family.start([])
    assert family.call(Supervisor.start_child, Child(lambda: None)) is None
    assert family.children() == []
    family.runtime.terminate(family.pid)
    family.runtime.settle()
    assert family.reason_of_end is None


def test_a_constructor_that_fails_leaves_nothing(runtime: Runtime) -> None:
    """supervisor_SUITE: sup_start_error_return, sup_start_fail."""
    before = set(runtime.processes.records)
    with pytest.raises(InvalidArgument, match="expected a Child, got 5"):
        runtime.spawn(Supervisor([5]))  # type: ignore[list-item]
    assert set(runtime.processes.records) == before


@pytest.mark.parametrize("id", ["x", None])
@pytest.mark.parametrize(
    ("result", "text"),
    [
        (ValueError("boom"), "its factory raised ValueError('boom')"),
        (5, "its factory returned 5, expected a Process or None"),
    ],
)
def test_a_factory_that_fails_in_start_child(
    family: Family, id: str | None, result: object, text: str
) -> None:
    """supervisor_SUITE: sup_start_child_returns_error, sup_start_child_returns_error_simple."""
    family.start([])
    with pytest.raises(StartFailed) as caught:
        family.call(Supervisor.start_child, Child(Flaky(None, result), id))
    assert str(caught.value).endswith(f"of {family.pid} did not start: {text}")
    assert caught.value.__cause__ is (result if isinstance(result, Exception) else None)
    assert family.children() == []


def test_a_factory_that_fails_in_restart_child(family: Family) -> None:
    """supervisor_SUITE: sup_start_restart_child_returns_error."""
    family.start([Child(Flaky("a", Worker, ValueError("boom")), "a")])
    family.call(Supervisor.terminate_child, "a")
    with pytest.raises(StartFailed, match="boom"):
        family.call(Supervisor.restart_child, "a")
    assert family.states() == ["absent"]


def test_a_spec_is_told_with_its_defaults(family: Family) -> None:
    """supervisor_SUITE: sup_start_map."""
    family.start([family.worker("a"), Child(lambda: Supervisor([]), "s")])
    spec = family.call(Supervisor.child_spec, "a")
    assert (spec.restart, spec.shutdown, spec.significant, spec.id) == (
        "permanent",
        5.0,
        False,
        "a",
    )
    assert family.call(Supervisor.child_spec, "s").shutdown == math.inf
    with refused("there is no child 'x'"):
        family.call(Supervisor.child_spec, "x")


def test_the_spec_of_an_anonymous_child_is_found_by_its_address(family: Family) -> None:
    """supervisor_SUITE: sup_start_map_simple."""
    family.start([])
    pid = family.call(Supervisor.start_child, Child(lambda: Worker(None)))
    assert family.call(Supervisor.child_spec, pid).id == pid.id
    stranger = family.runtime.spawn(Process())
    with refused("there is no child"):
        family.call(Supervisor.child_spec, stranger)


def test_an_unknown_keyword_is_refused() -> None:
    """supervisor_SUITE: sup_start_map_faulty_specs."""
    with pytest.raises(TypeError):
        Child(Worker, "a", modules=[])  # type: ignore[call-arg,arg-type]
    with pytest.raises(TypeError):
        Supervisor([], intensity=1)  # type: ignore[call-arg]


def make() -> Process:
    return Process("x")


FAULTS: list[tuple[Callable[[], object], str]] = [
    (lambda: Child(5), "expected a function that makes a process, got 5"),  # type: ignore[arg-type]
    (lambda: Child(make()), "a process is spawned once, pass its class"),  # type: ignore[arg-type]
    (lambda: Child(make, 5), "expected the id of a child as str, got 5"),  # type: ignore[arg-type]
    (
        lambda: Child(make, restart="prmanent"),  # type: ignore[arg-type]
        "expected restart to be 'permanent', 'transient' or 'temporary', got 'prmanent'",
    ),
    *[
        (
            partial(Child, make, shutdown=wrong),
            f"expected shutdown to be seconds from 0 on, got {wrong!r}",
        )
        for wrong in (-10, math.nan, True, "5", 10**400)
    ],
    (
        lambda: Child(make, significant="maybe"),  # type: ignore[arg-type]
        "expected significant to be a bool, got 'maybe'",
    ),
    (
        lambda: Child(make, significant=True),
        "a permanent child cannot be significant: it never ends for good",
    ),
    (
        lambda: Child(make, mailbox="lose"),  # type: ignore[arg-type]
        "expected mailbox to be 'drop' or 'keep', got 'lose'",
    ),
    (
        lambda: Supervisor([Child(make, "x", restart="transient", significant=True)]),
        "child 'x' is significant, but auto_shutdown is 'never'",
    ),
    (lambda: Supervisor([5]), "expected a Child, got 5"),  # type: ignore[list-item]
    (lambda: Supervisor([Child(make, "x"), Child(make, "x")]), "two children have the id 'x'"),
]


@pytest.mark.parametrize(("faulty", "text"), FAULTS, ids=lambda value: str(value)[:40])
def test_a_malformed_spec_is_refused(faulty: Callable[[], object], text: str) -> None:
    """supervisor_SUITE: child_specs, child_specs_map."""
    with pytest.raises(InvalidArgument) as caught:
        faulty()
    assert text in str(caught.value)


def test_all_valid_specs_are_accepted() -> None:
    """supervisor_SUITE: child_specs, child_specs_map."""
    choices = itertools.product(
        ["x", None], ["permanent", "transient", "temporary"], [0, 1.5, math.inf], [False, True]
    )
    for id, restart, shutdown, significant in choices:
        if restart != "permanent" or not significant:
            child = Child(
                make,
                id,
                restart=restart,  # type: ignore[arg-type]
                shutdown=shutdown,
                significant=significant,
            )
            Supervisor([child], auto_shutdown="any_significant")


FLAGS: list[tuple[dict[str, Any], str]] = [
    (
        {"strategy": "none_for_one"},
        "expected strategy to be 'one_for_one', 'one_for_all' or 'rest_for_one', got 'none_for_one'",
    ),
    *[
        (
            {"max_restarts": wrong},
            f"expected max_restarts to be a whole number from 0 on, got {wrong!r}",
        )
        for wrong in (-1, True, "3", 1.5)
    ],
    *[
        ({"within": wrong}, f"expected within to be seconds above 0, got {wrong!r}")
        for wrong in (0, -1, math.inf, math.nan, True, "5", 10**400)
    ],
    (
        {"auto_shutdown": "sometimes"},
        "expected auto_shutdown to be 'never', 'any_significant' or 'all_significant', got 'sometimes'",
    ),
    ({"backoff": 5}, "expected backoff to be a Backoff or None, got 5"),
]


@pytest.mark.parametrize(("flags", "text"), FLAGS, ids=lambda value: str(value)[:40])
def test_a_malformed_flag_is_refused(flags: dict[str, Any], text: str) -> None:
    """supervisor_SUITE: sup_flags."""
    with pytest.raises(InvalidArgument) as caught:
        Supervisor([], **flags)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"first": 0},
        {"most": 0.01},
        {"factor": 0.5},
        {"jitter": -1},
        {"reset": 0},
        {"first": "1"},
        {"most": 10**400},
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_malformed_back_off_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        Backoff(**wrong)


def test_what_can_be_asked_of_a_supervisor_in_turn(family: Family) -> None:
    """supervisor_SUITE: child_adm."""
    family.start([])
    child = family.worker("a")
    for method in (Supervisor.terminate_child, Supervisor.restart_child, Supervisor.delete_child):
        with refused("there is no child 'a'"):
            family.call(method, "a")
    assert family.call(Supervisor.start_child, child) == family.upid("a")
    with refused("child 'a' is already running"):
        family.call(Supervisor.start_child, child)
    with refused("child 'a' is running"):
        family.call(Supervisor.restart_child, "a")
    with refused("child 'a' is running"):
        family.call(Supervisor.delete_child, "a")
    family.call(Supervisor.terminate_child, "a")
    family.call(Supervisor.terminate_child, "a")
    with refused("child 'a' is already there: restart_child() starts it"):
        family.call(Supervisor.start_child, child)
    assert family.call(Supervisor.restart_child, "a") == family.upid("a")
    family.call(Supervisor.terminate_child, "a")
    family.call(Supervisor.delete_child, "a")
    assert family.counts() == (0, 0, 0, 0)
    family.runtime.terminate(family.pid)
    with pytest.raises(Abandoned):
        family.call(Supervisor.which_children)


def test_an_anonymous_child_is_stopped_by_its_address(family: Family) -> None:
    """supervisor_SUITE: child_adm_simple."""
    family.start([])
    pids = [
        family.call(Supervisor.start_child, Child(lambda: Worker(None), restart="temporary"))
        for _ in range(2)
    ]
    stranger = family.runtime.spawn(Process())
    with refused("there is no child"):
        family.call(Supervisor.terminate_child, stranger)
    family.call(Supervisor.terminate_child, pids[0])
    assert [info.pid for info in family.children()] == pids[1:]


def test_a_child_of_start_child_is_restarted(family: Family) -> None:
    """supervisor_SUITE: extra_return."""
    family.start([])
    pid = family.call(Supervisor.start_child, family.worker("a"))
    before = family.object("a")
    family.poison("a")
    assert family.call(Supervisor.which_child, "a").pid == pid
    assert family.object("a") is not before


def test_what_is_running_outside_is_named_and_left_alone(family: Family) -> None:
    """supervisor_SUITE: already_started_outside_supervisor."""
    stranger = family.runtime.spawn(Worker("x"))
    family.start([])
    with pytest.raises(StartFailed, match="a running process has that id"):
        family.call(Supervisor.start_child, family.worker("x"))
    family.runtime.terminate(family.pid)
    family.runtime.settle()
    assert stranger.id in family.running()


def test_a_failed_start_tells_its_whole_cause(family: Family) -> None:
    """supervisor_SUITE: faulty_application_shutdown."""

    class Failing(Worker):
        def initialize(self) -> None:
            raise ValueError("leaf")

    leaf = Child(lambda: Failing("leaf"), "leaf")
    nested = Child(lambda: Supervisor([leaf], id="nested"), "nested")
    with expect_failure(ValueError, "leaf") as errors:
        family.start([family.worker("a"), nested])
    assert [str(error) for error in errors] == ["leaf"]
    error = family.reason_of_end
    assert isinstance(error, StartFailed) and error.child == "nested"
    assert isinstance(error.__cause__, StartFailed)
    assert str(error.__cause__.__cause__) == "leaf"
    assert family.log == ["+a", "-a"]


def test_children_are_listed_in_the_order_of_their_starts(family: Family) -> None:
    """supervisor_SUITE: which_children, which_children_simple_one_for_one."""
    family.start([family.worker("b"), family.worker("a")])
    pid = family.call(Supervisor.start_child, Child(lambda: Worker(None)))
    assert [info.id for info in family.children()] == ["b", "a", pid.id]
    assert family.call(Supervisor.which_child, "b").pid == family.upid("b")
    assert family.call(Supervisor.which_child, pid).id == pid.id
    family.call(Supervisor.terminate_child, "b")
    assert family.call(Supervisor.which_child, "b").pid is None
    family.call(Supervisor.delete_child, "b")
    assert [info.id for info in family.children()] == ["a", pid.id]
    with pytest.raises(InvalidArgument):
        family.call(Supervisor.which_child, 5)


def test_starts_from_outside_are_no_news(family: Family, caplog: pytest.LogCaptureFixture) -> None:
    """supervisor_SUITE: external_start_no_progress_log."""
    family.start([])
    with caplog.at_level(logging.INFO, "greenproc.supervision"):
        family.call(Supervisor.start_child, family.worker("a"))
        assert caplog.records == []
        family.die("a", "bye")
    started = [record for record in caplog.records if " started " in record.getMessage()]
    assert [record.levelname for record in started] == ["INFO"]


def test_many_children_are_counted(family: Family) -> None:
    """supervisor_SUITE: count_children, count_children_supervisor,
    simple_one_for_one_scale_many_temporary_children, scale_start_stop_many_children.
    """
    family.start([])
    for kind, number in ((lambda: Worker(None), 300), (lambda: Supervisor([]), 100)):
        for _ in range(number):
            family.runtime.dispatch(
                family.pid, Supervisor.start_child, Child(kind, restart="temporary")
            )
    family.runtime.settle()
    assert family.counts() == (400, 400, 100, 300)
    assert len(family.children()) == 400
    for info in family.children():
        family.runtime.terminate(info.pid)
    family.runtime.settle()
    assert family.counts() == (0, 0, 0, 0)
