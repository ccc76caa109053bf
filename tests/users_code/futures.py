"""Rows: what futures call, and what works by futures: loops, descriptors, locks."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from gevent.event import Event

from greenproc import io
from greenproc.future import Break, Future, Promise, StateMachine, after, loop, offload
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
    LIMIT,
    Check,
    Misbehaviour,
    Subject,
    Trigger,
    gives,
    is_over,
    is_set,
)


def of_dispatch(follow: Callable[[Future[Any], Misbehaviour], Any]) -> Trigger:
    """Return what lets *follow* add the code to the future of a dispatch."""

    def run(runtime: Runtime, call: Misbehaviour) -> Check | None:
        target = runtime.spawn(Subject())
        followed = follow(runtime.dispatch(target, Subject.method), call)
        return is_over(followed)

    return run


def completed(
    follow: Callable[[Future[Any], Misbehaviour], Future[Any] | None],
    complete: Callable[[Promise[Any]], object],
) -> Trigger:
    """Return what completes, in a greenlet, a future to which *follow* added the code."""

    def run(runtime: Runtime, call: Misbehaviour) -> Check:
        promise: Promise[Any] = Promise()
        following = follow(promise.future, call)
        second = Event()
        promise.future.add_done_callback(lambda _: second.set())
        promise.future.on_discard(second.set)
        runtime.spawn_greenlet(complete, promise)
        return is_set(second) if following is None else is_over(following)

    return run


def fail(promise: Promise[Any]) -> object:
    return promise.fail("boom")


def plain(name: str) -> Callable[[Future[Any], Misbehaviour], None]:
    return lambda future, call: getattr(future, name)(lambda *_: call()) and None


def on_expiry(runtime: Runtime, call: Misbehaviour) -> Check:
    promise: Promise[Any] = Promise()
    following = promise.future.after(0.0, call)

    def check() -> None:
        assert following.await_(LIMIT) or following.is_abandoned
        promise.abandon()

    return check


def after_a_while(runtime: Runtime, call: Misbehaviour) -> Check:
    second = Event()
    after(0.0).on_ready(lambda _: call())
    after(0.0).on_ready(lambda _: second.set())
    return is_set(second)


def iterate(runtime: Runtime, call: Misbehaviour) -> Check:
    return is_over(loop(call, lambda _: Break()))


def inline_body(runtime: Runtime, call: Misbehaviour) -> Check:
    promise: Promise[int] = Promise()
    looping = loop(lambda: promise.future, lambda _: call() or Break(), inline=True)
    runtime.spawn_greenlet(promise.set, 1)
    return is_over(looping)


def transition(runtime: Runtime, call: Misbehaviour) -> Check:
    machine = StateMachine("stopped")
    machine.when("running").on_ready(lambda _: call())
    second = machine.when("running")
    runtime.spawn_greenlet(machine.transition, "stopped", "running")
    return gives(lambda: second, None)


def function_of_transition(runtime: Runtime, call: Misbehaviour) -> Check:
    machine = StateMachine("stopped")
    runtime.spawn_greenlet(machine.transition, "stopped", "running", call)

    def check() -> None:
        machine.transition("running", "stopped")

    return check


def in_a_thread(runtime: Runtime, call: Misbehaviour) -> Check:
    return is_over(offload(call))


# Descriptors


def poll(runtime: Runtime, call: Misbehaviour) -> Check:
    reader, writer = os.pipe()
    os.write(writer, b"x")
    io.poll(reader, io.READ).on_any(lambda _: call())
    second = io.poll(reader, io.READ)

    def check() -> None:
        assert second.await_(LIMIT)

    second.add_done_callback(lambda _: close(reader, writer))
    return check


def redirect(runtime: Runtime, call: Misbehaviour) -> Check:
    reader, writer = os.pipe()
    os.write(writer, b"x")
    copying = io.redirect(reader, hooks=[call])
    close(reader, writer)
    return is_over(copying)


def close(*numbers: int) -> None:
    for number in numbers:
        os.close(number)


# Locks and queues


def held_by(make: Callable[[], Any], *names: str) -> Trigger:
    """Return what runs the code by the method *names[0]* of a lock, which must be free then."""

    def run(runtime: Runtime, call: Misbehaviour) -> Check:
        lock = make()
        first, *others = names
        runtime.spawn_greenlet(getattr(lock, first), call)

        def check() -> None:
            for name in (first, *others):
                assert getattr(lock, name)(int).get(timeout=LIMIT) == 0

        return check

    return run


def held_in_turn(runtime: Runtime, call: Misbehaviour) -> Check:
    """Let the code run in the greenlet that unlocks."""
    mutex = Mutex()
    assert mutex.lock().is_ready
    mutex.run(call)
    runtime.spawn_greenlet(mutex.unlock)
    return gives(lambda: mutex.run(int), 0)


def limited(runtime: Runtime, call: Misbehaviour) -> Check:
    limiter = RateLimiter(1, 0.001)
    assert limiter.acquire().get(timeout=LIMIT) is None
    limiter.acquire().on_ready(lambda _: call())
    return gives(limiter.acquire, None)


def queued(runtime: Runtime, call: Misbehaviour) -> Check:
    queue: Queue[int] = Queue()
    queue.get().on_ready(lambda _: call())
    runtime.spawn_greenlet(queue.put, 1)

    def put_and_get() -> Future[int]:
        queue.put(2)
        return queue.get()

    return gives(put_and_get, 2)


def latched(runtime: Runtime, call: Misbehaviour) -> Check:
    latch = Latch()
    latch.triggered().on_ready(lambda _: call())
    second = latch.triggered()
    runtime.spawn_greenlet(latch.trigger)
    return gives(lambda: second, None)


def once(runtime: Runtime, call: Misbehaviour) -> Check:
    work = Once()
    runtime.spawn_greenlet(work.call, call)
    return gives(work.finished, None)


def piped(runtime: Runtime, call: Misbehaviour) -> Check:
    pipe = Pipe()
    pipe.reader.read().on_ready(lambda _: call())
    runtime.spawn_greenlet(pipe.writer.write, b"first")

    def write_and_read() -> Future[bytes]:
        pipe.writer.write(b"second")
        return pipe.reader.read()

    return gives(write_and_read, b"second")


def told_of_close(runtime: Runtime, call: Misbehaviour) -> Check:
    pipe = Pipe()
    pipe.writer.reader_closed.on_ready(lambda _: call())
    runtime.spawn_greenlet(pipe.reader.close)

    def check() -> None:
        assert not pipe.writer.write(b"more")

    return check


FUTURES: dict[str, Trigger] = {
    "callback of a dispatch": of_dispatch(lambda future, call: future.on_any(lambda _: call())),
    "function of then": of_dispatch(lambda future, call: future.then(call)),
    "callback in a greenlet": completed(plain("on_ready"), lambda promise: promise.set(1)),
    "on_failed": completed(plain("on_failed"), fail),
    "on_discarded": completed(plain("on_discarded"), Promise.discard),
    "on_discard": completed(plain("on_discard"), lambda promise: promise.future.discard()),
    "on_abandoned": completed(plain("on_abandoned"), Promise.abandon),
    "link": completed(lambda future, call: future.rawlink(call), lambda promise: promise.set(1)),
    "then in a greenlet": completed(
        lambda future, call: future.then(call), lambda promise: promise.set(1)
    ),
    "recover": completed(lambda future, call: future.recover(call), fail),
    "repair": completed(lambda future, call: future.repair(call), fail),
    "function of after": on_expiry,
    "callback of after": after_a_while,
    "step of a loop": iterate,
    "body of an inline loop": inline_body,
    "callback of a state": transition,
    "function of a transition": function_of_transition,
    "function of offload": in_a_thread,
    "callback of poll": poll,
    "hook of redirect": redirect,
    "Sequence": held_by(Sequence, "add"),
    "Mutex.run": held_by(Mutex, "run"),
    "Mutex.run in turn": held_in_turn,
    "run_reading": held_by(ReadWriteLock, "run_reading", "run_writing"),
    "run_writing": held_by(ReadWriteLock, "run_writing", "run_reading"),
    "callback of a permit": limited,
    "callback of a queue": queued,
    "callback of a latch": latched,
    "Once": once,
    "callback of a read": piped,
    "callback of reader_closed": told_of_close,
}
