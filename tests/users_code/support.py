"""What the rows of `tests.test_users_code` share: code that misbehaves, and what calls it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any, TypeAlias

import gevent
from gevent.event import Event

from greenproc.auth import Principal
from greenproc.future import Future
from greenproc.http import Request
from greenproc.pid import UPID
from greenproc.process import Process, install, route
from greenproc.runtime import Runtime
from tests.peer import Peer

LIMIT = 15.0

NEVER = "waits"

How: TypeAlias = type[BaseException] | str
HOWS: list[How] = [ValueError, gevent.Timeout, gevent.GreenletExit, NEVER]


class Misbehaviour:
    """The code of a user that raises, is killed, or never returns."""

    def __init__(self, how: How) -> None:
        self.how = how
        self.reached = Event()
        self.inside = 0
        """How many calls wait."""
        self._released = Event()
        self._pid = os.getpid()

    def __call__(self, *_: object) -> None:
        self.reached.set()
        if isinstance(self.how, str):
            self._wait()
        elif self.how is gevent.Timeout:
            raise gevent.Timeout(1.0, "of a user")
        else:
            raise self.how("of a user")

    def release(self) -> None:
        """End what no runtime ends."""
        self._released.set()

    def _wait(self) -> None:
        if os.getpid() != self._pid:
            signal.pause()  # a child has no hub of its own
        self.inside += 1
        try:
            self._released.wait()
        finally:
            self.inside -= 1


Check: TypeAlias = Callable[[], object]
"""Asserts that what the code does not belong to works on."""

Trigger: TypeAlias = Callable[[Runtime, Misbehaviour], Check | None]
"""Lets a runtime call the code."""


class Other(Process):
    """What is served all the same."""

    def value(self) -> int:
        return 42


class Subject(Process):
    """Has one method replaced by the code that misbehaves."""

    def __init__(self, id: str = "subject", **methods: Misbehaviour) -> None:
        super().__init__(id)
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

    def consume_http(self, event: Any) -> None:
        self.__call("consume_http")
        super().consume_http(event)

    def streams_body(self, path: str) -> bool:
        self.__call("streams_body")
        return False

    def method(self) -> None:
        self.__call("dispatch")


def get(runtime: Runtime, path: str) -> None:
    """Send a request; the response may never come."""
    _send(runtime, f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode())


def post(runtime: Runtime, path: str, body: bytes) -> None:
    """Send a request with a body in JSON; the response may never come."""
    lines = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    _send(runtime, f"POST {path} HTTP/1.1\r\nHost: here\r\n{lines}\r\n".encode() + body)


def _send(runtime: Runtime, data: bytes) -> None:
    peer = Peer.connect(runtime.address)
    peer.send(data)
    gevent.spawn(peer.read_to_end).rawlink(lambda _: peer.close())


def is_served(runtime: Runtime, path: str, code: int = 200) -> Check:
    """Return what checks that *path* is answered with *code*."""

    def check() -> None:
        with Peer.connect(runtime.address) as peer:
            assert peer.get(path).code == code

    return check


def gives(make: Callable[[], Future[Any]], value: object) -> Check:
    """Return what checks that the future that *make* returns is ready with *value*."""

    def check() -> None:
        assert make().get(timeout=LIMIT) == value

    return check


def is_over(future: Future[Any]) -> Check:
    """Return what checks that *future* does not stay pending."""
    future.on_failed(lambda error: None)  # else it would be reported as one that nothing read

    def check() -> None:
        assert future.await_(LIMIT) or future.is_abandoned

    return check


def is_set(event: Event) -> Check:
    """Return what checks that *event* is set."""

    def check() -> None:
        assert event.wait(LIMIT)

    return check
