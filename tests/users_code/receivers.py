"""Rows: receivers of signals, each of which is called in the greenlet where that happened."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from gevent.event import Event

from greenproc.pid import UPID
from greenproc.process import Process
from greenproc.runtime import Runtime, RuntimeState
from greenproc.settings import Settings
from tests.peer import Peer
from tests.users_code.actors import link_and_end
from tests.users_code.support import (
    Asked,
    Check,
    Misbehaviour,
    Row,
    Subject,
    Trigger,
    assert_set,
)

LOGGER = "greenproc.runtime"
BLOCKED_AFTER = 0.02


class Failing(Process):
    def consume_message(self, event: object) -> None:
        raise ValueError("for a signal")


def connect(runtime: Runtime, name: str, call: Misbehaviour) -> Event:
    """Connect the code, and a second receiver, whose event is returned."""
    second = Event()
    signal = getattr(runtime.signals, name)
    signal.connect(call)
    signal.connect(lambda *_, **__: second.set())
    return second


def assert_others_are_called(call: Misbehaviour, second: Event) -> None:
    """Assert that a failure keeps nothing from the next receiver; a kill is the greenlet's."""
    if call.fails:
        assert_set(second)


def received(name: str, reach: Callable[[Runtime], object]) -> Trigger:
    def run(runtime: Runtime, call: Misbehaviour) -> Check:
        second = connect(runtime, name, call)
        reach(runtime)
        return lambda: assert_others_are_called(call, second)

    return run


def spawn_one(runtime: Runtime) -> object:
    return runtime.spawn_greenlet(runtime.spawn, Process())


def end_one(runtime: Runtime) -> None:
    runtime.terminate(runtime.spawn(Process("ending")))


def drop_one(runtime: Runtime) -> object:
    return runtime.spawn_greenlet(runtime.post, UPID("nowhere", runtime.address), "m")


def send_one(runtime: Runtime) -> object:
    return runtime.spawn_greenlet(runtime.post, runtime.spawn(Process()), "m")


def visit(runtime: Runtime) -> None:
    with Peer.connect(runtime.address):
        pass


def lose_one(runtime: Runtime) -> None:
    link_and_end(runtime, runtime.spawn(Subject()))


def drain(runtime: Runtime) -> object:
    return runtime.spawn_greenlet(runtime.signals.runtime_draining.emit, runtime)


def stop(name: str) -> Trigger:
    """Return what stops a node of its own, which the receiver must not keep from it."""

    def run(runtime: Runtime, call: Misbehaviour) -> Check:
        node = Runtime(Settings(ip="127.0.0.1"))
        node.start()
        second = connect(node, name, call)
        stopping = runtime.spawn_greenlet(node.stop)

        def check() -> None:
            stopping.join()
            if call.is_killed:
                assert stopping.value is call.raised[0]
                node.stop()
            else:
                assert stopping.value == ()
                assert_set(second)
            assert node.state is RuntimeState.STOPPED

        return check

    return run


def start(runtime: Runtime, call: Misbehaviour) -> Check:
    node = Runtime(Settings(ip="127.0.0.1"))
    second = connect(node, "runtime_started", call)
    starting = runtime.spawn_greenlet(node.start)

    def check() -> None:
        starting.join()
        if call.is_killed:
            assert node.state is RuntimeState.STOPPED
        else:
            assert_set(second)
            assert node.state is RuntimeState.RUNNING
            node.stop()

    return check


def block(runtime: Runtime) -> object:
    return runtime.dispatch(runtime.spawn(Subject()), time.sleep, 3 * BLOCKED_AFTER)


def refuse(runtime: Runtime) -> object:
    head = b"GET /x HTTP/1.1\r\nHost: elsewhere\r\n\r\n"
    return Asked(Peer.connect(runtime.address), head)


def row(trigger: Trigger, **settings: Any) -> Row:
    return Row(
        trigger, LOGGER, must_not_wait="receivers must not wait, as they say", settings=settings
    )


RECEIVERS = {
    "receiver of process_spawned": row(received("process_spawned", spawn_one)),
    "receiver of process_terminated": row(received("process_terminated", end_one)),
    "receiver of process_failed": row(
        received("process_failed", lambda runtime: runtime.post(runtime.spawn(Failing()), "m"))
    ),
    "receiver of message_sent": row(received("message_sent", send_one)),
    "receiver of message_delivered": row(received("message_delivered", send_one)),
    "receiver of connection_opened": row(received("connection_opened", visit)),
    "receiver of connection_closed": row(received("connection_closed", visit)),
    "receiver of message_dropped": row(received("message_dropped", drop_one)),
    "receiver of dead_letter": row(received("dead_letter", drop_one)),
    "receiver of client_refused": row(
        received("client_refused", refuse), allowed_hosts=("here", "test")
    ),
    "receiver of link_made": row(
        received("link_made", lambda runtime: runtime.spawn_greenlet(lose_one, runtime))
    ),
    "receiver of link_lost": row(received("link_lost", lose_one)),
    "receiver of hub_blocked": row(received("hub_blocked", block), blocked_after=BLOCKED_AFTER),
    "receiver of runtime_started": row(start),
    "receiver of runtime_draining": row(received("runtime_draining", drain)),
    "receiver of runtime_stopping": row(stop("runtime_stopping")),
    "receiver of runtime_stopped": row(stop("runtime_stopped")),
}
