"""WebSockets that come through another WSGI server."""

from __future__ import annotations

import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from gevent.pywsgi import WSGIServer

from greenproc import Process, Runtime, WebSocket, websocket
from greenproc.address import Address
from greenproc.wsgi import Middleware
from tests.peer import LIMIT, Peer
from tests.websockets.client import (
    BINARY,
    PING,
    PONG,
    TEXT,
    Client,
    Frame,
    close,
    frame,
    handshake,
)
from tests.websockets.conftest import Echo
from tests.wsgi.apps import answering
from tests.wsgi.conftest import get
from tests.wsgi.gunicorns import WORKER, Encryption, Gunicorn, each_gunicorn

Served = tuple[Address, WSGIServer]


@pytest.fixture
def served(runtime: Runtime) -> Iterator[Served]:
    """The address of a server of gevent with an app behind the middleware, and the server."""
    app = Middleware(answering(b"the app"), runtime, "/live")
    server = WSGIServer(("127.0.0.1", 0), app, log=None, error_log=None)
    server.start()
    yield Address("127.0.0.1", server.server_port), server
    server.stop(timeout=1.0)


@pytest.fixture
def echo(runtime: Runtime) -> Echo:
    process = Echo()
    runtime.spawn(process)
    return process


UPGRADES = {
    "Chromium": {"Connection": "Upgrade"},
    "Firefox": {"Connection": "keep-alive, Upgrade"},
    "a list": {"Connection": "keep-alive, Upgrade", "Upgrade": "h2c, websocket"},
}


@pytest.mark.parametrize("lines", UPGRADES.values(), ids=UPGRADES.keys())
def test_ws_under_pywsgi(served: Served, echo: Echo, lines: dict[str, str]) -> None:
    address, _ = served
    with Client.at(address, "/live/echo/ws?a=b", **lines) as client:
        client.say("hello")
        assert client.hear() == "hello"
        client.send(frame(BINARY, b"x" * 70_000) + frame(PING, b"p"))
        assert {client.read_frame(), client.read_frame()} == {
            Frame(BINARY, b"x" * 70_000),
            Frame(PONG, b"p"),
        }
        client.send(close(1000, b"done"))
        assert client.read_close() == 1000
        assert client.read_frame() is None
    echo.runtime.settle()
    assert echo.ended == [(1000, "done")]
    assert echo.sockets[0].request.url.query == {"a": "b"}
    assert echo.sockets[0].request.client is not None


def test_ws_under_pywsgi_takes_what_comes_behind_the_handshake(served: Served, echo: Echo) -> None:
    for lines in UPGRADES.values():
        with Client.connect(served[0]) as client:
            client.send(handshake("/live/echo/ws", **lines) + frame(TEXT, b"early"))
            client.read_handshake()
            assert client.hear() == "early"


def test_ws_under_pywsgi_the_socket_is_not_used_again(served: Served, echo: Echo) -> None:
    """What comes behind a Close is no request."""
    with Client.at(served[0], "/live/echo/ws") as client:
        client.send(close(1000) + get("/") + get("/"))
        assert client.read_close() == 1000
        assert client.read_to_end() == b""


def test_ws_under_pywsgi_refusals(served: Served, echo: Echo) -> None:
    for path, lines, status in (
        ("/live/echo/ws", {"Sec_WebSocket_Version": "8"}, 426),
        ("/live/echo/ws", {"Sec_WebSocket_Key": "abc"}, 400),
        ("/live/echo/ws", {"Origin": "http://evil"}, 403),
        ("/live/echo/other", {}, 501),
        ("/live/nowhere/ws", {}, 200),  # which is the app's
    ):
        with Client.connect(served[0]) as client:
            assert client.ask(handshake(path, **lines)).code == status


def test_ws_under_pywsgi_process_ends(served: Served, echo: Echo) -> None:
    with Client.at(served[0], "/live/echo/ws") as client:
        echo.runtime.settle()
        echo.runtime.terminate(echo)
        assert client.read_close() == 1001
        client.send(close(1001))
        assert client.read_frame() is None


def test_ws_under_pywsgi_lost(served: Served, echo: Echo) -> None:
    Client.at(served[0], "/live/echo/ws").reset()
    Client.at(served[0], "/live/echo/ws").close()
    echo.runtime.settle()
    assert echo.ended == [(1006, "")] * 2


def test_ws_under_pywsgi_the_node_stops(make_runtime: Callable[..., Runtime]) -> None:
    runtime = make_runtime()
    process = Echo()
    runtime.spawn(process)
    app = Middleware(answering(b"the app"), runtime)
    server = WSGIServer(("127.0.0.1", 0), app, log=None, error_log=None)
    server.start()
    address = Address("127.0.0.1", server.server_port)
    with Client.at(address, "/echo/ws") as client:
        runtime.settle()
        runtime.stop(timeout=0.2)
        assert client.read_close() == 1001
        assert client.read_frame() is None
    server.stop(timeout=1.0)
    assert process.sockets[0].closed.get(LIMIT) == 1006


