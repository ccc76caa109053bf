"""What happens when handlers fail, and in which order a process lives."""

from __future__ import annotations

import logging
from typing import Any

import gevent
import pytest
from gevent.event import Event

from greenproc.errors import Abandoned
from greenproc.future import Failure, Future, Promise
from greenproc.http.request import Request
from greenproc.http.response import Response
from greenproc.http.url import URL
from greenproc.pid import UPID
from greenproc.process import Event as ProcessEvent
from greenproc.process import ExitedEvent, Process, install, route
from greenproc.process.base import record_of
from greenproc.runtime import Runtime
from greenproc.testing import await_ready, expect_failure


class Failing(Process):
    """Raises in whatever handler it is told to."""

    def __init__(self, where: str = "") -> None:
        super().__init__()
        self.where = where
        self.calls: list[str] = []
        self.failures: list[tuple[Any, BaseException]] = []

    def fail(self, here: str) -> None:
        self.calls.append(here)
        if self.where == here:
            raise ValueError(f"failing in {here}")

    def initialize(self) -> None:
        self.fail("initialize")

    def finalize(self) -> None:
        self.fail("finalize")

    def exited(self, pid: UPID) -> None:
        self.fail("exited")

    @install("m")
    def on_message(self, sender: UPID, body: bytes) -> None:
        self.fail("message")

    @route("/x")
    def on_request(self, request: Request) -> str:
        self.fail("request")
        return "fine"

    def call(self) -> str:
        self.fail("call")
        return "fine"


class Surviving(Failing):
    """Does not let errors end it."""

    def failed(self, event: ProcessEvent | None, error: BaseException) -> None:
        self.failures.append((event, error))


class Watcher(Process):
    """Keeps the exit events that it gets."""

    def __init__(self, *pids: UPID) -> None:
        super().__init__()
        self.pids = pids
        self.exits: list[ExitedEvent] = []

    def initialize(self) -> None:
        for pid in self.pids:
            self.link(pid)

    def consume_exited(self, event: ExitedEvent) -> None:
        self.exits.append(event)


def cause(runtime: Runtime, process: Process, where: str) -> None:
    """Let the handler called *where* run."""
    if where == "message":
        runtime.post(process, "m")
    elif where == "exited":
        runtime.processes.inject_exited(UPID(), process)
    elif where == "timer":
        runtime.delay(0.0, process, Failing.call)
    elif where == "finalize":
        runtime.terminate(process)


def ask(runtime: Runtime, path: str) -> Future[Response]:
    """Ask the router without a connection."""
    future: Future[Response] = runtime._parts().router.serve(Request("GET", URL.parse(path)))
    return future


# Order


def test_initialize_comes_first_and_finalize_last(runtime: Runtime) -> None:
    process = Failing()
    pid = runtime.spawn(process)
    runtime.post(pid, "m")
    runtime.dispatch(pid, Failing.call)
    runtime.terminate(pid, inject=False)
    assert runtime.wait(pid)
    assert process.calls == ["initialize", "message", "call", "finalize"]


def test_initialize_runs_even_if_terminated_at_once(runtime: Runtime) -> None:
    process = Failing()
    pid = runtime.spawn(process)
    runtime.post(pid, "m")
    runtime.terminate(pid)
    assert runtime.wait(pid)
    assert process.calls == ["initialize", "finalize"]


def test_event_being_served_when_terminated_is_finished(runtime: Runtime) -> None:
    process = Failing()
    pid = runtime.spawn(process)

    def terminate_and_go_on() -> str:
        process.terminate()
        gevent.idle()
        return "finished"

    assert runtime.dispatch(pid, terminate_and_go_on).get() == "finished"


def test_events_are_served_in_the_order_of_all_kinds(runtime: Runtime) -> None:
    process = Failing()
    runtime.spawn(process)
    runtime.post(process, "m")
    runtime.processes.inject_exited(UPID(), process)
    runtime.dispatch(process, Failing.call)
    runtime.post(process, "m")
    runtime.settle()
    assert process.calls == ["initialize", "message", "exited", "call", "message"]


# Failing handlers


@pytest.mark.parametrize("where", ["initialize", "message", "exited"])
def test_failing_handler_ends_the_process_and_tells_linkers_why(
    runtime: Runtime, where: str
) -> None:
    process = Failing(where)
    watcher = Watcher(process.pid)
    with expect_failure(ValueError, f"failing in {where}") as errors:
        pid = runtime.spawn(process)
        runtime.spawn(watcher)
        # The watcher has to be linked before the process fails.
        if where != "initialize":
            runtime.settle()
        cause(runtime, process, where)
        runtime.settle()
    assert runtime.processes.find_process(pid) is None
    if where != "initialize":
        (event,) = watcher.exits
        assert (event.pid, event.reason) == (pid, errors[0])


