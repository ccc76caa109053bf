"""What a dispatch to a process that is not there says, and one that fails unread."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator

import gevent
import pytest
from gevent.event import Event

import greenproc
from greenproc.current import default
from greenproc.errors import Abandoned, NoRuntime
from greenproc.future import Future
from greenproc.pid import PID, UPID
from greenproc.process import Process
from greenproc.process.ended import MAX_REMEMBERED
from greenproc.runtime import Runtime
from greenproc.settings import Settings
from greenproc.testing import RuntimeMaker, expect_failure


class Worker(Process):
    def __init__(self, broken: bool = False) -> None:
        super().__init__("worker")
        self.broken = broken
        self.begun, self.go_on = Event(), Event()

    def initialize(self) -> None:
        if self.broken:
            raise ValueError("broken on purpose")

    def work(self) -> str:
        return "done"

    def wait(self) -> None:
        self.begun.set()
        self.go_on.wait()

    def fail(self) -> None:
        raise ValueError("broken on purpose")


def reason(future: Future[object]) -> str:
    with pytest.raises(Abandoned) as caught:
        future.get(timeout=1)
    assert str(future.exception) == str(caught.value)
    assert str(future) == f"Abandoned: {caught.value}"
    return str(caught.value)


def test_a_process_that_never_was_is_told(runtime: Runtime) -> None:
    worker = Worker()
    pid = worker.pid
    assert reason(runtime.dispatch(worker, Worker.work)) == (
        f"there is no process {pid}: spawn it first"
    )


def test_a_process_that_has_ended_is_told(runtime: Runtime) -> None:
    pid = runtime.spawn(Worker())
    runtime.terminate(pid)
    runtime.wait(pid)
    assert reason(runtime.dispatch(pid, Worker.work)) == f"process {pid} has ended"


def test_the_error_that_ended_a_process_is_told(runtime: Runtime) -> None:
    pid = runtime.spawn(Worker())
    with expect_failure(ValueError):
        runtime.delay(0, pid, Worker.fail)
        runtime.wait(pid)
    told = f"process {pid} has failed: ValueError: broken on purpose"
    assert reason(runtime.dispatch(pid, Worker.work)) == told


def test_a_failed_initialize_is_told_to_what_is_queued_and_to_what_comes_later(
    runtime: Runtime,
) -> None:
    with expect_failure(ValueError):
        pid = runtime.spawn(Worker(broken=True))
        queued = runtime.dispatch(pid, Worker.work)
        runtime.settle()
    told = f"process {pid} failed in initialize(): ValueError: broken on purpose"
    assert reason(queued) == told
    assert reason(runtime.dispatch(pid, Worker.work)) == told


def test_what_is_queued_when_a_process_is_terminated_is_told(runtime: Runtime) -> None:
    worker = Worker()
    pid = runtime.spawn(worker)
    busy, queued = runtime.dispatch(pid, Worker.wait), runtime.dispatch(pid, Worker.work)
    worker.begun.wait()
    runtime.terminate(pid)
    worker.go_on.set()
    busy.get()
    assert reason(queued) == f"process {pid} was terminated before it served this"


def test_what_is_served_when_a_process_is_killed_is_told(runtime: Runtime) -> None:
    worker = Worker()
    pid = runtime.spawn(worker)
    busy, queued = runtime.dispatch(pid, Worker.wait), runtime.dispatch(pid, Worker.work)
    worker.begun.wait()
    for greenlet in [
        one for one in gc.get_objects() if repr(one).startswith("<ProcessGreenlet worker@")
    ]:
        gevent.kill(greenlet)
    assert reason(busy) == f"process {pid} was interrupted while it served this"
    assert reason(queued) == f"process {pid} was killed"
    assert reason(runtime.dispatch(pid, Worker.work)) == f"process {pid} was killed"


def test_a_process_of_another_node_is_told(runtime: Runtime) -> None:
    pid = UPID.parse("worker@10.1.2.3:5050")
    assert reason(runtime.dispatch(pid, Worker.work)) == (
        f"process {pid} is not on this node, and dispatch is local: send it a message"
    )


def test_the_empty_pid_is_told(runtime: Runtime) -> None:
    assert "spawn() returns when it refuses" in reason(runtime.dispatch(PID(), Worker.work))


def test_a_full_mailbox_is_told(make_runtime: RuntimeMaker) -> None:
    node = make_runtime(Settings(ip="127.0.0.1", max_mailbox_events=1))
    worker = Worker()
    pid = node.spawn(worker)
    first = node.dispatch(pid, Worker.work)
    assert reason(node.dispatch(pid, Worker.work)) == f"the mailbox of process {pid} is full"
    assert first.get() == "done"


def test_a_dropped_dispatch_tells_of_the_filter(runtime: Runtime) -> None:
    pid = runtime.spawn(Worker())
    runtime.filter(lambda receiver, event: event.kind == "DISPATCH")
    assert reason(runtime.dispatch(pid, Worker.work)) == (
        f"the event filter dropped the call of process {pid}"
    )


def test_a_runtime_that_has_stopped_is_told_there_and_elsewhere(
    make_runtime: RuntimeMaker,
) -> None:
    stopped, other = make_runtime(), make_runtime()
    pid = stopped.spawn(Worker())
    stopped.stop()
    for node in (stopped, other):
        assert reason(node.dispatch(pid, Worker.work)) == (
            f"the runtime of process {pid} was stopped"
        )


def test_a_call_after_finalize_says_so() -> None:
    greenproc.initialize(settings=Settings(ip="127.0.0.1"))
    pid = greenproc.spawn(Worker())
    greenproc.finalize()
    with pytest.raises(NoRuntime, match=r"the runtime was stopped, call greenproc\.initialize"):
        greenproc.dispatch(pid, Worker.work)
    greenproc.initialize(settings=Settings(ip="127.0.0.1"))
    try:
        told = reason(greenproc.dispatch(pid, Worker.work))
    finally:
        greenproc.finalize()
    assert told == f"the runtime of process {pid} was stopped"


def test_few_ends_are_remembered(runtime: Runtime) -> None:
    pids = [runtime.run_async(int) for _ in range(3 * MAX_REMEMBERED)]
    runtime.settle()
    assert len(pids) > len(runtime.processes.ended) == MAX_REMEMBERED
    assert default.stopped.maxlen is not None


# Failures


@pytest.fixture
def _no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_no_collector")
def test_a_failed_dispatch_that_nothing_reads_is_logged(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    pid = runtime.spawn(Worker())
    with expect_failure(ValueError, "broken on purpose"):
        runtime.dispatch(pid, Worker.fail)
        runtime.settle()
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.getMessage() == (
        f"the dispatch of Worker.fail to {pid} failed, and its future was dropped unread: "
        "get() it, or add on_failed()"
    )
    assert "in fail\n    raise ValueError" in caplog.text


@pytest.mark.usefixtures("_no_collector")
def test_a_failed_dispatch_that_is_read_is_not_logged(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    pid = runtime.spawn(Worker())
    with pytest.raises(ValueError, match="on purpose"):
        runtime.dispatch(pid, Worker.fail).get()
    runtime.dispatch(pid, Worker.fail).on_failed(lambda error: None)
    runtime.settle()
    assert not caplog.records
