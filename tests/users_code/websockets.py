"""Rows: what the connections of WebSockets call."""

from __future__ import annotations

from functools import partial

import gevent

from greenproc.process import Process
from greenproc.runtime import Runtime
from greenproc.websockets import WebSocket, websocket
from tests.peer import Peer
from tests.users_code.support import Check, Misbehaviour, Trigger
from tests.websockets.client import TEXT, Client, close, frame, handshake

CODE = "takes_websocket", "handler", "message", "close"


class Sockets(Process):
    """Has one method replaced by the code that misbehaves."""

    def __init__(self, id: str, **methods: Misbehaviour) -> None:
        super().__init__(id)
        self._methods = methods

    def __call(self, name: str) -> None:
        if name in self._methods:
            self._methods[name]()

    def takes_websocket(self, path: str) -> bool:
        self.__call("takes_websocket")
        return super().takes_websocket(path)

    @websocket("/ws")
    def on_connect(self, ws: WebSocket) -> None:
        ws.on_message(self.on_message)
        ws.on_close(lambda _: self.__call("close"))
        self.__call("handler")

    def on_message(self, ws: WebSocket, message: str) -> None:
        self.__call("message")
        ws.send(message)


def connect(runtime: Runtime, call: Misbehaviour, *, name: str) -> Check:
    runtime.spawn(Sockets("neighbour"))
    runtime.spawn(Sockets("sockets", **{name: call}))
    peer = Peer.connect(runtime.address)
    peer.send(handshake("/sockets/ws") + frame(TEXT, b"hello") + close(1000))
    gevent.spawn(peer.read_to_end).rawlink(lambda _: peer.close())

    def check() -> None:
        with Client.at(runtime.address, "/neighbour/ws") as client:
            client.say("hello")
            assert client.hear() == "hello"
            client.send(close(1000))
            assert client.read_close() == 1000

    return check


WEBSOCKETS: dict[str, Trigger] = {
    f"{name} of a websocket": partial(connect, name=name) for name in CODE
}
