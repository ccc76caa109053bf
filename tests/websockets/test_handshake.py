"""Opening handshakes, row by row."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest

from greenproc import Future, Process, Promise, Runtime, WebSocket, route, websocket
from greenproc.auth import BasicAuthenticator
from greenproc.errors import InvalidArgument
from greenproc.http import Request, Response, ServiceUnavailable
from greenproc.testing import expect_failure
from tests.peer import Answer
from tests.websockets.client import ACCEPT, KEY, TEXT, Client, close, frame, handshake
from tests.websockets.conftest import Connect, Echo


class Site(Process):
    """Takes WebSockets under all sorts of conditions."""

    def __init__(self) -> None:
        super().__init__("site")
        self.sockets: list[WebSocket] = []
        self.slow: Promise[Any] = Promise()

    @websocket("/ws")
    def plain(self, ws: WebSocket) -> None:
        self.sockets.append(ws)

    @websocket("/mine", origins=["https://example.org", "HTTP://Other.example:81"])
    def for_pages_of_some(self, ws: WebSocket) -> None:
        pass

    @websocket("/open", origins="*")
    def for_all_pages(self, ws: WebSocket) -> None:
        pass

    @websocket("/spoken", subprotocols=("chat.v2", "chat.v1"))
    def spoken(self, ws: WebSocket) -> None:
        ws.send(repr(ws.subprotocol))

    @websocket("/secret", realm="r")
    def secret(self, ws: WebSocket, principal: Any) -> None:
        ws.send(str(principal))

    @websocket("/full")
    def full(self, ws: WebSocket) -> Response:
        return ServiceUnavailable("the room is full")

    @websocket("/later")
    def later(self, ws: WebSocket) -> Future[Any]:
        self.sockets.append(ws)
        return self.slow.future

    @websocket("/wrong")
    def wrong(self, ws: WebSocket) -> str:
        return "hello"

    @websocket("/broken")
    def broken(self, ws: WebSocket) -> None:
        self.sockets.append(ws)
        raise LookupError("no")

    @route("/page")
    def page(self, request: Request) -> str:
        return "page"


@pytest.fixture
def site(runtime: Runtime) -> Iterator[Site]:
    process = Site()
    runtime.spawn(process)
    yield process
    for ws in process.sockets:
        assert ws.close_code is not None or ws.is_open


def answer_to(runtime: Runtime, request: bytes) -> Answer:
    """Return the response to *request* that is no 101, and see the connection end if it says so."""
    with Client.connect(runtime.address) as client:
        answer = client.ask(request)
        if answer.header("Connection") == "close":
            assert client.read_to_end() == b""
        return answer


def test_ws_accept_vector(site: Site, connect: Connect) -> None:
    """RFC 6455 section 1.3."""
    client = connect("/site/ws")
    assert client.answer.headers == (
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Accept", ACCEPT),
    )


REFUSALS = {
    "another method": (handshake("/site/ws").replace(b"GET", b"PUT", 1), 405, "Allow", "GET"),
    "no Host": (handshake("/site/ws", Host=None), 400, None, None),
    "two Hosts": (handshake("/site/ws", "Host: b"), 400, None, None),
    "no Upgrade": (handshake("/site/ws", Upgrade=None), 426, "Upgrade", "websocket"),
    "another Upgrade": (handshake("/site/ws", Upgrade="h2c"), 426, "Upgrade", "websocket"),
    "no Connection": (handshake("/site/ws", Connection=None), 400, None, None),
    "another Connection": (handshake("/site/ws", Connection="keep-alive"), 400, None, None),
    "no version": (
        handshake("/site/ws", Sec_WebSocket_Version=None),
        426,
        "Sec-WebSocket-Version",
        "13",
    ),
    "another version": (
        handshake("/site/ws", Sec_WebSocket_Version="8"),
        426,
        "Sec-WebSocket-Version",
        "13",
    ),
    "no key": (handshake("/site/ws", Sec_WebSocket_Key=None), 400, None, None),
    "another origin": (handshake("/site/ws", "Origin: http://evil"), 403, None, None),
    "no such process": (handshake("/nowhere/ws"), 404, None, None),
    "a plain route": (handshake("/site/page"), 501, None, None),
    "no such route": (handshake("/site/other"), 501, None, None),
    "a process that says no": (handshake("/site/full"), 503, None, None),
    "a handler that raises": (handshake("/site/broken"), 500, None, None),
    "a handler that returns what means nothing": (handshake("/site/wrong"), 500, None, None),
}


@pytest.mark.parametrize(
    ("asked", "status", "name", "value"), REFUSALS.values(), ids=REFUSALS.keys()
)
def test_ws_handshake_refusals(
    site: Site, runtime: Runtime, asked: bytes, status: int, name: str | None, value: str | None
) -> None:
    failures = {b"/broken": (LookupError, "no"), b"/wrong": (TypeError, "expected a handler")}
    wanted = [failure for path, failure in failures.items() if path in asked]
    with expect_failure(*wanted[0]) if wanted else nullcontext():
        answer = answer_to(runtime, asked)
    assert answer.code == status
    assert name is None or answer.header(name) == value


def test_ws_refusal_ends_the_connection(site: Site, runtime: Runtime) -> None:
    """What follows may be frames, which must not be read as a request."""
    request = b"GET /site/page HTTP/1.1\r\nHost: h\r\n\r\n"
    for path, status in (("/site/full", 503), ("/site/page", 501), ("/nowhere/ws", 404)):
        with Client.connect(runtime.address) as client:
            answer = client.ask(handshake(path) + request)
            assert answer.code == status
            assert client.read_to_end() == b""


def test_ws_what_is_no_handshake_leaves_the_connection(site: Site, runtime: Runtime) -> None:
    with Client.connect(runtime.address) as client:
        assert client.get("/site/ws").code == 426
        assert client.get("/site/page").body == b"page"


def test_ws_two_connection_lines(site: Site, runtime: Runtime) -> None:
    with Client.connect(runtime.address) as client:
        client.open("/site/ws", "Connection: keep-alive", Connection="foo, UPGRADE")
    with Client.connect(runtime.address) as client:
        client.open("/site/ws", "Connection: upgrade", Connection="keep-alive")


def test_ws_upgrade_list(site: Site, connect: Connect) -> None:
    connect("/site/ws", Upgrade="h2c, WebSocket")
    connect("/site/ws", "Upgrade: websocket", Upgrade="h2c")


@pytest.mark.parametrize(
    "key", ["abc", "", KEY[:-2], KEY + "AAAA", "?" * 24, "dGhlIHNhbXBsZSBub25jZQ", "é" * 12]
)
def test_ws_bad_key(site: Site, runtime: Runtime, key: str) -> None:
    assert answer_to(runtime, handshake("/site/ws", Sec_WebSocket_Key=key)).code == 400


def test_ws_two_keys(site: Site, runtime: Runtime) -> None:
    asked = handshake("/site/ws", f"Sec-WebSocket-Key: {KEY}")
    assert answer_to(runtime, asked).code == 400


def test_ws_http10(site: Site, runtime: Runtime) -> None:
    asked = handshake("/site/ws").replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    assert answer_to(runtime, asked).code == 400


@pytest.mark.parametrize(
    ("line", "body"),
    [
        ("Content-Length: 5", b"hello"),
        ("Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n"),
    ],
)
def test_ws_body(site: Site, runtime: Runtime, line: str, body: bytes) -> None:
    assert answer_to(runtime, handshake("/site/ws", line) + body).code == 400


ORIGINS = [
    ("/site/ws", "http://test", True),
    ("/site/ws", "http://TEST", True),
    ("/site/ws", "https://test:443", True),
    ("/site/ws", "http://test:81", False),
    ("/site/ws", "http://other", False),
    ("/site/ws", "http://test.evil", False),
    ("/site/ws", "null", False),
    ("/site/ws", "", False),
    ("/site/mine", "https://example.org", True),
    ("/site/mine", "https://EXAMPLE.org", True),
    ("/site/mine", "http://other.example:81", True),
    ("/site/mine", "http://example.org", False),
    ("/site/mine", "http://test", False),
    ("/site/mine", "null", False),
    ("/site/open", "https://anything", True),
    ("/site/open", "null", True),
    ("/site/mine", None, True),
    ("/site/ws", None, True),
]


@pytest.mark.parametrize(("path", "origin", "allowed"), ORIGINS)
def test_ws_origin(
    site: Site, runtime: Runtime, path: str, origin: str | None, *, allowed: bool
) -> None:
    lines = [] if origin is None else [f"Origin: {origin}"]
    with Client.connect(runtime.address) as client:
        client.send(handshake(path, *lines))
        status = client.read_until(b"\r\n")
    assert status.split(b" ")[1] == (b"101" if allowed else b"403")


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("a.example:8080", "http://a.example:8080"),
        ("a.example:80", "http://a.example"),
        ("[::1]:5050", "http://[::1]:5050"),
        ("[::1]", "http://[::1]:80"),
        ("[::1]:443", "https://[::1]"),
    ],
)
def test_ws_origin_is_that_of_the_host_with_any_spelling(
    site: Site, connect: Connect, host: str, origin: str
) -> None:
    connect("/site/ws", f"Origin: {origin}", Host=host)


def test_ws_two_origins(site: Site, runtime: Runtime) -> None:
    asked = handshake("/site/ws", "Origin: http://test", "Origin: http://test")
    assert answer_to(runtime, asked).code == 403


@pytest.mark.parametrize(
    ("lines", "chosen"),
    [
        (["Sec-WebSocket-Protocol: chat.v1, chat.v2"], "chat.v2"),
        (["Sec-WebSocket-Protocol: chat.v1", "Sec-WebSocket-Protocol: x"], "chat.v1"),
        (["Sec-WebSocket-Protocol: CHAT.v1"], None),
        ([], None),
    ],
)
def test_ws_subprotocol(
    site: Site, connect: Connect, lines: list[str], chosen: str | None
) -> None:
    client = connect("/site/spoken", *lines)
    assert client.answer.header("Sec-WebSocket-Protocol") == chosen
    assert client.hear() == repr(chosen)


def test_ws_authentication(site: Site, runtime: Runtime, connect: Connect) -> None:
    runtime.set_authenticator("r", BasicAuthenticator("r", {"ada": "x"}))
    assert answer_to(runtime, handshake("/site/secret")).code == 401
    client = connect("/site/secret", "Authorization: Basic YWRhOng=")
    assert "ada" in str(client.hear())


def test_ws_a_future_makes_the_client_wait(site: Site, runtime: Runtime) -> None:
    with Client.connect(runtime.address) as client:
        client.send(handshake("/site/later") + frame(TEXT, b"ahead"))
        runtime.settle()
        site.sockets[0].on_message(WebSocket.send)
        site.sockets[0].send("welcome")
        client.send(frame(TEXT, b"more"))
        runtime.settle()
        site.slow.set(None)
        client.read_handshake()
        assert [client.hear() for _ in range(3)] == ["welcome", "ahead", "more"]


def test_ws_a_future_refuses(site: Site, runtime: Runtime) -> None:
    with Client.connect(runtime.address) as client:
        client.send(handshake("/site/later"))
        runtime.settle()
        site.slow.set(ServiceUnavailable())
        assert client.read_answer().code == 503
        assert client.read_to_end() == b""
    assert site.sockets[0].close_code == 1006


def test_ws_a_future_that_fails_refuses(site: Site, runtime: Runtime) -> None:
    with Client.connect(runtime.address) as client:
        client.send(handshake("/site/later"))
        runtime.settle()
        site.slow.fail("not now")
        assert client.read_answer().code == 500
    assert site.sockets[0].close_code == 1006


def test_ws_a_client_that_leaves_before_the_answer_was_never_there(
    site: Site, runtime: Runtime
) -> None:
    client = Client.connect(runtime.address)
    client.send(handshake("/site/later"))
    runtime.settle()
    client.reset()
    runtime.settle()
    site.slow.set(None)
    runtime.settle()
    assert site.sockets[0].closed.get(15.0) == 1006
    assert runtime.statistics()["websockets"]["connections"] == 0


def test_ws_a_handler_that_raises_leaves_no_connection(site: Site, runtime: Runtime) -> None:
    with expect_failure(LookupError, "no"):
        assert answer_to(runtime, handshake("/site/broken")).code == 500
    assert site.sockets[0].close_code == 1006
    assert not site.sockets[0].send("x")


def test_ws_handshakes_are_counted(site: Site, runtime: Runtime, connect: Connect) -> None:
    client = connect("/site/ws")
    answer_to(runtime, handshake("/site/full"))
    answer_to(runtime, handshake("/site/ws", Sec_WebSocket_Key="x"))
    counts = runtime.statistics()["websockets"]
    assert (counts["opened"], counts["connections"], counts["refused"]) == (1, 1, 2)
    client.send(close(1000))
    assert client.read_frames()
    client.close()
    runtime.settle()
    counts = runtime.statistics()["websockets"]
    assert (counts["opened"], counts["connections"], counts["refused"]) == (1, 0, 2)


@pytest.mark.parametrize(
    "options",
    [
        {"origins": ["example.org"]},
        {"origins": [5]},
        {"origins": ["http://a/path"]},
        {"subprotocols": "chat"},
        {"subprotocols": ["a b"]},
        {"max_message_bytes": 0},
        {"max_send_bytes": None},
        {"ping_interval": 0},
        {"ping_interval": "20"},
        {"close_timeout": None},
        {"close_timeout": float("inf")},
        {"deflate": "yes"},
        {"realm": ""},
    ],
)
def test_ws_options_that_mean_nothing_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        websocket("/ws", **options)
    with pytest.raises(TypeError):
        websocket("/ws", max_size=5)  # type: ignore[call-overload]


def test_ws_a_handler_that_takes_no_socket_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="cannot handle"):

        class Bad(Process):
            @websocket("/ws")  # type: ignore[type-var]
            def on_connect(self) -> None:
                pass


def test_ws_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wsproto", None)
    with pytest.raises(ModuleNotFoundError, match=r"WebSockets need wsproto: pip install"):
        websocket("/ws")


def test_ws_echo_has_no_part_in_this(echo: Echo, connect: Connect) -> None:
    client = connect("/echo/ws?room=5", "Cookie: a=b")
    client.say("x")
    assert client.hear() == "x"
    request = echo.sockets[0].request
    assert request.url.query == {"room": "5"}
    assert request.headers["Cookie"] == "a=b"
