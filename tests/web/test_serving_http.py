"""Processes as HTTP servers: streams both ways, files, and who may read what."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
from gevent import socket
from gevent.event import Event

from greenproc.errors import Failure, InvalidBody
from greenproc.future import Future, Promise
from greenproc.http.request import Request
from greenproc.http.response import OK, Response
from greenproc.process import HttpEvent, Process, route
from greenproc.runtime import Runtime
from greenproc.sync.pipe import MAX_PIPE_BYTES
from greenproc.testing import await_ready, expect_failure
from greenproc.transport import server_connection
from greenproc.web import Pipe, get, post
from greenproc.web.firewall import DisabledEndpointsFirewallRule
from tests.peer import LIMIT, Peer


class Site(Process):
    """Streams, takes streams, and gives files away."""

    def __init__(self, folder: Path) -> None:
        super().__init__("site")
        self.provide("static", folder)
        self.asked: Promise[Request] = Promise()
        self.closed = Event()
        self.answer: Promise[Response] = Promise()
        self.route("/later", self.on_later, streaming=True)

    @route("/static/hello.txt")
    def on_hello(self, request: Request) -> str:
        return "a route"

    @route("/count")
    def on_count(self, request: Request) -> Iterator[str]:
        yield "one\n"
        gevent.sleep(0)
        yield "two\n"

    @route("/ticks")
    def on_ticks(self, request: Request) -> Iterator[str]:
        try:
            yield "tick\n"
            Event().wait()
        finally:
            self.closed.set()

    @route("/broken")
    def on_broken(self, request: Request) -> Iterator[str]:
        yield "one\n"
        raise ValueError("broken on purpose")

    @route("/stillborn")
    def on_stillborn(self, request: Request) -> Iterator[str]:
        raise Failure("nothing to be had")
        yield "one\n"

    @route("/size", streaming=True)
    def on_size(self, request: Request) -> str:
        assert request.body == b""
        return str(sum(len(piece) for piece in request.reader))

    @route("/json")
    def on_json(self, request: Request) -> dict[str, object]:
        return {"told": request.json()}

    @route("/json-later")
    def on_json_later(self, request: Request) -> Future[object]:
        return Future(request).then(lambda request: {"told": request.json()})

    @route("/json-of-other")
    def on_json_of_other(self, request: Request) -> object:
        return Request("POST", request.url, body=b"{").json()

    @route("/whole")
    def on_whole(self, request: Request) -> str:
        assert request.reader is None
        return str(len(request.body))

    @route("/echo", streaming=True)
    def on_echo(self, request: Request) -> Iterator[bytes]:
        yield from request.reader

    @route("/closed", streaming=True, realm="closed")
    def on_closed(self, request: Request, principal: object) -> str:
        return "in"

    def on_later(self, request: Request) -> Future[Response]:
        self.asked.set(request)
        return self.answer.future


@pytest.fixture
def site(runtime: Runtime, tmp_path: Path) -> Site:
    (tmp_path / "index.html").write_text("<p>hi</p>\n")
    (tmp_path / "hello.txt").write_text("a file")
    site = Site(tmp_path)
    runtime.spawn(site)
    return site


def test_a_generator_is_sent_in_chunks(runtime: Runtime, site: Site) -> None:
    with Peer.connect(runtime.address) as peer:
        answer = peer.get("/site/count")
        assert answer.header("Transfer-Encoding") == "chunked"
        assert answer.body == b"one\ntwo\n"
        assert peer.get("/site/whole").body == b"0"


def test_the_process_goes_on_while_a_generator_runs(runtime: Runtime, site: Site) -> None:
    with Peer.connect(runtime.address) as ticks, Peer.connect(runtime.address) as peer:
        ticks.send(b"GET /site/ticks HTTP/1.1\r\nHost: x\r\n\r\n")
        ticks.read_until(b"tick\n")
        assert peer.get("/site/whole").body == b"0"


def test_a_generator_is_closed_when_the_client_is_gone(runtime: Runtime, site: Site) -> None:
    with Peer.connect(runtime.address) as ticks:
        ticks.send(b"GET /site/ticks HTTP/1.1\r\nHost: x\r\n\r\n")
        ticks.read_until(b"tick\n")
        ticks.reset()
        assert site.closed.wait(LIMIT)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a client that sends no more be taken for gone almost at once."""
    monkeypatch.setattr(server_connection, "GONE_SECONDS", 0.01)


def test_a_generator_is_closed_when_the_client_has_closed(
    runtime: Runtime, site: Site, hasty: None
) -> None:
    with Peer.connect(runtime.address) as ticks:
        ticks.send(b"GET /site/ticks HTTP/1.1\r\nHost: x\r\n\r\n")
        ticks.read_until(b"tick\n")
        ticks.close()
        assert site.closed.wait(LIMIT)


def test_a_handler_sees_that_its_client_gave_up(runtime: Runtime, site: Site, hasty: None) -> None:
    told = Event()
    site.answer.future.on_discard(told.set)
    asking = get((site.pid, "/later"))
    await_ready(site.asked.future)

    asking.discard()

    assert told.wait(LIMIT)
    site.answer.discard()


