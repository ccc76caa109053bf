"""A node without processes, and raw peers."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from gevent import Greenlet, socket
from gevent.queue import Queue

from greenproc.address import Address
from greenproc.future import Future
from greenproc.http.request import Request
from greenproc.http.response import NotFound, Response
from greenproc.message import Message
from greenproc.pid import UPID
from greenproc.process.ports import Delivery
from greenproc.settings import Settings
from greenproc.transport.hooks import TransportHooks
from greenproc.transport.listener import Listener
from greenproc.transport.peers import SocketManager

LIMIT = 20.0  # seconds until something that must happen counts as missing
LOCAL = Address("127.0.0.1", 43173)


class Node:
    """Stands for a runtime: notes what the transport tells it."""

    def __init__(self) -> None:
        self.delivered: Queue[Message] = Queue()
        self.requests: Queue[Request] = Queue()
        self.dropped: Queue[tuple[Message, str]] = Queue()
        self.not_found: Queue[Message] = Queue()
        self.lost: Queue[tuple[Address, Exception | None]] = Queue()
        self.connected: Queue[Address] = Queue()
        self.disconnected: Queue[Address] = Queue()
        self.refused: Queue[tuple[Address | None, str]] = Queue()
        self.delivery: Callable[[Message], Delivery] = lambda _message: Delivery.ACCEPTED
        self.answer: Callable[[Request], Future[Response]] = lambda _request: Future(NotFound())
        self.greenlets: list[Greenlet[..., Any]] = []
        self.errors: list[Any] = []
        self.hooks = TransportHooks(
            deliver=self._deliver,
            serve=self._serve,
            lost=lambda address, error: self.lost.put((address, error)),
            dropped=lambda message, reason: self.dropped.put((message, reason)),
            not_found=self.not_found.put,
            spawn=self._spawn,
            connected=self.connected.put,
            disconnected=self.disconnected.put,
            refused=lambda client, reason: self.refused.put((client, reason)),
        )

    def _deliver(self, message: Message) -> Delivery:
        delivery = self.delivery(message)
        if delivery is Delivery.ACCEPTED:
            self.delivered.put(message)
        return delivery

    def _serve(self, request: Request) -> Future[Response]:
        self.requests.put(request)
        return self.answer(request)

    def _spawn(self, function: Callable[..., object], /, *args: object) -> Greenlet[..., Any]:
        greenlet = gevent.spawn(function, *args)
        greenlet.link_exception(self.errors.append)
        self.greenlets.append(greenlet)
        return greenlet


class Peer:
    """A socket under the control of a test, with a limit on every wait."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.socket.settimeout(LIMIT)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self, size: int) -> bytes:
        """Return *size* bytes, or fewer if the other side ends."""
        received = b""
        while len(received) < size and (piece := self.socket.recv(size - len(received))):
            received += piece
        return received

    def receive_to_end(self) -> bytes:
        pieces = []
        while piece := self.socket.recv(65536):
            pieces.append(piece)
        return b"".join(pieces)

    def end_sending(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close so that the other side sees a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        self.socket.close()


class RawServer:
    """Accepts connections and does nothing by itself."""

    def __init__(self) -> None:
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen()
        self.socket.settimeout(LIMIT)
        self.address = Address(*self.socket.getsockname())
        self.peers: list[Peer] = []

    def accept(self) -> Peer:
        accepted, _ = self.socket.accept()
        self.peers.append(Peer(accepted))
        return self.peers[-1]

    def close(self) -> None:
        for peer in self.peers:
            peer.close()
        self.socket.close()


class Time:
    """What the idle monitor takes for the time. It makes its rounds only when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.turns: Queue[None] = Queue()
        monkeypatch.setattr("greenproc.transport.timeouts.monotonic", lambda: self.now)
        monkeypatch.setattr("greenproc.transport.timeouts.sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        if seconds:
            self.turns.get()

    def pass_by(self, rounds: int = 3) -> None:
        """Let all greenlets run, then the monitor check the connections, and again when it is late."""
        for _ in range(rounds):
            gevent.idle()
            self.turns.put(None)
            gevent.idle()
            self.now += 1000.0


def undated(data: bytes) -> bytes:
    """Return responses with the one thing that differs from run to run made equal."""
    return re.sub(rb"Date: [^\r]{29}\r", b"Date: *\r", data)


def message(name: str, body: bytes = b"", *, to: Address, id: str = "rcv") -> Message:
    return Message(name, UPID("linker", LOCAL), UPID(id, to), body)


@pytest.fixture
def node() -> Iterator[Node]:
    node = Node()
    yield node
    assert not node.errors, "greenlets died of errors"


@pytest.fixture
def listen(node: Node) -> Iterator[Callable[..., Address]]:
    """Return a function that starts a listener with some settings and returns its address."""
    listeners: list[Listener] = []

    def listen(*, carries_messages: bool = True, **settings: Any) -> Address:
        listener = Listener(Settings(ip="127.0.0.1", **settings), node.hooks)
        listeners.append(listener)
        address = listener.bind()
        listener.start(carries_messages=carries_messages)
        return address

    listen.listeners = listeners  # type: ignore[attr-defined]
    yield listen
    for listener in listeners:
        assert listener.stop(LIMIT) == 0


@pytest.fixture
def connect() -> Iterator[Callable[[Address], Peer]]:
    """Return a function that connects to an address."""
    peers: list[Peer] = []

    def connect(address: Address) -> Peer:
        # Not create_connection, which would start a thread to look up the address.
        peers.append(Peer(socket.socket(socket.AF_INET6 if address.is_ipv6 else socket.AF_INET)))
        peers[-1].socket.connect((address.ip, address.port))
        return peers[-1]

    yield connect
    for peer in peers:
        peer.close()


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    return Time(monkeypatch)


@pytest.fixture
def server() -> Iterator[RawServer]:
    server = RawServer()
    yield server
    server.close()


@pytest.fixture
def manager(node: Node) -> Iterator[Callable[..., SocketManager]]:
    """Return a function that makes a socket manager with some settings."""
    managers: list[SocketManager] = []

    def make(**settings: Any) -> SocketManager:
        managers.append(SocketManager(Settings(**settings), node.hooks, LOCAL))
        managers[-1].start()
        return managers[-1]

    yield make
    for one in managers:
        assert one.stop(LIMIT) == 0
