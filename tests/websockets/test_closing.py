"""How WebSockets end: codes, timeouts, and what the process gets to know."""

from __future__ import annotations

import struct
from collections.abc import Callable

import gevent
import pytest

from greenproc import Process, Runtime, WebSocket, websocket
from greenproc.errors import InvalidArgument
from greenproc.testing import RuntimeMaker, expect_failure
from greenproc.websockets import CloseCode
from tests.peer import LIMIT
from tests.websockets.client import CLOSE, PING, TEXT, Client, Frame, close, frame
from tests.websockets.conftest import Connect, Echo

SENT = [*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999]
NEVER_SENT = [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]


@pytest.mark.parametrize("code", SENT)
def test_ws_close_codes(echo: Echo, connect: Connect, runtime: Runtime, code: int) -> None:
    """From the client, and from the process."""
    client = connect()
    client.send(close(code, b"why"))
    assert client.read_frames() == [Frame(CLOSE, struct.pack("!H", code))]
    client = connect()
    runtime.settle()
    echo.sockets[1].close(code, "why")
    assert client.read_frame() == Frame(CLOSE, struct.pack("!H", code) + b"why")
    client.send(close(code))
    assert client.read_frame() is None
    runtime.settle()
    assert echo.ended == [(code, "why"), (code, "")]


@pytest.mark.parametrize("code", NEVER_SENT)
def test_ws_close_codes_that_are_never_sent(
    echo: Echo, connect: Connect, runtime: Runtime, code: int
) -> None:
    client = connect()
    client.send(close(code))
    assert client.read_close() == 1002
    runtime.settle()
    assert [ended[0] for ended in echo.ended] == [1002]
    with pytest.raises(InvalidArgument, match="expected a close code"):
        echo.sockets[0].close(code)


def test_ws_close_without_a_code(echo: Echo, connect: Connect, runtime: Runtime) -> None:
    client = connect()
    client.send(close())
    assert client.read_frames() == [Frame(CLOSE, b"")]
    runtime.settle()
    assert echo.ended == [(CloseCode.NO_STATUS, "")]


def test_ws_close_arguments(echo: Echo, connect: Connect, runtime: Runtime) -> None:
    connect()
    runtime.settle()
    for bad in ("1000", 1000.0, True, None):
        with pytest.raises(InvalidArgument):
            echo.sockets[0].close(bad)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="reason"):
        echo.sockets[0].close(1000, b"x")  # type: ignore[arg-type]
    assert echo.sockets[0].is_open


@pytest.mark.parametrize(
    ("reason", "cut"),
    [("x" * 123, b"x" * 123), ("x" * 124, b"x" * 123), ("ü" * 100, "ü".encode() * 61)],
)
def test_ws_close_reason_cut(
    echo: Echo, connect: Connect, runtime: Runtime, reason: str, cut: bytes
) -> None:
    client = connect()
    runtime.settle()
    echo.sockets[0].close(4000, reason)
    assert client.read_frame() == Frame(CLOSE, b"\x0f\xa0" + cut)


def test_ws_close_timeout(echo: Echo, connect: Connect, runtime: Runtime) -> None:
    client = connect()
    runtime.settle()
    runtime.clock.pause()
    echo.sockets[0].close(4000)
    assert client.read_close() == 4000
    runtime.clock.advance(9.9)
    runtime.settle()
    assert echo.ended == []
    runtime.clock.advance(0.2)
    assert client.read_frame() is None
    runtime.settle()
    assert echo.ended == [(CloseCode.ABNORMAL, "")]


def test_ws_close_crossing(echo: Echo, connect: Connect, runtime: Runtime) -> None:
    """Both sides close at once: each takes the other's Close for the answer."""
    client = connect()
    runtime.settle()
    echo.sockets[0].close(4000, "server")
    client.send(close(4001, b"client"))
    assert client.read_frames() == [Frame(CLOSE, b"\x0f\xa0server")]
    runtime.settle()
    assert echo.ended == [(4001, "client")]


