"""What users' code raises, or never returns from, holds up nothing but what it belongs to.

A row of the table is one piece of users' code that greenproc calls. Each is tried with an
exception, with the `gevent.Timeout` that is everyday in gevent, with a kill, and with a wait that
never ends; then another process still serves, and the node stops.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gevent
import pytest
from gevent.event import Event

from greenproc.auth import AuthenticationResult, Principal
from greenproc.future import Promise
from greenproc.http import Request
from greenproc.metrics import PullGauge
from greenproc.pid import UPID
from greenproc.process import Process, install, route
from greenproc.runtime import Runtime, RuntimeState
from greenproc.settings import Settings
from greenproc.testing import RuntimeMaker
from greenproc.testing.errors import ERROR_LOG
from tests.peer import Peer

LIMIT = 15.0
STOP_TIMEOUT = 0.2  # for what never returns
Call = Callable[..., Any]
Trigger = Callable[[Runtime, Call], object]


class Other(Process):
    """What is served all the same."""

    def value(self) -> int:
        return 42


class Subject(Process):
    """Has one method replaced by the code that misbehaves."""

    def __init__(self, **methods: Call) -> None:
        super().__init__("subject")
        self.methods = methods

    def __call(self, name: str) -> None:
        if name in self.methods:
            self.methods[name]()

    def initialize(self) -> None:
        self.__call("initialize")

    def finalize(self) -> None:
        self.__call("finalize")

    def exited(self, pid: UPID) -> None:
        self.__call("exited")

    def failed(self, event: object, error: BaseException) -> None:
        self.__call("failed")

    @install("m")
    def on_m(self, sender: UPID, body: bytes) -> None:
        self.__call("message")
        if "failed" in self.methods:
            raise ValueError("for failed()")

    @route("/x")
    def on_x(self, request: Request) -> str:
        self.__call("route")
        return "x"

    @route("/private", realm="realm")
    def on_private(self, request: Request, principal: Principal | None) -> str:
        return "private"

    def streams_body(self, path: str) -> bool:
        self.__call("streams_body")
        return False

    def method(self) -> None:
        self.__call("dispatch")


def get(runtime: Runtime, path: str) -> None:
    """Send a request; the response may never come."""
    peer = Peer.connect(runtime.address)
    peer.send(b"GET %b HTTP/1.1\r\nHost: here\r\n\r\n" % path.encode())
    gevent.spawn(peer.read_to_end).rawlink(lambda _: peer.close())


def spawned(name: str, trigger: Callable[[Runtime, UPID], object]) -> Trigger:
    """Return what spawns a `Subject` with the code in place of *name*, and reaches it."""

    def run(runtime: Runtime, call: Call) -> None:
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


def filter_events(runtime: Runtime, call: Call) -> None:
    target = runtime.spawn(Subject())
    runtime.filter(lambda pid, event: call() if pid == target else False)
    runtime.post(target, "m")


def receive_signal(runtime: Runtime, call: Call) -> None:
    runtime.signals.process_failed.connect(lambda *_, **__: call())
    runtime.post(runtime.spawn(Subject(failed=lambda: None)), "m")


def authenticate(runtime: Runtime, call: Call) -> None:
    class Badge:
        scheme = "Badge"

        def authenticate(self, request: Request) -> AuthenticationResult:
            call()
            return AuthenticationResult(principal=Principal("someone"))

    runtime.set_authenticator("realm", Badge())
    runtime.spawn(Subject())
    get(runtime, "/subject/private")


def authorize(runtime: Runtime, call: Call) -> None:
    runtime.authorization.set_callbacks({"/subject/x": lambda request, principal: call() or True})
    runtime.spawn(Subject())
    get(runtime, "/subject/x")


def pull_gauge(runtime: Runtime, call: Call) -> None:
    runtime.metrics.add(PullGauge("users/gauge", lambda: call() or 1.0))
    get(runtime, "/metrics/snapshot")


def fire_timer(runtime: Runtime, call: Call) -> None:
    runtime.clock.timer(0.0, call)


def call_back(runtime: Runtime, call: Call) -> None:
    target = runtime.spawn(Subject())
    runtime.dispatch(target, Subject.method).on_any(lambda _: call())


def chain(runtime: Runtime, call: Call) -> None:
    target = runtime.spawn(Subject())
    runtime.dispatch(target, Subject.method).then(lambda _: call())


def call_back_elsewhere(runtime: Runtime, call: Call) -> None:
    promise: Promise[int] = Promise()
    promise.future.on_ready(lambda _: call())
    runtime.spawn_greenlet(promise.set, 1)


def stream(runtime: Runtime, call: Call) -> None:
    def pieces() -> Any:
        yield b"first"
        call()

    process = Subject()
    process.route("/stream", lambda request: pieces())
    runtime.spawn(process)
    get(runtime, "/subject/stream")


TABLE: dict[str, Trigger] = {
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
    "event filter": filter_events,
    "receiver of a signal": receive_signal,
    "authenticator": authenticate,
    "authorization callback": authorize,
    "gauge": pull_gauge,
    "timer": fire_timer,
    "callback of a dispatch": call_back,
    "function of then": chain,
    "callback in a greenlet": call_back_elsewhere,
    "stream": stream,
}

NEVER = "waits"


def misbehave(how: type[BaseException] | str, reached: Event) -> Call:
    def call(*_: object) -> None:
        reached.set()
        if isinstance(how, str):
            Event().wait()
        elif how is gevent.Timeout:
            raise gevent.Timeout(1.0, "of a user")
        else:
            raise how("of a user")

    return call


@pytest.mark.parametrize("how", [ValueError, gevent.Timeout, gevent.GreenletExit, NEVER], ids=str)
@pytest.mark.parametrize("piece", TABLE)
def test_users_code_holds_up_only_what_it_belongs_to(
    make_runtime: RuntimeMaker, piece: str, how: type[BaseException] | str
) -> None:
    if (piece, how) == ("streams_body", NEVER):
        pytest.skip("documented: it must not wait, as it holds up the connection that it is for")
    runtime = make_runtime(Settings(ip="127.0.0.1", stop_timeout=STOP_TIMEOUT, blocked_after=0))
    other = runtime.spawn(Other())
    reached = Event()

    TABLE[piece](runtime, misbehave(how, reached))

    assert reached.wait(LIMIT)
    assert runtime.dispatch(other, Other.value).get(timeout=LIMIT) == 42
    forget_failures(runtime)
    runtime.stop()
    forget_failures(runtime)
    assert runtime.state is RuntimeState.STOPPED


def forget_failures(runtime: Runtime) -> None:
    """Forget what was logged: that it was, other tests say."""
    gevent.idle()
    log = ERROR_LOG.get()
    assert log is not None
    log.errors.clear()
