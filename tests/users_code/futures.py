"""Rows: what futures call, and what works by futures: loops, descriptors, locks."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gevent import get_hub
from gevent.event import Event

from greenproc import io
from greenproc.future import Break, Future, Promise, StateMachine, after, loop, offload
from greenproc.process import Process
from greenproc.runtime import Runtime
from greenproc.sync import (
    Latch,
    Mutex,
    Once,
    Pipe,
    Queue,
    RateLimiter,
    ReadWriteLock,
    Sequence,
)
from tests.users_code.support import (
    HUB,
    LIMIT,
    Check,
    Misbehaviour,
    Row,
    Subject,
    Trigger,
    assert_ended,
    assert_follows,
    assert_set,
    has_ended,
)

ONE_BY_ONE = "the callbacks of one future are called one after the other"
NO_RUNTIME = "it was begun outside of any runtime, in a greenlet that no runtime knows"


def callback_of_dispatch(runtime: Runtime, call: Misbehaviour) -> Check:
    """It runs in the turn of the process, which a kill ends."""
    target = runtime.spawn(Subject())
    future = runtime.dispatch(target, Subject.method)
    future.on_any(call)

    def check() -> None:
        assert future.get(timeout=LIMIT) == "method"
        if call.is_killed:
            assert has_ended(runtime, target)
        elif call.fails:
            assert runtime.dispatch(target, lambda: "alive").get(timeout=LIMIT) == "alive"

    return check


def callback_of_failed_dispatch(runtime: Runtime, call: Misbehaviour) -> Check:
    """What the callback raises is no failure of the process, whose method failed before."""

    def method() -> None:
        raise ValueError("for failed()")

    target = runtime.spawn(Subject())
    runtime.dispatch(target, method).on_failed(call)

    def check() -> None:
        if call.is_killed:
            assert has_ended(runtime, target)
        elif call.fails:
            assert runtime.dispatch(target, lambda: "alive").get(timeout=LIMIT) == "alive"

    return check


def callback_of_dropped_dispatch(runtime: Runtime, call: Misbehaviour) -> Check:
    """It runs where a process that terminates drops what is queued, and the process is told nothing."""
    failed: list[object] = []

    class Ending(Process):
        def failed(self, event: object, error: BaseException) -> None:
            failed.append(error)

    process = Ending()
    target = runtime.spawn(process)
    runtime.dispatch(target, process.terminate)
    runtime.dispatch(target, int).on_abandoned(call)

    def check() -> None:
        assert call.waits or has_ended(runtime, target)
        assert failed == []

    return check


def then_of_dispatch(runtime: Runtime, call: Misbehaviour) -> Check:
    future = runtime.dispatch(runtime.spawn(Subject()), Subject.method).then(call)
    return lambda: assert_follows(future, call)


def called(
    register: Callable[[Future[Any], Misbehaviour], object],
    complete: Callable[[Promise[Any]], object],
) -> Trigger:
    """Return what completes a future in a greenlet: the other callbacks are called all the same."""

    def run(runtime: Runtime, call: Misbehaviour) -> Check:
        promise: Promise[Any] = Promise()
        register(promise.future, call)
        second = Event()
        promise.future.add_done_callback(lambda _: second.set())
        promise.future.on_discard(second.set)
        promise.future.on_abandoned(second.set)
        completing = runtime.spawn_greenlet(complete, promise)

        def check() -> None:
            assert_set(second)
            assert_ended(completing, call)

        return check

    return run


def followed(
    follow: Callable[[Future[Any], Misbehaviour], Future[Any]],
    complete: Callable[[Promise[Any]], object],
) -> Trigger:
    """Return what completes a future in a greenlet: the one that *follow* makes ends as the code."""

    def run(runtime: Runtime, call: Misbehaviour) -> Check:
        promise: Promise[Any] = Promise()
        following = follow(promise.future, call)
        completing = runtime.spawn_greenlet(complete, promise)

        def check() -> None:
            assert_follows(following, call)
            assert_ended(completing, call)

        return check

    return run


def fail(promise: Promise[Any]) -> object:
    return promise.fail("boom")


def complete(promise: Promise[Any]) -> object:
    return promise.set(1)


def linked(runtime: Runtime, call: Misbehaviour) -> Check:
    """Links are called in the hub, as those of gevent."""
    promise: Promise[Any] = Promise()
    promise.future.rawlink(call)
    second = Event()
    promise.future.rawlink(lambda _: second.set())
    completing = runtime.spawn_greenlet(complete, promise)

    def check() -> None:
        assert_set(second)
        assert completing.get(timeout=LIMIT) is True

    return check


def on_expiry(runtime: Runtime, call: Misbehaviour) -> Check:
    promise: Promise[Any] = Promise()
    following = promise.future.after(0.0, lambda _: call())

    def check() -> None:
        assert_follows(following, call)
        promise.abandon()

    return check


def after_a_while(runtime: Runtime, call: Misbehaviour) -> Check:
    second = Event()
    after(0.0).on_ready(call)
    after(0.0).on_ready(lambda _: second.set())

    def check() -> None:
        after(0.0).on_ready(ignore)  # the next tick of the clock takes what is left of this one
        assert_set(second)

    return check


def ignore(_: object) -> None:
    """Be a callback that does nothing."""


def iterate(runtime: Runtime, call: Misbehaviour) -> Check:
    looping = loop(call, lambda _: Break())
    return lambda: assert_follows(looping, call)


def of_runtime(start: Callable[[Misbehaviour], Future[Any]]) -> Trigger:
    """Return what begins something in the context of the runtime, which then ends it."""

    def run(runtime: Runtime, call: Misbehaviour) -> Check:
        with runtime.selected():
            future = start(call)
        return lambda: assert_follows(future, call)

    return run


def add_two(call: Misbehaviour) -> Future[Any]:
    """The first function is over, whatever it does, before the other begins."""
    sequence = Sequence()
    first = sequence.add(call)
    sequence.add(call).on_failed(ignore)
    return first


def call_in_hub(runtime: Runtime, call: Misbehaviour) -> Check:
    """The hub leaves callbacks to a greenlet of its own, whatever runtime they are of."""
    promise: Promise[int] = Promise()
    with runtime.selected():
        promise.future.on_any(call)
    second = Event()
    promise.future.on_any(lambda _: second.set())
    get_hub().loop.run_callback(promise.set, 1)
    return lambda: assert_set(second)


def inline_body(runtime: Runtime, call: Misbehaviour) -> Check:
    promise: Promise[int] = Promise()
    looping = loop(lambda: promise.future, lambda _: call() or Break(), inline=True)
    completing = runtime.spawn_greenlet(promise.set, 1)

    def check() -> None:
        assert_follows(looping, call)
        assert_ended(completing, call)

    return check


def transition(runtime: Runtime, call: Misbehaviour) -> Check:
    """The state has moved, so the function of the transition is called as well."""
    machine = StateMachine("stopped")
    machine.when("running").on_ready(call)
    second, done = machine.when("running"), Event()
    moving = runtime.spawn_greenlet(machine.transition, "stopped", "running", done.set)

    def check() -> None:
        assert machine.state == "running"
        if not call.waits:
            assert second.get(timeout=LIMIT) is None
            assert_set(done)
        assert_ended(moving, call)

    return check


def function_of_transition(runtime: Runtime, call: Misbehaviour) -> Check:
    machine = StateMachine("stopped")
    moving = runtime.spawn_greenlet(machine.transition, "stopped", "running", call)

    def check() -> None:
        assert_ended(moving, call, by_errors=True)
        machine.transition("running", "stopped")

    return check


def in_a_thread(runtime: Runtime, call: Misbehaviour) -> Check:
    """There is no greenlet that a kill could end, so that fails the future as all others do."""
    future = offload(call)

    def check() -> None:
        assert future.await_(LIMIT)
        assert future.exception is call.raised[0]
        assert offload(int).get(timeout=LIMIT) == 0

    return check


# Descriptors


def poll(runtime: Runtime, call: Misbehaviour) -> Check:
    reader, writer = os.pipe()
    os.write(writer, b"x")
    io.poll(reader, io.READ).on_any(call)
    second = io.poll(reader, io.READ)
    second.add_done_callback(lambda _: close(reader, writer))
    return lambda: second.get(timeout=LIMIT)


def redirect(runtime: Runtime, call: Misbehaviour) -> Check:
    reader, writer = os.pipe()
    os.write(writer, b"x")
    copying = io.redirect(reader, hooks=[call])
    close(reader, writer)
    return lambda: assert_follows(copying, call)


def watch(runtime: Runtime, call: Misbehaviour) -> Check:
    """What waits for one event of a watcher keeps the next one from nothing."""
    number, path = tempfile.mkstemp()
    watcher = io.Watcher()
    watcher.add(path)
    watcher.events.get().on_ready(call)
    os.write(number, b"x")

    def check() -> None:
        os.write(number, b"y")
        if call.waits:  # in the greenlet that reads the events of this watcher
            assert watcher.events.size() == 0
        else:
            assert watcher.events.get().get(timeout=LIMIT).path == path
        watcher.close()
        close(number)
        Path(path).unlink()

    return check


def close(*numbers: int) -> None:
    for number in numbers:
        os.close(number)


# Locks and queues


def held_by(make: Callable[[], Any], *names: str, inline: bool = True) -> Trigger:
    """Return what runs the code by the method *names[0]* of a lock, which is free then.

    A kill of code that is called at once comes out of the method, which returns no future.
    """

    def run(runtime: Runtime, call: Misbehaviour) -> Check:
        lock = make()
        first, *others = names
        running = runtime.spawn_greenlet(lambda: [getattr(lock, first)(call)])

        def check() -> None:
            if inline and call.how is not ValueError:
                assert_ended(running, call)
            else:
                assert_follows(running.get(timeout=LIMIT)[0], call)
            if not call.waits:
                for name in (first, *others):
                    assert getattr(lock, name)(int).get(timeout=LIMIT) == 0

        return check

    return run


def held_in_turn(make: Callable[[], Any], run_name: str, lock_name: str, unlock: str) -> Trigger:
    """Return what lets the code run in the greenlet that unlocks."""

    def run(runtime: Runtime, call: Misbehaviour) -> Check:
        lock = make()
        assert getattr(lock, lock_name)().is_ready
        future = getattr(lock, run_name)(call)
        unlocking = runtime.spawn_greenlet(getattr(lock, unlock))

        def check() -> None:
            assert_follows(future, call)
            assert_ended(unlocking, call)
            if not call.waits:
                assert getattr(lock, run_name)(int).get(timeout=LIMIT) == 0

        return check

    return run


def limited(runtime: Runtime, call: Misbehaviour) -> Check:
    limiter = RateLimiter(1, 0.001)
    assert limiter.acquire().get(timeout=LIMIT) is None
    limiter.acquire().on_ready(call)
    return lambda: limiter.acquire().get(timeout=LIMIT)


def queued(runtime: Runtime, call: Misbehaviour) -> Check:
    queue: Queue[int] = Queue()
    queue.get().on_ready(call)
    putting = runtime.spawn_greenlet(queue.put, 1)

    def check() -> None:
        assert_ended(putting, call)
        queue.put(2)
        assert queue.get().get(timeout=LIMIT) == 2

    return check


def latched(runtime: Runtime, call: Misbehaviour) -> Check:
    latch = Latch()
    latch.triggered().on_ready(call)
    second = latch.triggered()
    triggering = runtime.spawn_greenlet(latch.trigger)

    def check() -> None:
        assert_ended(triggering, call)
        assert latch.is_triggered
        if not call.waits:
            assert second.get(timeout=LIMIT) is None

    return check


def once(runtime: Runtime, call: Misbehaviour) -> Check:
    work = Once()
    first = runtime.spawn_greenlet(work.call, call)

    def check() -> None:
        assert_ended(first, call, by_errors=True)
        if not call.waits:
            assert work.finished().get(timeout=LIMIT) is None
            work.call(call)  # which was called once

    return check


def piped(runtime: Runtime, call: Misbehaviour) -> Check:
    pipe = Pipe()
    pipe.reader.read().on_ready(call)
    writing = runtime.spawn_greenlet(pipe.writer.write, b"first")

    def check() -> None:
        assert_ended(writing, call)
        pipe.writer.write(b"second")
        assert pipe.reader.read().get(timeout=LIMIT) == b"second"

    return check


def told_of_close(runtime: Runtime, call: Misbehaviour) -> Check:
    pipe = Pipe()
    pipe.writer.reader_closed.on_ready(call)
    closing = runtime.spawn_greenlet(pipe.reader.close)

    def check() -> None:
        assert_ended(closing, call)
        assert not pipe.writer.write(b"more")

    return check


def callback(name: str, complete: Callable[[Promise[Any]], object]) -> Row:
    return Row(
        called(lambda future, call: getattr(future, name)(call), complete),
        HUB,
        holds_up=ONE_BY_ONE,
    )


def function(
    follow: Callable[[Future[Any], Misbehaviour], Future[Any]],
    complete: Callable[[Promise[Any]], object],
) -> Row:
    """Return the row of what makes a future: that has an exception, and a timeout goes on."""
    return Row(followed(follow, complete), timeout_logger=HUB)


FUTURES = {
    "callback of a dispatch": Row(callback_of_dispatch, HUB, "greenproc.process"),
    "callback of a failed dispatch": Row(callback_of_failed_dispatch, HUB, "greenproc.process"),
    "callback of a dropped dispatch": Row(callback_of_dropped_dispatch, HUB, "greenproc.process"),
    "function of then": Row(then_of_dispatch, timeout_logger="greenproc.process"),
    "on_ready": callback("on_ready", complete),
    "on_failed": callback("on_failed", fail),
    "on_discarded": callback("on_discarded", Promise.discard),
    "on_discard": callback("on_discard", lambda promise: promise.future.discard()),
    "on_abandoned": callback("on_abandoned", Promise.abandon),
    "on_any": callback("on_any", complete),
    "link": Row(linked, HUB, must_not_wait="links are called in the hub, as those of gevent"),
    "then": function(lambda future, call: future.then(call), complete),
    "recover": function(lambda future, call: future.recover(call), fail),
    "repair": function(lambda future, call: future.repair(call), fail),
    "function of after": Row(on_expiry, timeout_logger="greenproc.clock", outlives=NO_RUNTIME),
    "callback of after": Row(after_a_while, HUB, "greenproc.clock", outlives=NO_RUNTIME),
    "step of a loop": Row(iterate, outlives=NO_RUNTIME),
    "step of a loop of a runtime": Row(of_runtime(lambda call: loop(call, lambda _: Break()))),
    "body of a loop of a runtime": Row(of_runtime(lambda call: loop(int, call))),
    "Sequence of a runtime": Row(of_runtime(lambda call: Sequence().add(call))),
    "two functions of a Sequence of a runtime": Row(of_runtime(add_two)),
    "callback that the hub leaves to others": Row(call_in_hub, HUB, holds_up=ONE_BY_ONE),
    "body of an inline loop": Row(inline_body, timeout_logger=HUB),
    "callback of a state": Row(transition, HUB),
    "function of a transition": Row(function_of_transition, HUB),
    "function of offload": Row(in_a_thread, must_not_wait="nothing ends a native thread"),
    "callback of poll": Row(poll, HUB, outlives=NO_RUNTIME),
    "hook of redirect": Row(redirect, outlives=NO_RUNTIME),
    "callback of a watcher": Row(watch, HUB, "greenproc.io", outlives=NO_RUNTIME),
    "Sequence": Row(held_by(Sequence, "add", inline=False), outlives=NO_RUNTIME),
    "Mutex.run": Row(held_by(Mutex, "run"), timeout_logger=HUB),
    "run_reading": Row(held_by(ReadWriteLock, "run_reading", "run_writing"), timeout_logger=HUB),
    "run_writing": Row(held_by(ReadWriteLock, "run_writing", "run_reading"), timeout_logger=HUB),
    "Mutex.run in turn": Row(held_in_turn(Mutex, "run", "lock", "unlock"), timeout_logger=HUB),
    "run_writing in turn": Row(
        held_in_turn(ReadWriteLock, "run_writing", "write_lock", "write_unlock"),
        timeout_logger=HUB,
    ),
    "callback of a permit": Row(limited, HUB, "greenproc.clock", outlives=NO_RUNTIME),
    "callback of a queue": Row(queued, HUB),
    "callback of a latch": Row(latched, HUB),
    "Once": Row(once, HUB),
    "callback of a read": Row(piped, HUB),
    "callback of reader_closed": Row(told_of_close, HUB),
}