def test_ws_closing_twice_says_one_close(echo: Echo, connect: Connect, runtime: Runtime) -> None:
    client = connect()
    runtime.settle()
    (socket,) = echo.sockets
    socket.close(4000)
    socket.close(4001)
    assert not socket.is_open
    assert not socket.send("late")
    client.send(frame(TEXT, b"late") + frame(PING) + close(4000))
    assert client.read_frames() == [Frame(CLOSE, b"\x0f\xa0")]
    runtime.settle()
    assert echo.ended == [(4000, "")]
    assert "closed 4000" in repr(socket)


def test_ws_a_lost_connection_is_told(echo: Echo, connect: Connect, runtime: Runtime) -> None:
    connect().reset()
    connect().close()
    runtime.settle()
    assert echo.ended == [(CloseCode.ABNORMAL, "")] * 2
    assert [one.closed.get(LIMIT) for one in echo.sockets] == [1006, 1006]


def test_ws_the_server_ends_tcp_first_but_not_for_ever(
    echo: Echo, connect: Connect, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenproc.websockets.session.LINGER_SECONDS", 0.05)
    client = connect()
    client.send(close(1000))
    assert client.read_close() == 1000
    assert client.read_frame() is None  # its sending side only
    with pytest.raises(ConnectionError), gevent.Timeout(LIMIT):
        send_for_ever(client)


def send_for_ever(client: Client) -> None:
    while True:
        client.send(frame(TEXT, b"x"))
        gevent.idle()


def test_ws_process_ends(echo: Echo, connect: Connect, runtime: Runtime) -> None:
    clients = [connect() for _ in range(3)]
    runtime.settle()
    runtime.terminate(echo)
    for client in clients:
        assert client.read_close() == 1001
        client.send(close(1001))
        assert client.read_frame() is None
    assert [one.closed.get(LIMIT) for one in echo.sockets] == [1001] * 3
    assert echo.ended == []  # there is no process to tell


def test_ws_process_ends_with_last_words(runtime: Runtime, connect: Connect) -> None:
    class Room(Process):
        @websocket("/ws")
        def joined(self, ws: WebSocket) -> None:
            self.ws = ws

        def finalize(self) -> None:
            self.ws.send("bye")

    room = runtime.spawn(Room("room"))
    client = connect("/room/ws")
    runtime.terminate(room)
    assert client.hear() == "bye"
    assert client.read_close() == 1001


def test_ws_a_node_that_stops_closes_all(make_runtime: RuntimeMaker) -> None:
    runtime = make_runtime()
    runtime.spawn(Echo())
    with Client.at(runtime.address, "/echo/ws") as client:

        def leave() -> int | None:
            code = client.read_close()
            client.send(close(1001))
            client.close()
            return code

        greenlet = gevent.spawn(leave)
        runtime.stop()
        assert greenlet.get(timeout=LIMIT) == 1001


def test_ws_a_node_that_stops_does_not_wait_for_clients(make_runtime: RuntimeMaker) -> None:
    runtime = make_runtime()
    echo = Echo()
    runtime.spawn(echo)
    with Client.at(runtime.address, "/echo/ws") as client:
        runtime.settle()
        with gevent.Timeout(10.0):
            runtime.stop(timeout=0.2)
        assert client.read_close() == 1001
    assert echo.sockets[0].closed.get(LIMIT) == 1006


def test_ws_reload(echo: Echo, connect: Connect, runtime: Runtime) -> None:
    """What a gunicorn worker does when it ends: the clients may come back at once."""
    client = connect()
    runtime.settle()
    runtime.websockets.end_all(CloseCode.SERVICE_RESTART)
    assert client.read_close() == 1012
    client.send(close(1012))
    assert client.read_frame() is None
    runtime.settle()
    assert echo.ended == [(1012, "")]


def test_ws_reload_closes_what_opens_late(echo: Echo, connect: Connect, runtime: Runtime) -> None:
    """A worker that drains still takes what waits to be accepted."""
    runtime.websockets.end_all(CloseCode.SERVICE_RESTART)
    client = connect()

    assert client.read_close() == 1012
    client.send(close(1012))
    assert client.read_frame() is None


Fail = Callable[[], None]


class Subject(Process):
    """Has callbacks that misbehave."""

    def __init__(self, where: str, how: object) -> None:
        super().__init__("subject")
        self.where = where
        self.how = how
        self.sockets: list[WebSocket] = []
        self.ended: list[int | None] = []

    @websocket("/ws")
    def on_connect(self, ws: WebSocket) -> None:
        self.sockets.append(ws)
        ws.on_message(self.on_message)
        ws.on_close(self.on_close)

    def on_message(self, ws: WebSocket, message: str) -> None:
        ws.send("before")
        if self.where == "message" and message == "fail":
            self.misbehave()
        ws.send("after")

    def on_close(self, ws: WebSocket) -> None:
        self.ended.append(ws.close_code)
        if self.where == "close":
            self.misbehave()

    def misbehave(self) -> None:
        if self.how is None:
            gevent.event.Event().wait()
        assert isinstance(self.how, BaseException)
        raise self.how


FAILURES = [ValueError("of a user"), gevent.Timeout(1.0, "of a user")]


@pytest.mark.parametrize("error", FAILURES, ids=["Exception", "Timeout"])
def test_ws_handler_raises(runtime: Runtime, connect: Connect, error: BaseException) -> None:
    subject = Subject("message", error)
    runtime.spawn(subject)
    client, other = connect("/subject/ws"), connect("/subject/ws")
    with expect_failure(type(error), "of a user"):
        client.say("fail")
        assert client.hear() == "before"
        assert client.read_close() == 1011
        client.send(close(1011))
        assert client.read_frame() is None
        runtime.settle()
    assert subject.ended == [1011]
    other.say("well")
    assert (other.hear(), other.hear()) == ("before", "after")
    assert runtime.statistics()["websockets"]["failed"] == 1


@pytest.mark.parametrize("error", FAILURES, ids=["Exception", "Timeout"])
def test_ws_a_close_callback_that_raises_ends_nothing_else(
    runtime: Runtime, connect: Connect, error: BaseException
) -> None:
    subject = Subject("close", error)
    runtime.spawn(subject)
    client, other = connect("/subject/ws"), connect("/subject/ws")
    with expect_failure(type(error), "of a user"):
        client.send(close(1000))
        assert client.read_frames()[-1].opcode == CLOSE
        runtime.settle()
    other.say("well")
    assert other.hear() == "before"


def test_ws_a_handler_that_is_killed_ends_the_process_and_all_connections(
    runtime: Runtime, connect: Connect
) -> None:
    runtime.spawn(Subject("message", gevent.GreenletExit()))
    client, other = connect("/subject/ws"), connect("/subject/ws")
    client.say("fail")
    assert client.hear() == "before"
    assert client.read_close() == other.read_close() == 1001


def test_ws_a_handler_that_never_returns_holds_up_its_process_only(
    make_runtime: RuntimeMaker,
) -> None:
    runtime = make_runtime()
    process = Subject("message", None)
    runtime.spawn(process)
    runtime.spawn(Echo())
    with Client.at(runtime.address, "/subject/ws") as client:
        client.say("fail")
        assert client.hear() == "before"
        with Client.at(runtime.address, "/echo/ws") as other:
            other.say("hello")
            assert other.hear() == "hello"
            other.send(close(1000))
            assert other.read_close() == 1000
        client.send(close(1000))  # which is not answered: the message before it is not served
        while process.sockets[0].is_open:
            gevent.idle()
        gevent.kill(runtime.processes.records["subject"].greenlet)
        assert client.read_close() == 1000


def test_ws_a_close_behind_a_handler_that_never_returns_is_given_up(
    make_runtime: RuntimeMaker,
) -> None:
    runtime = make_runtime()
    runtime.spawn(Subject("message", None))
    with Client.at(runtime.address, "/subject/ws") as client:
        client.send(frame(TEXT, b"fail") + close(1000))
        assert client.hear() == "before"
        runtime.clock.pause()
        runtime.clock.advance(10.1)
        assert client.read_frame() is None
        runtime.clock.resume()
        gevent.kill(runtime.processes.records["subject"].greenlet)
