"""What a runtime that was stopped says when something is asked of it."""

from __future__ import annotations

import logging
from threading import Thread

import pytest

import greenproc
from greenproc.current import default
from greenproc.errors import Abandoned, StateError
from greenproc.pid import UPID
from greenproc.process import Process
from greenproc.runtime import Runtime
from greenproc.settings import Settings
from greenproc.testing import RuntimeMaker

AWAY = UPID.parse("away@127.0.0.1:9")


@pytest.fixture
def stopped(make_runtime: RuntimeMaker) -> tuple[Runtime, Process]:
    runtime, process = make_runtime(), Process("gone")
    runtime.spawn(process)
    runtime.stop()
    return runtime, process


def test_post_and_delay_say_that_it_was_stopped(stopped: tuple[Runtime, Process]) -> None:
    runtime, process = stopped
    with pytest.raises(StateError, match=r"post\(\) was called on a runtime that was stopped"):
        runtime.post(process, "hello")
    with pytest.raises(StateError, match=r"delay\(\) was called on a runtime that was stopped"):
        runtime.delay(1, process, int)


@pytest.mark.parametrize("is_local", [True, False])
def test_a_process_of_it_cannot_send(stopped: tuple[Runtime, Process], is_local: bool) -> None:
    process = stopped[1]
    with pytest.raises(StateError, match=r"'hello' cannot be sent to .*: the runtime was stopped"):
        process.send(process.pid if is_local else AWAY, "hello")


def test_another_thread_is_told_too(stopped: tuple[Runtime, Process]) -> None:
    caught: list[Exception] = []

    def send() -> None:
        try:
            stopped[1].send(AWAY, "hello")
        except StateError as error:
            caught.append(error)

    thread = Thread(target=send)
    thread.start()
    thread.join()
    assert len(caught) == 1


def test_other_runtimes_say_it_of_its_processes(
    stopped: tuple[Runtime, Process], runtime: Runtime
) -> None:
    pid = stopped[1].pid
    with pytest.raises(StateError, match=f"the runtime of process {pid} was stopped: spawn"):
        runtime.post(pid, "hello")
    with pytest.raises(StateError, match=f"the runtime of process {pid} was stopped: spawn"):
        runtime.delay(1, pid, int)


def test_an_address_that_is_taken_again_is_no_longer_that_of_a_stopped_one(
    stopped: tuple[Runtime, Process], make_runtime: RuntimeMaker
) -> None:
    address = stopped[1].pid.address
    assert address in default.stopped
    again = make_runtime(Settings(port=address.port))
    assert again.address not in default.stopped
    again.post(UPID("nobody", address), "hello")


def test_spawn_and_run_async_say_that_it_has_stopped(
    stopped: tuple[Runtime, Process], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    assert not stopped[0].spawn(Process())
    assert "the runtime has stopped" in caplog.text
    with pytest.raises(Abandoned, match="the runtime was stopped, which spawned nothing"):
        stopped[0].run_async(int).get(timeout=5)


def test_the_functions_say_it_after_finalize() -> None:
    greenproc.initialize()
    pid = greenproc.spawn(Process())
    greenproc.finalize()
    greenproc.initialize()
    try:
        with pytest.raises(StateError, match="was stopped: spawn the process again"):
            greenproc.post(pid, "hello")
    finally:
        greenproc.finalize()


def test_link_and_settle_say_that_it_was_stopped(stopped: tuple[Runtime, Process]) -> None:
    runtime, process = stopped
    with pytest.raises(StateError, match=r"settle\(\) was called on a runtime that was stopped"):
        runtime.settle()
    with pytest.raises(StateError, match=r"link\(\) was called on a runtime that was stopped"):
        process.link(AWAY)


def test_terminate_may_come_late(stopped: tuple[Runtime, Process]) -> None:
    """All processes have ended: what it asks for is the case."""
    runtime, process = stopped
    runtime.terminate(process)
    process.terminate()
    assert runtime.wait(process, 1.0)
