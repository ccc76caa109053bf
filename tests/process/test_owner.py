"""A method of one process is not run in the greenlet of another one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from greenproc.errors import InvalidArgument
from greenproc.process import Process
from greenproc.runtime import Runtime


class Account(Process):
    def __init__(self) -> None:
        super().__init__()
        self.balance = 0

    def pay(self, amount: int = 1) -> int:
        self.balance += amount
        return self.balance


class Clerk(Process):
    def greet(self, other: Process) -> str:
        return type(other).__name__


CALLS: dict[str, Callable[[Runtime, Any, Any], object]] = {
    "dispatch": lambda node, clerk, other: node.dispatch(clerk, Account.pay, other, 1),
    "delay": lambda node, clerk, other: node.delay(0, clerk, Account.pay, other),
    "defer": lambda node, clerk, other: node.defer(clerk, Account.pay, other),
    "deferred call": lambda node, clerk, other: node.defer(clerk, Account.pay)(other),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("is_spawned", [False, True])
def test_a_method_of_another_process_is_refused(
    call: Callable[[Runtime, Any, Any], object], is_spawned: bool, runtime: Runtime
) -> None:
    clerk, account = runtime.spawn(Clerk()), Account()
    if is_spawned:
        runtime.spawn(account)
    told = "Account.pay is a method of Account, and the target is a Clerk: make the pid that"
    with pytest.raises(InvalidArgument, match=told):
        call(runtime, clerk, account)
    runtime.settle()
    assert account.balance == 0


def test_an_address_in_front_of_the_arguments_is_refused(runtime: Runtime) -> None:
    clerk, account = runtime.spawn(Clerk()), runtime.spawn(Account())
    with pytest.raises(InvalidArgument, match=re.escape(f"make {account} the target")):
        runtime.dispatch(clerk, Account.pay, account)  # type: ignore[arg-type]


def test_run_async_refuses_a_method_of_a_process_and_leaves_no_process(runtime: Runtime) -> None:
    before = runtime.statistics()["processes"]["processes"]
    with pytest.raises(InvalidArgument, match=r"Account\.pay is a method of Account"):
        runtime.run_async(Account.pay, Account())
    assert runtime.statistics()["processes"]["processes"] == before


def test_a_method_without_its_process_tells_both_classes(runtime: Runtime) -> None:
    call: Any = runtime.dispatch
    told = "is a method of Account, and the target is a Clerk: dispatch it to a process of Account"
    with pytest.raises(TypeError, match=told):
        call(runtime.spawn(Clerk()), Account.pay).get(timeout=5)


def test_processes_and_addresses_are_arguments_as_others(runtime: Runtime) -> None:
    clerk, account = Clerk(), Account()
    pid = runtime.spawn(clerk)

    def name(process: Process) -> str:
        return type(process).__name__

    assert runtime.dispatch(pid, Clerk.greet, account).get(timeout=5) == "Account"
    assert runtime.dispatch(pid, Clerk.greet, clerk).get(timeout=5) == "Clerk"
    assert runtime.dispatch(pid, name, account).get(timeout=5) == "Account"
    assert runtime.dispatch(pid, str, pid).get(timeout=5) == str(pid)
