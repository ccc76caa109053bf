"""Rows: the hooks of programs that are started, and what follows their end."""

from __future__ import annotations

import os
from typing import Any

from gevent.event import Event

from greenproc.future import Future
from greenproc.io import read
from greenproc.runtime import Runtime
from greenproc.subprocess import PATH, Options, Subprocess, launch
from tests.users_code.support import Check, Misbehaviour, Trigger, is_over, is_set

NULL = PATH(os.devnull)


def start(command: str = "true", **options: Any) -> Subprocess:
    return launch([command], Options(**options), stdin=NULL, stdout=NULL, stderr=NULL)


def parent_hook(runtime: Runtime, call: Misbehaviour) -> Check:
    launching = runtime.spawn_greenlet(start, parent_hooks=[call])

    def check() -> None:
        launching.join()
        assert start().status.get() == 0

    return check


def child_hook(*, supervised: bool) -> Trigger:
    def run(runtime: Runtime, call: Misbehaviour) -> Check:
        reader, writer = os.pipe()

        def hook() -> None:
            os.write(writer, b"x")
            call()

        launching = runtime.spawn_greenlet(start, child_hooks=[hook], supervised=supervised)
        told: Future[bytes] = read(reader, 1)
        told.add_done_callback(lambda _: call.reached.set())
        told.add_done_callback(lambda _: [os.close(number) for number in (reader, writer)])

        def check() -> None:
            launching.join()
            assert not launching.successful()
            assert start().status.get() == 0

        return check

    return run


def follow_status(runtime: Runtime, call: Misbehaviour) -> Check:
    second = Event()

    def run() -> None:
        child = start()
        child.status.on_any(lambda _: call())
        start().status.on_any(lambda _: second.set())

    runtime.spawn_greenlet(run)
    return is_set(second)


def chain_status(runtime: Runtime, call: Misbehaviour) -> Check:
    def run() -> Future[Any]:
        return start().status.then(call)

    running = runtime.spawn_greenlet(run)
    running.join()
    return is_over(running.value)


PROGRAMS: dict[str, Trigger] = {
    "parent hook": parent_hook,
    "child hook": child_hook(supervised=False),
    "child hook below a supervisor": child_hook(supervised=True),
    "callback of a status": follow_status,
    "function that follows a status": chain_status,
}
