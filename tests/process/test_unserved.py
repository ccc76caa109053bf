"""Events that nothing will serve: whoever waits for them is told, and the process ends all the same."""

from __future__ import annotations

import logging

import gevent
import pytest
from gevent.event import Event as Gate

from greenproc.future import Promise
from greenproc.http.request import Request
from greenproc.http.url import URL
from greenproc.pid import UPID
from greenproc.process import DispatchEvent, Event, HttpEvent, Process
from greenproc.process.base import record_of
from greenproc.process.handlers import MAX_UNHANDLED
from greenproc.runtime import Runtime
from greenproc.testing import expect_failure


class Strict(Process):
    """Fails in `serve`, before anything could complete the event's promise."""

    def serve(self, event: Event) -> None:
        if isinstance(event, (DispatchEvent, HttpEvent)):
            raise TypeError("not served")
        super().serve(event)


def test_dispatch_that_serve_fails_on_is_abandoned(runtime: Runtime) -> None:
    pid = runtime.spawn(Strict())
    with expect_failure(TypeError) as errors:
        future = runtime.dispatch(pid, int)
        runtime.settle()
    assert errors
    assert future.ready()


def test_request_that_serve_fails_on_is_answered(runtime: Runtime) -> None:
    runtime.spawn(Strict("strict"))
    with expect_failure(TypeError) as errors:
        future = runtime._parts().router.serve(Request("GET", URL.parse("/strict/x")))
        runtime.settle()
    assert errors
    assert future.ready()


def test_dispatch_that_a_filter_times_out_on_is_abandoned(runtime: Runtime) -> None:
    def time_out(pid: UPID, event: Event) -> bool:
        raise gevent.Timeout(1.0)

    pid = runtime.spawn(Process())
    runtime.filter(time_out)
    with expect_failure(gevent.Timeout) as errors:
        future = runtime.dispatch(pid, int)
        runtime.settle()
    runtime.filter(None)
    assert errors
    assert future.ready()


def test_process_killed_while_it_drops_its_events_still_ends(runtime: Runtime) -> None:
    process = Process("dying")
    pid = runtime.spawn(process)
    gate: Promise[None] = Promise()
    runtime.dispatch(pid, gate.future.get)
    gevent.sleep(0)
    # A callback of a dropped dispatch waits, in the greenlet of the process.
    runtime.dispatch(pid, int).on_abandoned(Gate().wait)
    runtime.terminate(pid)
    gate.set(None)
    gevent.idle()

    gevent.kill(record_of(process).greenlet)
    gevent.idle()

    assert runtime.processes.find_process(pid) is None


def told(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


def test_a_message_without_a_handler_is_warned_of_once_for_each_class_and_name(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "greenproc.process")
    first, second, other = Strict("first"), Strict("second"), Process("other")
    for process in (first, second, other):
        pid = runtime.spawn(process)
        for name in ("hello", "hello", "bye"):
            runtime.post(pid, name)
    runtime.settle()
    advice = "without a sender: declare it with @install, or call install()"
    assert sorted(told(caplog, logging.WARNING)) == [
        f"{process.pid} has no handler for '{name}' {advice}"
        for process in (first, other)
        for name in ("bye", "hello")
    ]
    assert len(told(caplog, logging.DEBUG)) == 5


def test_few_names_of_messages_are_remembered_and_shown(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    pid = runtime.spawn(Process("quiet"))
    for number in range(MAX_UNHANDLED + 10):
        runtime.post(pid, f"{number}-{'x' * 1000}")
    runtime.settle()
    warnings = told(caplog, logging.WARNING)
    assert len(warnings) == MAX_UNHANDLED
    assert max(map(len, warnings)) < 250