def test_ws_under_a_server_without_gevent_it_names_the_node(runtime: Runtime, echo: Echo) -> None:
    """As gunicorn's sync and gthread workers, which know no greenlets."""
    app = Middleware(answering(b"the app"), runtime)

    class Quiet(WSGIRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

    with make_server("127.0.0.1", 0, app, handler_class=Quiet) as server:
        threading.Thread(target=server.handle_request).start()
        with Peer.connect(Address("127.0.0.1", server.server_port)) as peer:
            answer = peer.ask(handshake("/echo/ws"))
    assert answer.code == 501
    assert str(runtime.address).encode() in answer.body


class Talk(Process):
    """Sends more than its client takes at once."""

    @websocket("/ws")
    def joined(self, ws: WebSocket) -> None:
        ws.send(b"x" * 900_000)
        ws.close(4000, "enough")


def test_ws_under_pywsgi_much_leaves_before_the_close(served: Served, runtime: Runtime) -> None:
    runtime.spawn(Talk("talk"))
    with Client.at(served[0], "/live/talk/ws") as client:
        assert client.hear() == b"x" * 900_000
        assert client.read_close() == 4000


SITE = """
import os

import greenproc
from greenproc import Process, WebSocket, websocket
from greenproc.wsgi import Middleware


class Echo(Process):
    @websocket("/ws")
    def joined(self, ws):
        ws.on_message(WebSocket.send)


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"the app"]


app = Middleware(app)
HOW = os.environ.get("HOW")
if HOW == "thread":
    node = greenproc.start_in_thread()
    node.spawn(Echo("echo"))
    app = Middleware(app, node)
elif HOW == "import":
    greenproc.spawn(Echo("echo"))
else:
    app.app.greenproc = lambda runtime: runtime.spawn(Echo("echo"))
"""

WORKERS = [(WORKER, ""), ("gevent", "import"), ("gevent_pywsgi", "import")]
ENCRYPTED = [WORKERS[0], WORKERS[2]]  # one for each way to find the socket


def start(
    folder: Path, worker: str, how: str, *flags: str, python: str = sys.executable
) -> Gunicorn:
    (folder / "socket_site.py").write_text(SITE)
    options = {"worker": worker, "target": "socket_site:app", "env": {"HOW": how}}
    return Gunicorn(python, folder, *flags, **options)


@pytest.mark.slow  # four seconds: gunicorn looks once a second whether its requests have ended
@each_gunicorn
@pytest.mark.parametrize(("worker", "how"), WORKERS, ids=[one[0] for one in WORKERS])
def test_ws_under_gunicorn(tmp_path: Path, python: str, worker: str, how: str) -> None:
    with start(tmp_path, worker, how, python=python) as gunicorn:
        gunicorn.booted()
        for lines in UPGRADES.values():
            with Client.connect(gunicorn.address) as client:
                client.send(handshake("/echo/ws", **lines) + frame(TEXT, b"early"))
                client.read_handshake()
                assert client.hear() == "early"
                client.send(frame(BINARY, b"x" * 70_000))
                assert client.hear() == b"x" * 70_000
                client.send(close(1000) + get("/") + get("/"))
                assert client.read_close() == 1000
                assert client.read_to_end() == b""
        with Peer.connect(gunicorn.address) as peer:
            assert peer.get("/").body == b"the app"
            assert peer.ask(handshake("/echo/ws", Sec_WebSocket_Key="x")).code == 400
        assert not gunicorn.find("Traceback|rror")
        with Client.at(gunicorn.address, "/echo/ws") as client:
            gunicorn.signal(signal.SIGTERM)
            if worker == WORKER:
                assert client.read_close() == 1012
                client.send(close(1012))
            else:
                client.send(close(1000))
                assert client.read_close() == 1000
            assert client.read_frame() is None
        assert gunicorn.finish().code == 0
        assert not gunicorn.find("Traceback")


@pytest.mark.slow
@each_gunicorn
@pytest.mark.parametrize(("worker", "how"), ENCRYPTED, ids=[one[0] for one in ENCRYPTED])
def test_ws_under_gunicorn_with_encryption(
    tmp_path: Path, python: str, worker: str, how: str
) -> None:
    encryption = Encryption(tmp_path)
    with start(tmp_path, worker, how, *encryption.flags, python=python) as gunicorn:
        gunicorn.booted()
        with Client(encryption.connect(gunicorn.address)) as client:
            client.send(handshake("/echo/ws") + frame(TEXT, b"early"))
            client.read_handshake()
            assert client.hear() == "early"
            for _ in range(3):
                client.send(frame(BINARY, b"x" * 900_000))
                assert client.hear() == b"x" * 900_000
            client.send(close(1000) + get("/") + get("/"))
            assert client.read_close() == 1000
            assert client.read_to_end() == b""
        with Client(encryption.connect(gunicorn.address)) as client:
            client.open("/echo/ws")
            gunicorn.signal(signal.SIGTERM)
            if worker == WORKER:
                assert client.read_close() == 1012
                client.send(close(1012))
            else:
                client.send(close(1000))
                assert client.read_close() == 1000
            assert client.read_frame() is None
        assert gunicorn.finish().code == 0
        assert not gunicorn.find("Traceback|rror")


@pytest.mark.parametrize("worker", ["sync", "gthread"])
def test_ws_under_gunicorn_without_gevent(tmp_path: Path, worker: str) -> None:
    with start(tmp_path, worker, "thread") as gunicorn:
        gunicorn.booted()
        with Peer.connect(gunicorn.address) as peer:
            answer = peer.ask(handshake("/echo/ws"))
        assert answer.code == 501
        found = re.search(rb"the node at ([0-9.:]+)", answer.body)
        assert found is not None
        with Client.at(Address.parse(found[1].decode()), "/echo/ws") as client:
            client.say("hello")
            assert client.hear() == "hello"
        gunicorn.signal(signal.SIGTERM)
        assert gunicorn.finish().code == 0
