"""What is over is freed by reference counting alone: the garbage collector finds nothing to do."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import ref

import pytest

from greenproc.errors import Abandoned
from greenproc.future import Promise
from greenproc.http.request import Request
from greenproc.http.response import Response
from greenproc.http.url import URL
from greenproc.pid import UPID
from greenproc.process import Process, install, route
from greenproc.process.event import HttpEvent
from greenproc.runtime import Runtime
from greenproc.testing.errors import ERROR_LOG

TIMES = 1000


class Whole(Process):
    """Has everything that a process may have."""

    def initialize(self) -> None:
        self.install("n", self.on_m)
        self.delegate("o", self)
        self.link(self)

    @install("m")
    def on_m(self, sender: UPID, body: bytes) -> None:
        if body:
            raise ValueError("in a handler")

    @route("/x")
    def on_x(self, request: Any) -> str:
        return ""

    @route("/fail")
    def on_fail(self, request: Any) -> str:
        raise ValueError("in a route")

    def call(self) -> int:
        return 1

    def fail(self) -> None:
        raise ValueError("in a dispatch")


@contextmanager
def uncollected() -> Iterator[None]:
    """Fail if the collector finds garbage that the block has made for each of many things.

    What a first use of something leaves behind once is not looked for.
    """
    gc.collect()
    gc.disable()
    try:
        yield
        found = gc.collect()
    finally:
        gc.enable()
    assert found < TIMES // 10, f"the collector found {found} objects"


def end(runtime: Runtime, process: Whole) -> None:
    runtime.terminate(process)
    runtime.wait(process)


def end_after_work(runtime: Runtime, process: Whole) -> None:
    runtime.post(process, "m")
    runtime.dispatch(process, Whole.call).get(timeout=15.0)
    assert process.mailbox is not None
    end(runtime, process)


def end_by_failure(runtime: Runtime, process: Whole) -> None:
    runtime.post(process, "m", b"fail")
    runtime.wait(process)
    log = ERROR_LOG.get()
    assert log is not None
    log.errors.clear()


def end_with_dispatches(runtime: Runtime, process: Whole) -> None:
    future = runtime.dispatch(process, Whole.call)
    runtime.terminate(process)
    with pytest.raises(Abandoned):
        future.get(timeout=15.0)
    runtime.wait(process)


@pytest.mark.parametrize("way", [end, end_after_work, end_by_failure, end_with_dispatches])
def test_ended_process_is_freed(
    runtime: Runtime, way: Callable[[Runtime, Whole], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A record that is kept holds the error.
    monkeypatch.setattr(logging.getLogger("greenproc.process"), "disabled", True)
    dead = []
    with uncollected():
        for _ in range(TIMES):
            process = Whole()
            dead.append(ref(process))
            runtime.spawn(process)
            way(runtime, process)
        del process
        runtime.settle()
        assert sum(found() is not None for found in dead) == 0


def fail_once(runtime: Runtime, pid: UPID) -> None:
    # Without a name for the future: this frame is in the traceback of the error that it holds.
    try:
        runtime.dispatch(pid, Whole.fail).get(timeout=15.0)
    except ValueError:
        pass
    else:
        raise AssertionError


def test_failed_dispatch_is_freed(runtime: Runtime) -> None:
    pid = runtime.spawn(Whole())
    with uncollected():
        for _ in range(TIMES):
            fail_once(runtime, pid)


def serve_once(runtime: Runtime, pid: UPID) -> None:
    promise: Promise[Response] = Promise()
    event = HttpEvent(Request("GET", URL.parse(f"/{pid.id}/fail")), promise)
    runtime.processes.deliver_http(pid.id, event)
    runtime.settle()
    assert isinstance(promise.future.exception, ValueError)


def test_failed_request_is_freed(runtime: Runtime) -> None:
    pid = runtime.spawn(Whole())
    with uncollected():
        for _ in range(TIMES):
            serve_once(runtime, pid)
