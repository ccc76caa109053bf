"""Rows: what the connections of WebSockets call."""

from __future__ import annotations

from typing import Any

from greenproc.pid import UPID
from greenproc.process import Process
from greenproc.runtime import Runtime
from greenproc.websockets import WebSocket, websocket
from tests.peer import Peer
from tests.users_code.support import (
    Asked,
    Check,
    Misbehaviour,
    Row,
    Trigger,
    has_ended,
    is_served,
)
from tests.users_code.web import TRANSPORT, ignore, lazily_later
from tests.websockets.client import CLOSE, TEXT, Client, close, frame, handshake

SOCKETS = "greenproc.websockets"


class Chat(Process):
    """Has one of the callbacks of its WebSockets replaced by the code that misbehaves."""

    def __init__(self, name: str, call: Misbehaviour) -> None:
        super().__init__("chat")
        self.calls: dict[str, Any] = {name: call}

    def takes_websocket(self, path: str) -> bool:
        self.calls.get("takes_websocket", ignore)(path)
        return super().takes_websocket(path)

    @websocket("/ws")
    def on_connect(self, ws: WebSocket) -> Any:
        self.calls.get("connect", ignore)(ws)
        if "value" in self.calls:
            return lazily_later(self.calls["value"])
        ws.on_message(self.calls.get("message", WebSocket.send))
        ws.on_close(self.calls.get("close", ignore))
        return None

    @websocket("/other")
    def on_other(self, ws: WebSocket) -> None:
        ws.on_message(WebSocket.send)


def connect(runtime: Runtime, call: Misbehaviour) -> Check:
    chat = runtime.spawn(Chat("connect", call))
    asked = Asked(Peer.connect(runtime.address), handshake("/chat/ws"))

    def check() -> None:
        asked.assert_code(call)
        assert_chat(runtime, chat, call)

    return check


def connect_later(runtime: Runtime, call: Misbehaviour) -> Check:
    """What completes the future of a handler is no part of the process, which goes on."""
    runtime.spawn(Chat("value", call))
    asked = Asked(Peer.connect(runtime.address), handshake("/chat/ws"))

    def check() -> None:
        asked.assert_code(call, killed=503)
        with Client.at(runtime.address, "/chat/other") as other:
            other.send(frame(TEXT, b"hello"))
            told = other.read_frame()
            assert told is not None and told.payload == b"hello"
        assert call.waits or runtime.websockets.statistics()["connections"] <= 1

    return check


def talk(name: str, frames: bytes, *, killed: int = 1001) -> Trigger:
    """Return what sends *frames*; the client then gets a Close that says that this failed."""

    def run(runtime: Runtime, call: Misbehaviour) -> Check:
        chat = runtime.spawn(Chat(name, call))
        client = Client.at(runtime.address, "/chat/ws")
        client.send(frames)

        def check() -> None:
            if not call.waits:
                told = client.read_frame()
                assert told is not None, "the connection ended without a Close"
                expected = killed if call.is_killed else 1011
                got = told.opcode, int.from_bytes(told.payload[:2], "big")
                assert got == (CLOSE, expected), f"expected a Close with {expected}, got {got}"
            client.close()
            assert_chat(runtime, chat, call)

        return check

    return run


def assert_chat(runtime: Runtime, chat: UPID, call: Misbehaviour) -> None:
    """Assert that a kill has ended the process, and a failure one connection alone."""
    if call.is_killed:
        assert has_ended(runtime, chat)
    elif call.fails:
        with Client.at(runtime.address, "/chat/other") as other:
            other.send(frame(TEXT, b"hello"))
            told = other.read_frame()
            assert told is not None and told.payload == b"hello"


def take(runtime: Runtime, call: Misbehaviour) -> Check:
    """The handshake of a process that cannot say whether it takes it is refused."""
    runtime.spawn(Chat("takes_websocket", call))
    asked = Asked(Peer.connect(runtime.address), handshake("/chat/ws"))

    def check() -> None:
        asked.assert_code(call, failed=501, killed=None)
        assert is_served(runtime, "/metrics/snapshot?timeout=10ms")

    return check


WEBSOCKETS = {
    "takes_websocket": Row(
        take,
        "greenproc.web",
        must_not_wait="it is called where the connection that it is for is read",
    ),
    "handler of a WebSocket": Row(connect, TRANSPORT),
    "class of the value of a future of a handler": Row(connect_later, TRANSPORT),
    "callback of a message": Row(talk("message", frame(TEXT, b"x")), SOCKETS),
    "callback of a Close": Row(talk("close", close(1000), killed=1000), SOCKETS),
}
