"""Processes that would wait for each other, or for themselves, for ever."""

from __future__ import annotations

import gevent
import pytest

from greenproc.errors import Deadlock, WaitTimeout
from greenproc.future import Future, Promise
from greenproc.process import Process
from greenproc.process.event import DispatchEvent
from greenproc.runtime import Runtime


class Asking(Process):
    """Waits in its handlers for what others do."""

    def ask(self, target: Process) -> str:
        return self.runtime.dispatch(target, Asking.name).get()

    def ask_through(self, *targets: Process) -> str:
        if not targets:
            return self.name()
        first, *rest = targets
        return self.runtime.dispatch(first, Asking.ask_through, *rest).get()

    def name(self) -> str:
        return self.pid.id

    def wait_for(self, target: Process) -> bool:
        return self.runtime.wait(target)


@pytest.fixture
def asking(runtime: Runtime) -> list[Asking]:
    processes = [Asking(name) for name in ("a", "b", "c")]
    for process in processes:
        runtime.spawn(process)
    return processes


def test_dispatch_to_oneself_is_not_waited_for(runtime: Runtime, asking: list[Asking]) -> None:
    a, _, _ = asking
    with pytest.raises(Deadlock, match="waits for a dispatch to itself"):
        runtime.dispatch(a, Asking.ask, a).get(timeout=15.0)
    assert runtime.dispatch(a, Asking.name).get(timeout=15.0) == "a"


def test_dispatch_to_oneself_is_waited_for_in_vain_with_a_limit(
    runtime: Runtime, asking: list[Asking]
) -> None:
    a, _, _ = asking

    def ask_with_limit() -> str:
        return runtime.dispatch(a, Asking.name).get(timeout=0.001)

    with pytest.raises(WaitTimeout):
        runtime.dispatch(a, ask_with_limit).get(timeout=15.0)


@pytest.mark.parametrize("length", [2, 3])
def test_circle_of_dispatches_is_refused_where_it_is_closed(
    runtime: Runtime, asking: list[Asking], length: int
) -> None:
    circle = [*asking[1:length], asking[0]]
    with pytest.raises(Deadlock, match=r"wait for each other: .* -> a@") as raised:
        runtime.dispatch(asking[0], Asking.ask_through, *circle).get(timeout=15.0)
    assert "then()" in str(raised.value)
    for process in asking:
        assert runtime.dispatch(process, Asking.name).get(timeout=15.0) == process.pid.id


def test_chain_without_a_circle_is_waited_for(runtime: Runtime, asking: list[Asking]) -> None:
    a, b, c = asking
    assert runtime.dispatch(a, Asking.ask_through, b, c).get(timeout=15.0) == "c"


def test_circle_of_waits_for_ends_is_refused(runtime: Runtime, asking: list[Asking]) -> None:
    a, b, c = asking
    first = runtime.dispatch(a, Asking.wait_for, b)
    second = runtime.dispatch(b, Asking.wait_for, c)
    gevent.idle()
    with pytest.raises(Deadlock, match="wait for each other"):
        runtime.dispatch(c, Asking.wait_for, a).get(timeout=15.0)
    for process, waiting in ((c, second), (b, first)):
        runtime.terminate(process)
        assert waiting.get(timeout=15.0) is True


def test_circle_of_a_wait_and_a_dispatch_is_refused(
    runtime: Runtime, asking: list[Asking]
) -> None:
    a, b, _ = asking
    waiting = runtime.dispatch(a, Asking.wait_for, b)
    gevent.idle()
    with pytest.raises(Deadlock):
        runtime.dispatch(b, Asking.ask, a).get(timeout=15.0)
    runtime.terminate(b)
    assert waiting.get(timeout=15.0) is True


def test_answer_that_comes_from_elsewhere_is_no_circle(
    runtime: Runtime, asking: list[Asking]
) -> None:
    a, b, _ = asking
    promise: Promise[str] = Promise()

    def answer_later() -> Future[str]:
        return promise.future

    def ask_both() -> str:
        later = runtime.dispatch(b, answer_later)
        runtime.dispatch(b, Asking.name).get()
        return later.get()

    asked = runtime.dispatch(a, ask_both)
    gevent.idle()
    again = runtime.dispatch(b, Asking.ask, a)  # a waits for what b does not owe any more
    gevent.idle()
    promise.set("later")
    assert asked.get(timeout=15.0) == "later"
    assert again.get(timeout=15.0) == "a"


def test_process_that_serves_dispatches_in_its_own_way_is_trusted(
    runtime: Runtime, asking: list[Asking]
) -> None:
    class Keeping(Process):
        kept: DispatchEvent

        def consume_dispatch(self, event: DispatchEvent) -> None:
            if event.method is Asking.ask:
                super().consume_dispatch(event)
            else:
                self.kept = event

    a, _, _ = asking
    keeping = Keeping()
    runtime.spawn(keeping)
    asked = runtime.dispatch(a, Asking.ask, keeping)
    gevent.idle()
    assert keeping.kept.promise is not None
    keeping.kept.promise.set("kept")
    assert asked.get(timeout=15.0) == "kept"
