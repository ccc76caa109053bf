"""How what an app returns is framed and sent."""

from __future__ import annotations

import re
from typing import Any

import pytest
from gevent.event import Event

from greenproc import Settings
from greenproc.testing import expect_failure
from tests.peer import LIMIT, Peer
from tests.polls import Polls
from tests.wsgi.apps import TEXT, Pieces, answering, returning
from tests.wsgi.conftest import Serve, get, post

CLOSING = "Connection: close"


def undated(data: bytes) -> bytes:
    return re.sub(rb"Date: [^\r]{29}\r", b"Date: *\r", data)


def test_the_order_of_lines_is_that_of_the_app(serve: Serve) -> None:
    headers = [("X-B", "1"), ("Content-Type", "text/plain"), ("x-a", "2")]

    assert undated(serve(answering(b"hi", headers=headers)).raw(get("/", CLOSING))) == (
        b"HTTP/1.1 200 OK\r\nX-B: 1\r\nContent-Type: text/plain\r\nx-a: 2\r\nDate: *\r\n"
        b"Server: greenproc/0.1.0\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
    )


def test_wsgi_single_piece_length(serve: Serve) -> None:
    answer = serve(answering(b"one piece")).get()

    assert answer.header("Content-Length") == "9"
    assert answer.header("Transfer-Encoding") is None


@pytest.mark.parametrize("make", [lambda: [b"ab", b"cd"], lambda: iter([b"ab", b"cd"])])
def test_wsgi_multi_piece_chunked(serve: Serve, make: Any) -> None:
    data = serve(returning(make)).raw(get("/", CLOSING))

    assert b"Transfer-Encoding: chunked\r\n" in data
    assert b"Content-Length" not in data
    assert data.endswith(b"\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n")


@pytest.mark.parametrize("make", [list, tuple, lambda: iter(()), lambda: [b""]])
def test_wsgi_empty_list(serve: Serve, make: Any) -> None:
    answer = serve(returning(make)).get()

    assert (answer.header("Content-Length"), answer.body) == ("0", b"")


def test_wsgi_generator_streams(serve: Serve) -> None:
    may_go_on = Event()

    def pieces() -> Any:
        yield b"first"
        assert may_go_on.wait(LIMIT)
        yield b"second"

    peer = serve(returning(pieces)).connect()
    peer.send(get())

    assert peer.read_until(b"first\r\n").endswith(b"5\r\nfirst\r\n")
    may_go_on.set()
    assert peer.read_until(b"0\r\n\r\n") == b"6\r\nsecond\r\n0\r\n\r\n"


def test_each_piece_leaves_before_the_next_is_made(serve: Serve) -> None:
    """An app that computes between its pieces never gives the hub a turn by itself."""
    peers: list[Peer] = []
    seen: list[bytes] = []

    def pieces() -> Any:
        yield b"first"
        peers[0].socket.settimeout(0)
        seen.append(peers[0].socket.recv(65536))
        yield b"second"

    site = serve(returning(pieces))
    peers.append(site.connect())
    peers[0].send(get("/", CLOSING))
    site.connect().get("/help")
    site.settle()

    assert seen[0].endswith(b"5\r\nfirst\r\n")


def test_wsgi_empty_pieces(serve: Serve) -> None:
    may_go_on, begun = Event(), Event()

    def pieces() -> Any:
        yield b""
        begun.set()
        assert may_go_on.wait(LIMIT)
        yield b"a"
        yield b""
        yield b"b"

    site = serve(returning(pieces))
    peer = site.connect()
    peer.send(get())
    assert begun.wait(LIMIT)
    site.connect().get("/help")
    peer.socket.settimeout(0)
    with pytest.raises(BlockingIOError):
        peer.read(1)
    peer.socket.settimeout(LIMIT)
    may_go_on.set()

    assert peer.read_until(b"0\r\n\r\n").endswith(b"\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n")


def test_wsgi_lazy_start_response(serve: Serve) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        yield b"lazy"

    assert serve(app).get().body == b"lazy"


