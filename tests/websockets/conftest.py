"""A process that echoes what clients of its WebSocket say, and such clients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from greenproc import Process, Runtime, WebSocket, websocket
from tests.websockets.client import Client

MUCH = 32 * 1024 * 1024


class Echo(Process):
    """Sends every message back; those to ``/big`` may be long."""

    def __init__(self, id: str = "echo") -> None:
        super().__init__(id)
        self.sockets: list[WebSocket] = []
        self.ended: list[tuple[int | None, str]] = []

    @websocket("/ws")
    def on_connect(self, ws: WebSocket) -> None:
        self.sockets.append(ws)
        ws.on_message(self.on_message)
        ws.on_close(self.on_close)

    @websocket("/big", max_message_bytes=MUCH, max_send_bytes=MUCH)
    def on_big(self, ws: WebSocket) -> None:
        self.on_connect(ws)

    def on_message(self, ws: WebSocket, message: str | bytes) -> None:
        ws.send(message)

    def on_close(self, ws: WebSocket) -> None:
        self.ended.append((ws.close_code, ws.close_reason))


Connect = Callable[..., Client]


@pytest.fixture
def connect(runtime: Runtime) -> Iterator[Connect]:
    """Return a function that opens a WebSocket at a path of the node."""
    clients: list[Client] = []

    def connect(path: str = "/echo/ws", *lines: str, **changes: Any) -> Client:
        clients.append(Client.at(runtime.address, path, *lines, **changes))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def echo(runtime: Runtime) -> Echo:
    """A process at ``/echo/ws``."""
    process = Echo()
    runtime.spawn(process)
    return process
