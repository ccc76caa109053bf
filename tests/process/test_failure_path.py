"""Errors in what follows an error or an end: the process ends all the same, and whoever waits knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import gevent
import pytest
from gevent.event import Event

from greenproc.errors import Abandoned
from greenproc.failures import MAX_NOTES, note
from greenproc.future import Promise
from greenproc.pid import UPID
from greenproc.process import Event as ProcessEvent
from greenproc.process import ExitedEvent, Process, install
from greenproc.process.base import record_of
from greenproc.process.invariants import check_invariants
from greenproc.runtime import Runtime
from greenproc.testing import expect_failure
from greenproc.testing.errors import ERROR_LOG

RAISED = [ValueError("again"), gevent.Timeout(1.0, "again"), gevent.GreenletExit("again")]


class Failing(Process):
    """Fails, and fails in dealing with it."""

    def __init__(self, error: BaseException, again: Callable[[], object]) -> None:
        super().__init__()
        self.error = error
        self.again = again

    @install("m")
    def on_m(self, sender: UPID, body: bytes) -> None:
        raise self.error

    def failed(self, event: ProcessEvent | None, error: BaseException) -> None:
        self.again()


class Watcher(Process):
    def __init__(self, pid: UPID) -> None:
        super().__init__()
        self.watched = pid
        self.reasons: list[BaseException | None] = []

    def initialize(self) -> None:
        self.link(self.watched)

    def consume_exited(self, event: ExitedEvent) -> None:
        self.reasons.append(event.reason)


@contextmanager
def tolerated(*kinds: type[BaseException]) -> Iterator[None]:
    """Let errors of these *kinds* be reported or not within the block."""
    yield
    log = ERROR_LOG.get()
    assert log is not None
    log.errors = [error for error in log.errors if not isinstance(error, kinds)]


def raising(error: BaseException) -> Callable[..., Any]:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise error

    return fail


def assert_ends(runtime: Runtime, process: Process, cause: Callable[[], object]) -> Watcher:
    """Check that *process* ends after *cause*: waiters, linkers and dispatches are told."""
    pid = runtime.spawn(process)
    watcher = Watcher(pid)
    runtime.spawn(watcher)
    runtime.settle()
    waiter = gevent.spawn(runtime.wait, pid)
    gevent.idle()
    cause()
    called = runtime.dispatch(pid, lambda: None)
    assert waiter.get(timeout=15.0) is True
    runtime.settle()
    with pytest.raises(Abandoned):
        called.get(timeout=15.0)
    assert runtime.processes.find_process(pid) is None
    assert len(watcher.reasons) == 1
    check_invariants(runtime.processes)
    return watcher


@pytest.mark.parametrize("again", RAISED, ids=repr)
def test_process_whose_failed_raises_ends(runtime: Runtime, again: BaseException) -> None:
    error = KeyError("first")
    process = Failing(error, raising(again))
    with tolerated(KeyError, type(again)):
        watcher = assert_ends(runtime, process, lambda: runtime.post(process, "m"))
    assert watcher.reasons == [error]


def test_process_that_is_killed_while_its_failed_waits_ends(runtime: Runtime) -> None:
    process = Failing(KeyError("first"), Event().wait)

    def cause() -> None:
        runtime.post(process, "m")
        gevent.idle()
        gevent.kill(record_of(process).greenlet)

    with expect_failure(KeyError, "first"):
        assert_ends(runtime, process, cause)


@dataclass(frozen=True)
class Frozen(Exception):
    text: str


class Bare(Exception):
    __slots__ = ()

    def add_note(self, text: str) -> None:
        raise RuntimeError("no notes")


class Silent(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Nameless:
    """A callable that fails, and fails again when its name or text is read."""

    def __init__(self, error: BaseException, again: BaseException) -> None:
        self.error = error
        self.again = again

    def __call__(self) -> None:
        raise self.error

    def __getattr__(self, name: str) -> object:
        raise self.again if name == "__qualname__" else AttributeError(name)

    def __repr__(self) -> str:
        raise self.again


@pytest.mark.parametrize("again", RAISED[:2], ids=repr)
def test_dispatch_of_a_callable_without_a_readable_name_fails_its_future_only(
    runtime: Runtime, again: BaseException
) -> None:
    pid = runtime.spawn(Process())
    error = KeyError("first")
    with pytest.raises(KeyError, match="first"):
        runtime.dispatch(pid, Nameless(error, again)).get(timeout=15.0)
    assert runtime.dispatch(pid, lambda: 1).get(timeout=15.0) == 1
    runtime.terminate(pid)
    runtime.wait(pid)
    dropped = runtime.dispatch(pid, Nameless(error, again))
    with pytest.raises(Abandoned):
        dropped.get(timeout=15.0)
    assert [letter.name for letter in runtime.dead_letters] == ["Nameless"]


@pytest.mark.parametrize("again", RAISED[:2], ids=repr)
def test_arguments_that_do_not_fit_a_callable_without_a_readable_name_are_explained(
    runtime: Runtime, again: BaseException
) -> None:
    pid = runtime.spawn(Process())
    with pytest.raises(TypeError, match=r"expected a Nameless\(\) -> "):
        runtime.dispatch(pid, Nameless(KeyError("first"), again), "too much").get(timeout=15.0)


@pytest.mark.parametrize("error", [Frozen("first"), Bare("first"), Silent()], ids=type)
def test_exception_of_any_make_ends_the_process(runtime: Runtime, error: Exception) -> None:
    process = Failing(error, Process)

    def end() -> None:
        Process.failed(process, None, error)

    process.again = end
    with tolerated(type(error)):
        watcher = assert_ends(runtime, process, lambda: runtime.post(process, "m"))
    assert watcher.reasons == [error]


@pytest.mark.parametrize("error", [Frozen("first"), Bare("first"), Silent()], ids=type)
def test_exception_of_any_make_fails_a_dispatch(runtime: Runtime, error: Exception) -> None:
    pid = runtime.spawn(Process())
    with pytest.raises(type(error)):
        runtime.dispatch(pid, raising(error)).get(timeout=15.0)
    assert runtime.dispatch(pid, lambda: 1).get(timeout=15.0) == 1


@pytest.mark.parametrize("again", RAISED, ids=repr)
@pytest.mark.parametrize("name", ["process_terminated", "link_lost", "message_dropped"])
def test_process_ends_whatever_a_receiver_raises(
    runtime: Runtime, name: str, again: BaseException
) -> None:
    process = Failing(ValueError("unused"), Process)
    signal, receiver = getattr(runtime.signals, name), raising(again)
    signal.connect(receiver)

    def cause() -> None:
        gate: Promise[None] = Promise()
        runtime.dispatch(process, gate.future.get)
        runtime.post(process, "dropped")
        runtime.terminate(process)
        gevent.idle()
        gate.set(None)

    with tolerated(type(again)):
        assert_ends(runtime, process, cause)
        signal.disconnect(receiver)


@pytest.mark.parametrize("again", RAISED, ids=repr)
def test_process_ends_whatever_a_callback_of_a_dropped_dispatch_raises(
    runtime: Runtime, again: BaseException
) -> None:
    process = Failing(ValueError("unused"), Process)

    def cause() -> None:
        dropped = runtime.dispatch(process, lambda: None)
        dropped.on_abandoned(raising(again))
        runtime.terminate(process)

    with tolerated(type(again)):
        assert_ends(runtime, process, cause)


def test_process_that_is_killed_while_it_cleans_up_ends(runtime: Runtime) -> None:
    process = Failing(ValueError("unused"), Process)

    def cause() -> None:
        dropped = runtime.dispatch(process, lambda: None)
        dropped.on_abandoned(Event().wait)
        runtime.terminate(process)
        gevent.idle()
        greenlet = record_of(process).greenlet
        assert greenlet is not None
        gevent.kill(greenlet)

    assert_ends(runtime, process, cause)


def test_fault_in_the_runtime_ends_the_process(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Failing(KeyError("first"), Process)
    error = RuntimeError("a fault")
    monkeypatch.setattr(runtime.processes.runner, "_fail", raising(error))
    with tolerated(RuntimeError, KeyError):
        watcher = assert_ends(runtime, process, lambda: runtime.post(process, "m"))
    assert watcher.reasons == [error]


@pytest.mark.parametrize("again", RAISED[:2], ids=repr)
def test_event_is_served_whatever_its_filter_raises(
    runtime: Runtime, again: BaseException
) -> None:
    pid = runtime.spawn(Process())
    runtime.settle()
    runtime.filter(raising(again))
    with tolerated(type(again)):
        assert runtime.dispatch(pid, lambda: "served").get(timeout=15.0) == "served"
        runtime.filter(None)


def test_shared_exception_gets_each_note_once(runtime: Runtime) -> None:
    error = ValueError("shared")
    pid = runtime.spawn(Process())
    for _ in range(100):
        with pytest.raises(ValueError, match="shared"):
            runtime.dispatch(pid, raising(error)).get(timeout=15.0)
    assert error.__notes__ == [f"in process {pid}, serving DISPATCH"]


def test_notes_of_an_exception_are_bounded() -> None:
    error = ValueError("shared")
    for number in range(100):
        note(error, f"note {number}")
    assert len(error.__notes__) == MAX_NOTES


@pytest.mark.parametrize("error", [ValueError("a step"), gevent.Timeout(1.0, "a step")], ids=type)
def test_a_step_of_an_end_that_fails_keeps_nothing_from_those_after_it(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    process = Process()
    watchers = [Watcher(runtime.spawn(process)), Watcher(process.pid)]
    for watcher in watchers:
        runtime.spawn(watcher)
    runtime.settle()
    tell_end = runtime.processes.linking.tell_end
    steps = iter([raising(error), tell_end])

    def tell_next(*linker_and_ended: Any) -> None:
        next(steps)(*linker_and_ended)

    monkeypatch.setattr(runtime.processes.linking, "tell_end", tell_next)

    with tolerated(type(error)):
        runtime.terminate(process)
        runtime.settle()

    assert sorted(len(watcher.reasons) for watcher in watchers) == [0, 1]
    check_invariants(runtime.processes)