def test_a_handler_that_goes_on_still_answers_a_half_closed_client(
    runtime: Runtime, site: Site, hasty: None
) -> None:
    told = Event()
    site.answer.future.on_discard(told.set)
    with Peer.connect(runtime.address) as peer:
        peer.send(b"GET /site/later HTTP/1.1\r\nHost: x\r\n\r\n")
        await_ready(site.asked.future)
        peer.socket.shutdown(socket.SHUT_WR)
        assert told.wait(LIMIT)
        site.answer.set(OK("all the same"))
        assert peer.read_answer().body == b"all the same"


def test_a_generator_is_closed_when_the_runtime_stops(runtime: Runtime, site: Site) -> None:
    with Peer.connect(runtime.address) as ticks:
        ticks.send(b"GET /site/ticks HTTP/1.1\r\nHost: x\r\n\r\n")
        ticks.read_until(b"tick\n")
        runtime.stop()
        assert site.closed.wait(LIMIT)


def test_an_error_of_a_generator_breaks_the_connection(runtime: Runtime, site: Site) -> None:
    with Peer.connect(runtime.address) as peer, expect_failure(ValueError, "on purpose"):
        peer.send(b"GET /site/broken HTTP/1.1\r\nHost: x\r\n\r\n")
        assert peer.read_to_end().endswith(b"\r\n\r\n4\r\none\n\r\n")


def test_a_generator_that_fails_at_once_is_an_error_of_the_server(
    runtime: Runtime, site: Site
) -> None:
    with Peer.connect(runtime.address) as peer:
        for _ in range(2):
            answer = peer.get("/site/stillborn")
            assert (answer.code, answer.body) == (500, b"nothing to be had")


def test_a_fault_of_the_client_in_a_body_is_told_to_it(runtime: Runtime, site: Site) -> None:
    head = b"POST /site/%b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    for path in (b"size", b"echo"):
        with Peer.connect(runtime.address) as peer:
            answer = peer.ask(head % path + b"zz\r\n")
            assert (answer.code, answer.body) == (400, b"failed to decode body")
            assert answer.header("Connection") == "close" and not peer.read_to_end()


@pytest.mark.parametrize("body", [b"", b"hello"])
def test_a_streaming_route_gets_a_body_that_came_whole(
    runtime: Runtime, site: Site, body: bytes
) -> None:
    answer = await_ready(post((site.pid, "/size"), body=body))
    assert answer.body == str(len(body)).encode()


def test_a_streaming_route_is_asked_before_the_body_is_there(runtime: Runtime, site: Site) -> None:
    with Peer.connect(runtime.address) as peer:
        peer.send(b"POST /site/later HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe")
        request = await_ready(site.asked.future)
        assert await_ready(request.reader.read()) == b"he"
        peer.send(b"llo")
        assert await_ready(request.reader.read()) == b"llo"
        assert await_ready(request.reader.read()) == b""
        site.answer.set(OK("done"))
        assert peer.read_answer().body == b"done"


