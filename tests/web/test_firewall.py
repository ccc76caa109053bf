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


def test_one_path_is_not_many() -> None:
    with pytest.raises(InvalidArgument, match="expected paths"):
        DisabledEndpointsFirewallRule("/p/x")


def test_without_a_runtime_there_are_no_rules() -> None:
    with pytest.raises(NoRuntime):
        firewall.install([])
