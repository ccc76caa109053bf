"""Twins of libprocess' process_tests.cpp: the paused clock and settling."""

from __future__ import annotations

import gevent

from greenproc.process import Process
from greenproc.runtime import Runtime
from greenproc.testing import await_ready, future_dispatch


class Timed(Process):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def timeout(self) -> None:
        self.calls += 1


def test_delay(runtime: Runtime) -> None:
    """ProcessTest.Delay."""
    runtime.clock.pause()
    process = Timed()
    runtime.delay(5.0, runtime.spawn(process), Timed.timeout)
    fired = future_dispatch(process, Timed.timeout)

    runtime.clock.advance(4.0)
    runtime.settle()
    assert fired.is_pending

    runtime.clock.advance(1.0)
    await_ready(fired)
    runtime.settle()
    assert process.calls == 1


def test_order(runtime: Runtime) -> None:
    """ProcessTest.Order."""
    clock = runtime.clock
    clock.pause()
    now = clock.now()
    process1 = Timed()
    runtime.spawn(process1)

    clock.advance(1.0)
    assert clock.now() == now + 1.0
    assert clock.now(process1) == now

    process2 = Timed()
    runtime.spawn(process2)
    assert clock.now(process2) == now + 1.0

    # An event from the younger process brings the older one up to its time.
    runtime.dispatch(process2, lambda: runtime.dispatch(process1, Timed.timeout)).get()
    runtime.settle()
    assert process1.calls == 1
    assert clock.now(process1) == now + 1.0


def take_a_while() -> None:
    """Give everybody else several turns."""
    for _ in range(10):
        gevent.sleep(0)


def test_settle(runtime: Runtime) -> None:
    """ProcessTest.Settle, with turns for others where the original sleeps."""
    done: list[str] = []

    class Settles(Process):
        def initialize(self) -> None:
            take_a_while()
            self.runtime.delay(0.0, self.pid, Settles.after_delay)

        def after_delay(self) -> None:
            take_a_while()
            self.runtime.dispatch(self.pid, Settles.after_dispatch)

        def after_dispatch(self) -> None:
            take_a_while()
            pid = self.runtime.spawn(Process())
            self.runtime.terminate(pid)
            self.runtime.wait(pid)
            done.append("settled")

    runtime.clock.pause()
    runtime.spawn(Settles())
    runtime.settle()
    assert done == ["settled"]
