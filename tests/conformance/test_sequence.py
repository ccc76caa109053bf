"""libprocess' sequence_tests.cpp."""

from __future__ import annotations

import random
from typing import Any

import pytest

from greenproc.future import Future, Promise
from greenproc.process import Process
from greenproc.runtime import Runtime
from greenproc.sync import Sequence
from greenproc.testing import await_discarded, await_ready, future_dispatch


def settle(runtime: Runtime) -> None:
    """Let everything happen that can."""
    runtime.clock.pause()
    runtime.settle()
    runtime.clock.resume()


class SerializeProcess(Process):
    def __init__(self) -> None:
        super().__init__()
        self.promise: Promise[None] = Promise()

    def foo(self) -> Future[Any]:
        return self.runtime.dispatch(self, SerializeProcess.foo_again)

    def foo_again(self) -> Future[Any]:
        return self.runtime.dispatch(self, SerializeProcess.foo_at_last)

    def foo_at_last(self) -> Future[None]:
        return self.promise.future

    def bar(self) -> None:
        pass


def test_serialize(runtime: Runtime) -> None:
    """SequenceTest.Serialize."""
    process = SerializeProcess()
    pid = runtime.spawn(process)
    sequence = Sequence()
    bar = future_dispatch(method=SerializeProcess.bar)

    sequence.add(runtime.defer(pid, SerializeProcess.foo))
    sequence.add(runtime.defer(pid, SerializeProcess.bar))
    settle(runtime)
    assert bar.is_pending

    process.promise.set(None)
    await_ready(bar)
    runtime.terminate(pid)
    runtime.wait(pid)


class DiscardProcess(Process):
    def __init__(self) -> None:
        super().__init__()
        self.promise: Promise[None] = Promise()
        self.called: list[int] = []

    def func0(self) -> Future[None]:
        return self.promise.future

    def func(self, number: int) -> None:
        self.called.append(number)


@pytest.fixture
def process(runtime: Runtime) -> DiscardProcess:
    process = DiscardProcess()
    runtime.spawn(process)
    return process


def add_four(runtime: Runtime, process: DiscardProcess, sequence: Sequence) -> list[Future[Any]]:
    futures = [sequence.add(runtime.defer(process, DiscardProcess.func0))]
    futures += [
        sequence.add(runtime.defer(process, DiscardProcess.func, number)) for number in (1, 2, 3)
    ]
    settle(runtime)
    return futures


def test_discard_one(runtime: Runtime, process: DiscardProcess) -> None:
    """SequenceTest.DiscardOne."""
    futures = add_four(runtime, process, Sequence())

    futures[2].discard()
    process.promise.set(None)

    await_ready(futures[3])
    await_ready(futures[0])
    await_ready(futures[1])
    await_discarded(futures[2])
    assert process.called == [1, 3]


def test_discard_all(runtime: Runtime, process: DiscardProcess) -> None:
    """SequenceTest.DiscardAll: here the sequence is closed, not destroyed."""
    sequence = Sequence()
    futures = add_four(runtime, process, sequence)

    sequence.close()
    process.promise.set(None)

    await_ready(futures[0])
    for future in futures[1:]:
        await_discarded(future)
    assert process.called == []


class RandomProcess(Process):
    def __init__(self) -> None:
        super().__init__()
        self.value = 0
        self.verified = 0

    def verify(self) -> None:
        assert self.value == 0
        self.verified += 1

    def pulse(self) -> Future[Any]:
        self.value += 1
        return self.runtime.dispatch(self, RandomProcess.pulse_again)

    def pulse_again(self) -> None:
        self.value -= 1


def test_random(runtime: Runtime) -> None:
    """SequenceTest.Random."""
    process = RandomProcess()
    pid = runtime.spawn(process)
    sequence = Sequence()
    choices = random.Random(2026).choices([RandomProcess.pulse, RandomProcess.verify], k=100)

    futures = [sequence.add(runtime.defer(pid, method)) for method in choices]

    for future in futures:
        await_ready(future)
    assert process.verified == choices.count(RandomProcess.verify)
