"""What a message over a WebSocket costs: to a process, and back."""

from __future__ import annotations

import select
import socket
from time import perf_counter
from typing import Any

from wsproto import ConnectionType, WSConnection
from wsproto.connection import Connection
from wsproto.events import AcceptConnection, BytesMessage, Message, Request, TextMessage

from benchmarks.children import serving
from benchmarks.harness import Goal, Row, Sample, rate
from benchmarks.load import CONNECTIONS, HEAD_END, READ_BYTES
from benchmarks.nodes import LIMIT_SECONDS, running, say, wait_for_end_of_input
from benchmarks.wire import serve
from greenproc import Process, WebSocket, websocket

PATH = "/echo/ws"
TEXT = b'{"room": "lobby", "from": "ada", "text": "what do you think of it?"}'
HANDSHAKE = (
    f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
).encode()
MASK = bytes(4)  # a server may not care, and the client is not what is measured
SENT = bytes((0x81, 0x80 | len(TEXT))) + MASK + TEXT
ECHOED = bytes((0x81, len(TEXT))) + TEXT


class Echo(Process):
    """Sends every message back."""

    def __init__(self) -> None:
        super().__init__("echo")

    @websocket("/ws")
    def joined(self, ws: WebSocket) -> None:
        ws.on_message(WebSocket.send)


def serve_echo() -> None:
    """Run a node with the process for the parent."""
    with running() as runtime:
        runtime.spawn(Echo())
        say(runtime.address)
        wait_for_end_of_input()


def serve_bare_loop() -> None:
    """Let wsproto read the messages of each connection in a greenlet, and send them back."""

    def handle(connection: Any, _client: object) -> None:
        opening = WSConnection(ConnectionType.SERVER)
        opening.receive_data(connection.recv(READ_BYTES))
        for event in opening.events():
            if isinstance(event, Request):
                connection.sendall(opening.send(AcceptConnection()))
        frames = Connection(ConnectionType.SERVER)
        while data := connection.recv(READ_BYTES):
            frames.receive_data(data)
            for message in frames.events():
                if isinstance(message, (TextMessage, BytesMessage)):
                    connection.sendall(frames.send(Message(message.data)))
        connection.close()

    serve(handle)


def echo(address: str, count: int) -> Sample:
    """Send a message over each of 32 connections, the next one when it has come back."""
    ip, _, port = address.rpartition(":")
    sockets: dict[int, socket.socket] = {}
    with select.epoll() as poll:
        try:
            for _ in range(CONNECTIONS):
                one = socket.create_connection((ip, int(port)), LIMIT_SECONDS)
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sockets[one.fileno()] = one
                poll.register(one, select.EPOLLIN)
                one.sendall(HANDSHAKE)
                head = one.recv(READ_BYTES)
                if not (head.startswith(b"HTTP/1.1 101 ") and head.endswith(HEAD_END)):
                    raise RuntimeError(f"expected 101, got {head!r}")
            start = perf_counter()
            answered = _drive(poll, sockets, count, start + LIMIT_SECONDS)
            seconds = perf_counter() - start
        finally:
            for one in sockets.values():
                one.close()
    return rate(count, seconds, lost=count - answered)


def _drive(
    poll: select.epoll, sockets: dict[int, socket.socket], count: int, deadline: float
) -> int:
    unsent, on_the_way, answered = count, 0, 0
    for one in list(sockets.values())[:count]:
        one.sendall(SENT)
        unsent -= 1
        on_the_way += 1
    while on_the_way and perf_counter() < deadline:
        for number, _ in poll.poll(1.0):
            one = sockets[number]
            answered += one.recv(READ_BYTES) == ECHOED
            on_the_way -= 1
            if unsent:
                one.sendall(SENT)
                unsent -= 1
                on_the_way += 1
    return answered


def subject(count: int) -> Sample:
    """Ask the process."""
    with serving(serve_echo) as address:
        return echo(address, count)


def baseline(count: int) -> Sample:
    """Ask the bare loop."""
    with serving(serve_bare_loop) as address:
        return echo(address, count)


ROW = Row(
    name="websocket-echo",
    title="messages over 32 WebSockets to a process and back",
    against="a StreamServer with a loop over wsproto for each connection",
    subject=subject,
    baseline=baseline,
    goal=Goal(0.5),
    count=30_000,
    quick_count=500,
    needs=("wsproto",),
)
