"""Rows: the hooks of programs that are started, and what follows their end."""

from __future__ import annotations

import os
from typing import Any

from gevent.event import Event

from greenproc.future import Future
from greenproc.io import read
from greenproc.runtime import Runtime
from greenproc.subprocess import PATH, Options, Subprocess, launch
from tests.users_code.support import (
    HUB,
    LIMIT,
    Check,
    Misbehaviour,
    Row,
    Trigger,
    assert_ended,
    assert_follows,
    assert_set,
)

NULL = PATH(os.devnull)


OF_THE_HUB = "the hub sees the end of a child, and has it called in a greenlet of no runtime"


def start(command: str = "true", **options: Any) -> Subprocess:
    return launch([command], Options(**options), stdin=NULL, stdout=NULL, stderr=NULL)


def assert_started() -> None:
    assert start().status.get(timeout=LIMIT) == 0


def parent_hook(runtime: Runtime, call: Misbehaviour) -> Check:
    """The launch raises what its hook does, and its child is killed; another launch works."""
    launching = runtime.spawn_greenlet(start, parent_hooks=[call])

    def check() -> None:
        assert_ended(launching, call, by_errors=True)
        if call.fails:
            assert "raised by the parent hook" in launching.exception.__notes__[0]
        assert_started()

    return check


def child_hook(*, supervised: bool) -> Trigger:
    """The launch raises what the hook raised in the child."""

    def run(runtime: Runtime, call: Misbehaviour) -> Check:
        reader, writer = os.pipe()

        def hook() -> None:
            os.write(writer, b"x")
            call()

        def try_start() -> Exception | None:
            try:
                start(child_hooks=[hook], supervised=supervised)
            except Exception as error:
                return error
            return None

        launching = runtime.spawn_greenlet(try_start)
        told: Future[bytes] = read(reader, 1)
        told.add_done_callback(lambda _: call.reached.set())
        told.add_done_callback(lambda _: [os.close(number) for number in (reader, writer)])

        def check() -> None:
            error = launching.get(timeout=LIMIT)
            kind = ValueError if call.how is ValueError else RuntimeError  # of the same words
            assert type(error) is kind
            assert "of a user" in str(error)
            assert_started()

        return check

    return run


def follow_status(runtime: Runtime, call: Misbehaviour) -> Check:
    second = Event()

    def run() -> None:
        start().status.on_any(call)
        start().status.on_any(lambda _: second.set())

    runtime.spawn_greenlet(run)
    return lambda: assert_set(second)


def chain_status(runtime: Runtime, call: Misbehaviour) -> Check:
    following = runtime.spawn_greenlet(lambda: [start().status.then(call)]).get(timeout=LIMIT)[0]

    def check() -> None:
        assert_follows(following, call)
        assert_started()

    return check


PROGRAMS = {
    "parent hook": Row(parent_hook, HUB),
    "child hook": Row(
        child_hook(supervised=False),
        must_not_wait="it should be no more than a few system calls",
    ),
    "child hook below a supervisor": Row(
        child_hook(supervised=True),
        must_not_wait="it should be no more than a few system calls",
    ),
    "callback of a status": Row(follow_status, HUB, outlives=OF_THE_HUB),
    "function that follows a status": Row(chain_status, timeout_logger=HUB, outlives=OF_THE_HUB),
}
