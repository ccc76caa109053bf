"""Processes behind other WSGI servers."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.event import Event
from gevent.pywsgi import WSGIServer

from greenproc import UPID, Message, Process, Runtime, Settings, install, route
from greenproc.address import Address
from greenproc.errors import Failure, InvalidArgument
from greenproc.http import OK, NoContent, Request, Response
from greenproc.sync.pipe import Pipe, Writer
from greenproc.testing import RuntimeMaker, await_ready, expect_failure
from greenproc.web.firewall import DisabledEndpointsFirewallRule
from greenproc.wire.framing import encode_message
from greenproc.wsgi import Middleware, WSGIProcess
from tests.peer import LIMIT, Peer
from tests.wsgi.apps import answering, strict
from tests.wsgi.conftest import get, post

CLOSING = "Connection: close"


class Room(Process):
    """A process with a route of every kind."""

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__("room")
        self.request: Request | None = None
        self.messages: list[tuple[UPID, bytes]] = []
        self.arrived = Event()
        self.writer: Writer | None = None
        if folder is not None:
            self.provide("files", folder)

    @route("/echo")
    def on_echo(self, request: Request) -> Response:
        self.request = request
        return OK(
            request.body, headers={"X-Query": repr(request.url.query), "Connection": "close"}
        )

    @route("/upload", streaming=True)
    def on_upload(self, request: Request) -> Any:
        self.request = request
        return request.reader.read_all().then(lambda body: OK(f"{len(body)}"))

    @route("/early", streaming=True)
    def on_early(self, request: Request) -> str:
        return "early"

    @route("/both", streaming=True)
    def on_both(self, request: Request) -> Any:
        return (piece.upper() for piece in request.reader)

    @route("/stream")
    def on_stream(self, request: Request) -> Response:
        pipe = Pipe()
        self.writer = pipe.writer
        self.arrived.set()
        return Response(200, reader=pipe.reader, headers={"Content-Type": "text/plain"})

    @route("/empty")
    def on_empty(self, request: Request) -> Response:
        return NoContent()

    @route("/odd")
    def on_odd(self, request: Request) -> Response:
        return Response(299, "odd")

    @route("/fail")
    def on_fail(self, request: Request) -> Response:
        raise RuntimeError("of a handler")

    @install("note")
    def on_note(self, sender: UPID, body: bytes) -> None:
        self.messages.append((sender, body))
        self.arrived.set()


class Front:
    """A node, a room on it, and gevent's WSGI server in front of both."""

    def __init__(self, runtime: Runtime, room: Room, server: WSGIServer) -> None:
        self.runtime = runtime
        self.room = room
        self.server = server
        self.peers: list[Peer] = []

    def connect(self) -> Peer:
        self.peers.append(Peer.connect(Address("127.0.0.1", self.server.server_port)))
        return self.peers[-1]

    def get(self, target: str, *lines: str) -> Any:
        return self.connect().ask(get(target, *lines))


Start = Callable[..., Front]


@pytest.fixture
def start(make_runtime: RuntimeMaker, tmp_path: Path) -> Iterator[Start]:
    fronts: list[Front] = []

    def start(
        app: Any = None, *, settings: Settings | None = None, wrap: Any = None, **options: Any
    ) -> Front:
        runtime = make_runtime(settings or Settings(stop_timeout=5.0))
        room = Room(tmp_path)
        runtime.spawn(room)
        middleware = Middleware(app or answering(b"the app"), runtime, **options)
        server = WSGIServer(
            ("127.0.0.1", 0), wrap(middleware) if wrap else middleware, log=None, error_log=None
        )
        server.start()
        fronts.append(Front(runtime, room, server))
        return fronts[-1]

    yield start
    for front in fronts:
        for peer in front.peers:
            peer.close()
        front.server.stop(timeout=5.0)