def test_failing_timer_ends_the_process(runtime: Runtime) -> None:
    process = Failing("call")
    pid = runtime.spawn(process)
    with expect_failure(ValueError, "failing in call"):
        cause(runtime, process, "timer")
        runtime.settle()
    assert runtime.processes.find_process(pid) is None
    assert process.calls == ["initialize", "call", "finalize"]


def test_failing_initialize_serves_and_finalizes_nothing(runtime: Runtime) -> None:
    process = Failing("initialize")
    with expect_failure(ValueError):
        pid = runtime.spawn(process)
        called = runtime.dispatch(pid, Failing.call)
        runtime.settle()
    assert process.calls == ["initialize"]
    assert called.is_abandoned


def test_failing_finalize_ends_all_the_same(runtime: Runtime) -> None:
    process = Failing("finalize")
    pid = runtime.spawn(process)
    with expect_failure(ValueError, "failing in finalize"):
        runtime.terminate(pid)
        assert runtime.wait(pid)


def test_failing_handler_drops_what_is_queued(runtime: Runtime) -> None:
    process = Failing("message")
    pid = runtime.spawn(process)
    with expect_failure(ValueError):
        runtime.post(pid, "m")
        called = runtime.dispatch(pid, Failing.call)
        runtime.settle()
    assert called.is_abandoned
    assert process.calls == ["initialize", "message", "finalize"]


@pytest.mark.parametrize("where", ["initialize", "message", "exited"])
def test_process_may_survive_its_errors(runtime: Runtime, where: str) -> None:
    process = Surviving(where)
    with expect_failure(ValueError) as errors:
        pid = runtime.spawn(process)
        cause(runtime, process, where)
        runtime.settle()
    process.where = ""
    assert runtime.dispatch(pid, Failing.call).get() == "fine"
    ((event, error),) = process.failures
    assert error is errors[0]
    assert (event is None) == (where == "initialize")


def test_failing_failed_ends_the_process(runtime: Runtime) -> None:
    class Worse(Failing):
        def failed(self, event: ProcessEvent | None, error: BaseException) -> None:
            raise KeyError("worse")

    pid = runtime.spawn(Worse("message"))
    with expect_failure(KeyError), expect_failure(ValueError):
        runtime.post(pid, "m")
        runtime.settle()
    assert runtime.processes.find_process(pid) is None


