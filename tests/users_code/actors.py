"""Rows: the methods of a process, and what a node calls besides."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import Any

import gevent
from gevent.event import Event

from greenproc import defer
from greenproc.future import Future
from greenproc.metrics import PullGauge
from greenproc.pid import UPID
from greenproc.process import DispatchEvent, ExitedEvent, HttpEvent, Process, TerminateEvent
from greenproc.runtime import Runtime
from tests.peer import Peer
from tests.users_code.support import (
    HUB,
    LIMIT,
    Asked,
    Check,
    Misbehaviour,
    Row,
    Subject,
    Trigger,
    assert_follows,
    assert_set,
    get,
    has_ended,
    is_served,
)

PROCESS = "greenproc.process"


def ends(name: str, reach: Callable[[Runtime, UPID], object]) -> Trigger:
    """Return what puts the code in place of the method *name* and reaches it; the process ends."""

    def run(runtime: Runtime, call: Misbehaviour) -> Check:
        pid = runtime.spawn(Subject(**{name: call}))
        reach(runtime, pid)

        def check() -> None:
            if call.waits:
                assert runtime.processes.find_process(pid) is not None
            else:
                assert has_ended(runtime, pid)

        return check

    return run


def link_and_end(runtime: Runtime, subject: UPID) -> None:
    process = runtime.processes.find_process(subject)
    assert process is not None
    ending = runtime.spawn(Process())
    runtime.dispatch(subject, process.link, ending).get(timeout=LIMIT)
    runtime.terminate(ending)


def dispatch(runtime: Runtime, call: Misbehaviour) -> Check:
    subject = runtime.spawn(Subject(dispatch=call))
    future = runtime.dispatch(subject, Subject.method)

    def check() -> None:
        assert_follows(future, call)
        if call.is_killed:
            assert has_ended(runtime, subject)
        elif call.fails:
            assert runtime.dispatch(subject, lambda: "alive").get(timeout=LIMIT) == "alive"

    return check


def serve(runtime: Runtime, call: Misbehaviour) -> Check:
    runtime.spawn(Subject(route=call))
    asked = get(runtime, "/subject/x")

    def check() -> None:
        asked.assert_code(call)
        if not call.waits:
            assert is_served(runtime, "/subject/ok", 404 if call.is_killed else 200)

    return check


def post_body(runtime: Runtime, call: Misbehaviour) -> Check:
    runtime.spawn(Subject(streams_body=call))
    peer = Peer.connect(runtime.address)
    asked = Asked(peer, b"POST /subject/x HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\nab")
    assert call.reached.wait(LIMIT)
    with suppress(OSError):  # the connection may have ended by then
        peer.send(b"cde")

    def check() -> None:
        asked.assert_code(call, failed=200, killed=None)
        assert is_served(runtime, "/subject/ok")

    return check


def serve_as_delegate(runtime: Runtime, call: Misbehaviour) -> Check:
    delegate = runtime.spawn(Subject("delegate", consume_http=call))
    runtime.spawn(Subject())
    asked = get(runtime, "/of/no/process")

    def check() -> None:
        asked.assert_code(call)
        assert call.waits or has_ended(runtime, delegate)
        assert is_served(runtime, "/subject/x")

    return check


def filter_events(runtime: Runtime, call: Misbehaviour) -> Check:
    process = Subject()
    target = runtime.spawn(process)
    runtime.filter(lambda pid, event: call() if pid == target else False)
    runtime.post(target, "m")

    def check() -> None:
        if call.is_killed:
            assert has_ended(runtime, target)
        elif call.fails:
            runtime.filter(None)
            assert runtime.dispatch(target, lambda: process.messages).get(timeout=LIMIT) == 1

    return check


def filter_kind(kind: type, reach: Callable[[Runtime, UPID], object]) -> Trigger:
    """Return what has events of one kind filtered by the code; a failure filters none."""

    def run(runtime: Runtime, call: Misbehaviour) -> Check:
        target = runtime.spawn(Subject())
        runtime.settle()
        runtime.filter(
            lambda pid, event: call() if pid == target and isinstance(event, kind) else False
        )
        reach(runtime, target)

        def check() -> None:
            if call.is_killed:
                assert has_ended(runtime, target)
            elif call.fails:
                runtime.filter(None)
                if kind is TerminateEvent:
                    assert has_ended(runtime, target)
                else:
                    assert is_served(runtime, "/subject/ok")

        return check

    return run


def fire_timer(runtime: Runtime, call: Misbehaviour) -> Check:
    others = [Event(), Event()]
    runtime.clock.timer(0.0, call)
    runtime.clock.timer(0.0, others[0].set)

    def check() -> None:
        runtime.clock.timer(0.0, others[1].set)
        for other in others:
            assert_set(other)

    return check


def fire_delay(runtime: Runtime, call: Misbehaviour) -> Check:
    subject = runtime.spawn(Subject(dispatch=call))
    runtime.delay(0.0, subject, Subject.method)
    return lambda: call.waits or assert_true(has_ended(runtime, subject))


def assert_true(value: bool) -> None:
    assert value


def follows(start: Callable[[Runtime, Misbehaviour], Future[Any]]) -> Trigger:
    """Return what checks that the future that *start* returns ends as the code does."""

    def run(runtime: Runtime, call: Misbehaviour) -> Check:
        future = start(runtime, call)
        return lambda: assert_follows(future, call)

    return run


def call_deferred(runtime: Runtime, call: Misbehaviour) -> Future[Any]:
    target = runtime.spawn(Subject())
    with runtime.selected():
        return defer(target, call)()


def call_from_thread(runtime: Runtime, call: Misbehaviour) -> Check:
    second = Event()
    thread = Thread(target=runtime.call_from_thread, args=(call,))
    thread.start()
    gevent.get_hub().threadpool.apply(thread.join)
    runtime.call_from_thread(second.set)
    return lambda: assert_set(second)


def pull_gauge(runtime: Runtime, call: Misbehaviour) -> Check:
    runtime.metrics.add(PullGauge("users/gauge", lambda: call() or 1.0))
    runtime.metrics.add(PullGauge("users/other", lambda: 2.0))
    asked = get(runtime, "/metrics/snapshot?timeout=10ms")

    def check() -> None:
        assert asked.code == 200
        with Peer.connect(runtime.address) as peer:
            body = peer.get("/metrics/snapshot?timeout=10ms").body
        assert b"users/other" in body
        assert b"users/gauge" not in body

    return check


ACTORS = {
    "initialize": Row(ends("initialize", lambda runtime, pid: None), PROCESS),
    "finalize": Row(ends("finalize", lambda runtime, pid: runtime.terminate(pid)), PROCESS),
    "message handler": Row(ends("message", lambda runtime, pid: runtime.post(pid, "m")), PROCESS),
    "failed": Row(ends("failed", lambda runtime, pid: runtime.post(pid, "m")), PROCESS),
    "exited": Row(ends("exited", link_and_end), PROCESS),
    "dispatched method": Row(dispatch),
    "route": Row(serve, "greenproc.transport"),
    "streams_body": Row(
        post_body,
        "greenproc.web",
        must_not_wait="it is called where the connection that it is for is read",
    ),
    "delegate": Row(serve_as_delegate, PROCESS),
    "event filter": Row(filter_events, PROCESS),
    "filter of requests": Row(
        filter_kind(HttpEvent, lambda runtime, pid: get(runtime, "/subject/ok")), PROCESS
    ),
    "filter of dispatches": Row(
        filter_kind(DispatchEvent, lambda runtime, pid: runtime.dispatch(pid, Subject.method)),
        PROCESS,
    ),
    "filter of exits": Row(filter_kind(ExitedEvent, link_and_end), PROCESS),
    "filter of the end": Row(
        filter_kind(TerminateEvent, lambda runtime, pid: runtime.terminate(pid)), PROCESS
    ),
    "timer": Row(fire_timer, "greenproc.clock"),
    "delayed method": Row(fire_delay, PROCESS),
    "function of run_async": Row(follows(lambda runtime, call: runtime.run_async(call))),
    "deferred function": Row(follows(call_deferred)),
    "function of call_from_thread": Row(call_from_thread, HUB),
    "gauge": Row(pull_gauge),
}