def test_a_streaming_route_has_no_limit_on_the_body(runtime: Runtime, site: Site) -> None:
    size = runtime.settings.max_body_bytes + 1
    with Peer.connect(runtime.address) as peer:
        peer.send(b"POST /site/size HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
        peer.send(b"x" * size)
        assert peer.read_answer().body == str(size).encode()
        head = b"POST /site/whole HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size
        assert peer.ask(head).code == 413


def test_a_packed_body_is_unpacked_as_it_comes(runtime: Runtime, site: Site) -> None:
    packed = b"\x1f\x8b\x08\x00\xe7\xf4\x04k\x02\xff\xab\xca,(HM\x01\x00Wh\xc2\xe2\x06\x00\x00\x00"
    head = b"POST /site/size HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n"
    with Peer.connect(runtime.address) as peer:
        peer.send(head + b"Content-Length: 26\r\n\r\n" + packed[:10])
        gevent.idle()
        peer.send(packed[10:])
        assert peer.read_answer().body == b"6"
        # The same, when it is there at once.
        assert peer.ask(head + b"Content-Length: 26\r\n\r\n" + packed).body == b"6"


def test_a_packed_body_is_unpacked_no_faster_than_it_is_read(runtime: Runtime, site: Site) -> None:
    size = 2 * MAX_PIPE_BYTES
    packed = gzip.compress(bytes(size))
    head = b"POST /site/size HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n"
    head += b"Content-Length: %d\r\n\r\n" % len(packed)
    with Peer.connect(runtime.address) as peer:
        peer.send(head + packed[:10])
        gevent.idle()
        peer.send(packed[10:])
        assert peer.read_answer().body == str(size).encode()
        # The same, when it is there at once.
        assert peer.ask(head + packed).body == str(size).encode()


def test_a_body_can_be_answered_while_it_comes(runtime: Runtime, site: Site) -> None:
    with Peer.connect(runtime.address) as peer:
        peer.send(b"POST /site/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nfirst")
        assert peer.read_until(b"first\r\n").endswith(b"5\r\nfirst\r\n")
        peer.send(b"other")
        assert peer.read(15) == b"5\r\nother\r\n0\r\n\r\n"


def test_who_is_refused_does_not_hold_up_the_connection(runtime: Runtime, site: Site) -> None:
    runtime.firewall.install([DisabledEndpointsFirewallRule(["/site/size"])])
    with Peer.connect(runtime.address) as peer:
        peer.send(b"POST /site/size HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n")
        assert peer.read_answer().code == 403
        peer.send(b"x" * 2_000_000)
        assert peer.get("/site/whole").body == b"0"


def test_a_streaming_route_may_be_guarded(runtime: Runtime, site: Site) -> None:
    assert await_ready(post((site.pid, "/closed"), body=b"x")).body == b"in"


class Gateway(Process):
    """Answers every request itself."""

    def __init__(self) -> None:
        super().__init__("gateway")
        self.asked: Promise[bool] = Promise()

    def streams_body(self, path: str) -> bool:
        if path == "/gateway/broken":
            raise ValueError("broken on purpose")
        return path == "/gateway/in/pieces"

    def consume_http(self, event: HttpEvent) -> None:
        reader = event.request.reader
        self.asked.set(reader is not None)
        event.promise.set(OK(event.request.body if reader is None else b"".join(reader)))


def test_a_process_without_routes_can_take_a_body_as_it_comes(runtime: Runtime) -> None:
    gateway = Gateway()
    runtime.spawn(gateway)
    with Peer.connect(runtime.address) as peer:
        peer.send(b"POST /gateway/in/pieces HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n")
        assert await_ready(gateway.asked.future) is True
        peer.send(b"abcd")
        assert peer.read_answer().body == b"abcd"


def test_an_error_about_streaming_leaves_the_body_whole(runtime: Runtime) -> None:
    gateway = Gateway()
    runtime.spawn(gateway)
    with Peer.connect(runtime.address) as peer, expect_failure(ValueError, "on purpose"):
        peer.send(b"POST /gateway/broken HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n")
        peer.send(b"Content-Length: 4\r\n\r\n")
        assert peer.read(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        peer.send(b"abcd")
        assert peer.read_answer().body == b"abcd"
    assert gateway.asked.future.get() is False


def test_the_client_streams_to_and_from_a_process(runtime: Runtime, site: Site) -> None:
    pipe = Pipe()
    answer = post((site.pid, "/echo"), body=pipe.reader, stream=True)
    pipe.writer.write(b"one")
    reader = await_ready(answer).reader
    assert await_ready(reader.read()) == b"one"
    pipe.writer.write(b"two")
    assert await_ready(reader.read()) == b"two"
    pipe.writer.close()
    assert await_ready(reader.read()) == b""


def test_files_are_given_away_where_no_route_is(runtime: Runtime, site: Site) -> None:
    index = await_ready(get((site.pid, "/static/index.html")))
    assert (index.status, index.body) == (200, b"<p>hi</p>\n")
    assert index.headers["Content-Type"] == "text/html"
    assert await_ready(get((site.pid, "/static/hello.txt"))).body == b"a route"
    assert await_ready(get((site.pid, "/static/none.txt"))).status == 404
    assert await_ready(get((site.pid, "/static"))).status == 404


def test_a_folder_given_away_shows_nothing_else(runtime: Runtime, site: Site) -> None:
    with Peer.connect(runtime.address) as peer:
        for path in ("/site/static/../../etc/passwd", "/site/static/%2e%2e%2f%2e%2e/etc/passwd"):
            assert peer.get(path).code == 404


@pytest.mark.parametrize("path", ["json", "json-later"])
@pytest.mark.parametrize("body", [b"", b"{", b'"\xe9"'])
def test_a_body_that_is_no_json_is_the_mistake_of_the_client(
    runtime: Runtime, site: Site, caplog: pytest.LogCaptureFixture, path: str, body: bytes
) -> None:
    answer = await_ready(post((site.pid, path), body=body))
    assert answer.status == 400
    assert answer.body.startswith(b"expected JSON: ") and len(answer.body) < 200
    assert await_ready(post((site.pid, path), json=[1])).json() == {"told": [1]}
    assert not caplog.records


def test_the_json_of_another_body_is_our_own_mistake(runtime: Runtime, site: Site) -> None:
    with expect_failure(InvalidBody, "expected JSON"):
        assert await_ready(post((site.pid, "/json-of-other"))).status == 500


def test_a_wish_for_another_version_is_ignored_and_a_websocket_refused(
    runtime: Runtime, site: Site
) -> None:
    with Peer.connect(runtime.address) as peer:
        asked = (
            b"GET /site/count HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: %b\r\n\r\n"
        )
        peer.send(asked % b"h2c")
        assert peer.read_answer().status == "HTTP/1.1 200 OK"
        peer.send(asked % b"websocket" + b"\x81\x05hello")
        refusal = peer.read_answer()
        assert refusal.status == "HTTP/1.1 501 Not Implemented"
        assert ("Connection", "close") in refusal.headers
        assert b"no WebSocket here" in refusal.body
        assert peer.read_to_end() == b""