def call(app: Any, environ: dict[str, Any]) -> tuple[list[Any], Any]:
    """Call *app* as a server does; return what it gave to start_response, and its result."""
    given: list[Any] = []
    complete = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
        **environ,
    }
    result = app(complete, lambda *arguments: given.extend(arguments))
    return given, result


def test_mw_passthrough_identity(runtime: Runtime) -> None:
    seen: list[Any] = []
    result = iter([b"x"])

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        seen.extend((environ, start_response))
        return result

    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/nowhere", "SCRIPT_NAME": ""}
    before = dict(environ)

    def start_response(*given: Any) -> None:
        pass

    assert Middleware(app)(environ, start_response) is result
    assert seen[0] is environ
    assert seen[1] is start_response
    assert environ == before


def test_without_a_runtime_everything_goes_to_the_app() -> None:
    _, result = call(Middleware(answering(b"the app")), {"PATH_INFO": "/help"})

    assert result == [b"the app"]


def test_a_runtime_that_stopped_leaves_everything_to_the_app(make_runtime: RuntimeMaker) -> None:
    runtime = make_runtime()
    runtime.stop()
    _, result = call(Middleware(answering(b"the app"), runtime), {"PATH_INFO": "/help"})

    assert result == [b"the app"]


@pytest.mark.parametrize(
    ("prefix", "path", "is_node"),
    [
        ("/", "/room/echo", True),
        ("/", "/help", True),
        ("/", "/metrics/snapshot", True),
        ("/", "/%72oom/echo", True),
        ("/", "/room", True),
        ("/", "/", False),
        ("/", "/rooms", False),
        ("/", "//room/echo", False),
        ("/_node", "/_node/room/echo", True),
        ("/_node/", "/_node/room/echo", True),
        ("/_node", "/room/echo", False),
        ("/_node", "/_node", False),
        ("/_node", "/_node/", False),
        ("/_node", "/_nodes/room/echo", False),
        ("/_node", "/_node/rooms", False),
    ],
)
def test_mw_route_by_path(start: Start, prefix: str, path: str, *, is_node: bool) -> None:
    front = start(prefix=prefix)

    assert (front.get(path).body != b"the app") == is_node


def test_what_the_route_sees(start: Start) -> None:
    front = start()
    answer = front.get("/room/echo/x%20y?a=%41&b", "X-One: 1", "X-One: 2")
    request = front.room.request

    assert request is not None
    assert (request.method, request.version) == ("GET", (1, 1))
    assert request.url.path == "/room/echo/x%20y"
    assert request.url.query == {"a": "A", "b": ""}
    assert request.headers["x-one"] == "1,2"
    assert request.client == front.peers[0].address
    assert answer.header("X-Query") == "{'a': 'A', 'b': ''}"
    assert len([name for name, _ in answer.headers if name == "Date"]) == 1


def test_a_bad_query_is_refused(start: Start) -> None:
    assert start().get("/room/echo?%zz").code == 400


def test_mw_body_length(start: Start) -> None:
    front = start()
    peer = front.connect()

    assert peer.ask(post(b"hello", target="/room/echo")).body == b"hello"
    packed = gzip.compress(b"hello")
    data = post(packed, "Content-Encoding: gzip", target="/room/echo")
    assert peer.ask(data).body == b"hello"
    assert peer.ask(post(b"no gzip", "Content-Encoding: gzip", target="/room/echo")).code == 400