def test_wsgi_write_then_iterate(serve: Serve) -> None:
    writes: list[Any] = []

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        write = start_response("200 OK", TEXT)
        writes.append(write)
        write(b"a")
        write(b"")
        write(b"b")
        return [b"c"]

    site = serve(app)

    assert site.raw(get("/", CLOSING)).endswith(b"1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n")
    with pytest.raises(Exception, match="after the end"):
        writes[0](b"late")


LENGTH_3 = [*TEXT, ("Content-Length", "3")]


@pytest.mark.parametrize("make", [lambda: [b"abcdef"], lambda: iter([b"ab", b"cd", b"ef"])])
def test_wsgi_too_long_cut(serve: Serve, make: Any) -> None:
    peer = serve(returning(make, LENGTH_3)).connect()

    assert peer.get("/").body == b"abc"
    assert peer.get("/").body == b"abc"


def test_write_is_cut_too(serve: Serve) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        write = start_response("200 OK", LENGTH_3)
        write(b"ab")
        write(b"cd")
        write(b"ef")
        return []

    peer = serve(app).connect()

    assert peer.get("/").body == b"abc"
    assert peer.get("/").body == b"abc"


@pytest.mark.parametrize("make", [list, lambda: [b"ab"], lambda: iter([b"a", b"b"])])
def test_wsgi_too_short_closes(serve: Serve, make: Any, caplog: pytest.LogCaptureFixture) -> None:
    data = serve(returning(make, LENGTH_3)).raw(get("/", *[CLOSING][: make() == []]))

    if make() == []:
        assert data.startswith(b"HTTP/1.1 500 ")
    else:
        assert b"Content-Length: 3\r\n" in data
        assert data.endswith(b"\r\n\r\n" + b"".join(make()))
    assert any("less than its Content-Length" in one.getMessage() for one in caplog.records)


def http10(*lines: str) -> bytes:
    return get("/", *lines, version="1.0")


def test_wsgi_http10(serve: Serve) -> None:
    streaming = serve(returning(lambda: iter([b"a", b"b"])))
    data = streaming.raw(http10("Connection: keep-alive"))

    assert data.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"chunked" not in data
    assert b"Connection: close\r\n" in data
    assert data.endswith(b"\r\n\r\nab")


def test_http10_keeps_alive_with_a_length(serve: Serve) -> None:
    site = serve(answering(b"ab"))
    peer = site.connect()
    answer = peer.ask(http10("Connection: keep-alive"))

    assert (answer.header("Connection"), answer.header("Content-Length")) == ("keep-alive", "2")
    assert peer.ask(http10("Connection: keep-alive")).body == b"ab"
    assert site.raw(http10()).endswith(b"\r\n\r\nab")


def head_of(data: bytes) -> bytes:
    return undated(data).partition(b"\r\n\r\n")[0]


@pytest.mark.parametrize(
    "app",
    [
        answering(b"0123456789"),
        returning(lambda: iter([b"a", b"b"])),
    ],
)
def test_wsgi_head(serve: Serve, app: Any) -> None:
    site = serve(app)
    head = site.raw(get("/", CLOSING).replace(b"GET", b"HEAD"))

    assert head.endswith(b"\r\n\r\n")
    assert head_of(head) == head_of(site.raw(get("/", CLOSING)))


def test_a_head_may_have_a_length_without_bytes(serve: Serve) -> None:
    app = answering(b"", headers=[*TEXT, ("Content-Length", "10")])
    head = serve(app).raw(get("/", CLOSING).replace(b"GET", b"HEAD"))

    assert b"Content-Length: 10\r\n" in head


def test_a_head_closes_the_iterable(serve: Serve) -> None:
    pieces = Pieces([b"a", b"b"])
    site = serve(returning(lambda: pieces))
    site.raw(get("/", CLOSING).replace(b"GET", b"HEAD"))
    site.settle()

    assert pieces.closed == 1


