"""What the rows of `tests.test_users_code` share: code that misbehaves, what calls it, what follows."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import gevent
from gevent.event import Event

from greenproc.auth import Principal
from greenproc.future import Future
from greenproc.http import Request
from greenproc.pid import UPID
from greenproc.process import Process, install, route
from greenproc.runtime import Runtime
from tests.peer import Answer, Peer

LIMIT = 15.0

NEVER = "waits"
HUB = "hub"

How: TypeAlias = type[BaseException] | str
HOWS: list[How] = [ValueError, gevent.Timeout, gevent.GreenletExit, NEVER]


class Misbehaviour:
    """The code of a user that raises, is killed, or never returns."""

    def __init__(self, how: How) -> None:
        self.how = how
        self.reached = Event()
        self.raised: list[BaseException] = []
        self.inside = 0
        """How many calls wait."""
        self.when_released: list[Callable[[], object]] = []
        """What undoes what a row has set up outside of its runtime."""
        self._released = Event()
        self._pid = os.getpid()

    def __call__(self, *_: object, **__: object) -> None:
        self.reached.set()
        if isinstance(self.how, str):
            self._wait()
            return
        is_timeout = self.how is gevent.Timeout
        error = gevent.Timeout(1.0, "of a user") if is_timeout else self.how("of a user")
        self.raised.append(error)
        raise error

    @property
    def waits(self) -> bool:
        """Whether it never returns."""
        return self.how is NEVER

    @property
    def is_killed(self) -> bool:
        """Whether it ends its greenlet."""
        return self.how is gevent.GreenletExit

    @property
    def is_timeout(self) -> bool:
        """Whether it raises what may be the timeout of a caller."""
        return self.how is gevent.Timeout

    @property
    def fails(self) -> bool:
        """Whether it raises what is a failure."""
        return not self.waits and not self.is_killed

    def is_cause_of(self, error: BaseException | None) -> bool:
        """Whether *error* is the first one that was raised here, or comes of it."""
        while error is not None and error not in self.raised[:1]:
            error = error.__cause__
        return error is not None

    def release(self) -> None:
        """End what no runtime ends."""
        self._released.set()
        for undo in self.when_released:
            undo()

    def _wait(self) -> None:
        if os.getpid() != self._pid:
            signal.pause()  # a child has no hub of its own
        self.inside += 1
        try:
            self._released.wait()
        finally:
            self.inside -= 1


Check: TypeAlias = Callable[[], object]
"""Asserts what the caller, the client or the neighbours of the code see afterwards."""

Trigger: TypeAlias = Callable[[Runtime, Misbehaviour], Check]
"""Lets a runtime call the code."""


@dataclass(frozen=True)
class Row:
    """A piece of users' code, and what is true of it alone."""

    trigger: Trigger
    logger: str | None = None
    """The logger that its failure is reported by, once; `HUB` for what gevent prints; None where
    nothing but its caller or its future hears of it."""
    timeout_logger: str | None = "as others"
    """Likewise of a `gevent.Timeout`."""
    must_not_wait: str = ""
    """Why it is not tried with code that never returns."""
    holds_up: str = ""
    """Why what never returns holds up more than itself."""
    outlives: str = ""
    """Why the end of the runtime does not end it."""
    settings: dict[str, Any] = field(default_factory=dict)

    def reports(self, call: Misbehaviour) -> list[str]:
        """Return where the failure of *call* is to be reported."""
        if not call.fails:
            return []
        is_other = call.is_timeout and self.timeout_logger != "as others"
        logger = self.timeout_logger if is_other else self.logger
        return [] if logger is None else [logger]