def chunked(body: bytes, path: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def test_mw_body_chunked(start: Start) -> None:
    assert start().connect().ask(chunked(b"hello", "/room/echo")).body == b"hello"


def test_mw_body_too_large(start: Start) -> None:
    front = start(settings=Settings(max_body_bytes=4, stop_timeout=5.0))

    assert front.connect().ask(post(b"1234", target="/room/echo")).body == b"1234"
    assert front.connect().ask(post(b"12345", target="/room/echo")).code == 413
    assert front.connect().ask(chunked(b"12345", "/room/echo")).code == 413


def test_mw_streaming_request(start: Start) -> None:
    front = start()
    body = bytes(3 * 1024 * 1024)

    assert front.connect().ask(post(body, target="/room/upload")).body == b"3145728"
    assert front.connect().ask(chunked(body, "/room/upload")).body == b"3145728"
    packed = post(gzip.compress(body), "Content-Encoding: gzip", target="/room/upload")
    assert front.connect().ask(packed).body == b"3145728"
    assert front.connect().get("/room/upload").body == b"0"


def test_a_body_that_is_not_read_is_left_to_the_server(start: Start) -> None:
    peer = start().connect()

    for _ in range(2):
        assert peer.ask(post(bytes(100_000), target="/room/early")).body == b"early"


def test_a_streamed_body_that_breaks_off_is_refused(start: Start) -> None:
    front = start()
    peer = front.connect()
    peer.send(post(bytes(100), target="/room/upload")[:-50])
    peer.socket.shutdown(1)

    assert peer.read_answer().code == 400


def test_both_ways_at_once(start: Start) -> None:
    peer = start().connect()
    peer.send(
        b"POST /room/both HTTP/1.1\r\nHost: h\r\nContent-Length: 16384\r\n\r\n" + b"a" * 8192
    )
    assert peer.read_until(b"A" * 8192 + b"\r\n").startswith(b"HTTP/1.1 200 OK\r\n")
    peer.send(b"b" * 8192)

    assert b"B" * 8192 in peer.read_until(b"0\r\n\r\n")


def test_mw_streaming_response(start: Start) -> None:
    front = start()
    peer = front.connect()
    peer.send(get("/room/stream"))
    assert front.room.arrived.wait(LIMIT)
    writer = front.room.writer
    assert writer is not None
    writer.write(b"one")
    assert peer.read_until(b"one\r\n").endswith(b"3\r\none\r\n")
    writer.write(b"two")
    writer.close()

    assert peer.read_until(b"0\r\n\r\n") == b"3\r\ntwo\r\n0\r\n\r\n"


def test_a_slow_client_holds_the_writer_up(start: Start) -> None:
    front = start()
    peer = front.connect()
    peer.send(get("/room/stream"))
    assert front.room.arrived.wait(LIMIT)
    writer = front.room.writer
    assert writer is not None
    written = 0
    other = front.connect()
    while writer.writable().ready() and written < 256:
        writer.write(bytes(1024 * 1024))
        written += 1
        other.get("/nowhere")  # the server has its turns meanwhile
        other.get("/nowhere")
    assert written < 64  # what sockets hold
    assert writer.statistics()["unread_bytes"] <= 1024 * 1024
    peer.reset()
    await_ready(writer.reader_closed)


def test_mw_file_response(start: Start, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_bytes(b"0123456789" * 10_000)
    front = start()
    answer = front.get("/room/files/file.txt")

    assert answer.body == b"0123456789" * 10_000
    assert answer.header("Content-Type") == "text/plain"
    assert front.get("/room/files/nothing").code == 404


def test_a_file_is_given_to_the_wrapper_of_the_server(start: Start, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_bytes(b"contents")
    front = start()
    made: list[Any] = []

    def wrapper(file: Any, size: int) -> Any:
        made.append(file)
        return ["wrapped"]

    app = Middleware(answering(), front.runtime)
    environ = {"PATH_INFO": "/room/files/file.txt", "wsgi.file_wrapper": wrapper}
    given, result = call(app, environ)

    assert result == ["wrapped"]
    assert made[0].read() == b"contents"
    made[0].close()
    assert ("Content-Length", "8") in given[1]


def test_mw_pipe_failure(start: Start) -> None:
    front = start()
    peer = front.connect()
    peer.send(get("/room/stream"))
    assert front.room.arrived.wait(LIMIT)
    writer = front.room.writer
    assert writer is not None
    writer.write(b"one")
    peer.read_until(b"one\r\n")
    with expect_failure(Failure, "broken"):
        writer.fail("broken")
        assert peer.read_to_end() == b""


def test_mw_head_and_204(start: Start, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_bytes(b"contents")
    front = start()
    peer = front.connect()

    def head(path: str) -> bytes:
        peer.send(get(path).replace(b"GET", b"HEAD"))
        return peer.read_until(b"\r\n\r\n")

    assert b"Content-Length: 8\r\n" in head("/room/files/file.txt")
    assert b"Content-Length: 0\r\n" in head("/room/echo")
    assert head("/room/stream").startswith(b"HTTP/1.1 200 OK\r\n")
    assert front.room.writer is not None
    await_ready(front.room.writer.reader_closed)
    peer = front.connect()
    peer.send(get("/room/empty", CLOSING))
    data = peer.read_to_end()
    assert data.startswith(b"HTTP/1.1 204 No Content\r\n")
    assert data.endswith(b"\r\n\r\n")


def test_a_status_without_a_name_gets_one(start: Start) -> None:
    assert start().get("/room/odd").status == "HTTP/1.1 299 Unknown"


def test_an_error_of_a_handler_is_a_500(start: Start) -> None:
    front = start()
    with expect_failure(RuntimeError, "of a handler"):
        answer = front.get("/room/fail")

    assert (answer.code, b"of a handler" in answer.body) == (500, False)


def test_mw_client_gone_closes_reader(start: Start) -> None:
    front = start()
    peer = front.connect()
    peer.send(get("/room/stream"))
    assert front.room.arrived.wait(LIMIT)
    writer = front.room.writer
    assert writer is not None
    writer.write(b"one")
    peer.read_until(b"one\r\n")
    peer.reset()
    while writer.write(b"more"):
        writer.writable().wait()
        gevent.idle()

    await_ready(writer.reader_closed)


SENDER = UPID("peer", Address("127.0.0.1", 9))


def message(front: Front, body: bytes = b"hi", id: str = "room") -> bytes:
    return encode_message(Message("note", SENDER, UPID(id, front.runtime.address), body))


def test_mw_messages_refused_by_default(start: Start) -> None:
    front = start(answering(b"", status="404 Not Found"))

    assert front.connect().ask(message(front)).code == 404
    front.runtime.settle()
    assert not front.room.messages


def test_mw_messages_allowed(start: Start) -> None:
    front = start(allow_messages=True)
    peer = front.connect()
    assert peer.ask(message(front)).code == 202
    assert peer.ask(message(front, b"")).code == 202
    assert front.connect().ask(message(front, id="nobody")).body == b"the app"
    front.runtime.settle()

    assert front.room.messages == [(SENDER, b"hi"), (SENDER, b"")]


def test_messages_have_the_bounds_of_the_node(start: Start) -> None:
    settings = Settings(max_body_bytes=4, require_peer_address_ip_match=True, stop_timeout=5.0)
    front = start(allow_messages=True, settings=settings)

    assert front.connect().ask(message(front, b"12345")).code == 413
    assert front.connect().ask(message(front).replace(b"127.0.0.1:9", b"192.0.2.1:9")).code == 400
    assert front.connect().ask(message(front)).code == 202


def test_mw_path_encoded_slash(runtime: Runtime) -> None:
    room = Room()
    runtime.spawn(room)
    app = Middleware(answering())
    environ = {"PATH_INFO": "/room/echo/a/b"}

    call(app, {**environ, "RAW_URI": "/room/echo/a%2Fb?x"})
    assert room.request is not None
    assert room.request.url.path == "/room/echo/a%2Fb"
    call(app, {**environ, "RAW_URI": "/something/else"})
    assert room.request.url.path == "/room/echo/a/b"
    call(app, environ)
    assert room.request.url.path == "/room/echo/a/b"
    call(app, {**environ, "SCRIPT_NAME": "/app", "REQUEST_URI": "/app/room/echo/a%2Fb"})
    assert room.request.url.path == "/room/echo/a%2Fb"


def test_mw_process_ends_meanwhile(start: Start) -> None:
    front = start()
    peer = front.connect()
    peer.send(post(b"hello", target="/room/echo")[:-2])
    front.get("/nowhere")  # the first request is being read now
    front.runtime.terminate(front.room)
    assert front.runtime.wait(front.room, LIMIT)
    peer.send(b"lo")

    assert peer.read_answer().code in (404, 503)


def test_processes_that_take_requests_as_they_came_are_left_to_the_app(start: Start) -> None:
    front = start()
    front.runtime.spawn(WSGIProcess("inner", answering(b"the inner app")))

    assert front.get("/inner/x").body == b"the app"


def test_the_firewall_of_the_node_counts(start: Start) -> None:
    front = start()
    front.runtime.firewall.install([DisabledEndpointsFirewallRule(["/room/echo"])])

    assert front.get("/room/echo").code == 403
    assert front.get("/nowhere").body == b"the app"


@pytest.mark.parametrize(
    ("target", "host", "code"),
    [
        ("/room/echo", "evil.org", 421),
        ("/help", "evil.org:80", 421),
        ("/room/echo", "Shop.example.org:8000", 200),
        ("/room/echo", "127.0.0.1", 200),
        ("/room/echo", "10.0.0.7:8000", 200),
        ("/cart", "evil.org", 200),  # the app decides for itself
    ],
)
def test_processes_answer_for_the_hosts_that_are_allowed(
    start: Start, target: str, host: str, code: int
) -> None:
    front = start(settings=Settings(allowed_hosts=("shop.example.org",)))
    request = f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"

    assert front.connect().ask(request.encode()).code == code


def test_the_host_in_an_absolute_target_counts(start: Start) -> None:
    middleware = start(settings=Settings(allowed_hosts=("shop.example.org",))).server.application
    # As gunicorn tells it; gevent.pywsgi takes all of it for the path.
    environ = {"PATH_INFO": "/help", "HTTP_HOST": "shop.example.org"}
    codes = [
        call(middleware, {**environ, "RAW_URI": f"http://{host}/help"})[0][0]
        for host in ("shop.example.org", "evil.org")
    ]

    assert codes == ["200 OK", "421 Misdirected Request"]


def test_messages_for_another_host_are_refused(start: Start) -> None:
    front = start(settings=Settings(allowed_hosts=("shop.example.org",)), allow_messages=True)
    answer = front.connect().ask(message(front).replace(b"Host: ", b"Host: evil.org #"))

    assert answer.code == 421
    assert not front.room.messages


def test_a_server_in_another_native_thread_is_answered(runtime: Runtime) -> None:
    room = Room()
    runtime.spawn(room)
    app = Middleware(answering(), runtime)
    pool = gevent.get_hub().threadpool
    given, result = pool.apply(call, (app, {"PATH_INFO": "/room/echo", "REMOTE_ADDR": ""}))

    assert given[0] == "200 OK"
    assert result == [b""]


@pytest.mark.parametrize("arguments", [(None,), (answering(), None, "x"), (answering(), None, 1)])
def test_bad_arguments_are_refused(arguments: Any) -> None:
    with pytest.raises(InvalidArgument):
        Middleware(*arguments)


def test_the_validator_finds_nothing(start: Start) -> None:
    front = start(wrap=strict)

    assert front.get("/room/echo").code == 200
    assert front.connect().ask(post(b"hello", target="/room/echo")).body == b"hello"
    peer = front.connect()
    peer.send(get("/room/stream"))
    assert front.room.arrived.wait(LIMIT)
    assert front.room.writer is not None
    front.room.writer.write(b"one")
    front.room.writer.close()
    assert peer.read_answer().body == b"one"