@pytest.mark.parametrize(
    ("status", "headers", "length"),
    [
        ("204 No Content", [("Content-Length", "3")], None),
        ("304 Not Modified", [("Content-Length", "3"), ("ETag", '"x"')], b"3"),
        ("304 Not Modified", [], None),
        ("205 Reset Content", [], b"0"),
    ],
)
@pytest.mark.parametrize("pieces", [[b"abc"], [], [b"a", b"bc"]])
def test_wsgi_204_304_205(
    serve: Serve, status: str, headers: Any, length: bytes | None, pieces: list[bytes]
) -> None:
    site = serve(returning(lambda: pieces, [*headers, ("X-A", "b")], status))
    data = site.raw(get() + get("/", CLOSING))
    first, second, rest = data.split(b"\r\n\r\n")

    assert first.startswith(b"HTTP/1.1 " + status.encode())
    assert second.startswith(b"HTTP/1.1 " + status.encode())
    assert rest == b""
    found = re.search(rb"Content-Length: (\d+)", first)
    assert (found and found[1]) == length
    assert b"Transfer-Encoding" not in data


def test_wsgi_no_gzip_no_etag_change(serve: Serve) -> None:
    text = b"text " * 2048
    headers = [*TEXT, ("ETag", '"1"'), ("Vary", "Cookie")]
    for make in (lambda: [text], lambda: iter([text])):
        answer = serve(returning(make, headers)).get("/", "Accept-Encoding: gzip")

        assert answer.body == text
        assert answer.header("Content-Encoding") is None
        assert (answer.header("ETag"), answer.header("Vary")) == ('"1"', "Cookie")


def test_wsgi_app_date_kept(serve: Serve) -> None:
    date = "Thu, 01 Jan 1970 00:00:00 GMT"
    answer = serve(answering(headers=[*TEXT, ("Date", date), ("Server", "mine")])).get()

    assert [value for name, value in answer.headers if name == "Date"] == [date]
    assert [value for name, value in answer.headers if name == "Server"] == ["mine"]


@pytest.mark.parametrize("status", ["299 Fine", "200 caf\xe9 ", "999 x", "200 ", "200"])
def test_wsgi_reason_kept(serve: Serve, status: str) -> None:
    assert serve(answering(status=status)).get().status == f"HTTP/1.1 {status}"


def test_wsgi_set_cookie_lines(serve: Serve) -> None:
    cookies = [("Set-Cookie", "a=1"), ("X", "y"), ("Set-Cookie", "b=2")]
    answer = serve(answering(headers=[*TEXT, *cookies])).get()

    assert [line for line in answer.headers if line[0] in ("Set-Cookie", "X")] == cookies


@pytest.mark.parametrize(
    "line",
    [
        ("Transfer-Encoding", "chunked"),
        ("Connection", "keep-alive"),
        ("Keep-Alive", "timeout=5"),
        ("TE", "trailers"),
        ("Trailer", "X"),
        ("Upgrade", "h2c"),
        ("Proxy-Authenticate", "Basic"),
        ("Proxy-Authorization", "Basic"),
    ],
)
def test_wsgi_hop_by_hop_dropped(serve: Serve, line: tuple[str, str]) -> None:
    peer = serve(answering(b"ab", headers=[*TEXT, line])).connect()
    answer = peer.get("/")

    assert answer.header(line[0]) is None
    assert answer.body == b"ab"
    assert peer.get("/").body == b"ab"


def test_the_wish_to_close_is_granted(serve: Serve) -> None:
    data = serve(answering(b"ab", headers=[*TEXT, ("Connection", "close")])).raw(get())

    assert data.count(b"Connection: close\r\n") == 1


BAD_HEADERS = [
    [("X-A", "a\r\nX-B: b")],
    [("X-A", "a\nb")],
    [("X-A", "a\rb")],
    [("X-A", "a\0b")],
    [("X A", "b")],
    [("X-A:", "b")],
    [("X-A\r\n", "b")],
    [("", "b")],
    [("X-A", 1)],
    [(b"X-A", b"b")],
    [("X-A",)],
    [["X-A", "b"]],
    [("Content-Length", "x")],
    [("Content-Length", "1"), ("Content-Length", "2")],
    {"X-A": "b"},
    None,
]