class Reports(logging.Handler):
    """Where errors were reported, within a ``with`` block."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._seen: list[tuple[str, BaseException]] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            self._seen.append((record.name, record.exc_info[1]))

    def of(self, call: Misbehaviour) -> list[str]:
        """Return where the first error of *call* was reported, as itself or as a cause."""
        return [where for where, error in self._seen if call.is_cause_of(error)]

    @contextmanager
    def collected(self) -> Iterator[None]:
        log, hub = logging.getLogger("greenproc"), gevent.get_hub()
        handle_error: Any = hub.handle_error

        def note(context: Any, kind: Any, value: Any, trace: Any) -> None:
            if isinstance(value, BaseException) and not isinstance(value, hub.NOT_ERROR):
                self._seen.append((HUB, value))
            handle_error(context, kind, value, trace)

        log.addHandler(self)
        hub.handle_error = note
        try:
            yield
        finally:
            hub.handle_error = handle_error
            log.removeHandler(self)


class Other(Process):
    """What is served all the same."""

    def value(self) -> int:
        return 42


class Subject(Process):
    """Has one method replaced by the code that misbehaves."""

    def __init__(self, id: str = "subject", **methods: Misbehaviour) -> None:
        super().__init__(id)
        self.methods = methods
        self.messages = 0

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
        super().failed(event, error)  # type: ignore[arg-type]

    @install("m")
    def on_m(self, sender: UPID, body: bytes) -> None:
        self.__call("message")
        self.messages += 1
        if "failed" in self.methods:
            raise ValueError("for failed()")

    @route("/x")
    def on_x(self, request: Request) -> str:
        self.__call("route")
        return "x"

    @route("/ok")
    def on_ok(self, request: Request) -> str:
        return "ok"

    @route("/private", realm="realm")
    def on_private(self, request: Request, principal: Principal | None) -> str:
        return "private"

    def consume_http(self, event: Any) -> None:
        self.__call("consume_http")
        super().consume_http(event)

    def streams_body(self, path: str) -> bool:
        self.__call("streams_body")
        return False

    def method(self) -> str:
        self.__call("dispatch")
        return "method"


class Asked:
    """A request whose response may never come."""

    def __init__(self, peer: Peer, data: bytes) -> None:
        peer.send(data)
        self.peer = peer
        self._reading = gevent.spawn(self._read)
        self._reading.rawlink(lambda _: peer.close())

    def _read(self) -> Answer | None:
        try:
            return self.peer.read_answer()
        except (EOFError, OSError, ValueError):
            return None

    @property
    def is_pending(self) -> bool:
        return not self._reading.ready()

    @property
    def code(self) -> int | None:
        """The status; None if the connection ended before a whole response had come."""
        answer = self._reading.get(timeout=LIMIT)
        return None if answer is None else answer.code

    def assert_code(
        self, call: Misbehaviour, *, failed: int | None = 500, killed: int | None = 500
    ) -> None:
        """Assert what the client is answered."""
        if call.waits:
            assert self.is_pending
        else:
            expected, code = killed if call.is_killed else failed, self.code
            assert code == expected, f"expected {expected}, got {code}"


def get(runtime: Runtime, path: str, *lines: str) -> Asked:
    head = "".join(f"{line}\r\n" for line in ("Host: here", *lines))
    return Asked(Peer.connect(runtime.address), f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())


def post(runtime: Runtime, path: str, body: bytes) -> Asked:
    """Send a request with a body in JSON."""
    lines = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    head = f"POST {path} HTTP/1.1\r\nHost: here\r\n{lines}\r\n"
    return Asked(Peer.connect(runtime.address), head.encode() + body)


def is_served(runtime: Runtime, path: str, code: int = 200) -> bool:
    with Peer.connect(runtime.address) as peer:
        return peer.get(path).code == code


def has_ended(runtime: Runtime, pid: UPID) -> bool:
    """Tell whether a process is over, waiting for that."""
    runtime.wait(pid, timeout=LIMIT)
    return runtime.processes.find_process(pid) is None


def assert_follows(future: Future[Any], call: Misbehaviour) -> None:
    """Assert that *future* failed with the error, was abandoned by the kill, or is pending."""
    if call.waits:
        assert future.is_pending and not future.is_abandoned
        return
    if call.is_killed:
        with gevent.Timeout(LIMIT):
            while not future.is_abandoned:
                assert future.is_pending
                gevent.sleep(0)
        return
    assert future.await_(LIMIT)
    assert future.is_failed
    future.on_failed(lambda error: None)  # else it would be reported as one that nothing read
    assert future.exception is call.raised[0]


def assert_ended(
    greenlet: gevent.Greenlet[..., Any], call: Misbehaviour, *, by_errors: bool = False
) -> None:
    """Assert that only a kill or a timeout, which may be its own, came out in *greenlet*.

    Args:
        by_errors: whether an exception does as well.
    """
    if call.waits:
        assert not greenlet.dead
        return
    greenlet.join(LIMIT)
    assert greenlet.dead
    if call.is_killed:
        assert greenlet.value is call.raised[0]
    elif call.is_timeout or by_errors:
        assert greenlet.exception is call.raised[0]
    else:
        assert greenlet.exception is None


def assert_set(event: Event) -> None:
    assert event.wait(LIMIT)
