"""Messages of WebSockets in the turns of a process."""

from __future__ import annotations

from typing import Any

import pytest

from greenproc import Process, Runtime, WebSocket, route, websocket
from greenproc.http import Request
from tests.peer import Peer
from tests.websockets.client import (
    ACCEPT,
    BINARY,
    PING,
    PONG,
    TEXT,
    Frame,
    close,
    frame,
    handshake,
)
from tests.websockets.conftest import Connect, Echo


def test_a_process_answers_text_with_text_and_bytes_with_bytes(
    echo: Echo, connect: Connect
) -> None:
    client = connect()
    assert client.answer.status == "HTTP/1.1 101 Switching Protocols"
    assert client.answer.header("Sec-WebSocket-Accept") == ACCEPT
    client.say("Grüße")
    assert client.hear() == "Grüße"
    client.send(frame(BINARY, b"\xff\x00"))
    assert client.hear() == b"\xff\x00"
    client.send(frame(PING, b"are you there"))
    assert client.read_frame() == Frame(PONG, b"are you there")


def test_what_comes_behind_the_handshake_is_taken(echo: Echo, runtime: Runtime) -> None:
    from tests.websockets.client import Client, handshake

    with Client.connect(runtime.address) as client:
        client.send(handshake("/echo/ws") + frame(TEXT, b"early"))
        client.read_handshake()
        assert client.hear() == "early"


def test_a_close_is_answered_behind_the_messages_before_it(
    echo: Echo, connect: Connect, runtime: Runtime
) -> None:
    client = connect()
    client.send(frame(TEXT, b"one") + frame(TEXT, b"two") + close(1000, b"done"))
    assert (client.hear(), client.hear()) == ("one", "two")
    assert client.read_close() == 1000
    assert client.read_frame() is None
    runtime.settle()
    assert echo.ended == [(1000, "done")]
    assert echo.sockets[0].closed.get(15.0) == 1000
    assert not echo.sockets[0].send("late")


def test_a_process_closes_with_a_code_and_a_reason(
    echo: Echo, connect: Connect, runtime: Runtime
) -> None:
    client = connect()
    runtime.settle()
    (socket,) = echo.sockets
    socket.send("last words")
    socket.close(4001, "bye")
    assert client.hear() == "last words"
    assert client.read_frame() == Frame(8, b"\x0f\xa1bye")
    client.send(close(4001))
    assert client.read_frame() is None
    runtime.settle()
    assert echo.ended == [(4001, "")]


def test_one_process_has_many_connections(runtime: Runtime, connect: Connect) -> None:
    class Room(Process):
        def __init__(self) -> None:
            super().__init__("room")
            self.members: set[WebSocket] = set()

        @websocket("/ws")
        def joined(self, ws: WebSocket) -> None:
            self.members.add(ws)
            ws.on_message(self.said)
            ws.on_close(self.members.discard)

        def said(self, ws: WebSocket, text: str) -> None:
            for member in self.members:
                member.send(text)

    room = Room()
    runtime.spawn(room)
    first, second, third = (connect("/room/ws") for _ in range(3))
    third.send(close(1000))
    assert third.read_close() == 1000
    runtime.settle()
    assert len(room.members) == 2
    first.say("hello")
    assert first.hear() == second.hear() == "hello"


def test_a_process_for_each_connection_ends_with_it_and_the_other_way_round(
    runtime: Runtime, connect: Connect
) -> None:
    class Guest(Process):
        def __init__(self, ws: WebSocket) -> None:
            super().__init__()
            self.ws = ws
            self.words: list[str] = []

        def initialize(self) -> None:
            self.ws.on_message(self.said)

        def said(self, ws: WebSocket, word: str) -> None:
            self.words.append(word)
            ws.send(" ".join(self.words))
            if word == "stop":
                self.terminate()

    guests: list[Guest] = []

    class Door(Process):
        @websocket("/ws")
        def knocked(self, ws: WebSocket) -> Process:
            guests.append(Guest(ws))
            return guests[-1]

    runtime.spawn(Door("door"))
    first, second = connect("/door/ws"), connect("/door/ws")
    first.say("a")
    second.say("b")
    assert (first.hear(), second.hear()) == ("a", "b")
    first.say("c")
    assert first.hear() == "a c"
    first.send(close(1000))
    assert first.read_close() == 1000
    assert runtime.wait(guests[0], 15.0) or guests[0].pid
    runtime.settle()
    assert runtime.processes.find_process(guests[0].pid) is None
    second.say("stop")
    assert second.hear() == "b stop"
    assert second.read_close() == 1001


def test_a_path_has_parameters(runtime: Runtime, connect: Connect) -> None:
    class Rooms(Process):
        @websocket("/<name>/<int:seat>")
        def joined(self, ws: WebSocket, name: str, seat: int) -> None:
            ws.send(f"{name} {seat + 1}")

        @websocket("/private/<name>", realm="r")
        def private(self, ws: WebSocket, principal: Any, name: str) -> None:
            ws.send(f"{name} {principal}")

    runtime.spawn(Rooms("rooms"))
    assert connect("/rooms/blue%20one/4").hear() == "blue one 5"
    assert connect("/rooms/private/x").hear() == "x None"


@pytest.mark.parametrize("value", [None, 5, ["x"], {}])
def test_other_values_are_no_messages(
    echo: Echo, connect: Connect, runtime: Runtime, value: object
) -> None:
    connect()
    runtime.settle()
    with pytest.raises(ValueError, match="expected a message of str or bytes"):
        echo.sockets[0].send(value)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="that UTF-8 can encode"):
        echo.sockets[0].send("\ud800")


def test_a_path_may_have_parameters(runtime: Runtime, connect: Connect) -> None:
    class Rooms(Process):
        @websocket("/rooms/<name>/<int:seat>")
        def joined(self, ws: WebSocket, name: str, seat: int) -> None:
            ws.on_message(lambda ws, text: ws.send(f"{name} {seat} {text}"))

        @route("/rooms/<name>/<int:seat>/who")
        def on_who(self, request: Request, name: str, seat: int) -> str:
            return name

    runtime.spawn(Rooms("hotel"))
    client = connect("/hotel/rooms/a%2Fb/7")
    client.say("hi")
    assert client.hear() == "a/b 7 hi"
    for path, code in (("%zz/7", 400), ("a/x", 501), ("a/7/who", 501)):
        with Peer.connect(runtime.address) as peer:
            assert peer.ask(handshake(f"/hotel/rooms/{path}")).code == code