@pytest.mark.parametrize("headers", BAD_HEADERS)
def test_wsgi_header_injection(serve: Serve, headers: Any) -> None:
    caught: list[BaseException] = []

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        try:
            start_response("200 OK", headers)
        except ValueError as error:
            caught.append(error)
            raise
        return [b""]

    with expect_failure(ValueError):
        answer = serve(app).get()
    assert caught
    assert (answer.code, answer.body) == (500, b"Internal Server Error")


@pytest.mark.parametrize(
    "status", ["200 a\r\nX: y", "OK", "20 OK", "2000 OK", "200OK", "000 x", 200, b"200 OK", None]
)
def test_a_bad_status_is_refused(serve: Serve, status: Any) -> None:
    with expect_failure(ValueError, "status"):
        assert serve(answering(status=status)).get().code == 500


def test_wsgi_non_latin1_header(serve: Serve) -> None:
    with expect_failure(ValueError):
        assert serve(answering(headers=[("X-A", "\u20ac")])).get().code == 500
    with expect_failure(ValueError):
        assert serve(answering(status="200 \u20ac")).get().code == 500
    assert serve(answering(headers=[("X-A", "\xe9")])).get().header("X-A") == "\xe9"


def test_an_interim_status_ends_the_connection(serve: Serve) -> None:
    data = serve(answering(b"", status="103 Early Hints")).raw(get())

    assert data.startswith(b"HTTP/1.1 103 Early Hints\r\n")
    assert b"Content-Length" not in data


def test_wsgi_concurrent(serve: Serve) -> None:
    arrived: list[Event] = []
    all_there = Event()

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        arrived.append(all_there)
        if len(arrived) == 50:
            all_there.set()
        assert all_there.wait(LIMIT)
        start_response("200 OK", TEXT)
        return [b"together"]

    site = serve(app)
    peers = [site.connect() for _ in range(50)]
    for peer in peers:
        peer.send(get())

    assert [peer.read_answer().body for peer in peers] == [b"together"] * 50


def test_wsgi_pipelined_in_turn(serve: Serve) -> None:
    running: list[str] = []
    most: list[int] = []
    go_on = {name: Event() for name in ("/a", "/b", "/c")}
    begun = Event()

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        running.append(environ["PATH_INFO"])
        most.append(len(running))
        begun.set()
        assert go_on[environ["PATH_INFO"]].wait(LIMIT)
        start_response("200 OK", TEXT)
        yield environ["PATH_INFO"].encode()
        yield b"!"
        running.remove(environ["PATH_INFO"])

    site = serve(app)
    peer = site.connect()
    peer.send(get("/a") + post(b"x" * 10, target="/b") + get("/c"))
    assert begun.wait(LIMIT)
    site.connect().get("/help")
    assert running == ["/a"]
    assert site.process.statistics()["waiting"] == 2
    for event in go_on.values():
        event.set()

    assert [peer.read_answer().body for _ in range(3)] == [b"/a!", b"/b!", b"/c!"]
    assert most == [1, 1, 1]
    assert site.process.statistics()["waiting"] == 0


def test_a_client_that_says_that_it_sends_no_more_is_answered(serve: Serve) -> None:
    peer = serve(answering(b"still")).connect()
    peer.send(get())
    peer.socket.shutdown(1)

    assert peer.read_answer().body == b"still"


def blocked_app() -> tuple[Any, Event, Event]:
    asked, go_on = Event(), Event()

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        asked.set()
        assert go_on.wait(LIMIT)
        start_response("200 OK", TEXT)
        return [environ["PATH_INFO"].encode()]

    return app, asked, go_on