def test_error_is_logged_once_with_its_traceback(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    pid = runtime.spawn(Failing("message"))
    with expect_failure(ValueError), caplog.at_level(logging.ERROR):
        runtime.post(pid, "m")
        runtime.settle()
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.name == "greenproc.process"
    assert record.getMessage() == f"process {pid} failed serving MESSAGE"
    assert record.exc_info is not None
    assert "failing in message" in caplog.text


def test_the_log_says_that_initialize_failed(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    with expect_failure(ValueError) as failures, caplog.at_level(logging.ERROR):
        pid = runtime.spawn(Failing("initialize"))
        runtime.settle()
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.getMessage() == f"process {pid} failed in initialize()"
    assert failures[0].__notes__ == [f"in process {pid}, in initialize()"]


def test_failing_dispatch_fails_its_future_and_nothing_else(runtime: Runtime) -> None:
    process = Failing("call")
    pid = runtime.spawn(process)
    with pytest.raises(ValueError, match="failing in call") as raised:
        runtime.dispatch(pid, Failing.call).get()
    assert raised.value.__notes__ == [f"in process {pid}, serving DISPATCH"]
    process.where = ""
    assert runtime.dispatch(pid, Failing.call).get() == "fine"


def test_timeout_in_a_dispatch_fails_its_future(runtime: Runtime) -> None:
    def time_out() -> None:
        with gevent.Timeout(0.0):
            Event().wait()

    pid = runtime.spawn(Process())
    with pytest.raises(gevent.Timeout):
        runtime.dispatch(pid, time_out).get()
    assert runtime.processes.find_process(pid) is not None


def test_timeout_in_a_message_handler_is_an_error_as_any(runtime: Runtime) -> None:
    class Slow(Process):
        @install("m")
        def on_m(self, sender: UPID, body: bytes) -> None:
            with gevent.Timeout(0.0):
                Event().wait()

    pid = runtime.spawn(Slow())
    with expect_failure(gevent.Timeout):
        runtime.post(pid, "m")
        runtime.settle()
    assert runtime.processes.find_process(pid) is None


def test_failing_request_fails_its_response_and_nothing_else(runtime: Runtime) -> None:
    process = Failing("request")
    pid = runtime.spawn(process)
    future = ask(runtime, f"/{pid.id}/x")
    runtime.settle()
    assert isinstance(future.exception, ValueError)
    process.where = ""
    assert await_ready(ask(runtime, f"/{pid.id}/x")).body == b"fine"


def test_failure_as_a_result_fails_the_future(runtime: Runtime) -> None:
    future = runtime.dispatch(runtime.spawn(Process()), lambda: Failure("no"))
    runtime.settle()
    assert future.failure() == "no"


def test_discarded_future_as_a_result_discards(runtime: Runtime) -> None:
    inner: Promise[None] = Promise()
    future = runtime.dispatch(runtime.spawn(Process()), lambda: inner.future)
    runtime.settle()
    future.discard()
    assert inner.future.has_discard
    inner.discard()
    assert future.is_discarded


# Killing


def test_kill_of_a_blocked_handler_ends_the_process(runtime: Runtime) -> None:
    process = Failing()
    pid = runtime.spawn(process)
    called = runtime.dispatch(pid, Event().wait)
    gevent.idle()
    gevent.kill(record_of(process).greenlet)
    runtime.settle()
    assert runtime.processes.find_process(pid) is None
    with pytest.raises(Abandoned):
        called.get()
    assert process.calls == ["initialize", "finalize"]


def test_no_override_of_failed_survives_a_kill(runtime: Runtime) -> None:
    process = Surviving()
    pid = runtime.spawn(process)
    runtime.dispatch(pid, Event().wait)
    gevent.idle()
    gevent.kill(record_of(process).greenlet)
    runtime.settle()
    assert runtime.processes.find_process(pid) is None
    assert process.failures == []


@pytest.mark.usefixtures("usual_turns")
def test_error_thrown_into_an_idle_process_is_its_own(runtime: Runtime) -> None:
    process = Surviving()
    pid = runtime.spawn(process)
    runtime.settle()
    with expect_failure(ValueError, "thrown"):
        gevent.kill(record_of(process).greenlet, ValueError("thrown"))
        runtime.settle()
    ((event, _),) = process.failures
    assert event is None
    assert runtime.dispatch(pid, Failing.call).get() == "fine"


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_what_ends_the_program_is_raised_in_the_main_greenlet(
    runtime: Runtime, error: type[BaseException]
) -> None:
    class Exiting(Process):
        @install("m")
        def on_m(self, sender: UPID, body: bytes) -> None:
            raise error

    pid = runtime.spawn(Exiting())
    runtime.post(pid, "m")
    with pytest.raises(error):
        Event().wait(15.0)
    runtime.settle()
    assert runtime.processes.find_process(pid) is None


def test_dispatch_that_ends_the_program_is_abandoned(runtime: Runtime) -> None:
    def leave() -> None:
        raise SystemExit

    future = runtime.dispatch(runtime.spawn(Process()), leave)
    with pytest.raises(SystemExit):
        Event().wait(15.0)
    assert future.is_abandoned


def test_events_are_counted_also_when_their_handlers_fail(runtime: Runtime) -> None:
    process = Surviving("message")
    pid = runtime.spawn(process)
    for _ in range(250):  # more than two turns
        runtime.dispatch(pid, Surviving.call)
    runtime.post(pid, "m")
    with expect_failure(ValueError, "failing in message"):
        runtime.settle()
    assert record_of(process).served == 251


def test_what_an_ended_process_served_stays_counted(runtime: Runtime) -> None:
    before = runtime.processes.served_by_ended
    pid = runtime.spawn(Failing())
    runtime.dispatch(pid, Failing.call).get()
    runtime.terminate(pid)
    runtime.wait(pid)
    assert runtime.processes.served_by_ended == before + 2


@pytest.mark.usefixtures("usual_turns")
def test_a_turn_that_waits_tells_which_event_it_is_at(runtime: Runtime) -> None:
    gate = Event()
    process = Failing()
    pid = runtime.spawn(process)
    for _ in range(3):
        runtime.dispatch(pid, Failing.call)
    last = runtime.dispatch(pid, gate.wait)
    gevent.idle()
    record = record_of(process)
    assert (record.served, record.serving) == (0, 4)
    gate.set()
    last.get()
    runtime.settle()
    assert (record.served, record.serving) == (4, 0)
