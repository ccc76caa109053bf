"""The rules of the runtime that is current where they are installed."""

from __future__ import annotations

import pytest

from greenproc.errors import InvalidArgument, NoRuntime
from greenproc.http.request import Request
from greenproc.http.response import Response
from greenproc.process import Process
from greenproc.runtime import Runtime
from greenproc.testing import await_ready, expect_failure
from greenproc.web import DisabledEndpointsFirewallRule, connect, firewall, get
from tests.web.support import a_get


def test_rules_are_those_of_the_current_runtime(runtime: Runtime) -> None:
    pid = runtime.spawn(Process("p"))

    firewall.install([DisabledEndpointsFirewallRule(["/p/x"])])
    assert await_ready(get((pid, "/x"))).status == 403

    firewall.install([])
    assert await_ready(get((pid, "/x"))).status == 404


class Broken:
    """A rule that cannot decide."""

    def apply(self, request: Request) -> Response | None:
        raise ValueError("no rules to be found")


def test_a_rule_that_fails_refuses(runtime: Runtime) -> None:
    pid = runtime.spawn(Process("p"))
    firewall.install([Broken()])

    with connect(pid).get() as connection, expect_failure(ValueError, "no rules") as errors:
        for _ in range(2):
            response = await_ready(connection.send(a_get("/p/x")))
            assert (response.status, response.body) == (500, b"500 Internal Server Error.")

    assert len(errors) == 2


@pytest.mark.parametrize(
    "path",
    ["/p/x", "/p/x/", "/p/x/y", "/p/x//y/z", "/p/%78/y", "/%70/x%2fy", "/p/x/%zz", "/q", "/q/x"],
)
def test_a_rule_counts_for_what_is_below(path: str) -> None:
    rule = DisabledEndpointsFirewallRule(["/p/x", "/q/"])
    refusal = rule.apply(a_get(path))
    assert refusal is not None and refusal.status == 403


@pytest.mark.parametrize("path", ["/p", "/p/xy", "/p/y/x", "/", "/r/p/x"])
def test_a_rule_does_not_count_for_what_is_beside(path: str) -> None:
    assert DisabledEndpointsFirewallRule(["/p/x"]).apply(a_get(path)) is None


@pytest.mark.parametrize("path", ["/", "/p", "/p/x"])
def test_everything_is_below_the_root(path: str) -> None:
    assert DisabledEndpointsFirewallRule(["/"]).apply(a_get(path)) is not None


def test_a_rule_can_be_for_its_path_alone() -> None:
    rule = DisabledEndpointsFirewallRule(["/p/x"], and_below=False)
    assert rule.apply(a_get("/p/x/")) is not None
    assert rule.apply(a_get("/p/x/y")) is None


def test_one_path_is_not_many() -> None:
    with pytest.raises(InvalidArgument, match="expected paths"):
        DisabledEndpointsFirewallRule("/p/x")


def test_without_a_runtime_there_are_no_rules() -> None:
    with pytest.raises(NoRuntime):
        firewall.install([])
