"""A node that keeps to its bounds: what a case of the table has at hand, and what it asks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import gevent
from gevent import socket
from gevent.event import Event
from gevent.queue import Queue

from greenproc.address import Address
from greenproc.future import Promise
from greenproc.http.request import Request
from greenproc.http.response import OK, Response
from greenproc.pid import UPID
from greenproc.process import Process, install, route
from greenproc.runtime import Runtime
from greenproc.sync.pipe import Reader
from tests.peer import Peer

LOOKS = 500  # turns of the loop: what has not happened by then will not happen
SENDER = b"Libprocess-From: enemy@127.0.0.1:1\r\n"
PIECE = bytes(16 * 1024)
LARGE_BYTES = 512 * 1024
MAX_PIECES = 2000  # far more than any bound of the table lets through


class Situation(Enum):
    """What goes on while a client crosses a bound."""

    HANDLER_WAITS = "a handler waits"
    CLIENT_STALLS = "the client stalls"
    CLIENT_LEAVES = "the client leaves half-way"


def get(path: str) -> bytes:
    return b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode()


def post(path: str, body: bytes, *lines: bytes) -> bytes:
    head = b"POST %b HTTP/1.1\r\nHost: x\r\n%b" % (path.encode(), b"".join(lines))
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


class Target(Process):
    """Answers at once, or when a test says so."""

    def __init__(self) -> None:
        super().__init__("target")
        self.waiting: list[Promise[Response]] = []
        self.reader: Reader | None = None
        self.gate = Event()
        self.pieces = 0
        self.is_streaming = False
        self.large = 0

    def release(self) -> None:
        self.gate.set()
        for promise in self.waiting:
            promise.set(OK("released"))

    @route("/hello")
    def on_hello(self, request: Request) -> str:
        return "hello"

    @route("/wait")
    def on_wait(self, request: Request) -> Any:
        if self.gate.is_set():
            return OK("released")
        self.waiting.append(Promise())
        return self.waiting[-1].future

    @route("/large")
    def on_large(self, request: Request) -> Response:
        self.large += 1
        return OK(bytes(LARGE_BYTES))

    @route("/flood")
    def on_flood(self, request: Request) -> Iterator[bytes]:
        self.is_streaming = True
        try:
            for self.pieces in range(MAX_PIECES):
                yield PIECE
        finally:
            self.is_streaming = False

    @route("/private", realm="realm")
    def on_private(self, request: Request, principal: object) -> str:
        return "private"

    @route("/guarded")
    def on_guarded(self, request: Request) -> str:
        return "guarded"

    @route("/take", streaming=True)
    def on_take(self, request: Request) -> Any:
        self.reader = request.reader
        self.waiting.append(Promise())
        return (
            self.waiting[-1]
            .future.then(lambda _: request.reader.read_all())
            .then(lambda body: OK(str(len(body))))
        )

    @install("hello")
    def on_greeting(self, sender: UPID, body: bytes) -> None: ...

    @install("ask")
    def on_ask(self, sender: UPID, body: bytes) -> None:
        self.send(sender, "answer", body)


class Asked:
    """An authenticator and an authorization callback that answer nothing."""

    scheme = "Asked"

    def __init__(self, target: Target) -> None:
        self._target = target

    def authenticate(self, request: Request) -> Any:
        self._target.waiting.append(Promise())
        return self._target.waiting[-1].future

    def allow(self, request: Request, principal: object) -> Any:
        return self.authenticate(request)


class Busy(Process):
    """Waits in each handler until a test says otherwise."""

    def __init__(self, gate: Event) -> None:
        super().__init__("busy")
        self.gate = gate
        self.served = 0

    @install("note")
    def on_note(self, sender: UPID, body: bytes) -> None:
        self.gate.wait()
        self.served += 1


@dataclass
class Case:
    """A node under abuse."""

    node: Runtime
    target: Target
    busy: Busy
    client: Peer
    honest: Peer
    situation: Situation
    pass_by: Callable[..., None]
    refusals: Queue[str]
    others: list[Peer] = field(default_factory=list)

    @property
    def has_left(self) -> bool:
        return self.situation is Situation.CLIENT_LEAVES

    def connect(self, ip: str = "127.0.0.1") -> Peer:
        """Open one more connection, that is closed at the end."""
        self.others.append(Peer.connect(Address(ip, self.node.address.port)))
        return self.others[-1]

    def send(self, data: bytes) -> None:
        """Let the client send, as far as the node takes it."""
        sending = gevent.spawn(self._send, data)
        gevent.idle()
        gevent.idle()
        sending.kill()

    def _send(self, data: bytes) -> None:
        try:
            self.client.send(data)
        except OSError:  # closed by the node, or by the client itself
            pass

    def statuses(self, peer: Peer) -> list[int]:
        """Read all that *peer* is still sent, and return the statuses."""
        try:
            peer.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        pieces = []
        try:
            while piece := peer.socket.recv(1024 * 1024):
                pieces.append(piece)
        except ConnectionResetError:
            pass
        return [int(part[:3]) for part in b"".join(pieces).split(b"HTTP/1.1 ")[1:]]

    def metrics(self) -> dict[str, float]:
        """Return what the node tells the honest client of itself."""
        answer = self.honest.get("/metrics/snapshot")
        assert answer.code == 200
        told: dict[str, float] = json.loads(answer.body)
        return told

    def counted(self, kind: str) -> Counter[str]:
        """Return the reasons that are counted, with how often each was."""
        prefix = f"greenproc/{kind}/"
        told = {
            name.removeprefix(prefix): int(count)
            for name, count in self.metrics().items()
            if name.startswith(prefix) and count
        }
        return Counter(told)

    def close(self) -> None:
        for peer in (self.client, self.honest, *self.others):
            peer.close()

    def is_released(self) -> bool:
        """Whether nothing of what clients asked for is left."""
        told = self.node.statistics()
        return not (
            told["inbound"]["connections"]
            or told["outbound"]["connections"]
            or told["outbound"]["queued_bytes"]
            or told["processes"]["queued_bytes"]
            or told["processes"]["busy"]
            or self.target.is_streaming
        )


def until(happened: Callable[[], bool]) -> None:
    """Let everything else run until something has happened."""
    for _ in range(LOOKS):
        if happened():
            return
        gevent.idle()
    raise AssertionError("what was waited for did not happen")
