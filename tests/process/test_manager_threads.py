"""Native threads beside the one that runs the processes."""

from __future__ import annotations

from collections.abc import Callable

import gevent
import pytest
from gevent.event import Event
from gevent.monkey import get_original

from greenproc.errors import StateError
from greenproc.future import Promise
from greenproc.pid import PID, UPID
from greenproc.process import Process, install
from greenproc.runtime import Runtime
from greenproc.testing import await_ready


class Receiver(Process):
    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[bytes] = []

    @install("m")
    def on_m(self, sender: UPID, body: bytes) -> None:
        self.bodies.append(body)

    def call(self, value: object) -> object:
        return value


def start_thread(function: Callable[[], object]) -> None:
    get_original("threading", "Thread")(target=function).start()


def start_in_pool(function: Callable[[], object]) -> None:
    gevent.get_hub().threadpool.spawn(function)


NATIVE = {"threading": start_thread, "threadpool": start_in_pool}


@pytest.mark.parametrize("start", NATIVE.values(), ids=NATIVE)
def test_other_threads_may_post_dispatch_and_terminate(
    runtime: Runtime, start: Callable[[Callable[[], object]], object]
) -> None:
    receiver = Receiver()
    pid = runtime.spawn(receiver)
    called: Promise[object] = Promise()

    def work() -> None:
        runtime.post(pid, "m", b"from a thread")
        receiver.send(pid, "m", b"sent from a thread")
        called.set(runtime.dispatch(pid, Receiver.call, 42))
        runtime.terminate(pid, inject=False)

    start(work)
    assert await_ready(called.future) == 42
    runtime.wait(pid)
    assert receiver.bodies == [b"from a thread", b"sent from a thread"]


@pytest.mark.parametrize("start", NATIVE.values(), ids=NATIVE)
def test_thread_may_wait_for_a_dispatch(
    runtime: Runtime, start: Callable[[Callable[[], object]], object]
) -> None:
    pid = runtime.spawn(Receiver())
    got: Promise[object] = Promise()
    start(lambda: got.set(runtime.dispatch(pid, Receiver.call, "value").get(timeout=15.0)))
    assert await_ready(got.future) == "value"


def test_thread_cannot_spawn(runtime: Runtime) -> None:
    def spawn() -> str:
        try:
            runtime.spawn(Process())
        except StateError as error:
            return str(error)
        return "spawned"

    told = gevent.get_hub().threadpool.apply(spawn)
    assert "use runtime.call_from_thread()" in told


def test_call_from_thread_runs_in_the_runtime(runtime: Runtime) -> None:
    spawned: Promise[PID[Process]] = Promise()
    start_thread(
        lambda: runtime.call_from_thread(lambda: spawned.set(runtime.spawn(Process("threaded"))))
    )
    assert await_ready(spawned.future) == UPID("threaded", runtime.address)


def test_threads_that_post_lose_nothing_and_keep_their_order(runtime: Runtime) -> None:
    done = Event()
    got: dict[str, list[int]] = {name: [] for name in "abc"}

    class Counting(Process):
        @install("m")
        def on_m(self, sender: UPID, body: bytes) -> None:
            got[sender.id].append(int(body))
            if sum(map(len, got.values())) == 600:
                done.set()

    pid = runtime.spawn(Counting())

    def work(name: str) -> None:
        for number in range(200):
            runtime.post(pid, "m", str(number).encode(), sender=UPID(name, pid.address))

    for name in got:
        start_thread(lambda name=name: work(name))
    assert done.wait(15.0)
    assert list(got.values()) == [list(range(200))] * 3
