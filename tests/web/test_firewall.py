"""The rules of the runtime that is current where they are installed."""

from __future__ import annotations

import pytest

from greenproc.errors import NoRuntime
from greenproc.process import Process
from greenproc.runtime import Runtime
from greenproc.testing import await_ready
from greenproc.web import DisabledEndpointsFirewallRule, firewall, get


def test_rules_are_those_of_the_current_runtime(runtime: Runtime) -> None:
    pid = runtime.spawn(Process("p"))

    firewall.install([DisabledEndpointsFirewallRule(["/p/x"])])
    assert await_ready(get((pid, "/x"))).status == 403

    firewall.install([])
    assert await_ready(get((pid, "/x"))).status == 404


def test_without_a_runtime_there_are_no_rules() -> None:
    with pytest.raises(NoRuntime):
        firewall.install([])
