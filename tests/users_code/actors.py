"""Rows: the methods of a process, and what a node calls besides."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Thread

import gevent
from gevent.event import Event

from greenproc import defer
from greenproc.metrics import PullGauge
from greenproc.pid import UPID
from greenproc.process import Process
from greenproc.runtime import Runtime
from tests.peer import Peer
from tests.users_code.support import (
    LIMIT,
    Check,
    Misbehaviour,
    Subject,
    Trigger,
    get,
    is_over,
    is_served,
    is_set,
)


def spawned(name: str, trigger: Callable[[Runtime, UPID], object]) -> Trigger:
    """Return what spawns a `Subject` with the code in place of *name*, and reaches it."""

    def run(runtime: Runtime, call: Misbehaviour) -> None:
        trigger(runtime, runtime.spawn(Subject(**{name: call})))

    return run


def link_and_end(runtime: Runtime, subject: UPID) -> None:
    process = runtime.processes.find_process(subject)
    assert process is not None
    ending = runtime.spawn(Process())
    runtime.dispatch(subject, process.link, ending).get(timeout=LIMIT)
    runtime.terminate(ending)


def post_body(runtime: Runtime, subject: UPID) -> None:
    peer = Peer.connect(runtime.address)
    peer.send(b"POST /subject/x HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\nab")
    gevent.spawn(peer.read_to_end).rawlink(lambda _: peer.close())
    gevent.idle()
    with suppress(OSError):  # the connection may have ended by then
        peer.send(b"cde")


def serve_as_delegate(runtime: Runtime, call: Misbehaviour) -> Check:
    runtime.spawn(Subject("delegate", consume_http=call))
    runtime.spawn(Subject())
    get(runtime, "/of/no/process")
    return is_served(runtime, "/subject/x")


def filter_events(runtime: Runtime, call: Misbehaviour) -> None:
    target = runtime.spawn(Subject())
    runtime.filter(lambda pid, event: call() if pid == target else False)
    runtime.post(target, "m")


def fire_timer(runtime: Runtime, call: Misbehaviour) -> Check:
    others = [Event(), Event()]
    runtime.clock.timer(0.0, call)
    runtime.clock.timer(0.0, others[0].set)

    def check() -> None:
        runtime.clock.timer(0.0, others[1].set)
        for other in others:
            assert other.wait(LIMIT)

    return check


def fire_delay(runtime: Runtime, call: Misbehaviour) -> None:
    runtime.delay(0.0, runtime.spawn(Subject(dispatch=call)), Subject.method)


def run_async(runtime: Runtime, call: Misbehaviour) -> Check:
    return is_over(runtime.run_async(call))


def call_deferred(runtime: Runtime, call: Misbehaviour) -> Check:
    target = runtime.spawn(Subject())
    with runtime.selected():
        return is_over(defer(target, call)())


def call_from_thread(runtime: Runtime, call: Misbehaviour) -> Check:
    second = Event()
    thread = Thread(target=runtime.call_from_thread, args=(call,))
    thread.start()
    gevent.get_hub().threadpool.apply(thread.join)
    runtime.call_from_thread(second.set)
    return is_set(second)


def pull_gauge(runtime: Runtime, call: Misbehaviour) -> Check:
    runtime.metrics.add(PullGauge("users/gauge", lambda: call() or 1.0))
    get(runtime, "/metrics/snapshot?timeout=10ms")
    return is_served(runtime, "/metrics/snapshot")


ACTORS: dict[str, Trigger] = {
    "initialize": spawned("initialize", lambda runtime, pid: None),
    "finalize": spawned("finalize", lambda runtime, pid: runtime.terminate(pid)),
    "message handler": spawned("message", lambda runtime, pid: runtime.post(pid, "m")),
    "failed": spawned("failed", lambda runtime, pid: runtime.post(pid, "m")),
    "dispatched method": spawned(
        "dispatch", lambda runtime, pid: runtime.dispatch(pid, Subject.method)
    ),
    "exited": spawned("exited", link_and_end),
    "route": spawned("route", lambda runtime, pid: get(runtime, "/subject/x")),
    "streams_body": spawned("streams_body", post_body),
    "delegate": serve_as_delegate,
    "event filter": filter_events,
    "timer": fire_timer,
    "delayed method": fire_delay,
    "function of run_async": run_async,
    "deferred function": call_deferred,
    "function of call_from_thread": call_from_thread,
    "gauge": pull_gauge,
}


# Receivers of signals: each is called where that happened.


def spawn_one(runtime: Runtime) -> object:
    return runtime.spawn_greenlet(runtime.spawn, Process())


def end_one(runtime: Runtime) -> None:
    runtime.terminate(runtime.spawn(Process("ending")))


def drop_one(runtime: Runtime) -> object:
    nowhere = UPID("nowhere", runtime.address)
    return runtime.spawn_greenlet(runtime.post, nowhere, "m")


def lose_one(runtime: Runtime) -> None:
    link_and_end(runtime, runtime.spawn(Subject()))


SIGNALS: dict[str, Callable[[Runtime], object]] = {
    "process_spawned": spawn_one,
    "process_terminated": end_one,
    "process_failed": lambda runtime: runtime.post(runtime.spawn(Failing()), "m"),
    "message_dropped": drop_one,
    "link_made": lambda runtime: runtime.spawn_greenlet(lose_one, runtime),
    "link_lost": lose_one,
    "runtime_stopping": lambda runtime: None,
    "runtime_stopped": lambda runtime: None,
}


class Failing(Process):
    def consume_message(self, event: object) -> None:
        raise ValueError("for a signal")


def received(name: str) -> Trigger:
    def run(runtime: Runtime, call: Misbehaviour) -> Check | None:
        second = Event()
        signal = getattr(runtime.signals, name)
        signal.connect(lambda *_, **__: call())
        signal.connect(lambda *_, **__: second.set())
        SIGNALS[name](runtime)
        return None

    return run


RECEIVERS = {f"receiver of {name}": received(name) for name in SIGNALS}
