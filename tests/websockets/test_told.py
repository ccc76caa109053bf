"""What a node says of its WebSockets: statistics, metrics and help."""

from __future__ import annotations

import json

from greenproc import Process, Runtime, WebSocket, websocket
from tests.peer import Answer, Peer
from tests.websockets.client import TEXT, close, frame
from tests.websockets.conftest import Connect, Echo


def test_a_node_counts_its_websockets(echo: Echo, connect: Connect, runtime: Runtime) -> None:
    client = connect()
    client.send(frame(TEXT, b"a") + frame(TEXT, b"b"))
    assert (client.hear(), client.hear()) == ("a", "b")
    assert echo.sockets[0].statistics() == {
        "messages_in": 2,
        "messages_out": 2,
        "unserved_bytes": 0,
        "queued_bytes": 0,
    }
    with Peer.connect(runtime.address) as peer:
        told = json.loads(peer.get("/metrics/snapshot").body)
    assert told["greenproc/websockets"] == 1
    assert told["greenproc/websockets_opened"] == 1
    assert told["greenproc/websocket_messages_in"] == 2
    assert told["greenproc/websocket_messages_out"] == 2
    client.send(close(1000))
    client.read_frames()
    client.close()
    runtime.settle()
    counts = runtime.statistics()["websockets"]
    assert (counts["connections"], counts["opened"]) == (0, 1)


def test_the_help_of_a_route_says_that_it_is_a_websocket(runtime: Runtime) -> None:
    class Told(Process):
        @websocket("/ws", help="Speaks.\n")
        def joined(self, ws: WebSocket) -> None:
            pass

        @websocket("/bare")
        def bare(self, ws: WebSocket) -> None:
            pass

        @websocket("/hidden", help="")
        def hidden(self, ws: WebSocket) -> None:
            pass

    runtime.spawn(Told("told"))

    def told(path: str) -> Answer:
        asked = f"GET /help/told{path} HTTP/1.1\r\nHost: h\r\nAccept: text/markdown\r\n\r\n"
        with Peer.connect(runtime.address) as peer:
            return peer.ask(asked.encode())

    assert told("/ws").body.decode() == (
        "### USAGE ###\n>        /told/ws\n\nSpeaks.\n\n### PROTOCOL ###\nWebSocket.\n\n"
    )
    assert "WebSocket." in told("/bare").body.decode()
    assert told("/hidden").code == 400
