"""Mistakes of programs that are told at once, with what to do instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from greenproc.address import Address
from greenproc.errors import InvalidArgument, InvalidPID
from greenproc.future import Future, Promise
from greenproc.http.response import Response
from greenproc.pid import UPID
from greenproc.process import Process
from greenproc.runtime import Runtime
from greenproc.web import post

MISTAKES: dict[str, tuple[Callable[..., Any], type[Exception], str]] = {
    "attribute of the value": (
        lambda: Future(Response()).status,  # type: ignore[attr-defined]
        AttributeError,
        r"has no attribute 'status': use get\(\).status",
    ),
    "get of a promise": (
        lambda: Promise[int]().get(),  # type: ignore[attr-defined]
        AttributeError,
        "has no attribute 'get': use future.get",
    ),
    "text as address": (
        lambda: UPID("a", "127.0.0.1:80"),  # type: ignore[arg-type]
        InvalidPID,
        r"expected an Address, got '127.0.0.1:80': use Address.parse\(text\)",
    ),
    "number as id": (
        lambda: UPID(5),  # type: ignore[arg-type]
        InvalidPID,
        "expected an id as a text, got 5",
    ),
    "body as status": (
        lambda: Response("hello"),  # type: ignore[arg-type]
        InvalidArgument,
        r"expected a status as the first argument, such as 200, got 'hello': OK\(body\)",
    ),
    "port as settings": (
        lambda: Runtime(5050),  # type: ignore[arg-type]
        InvalidArgument,
        r"expected Settings, as in Settings\(port=5050\), got 5050",
    ),
    "target before the seconds": (
        lambda: Runtime().delay(UPID("a"), 1.5, print),  # type: ignore[call-overload]
        InvalidArgument,
        r"expected delay\(seconds, target, method\), got the target first: write delay\(1\.5, target",
    ),
    "target and text before the seconds": (
        lambda: Runtime().delay(Process("a"), "1", print),  # type: ignore[call-overload]
        InvalidArgument,
        r"got the target first: write delay\('1', target, method\)",
    ),
    "no id": (lambda: Process(""), InvalidArgument, "id of a process as str of one character"),
    "no name to install": (
        lambda: Process().install("", lambda sender, body: None),
        InvalidArgument,
        "name of a message as a text of one character or more, got ''",
    ),
    "number to install": (
        lambda: Process().install(5, lambda sender, body: None),  # type: ignore[arg-type]
        InvalidArgument,
        "expected a message name, .* got 5",
    ),
    "value as pid": (
        lambda: type("Bad", (Process,), {"pid": 5}),
        InvalidArgument,
        "Bad.pid takes the place of what a Process has by that name: choose another name",
    ),
    "method as runtime": (
        lambda: type("Bad", (Process,), {"runtime": lambda self: 5}),
        InvalidArgument,
        "Bad.runtime takes the place of",
    ),
    "body as headers": (
        lambda: post(Address("127.0.0.1", 1), {"a": 1}).get(),  # type: ignore[dict-item]
        InvalidArgument,
        r"header 'a', got 1: headers come second, a body is given as body=\.\.\. or json=",
    ),
}


@pytest.mark.parametrize(("mistake", "kind", "told"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_with_what_to_do(
    mistake: Callable[..., Any], kind: type[Exception], told: str
) -> None:
    with pytest.raises(kind, match=told):
        mistake()


def test_what_is_elsewhere_is_not_here() -> None:
    assert not hasattr(Future(1), "status")
    assert not hasattr(Promise, "get")


def test_names_and_filters_are_checked_at_once(runtime: Runtime) -> None:
    pid = runtime.spawn(Process())
    with pytest.raises(InvalidArgument, match="expected the name of a message as a text, got b"):
        runtime.post(pid, b"hello")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="expected the name of a message as a text, got ''"):
        runtime.post(pid, "")
    with pytest.raises(InvalidArgument, match="expected a function to call, got True"):
        runtime.filter(True)  # type: ignore[arg-type]