def test_more_requests_than_may_run_wait_then_are_refused(serve: Serve) -> None:
    app, asked, go_on = blocked_app()
    site = serve(app, max_running=1, max_waiting=1)
    first, second, third = site.connect(), site.connect(), site.connect()
    first.send(get("/1"))
    assert asked.wait(LIMIT)
    second.send(get("/2"))
    site.connect().get("/help")

    assert third.get("/3").code == 503
    snapshot = site.runtime.metrics.snapshot().get()
    assert snapshot["wsgi/app/running"] == 1
    assert snapshot["wsgi/app/waiting"] == 1
    assert snapshot["wsgi/app/refused"] == 1
    go_on.set()
    assert (first.read_answer().body, second.read_answer().body) == (b"/1", b"/2")
    assert third.get("/4").body == b"/4"
    assert site.process.statistics() == {
        "requests": 3,
        "errors": 0,
        "refused": 1,
        "running": 0,
        "waiting": 0,
    }


def test_a_bound_of_no_waiting_refuses_at_once(serve: Serve) -> None:
    app, asked, go_on = blocked_app()
    site = serve(app, max_running=1, max_waiting=0)
    first, second = site.connect(), site.connect()
    first.send(get("/1"))
    assert asked.wait(LIMIT)

    assert second.get("/2").code == 503
    go_on.set()
    assert first.read_answer().body == b"/1"
    assert second.get("/3").body == b"/3"


def test_who_gave_up_waiting_is_not_served(serve: Serve) -> None:
    app, asked, go_on = blocked_app()
    called: list[str] = []

    def noting(environ: dict[str, Any], start_response: Any) -> Any:
        called.append(environ["PATH_INFO"])
        return app(environ, start_response)

    site = serve(noting, max_running=1)
    first, second, other = site.connect(), site.connect(), site.connect()
    first.send(get("/1"))
    assert asked.wait(LIMIT)
    second.send(get("/2"))
    other.get("/help")
    second.reset()
    while site.runtime.statistics()["inbound"]["connections"] > 2:
        other.get("/help")
    go_on.set()

    assert first.read_answer().body == b"/1"
    assert first.get("/3").body == b"/3"
    assert called == ["/1", "/3"]


def test_a_process_that_ends_lets_requests_end(serve: Serve) -> None:
    app, asked, go_on = blocked_app()
    site = serve(app)
    peer, late = site.connect(), site.connect()
    peer.send(get("/1"))
    assert asked.wait(LIMIT)
    site.runtime.terminate(site.process)
    site.connect().get("/help")
    assert late.get("/late").code == 503
    go_on.set()

    assert peer.read_answer().body == b"/1"
    assert site.runtime.wait(site.process, LIMIT)
    assert "wsgi/app/running" not in site.runtime.metrics


def test_a_request_that_does_not_end_is_killed_with_its_process(serve: Serve) -> None:
    app, asked, _ = blocked_app()
    site = serve(app, settings=Settings(stop_timeout=0.2))
    peer = site.connect()
    peer.send(get("/1"))
    assert asked.wait(LIMIT)
    site.runtime.terminate(site.process)

    assert peer.read_answer().code == 503
    assert site.runtime.wait(site.process, LIMIT)


def test_a_node_that_stops_sends_what_was_answered(serve: Serve) -> None:
    """Also what is larger than the sockets hold."""
    body = bytes(4 * 1024 * 1024)
    app, asked, go_on = blocked_app()

    def large(environ: dict[str, Any], start_response: Any) -> Any:
        app(environ, start_response)
        return [body]

    site = serve(large)
    peer = site.connect()
    peer.send(get("/1"))
    assert asked.wait(LIMIT)
    stopping = site.runtime.spawn_greenlet(site.runtime.stop)
    go_on.set()
    answer = peer.read_answer()

    assert (answer.body == body, answer.header("Connection")) == (True, "close")
    stopping.join(LIMIT)


def test_empty_pieces_give_others_their_turn(serve: Serve, polls: Polls) -> None:
    seen: list[int] = []

    def pieces() -> Any:
        for _ in range(100):
            seen.append(polls.count)
            yield b""

    serve(returning(pieces)).get()

    assert len(set(seen)) > 90
