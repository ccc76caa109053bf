"""The body of a request, as an app reads it."""

from __future__ import annotations

import gzip
import tracemalloc
from typing import Any

import pytest
from gevent.event import Event

from greenproc import Settings
from tests.peer import LIMIT, Peer
from tests.wsgi.apps import TEXT, answering, reading
from tests.wsgi.conftest import Serve, Site, get, post

CHUNKED = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
LINES = b"line1\nlonger line\n\nlast"


def whole(peer: Peer, body: bytes) -> Any:
    return peer.ask(post(body))


def in_parts(peer: Peer, body: bytes) -> Any:
    """Send a body so that it is not there when the app is called."""
    peer.send(post(body)[: -len(body) or None])
    for at in range(0, len(body), 7):
        peer.send(body[at : at + 7])
    return peer.read_answer()


def chunked(peer: Peer, body: bytes) -> Any:
    peer.send(CHUNKED)
    for at in range(0, len(body), 5):
        piece = body[at : at + 5]
        peer.send(b"%x;ext=1\r\n%b\r\n" % (len(piece), piece))
    return peer.ask(b"0\r\nX-Trailer: 1\r\n\r\n")


WAYS = [whole, in_parts, chunked]


def checked(serve: Serve, way: Any, read: Any, body: bytes = LINES) -> Any:
    """Return what *read* gets, evaluated."""
    answer = way(serve(reading(read)).connect(), body)
    return eval(answer.body)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "read", [lambda f: f.read(), lambda f: f.read(-1), lambda f: f.read(None)]
)
def test_wsgi_input_read_forms(serve: Serve, way: Any, read: Any) -> None:
    assert checked(serve, way, lambda f: (f.read(0), f.read(3), read(f), f.read(), f.read(5))) == (
        b"",
        LINES[:3],
        LINES[3:],
        b"",
        b"",
    )


@pytest.mark.parametrize("way", WAYS)
def test_reading_more_than_there_is_returns_the_rest(serve: Serve, way: Any) -> None:
    assert checked(serve, way, lambda f: (f.read(20), f.read(1000))) == (LINES[:20], LINES[20:])


@pytest.mark.parametrize("way", WAYS)
def test_wsgi_input_readline_forms(serve: Serve, way: Any) -> None:
    def read(file: Any) -> list[bytes]:
        return [
            file.readline(0),
            file.readline(3),
            file.readline(100),
            file.readline(-1),
            file.readline(None),
            file.readline(),
            file.readline(),
        ]

    assert checked(serve, way, read) == [
        b"",
        b"lin",
        b"e1\n",
        b"longer line\n",
        b"\n",
        b"last",
        b"",
    ]


@pytest.mark.parametrize("way", WAYS)
def test_wsgi_input_iter_after_read(serve: Serve, way: Any) -> None:
    read = checked(serve, way, lambda f: (f.read(2), next(f), f.readlines(1), list(f)))

    assert b"".join([read[0], read[1], *read[2], *read[3]]) == LINES
    assert read[1] == b"ne1\n"


def test_wsgi_input_chunked(serve: Serve) -> None:
    read = checked(serve, chunked, lambda f: (f.readline(), f.read(3), f.read()))

    assert read == (b"line1\n", b"lon", LINES[9:])


@pytest.mark.parametrize("data", [CHUNKED + b"0\r\n\r\n", get("/"), post(b"")])
def test_wsgi_input_terminated(serve: Serve, data: bytes) -> None:
    answer = serve(reading(lambda f: (f.read(), f.readline(), list(f)))).connect().ask(data)

    assert answer.body == b"(b'', b'', [])"


class Failing:
    """An app that keeps the error of its read, and lets it pass or answers."""

    def __init__(self, *, answers: bool = False) -> None:
        self.error: BaseException | None = None
        self.done = Event()
        self.answers = answers

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        try:
            environ["wsgi.input"].read()
        except BaseException as error:
            self.error = error
            if not self.answers:
                raise
        finally:
            self.done.set()
        start_response("418 Teapot", TEXT)
        return [b"I am"]


def test_wsgi_input_short_body(serve: Serve) -> None:
    app = Failing()
    peer = serve(app).connect()
    peer.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc")
    peer.close()

    assert app.done.wait(LIMIT)
    assert isinstance(app.error, OSError)


def test_wsgi_input_bad_chunk(serve: Serve) -> None:
    app = Failing()
    peer = serve(app).connect()
    peer.send(CHUNKED + b"3\r\nabc\r\n")
    peer.send(b"zz\r\n")
    answer = peer.read_answer()

    assert isinstance(app.error, OSError)
    assert (answer.code, answer.header("Connection")) == (400, "close")
    assert peer.read_to_end() == b""


def test_an_app_may_answer_a_bad_body_itself(serve: Serve) -> None:
    peer = serve(Failing(answers=True)).connect()
    peer.send(CHUNKED + b"3\r\nabc\r\n")
    peer.send(b"zz\r\n")

    assert peer.read_answer().code == 418
    assert peer.read_to_end() == b""


LIMITED = [
    pytest.param(post(b"12345"), False, id="declared"),
    pytest.param(post(b"12345")[:-2], False, id="declared, not there"),
    pytest.param(CHUNKED + b"5\r\n12345\r\n0\r\n\r\n", False, id="one chunk"),
    pytest.param(CHUNKED + b"3\r\n123\r\n3\r\n456\r\n", True, id="chunks"),
]


@pytest.mark.parametrize(("data", "is_called"), LIMITED)
def test_wsgi_input_limit(serve: Serve, data: bytes, *, is_called: bool) -> None:
    app = Failing()
    peer = serve(app, max_body_bytes=4).connect()
    answer = peer.ask(data)

    assert (answer.code, answer.header("Connection")) == (413, "close")
    assert peer.read_to_end() == b""
    assert app.done.is_set() == is_called


def test_a_body_within_the_limit_is_read(serve: Serve) -> None:
    site = serve(reading(lambda f: f.read()), max_body_bytes=4)

    assert site.connect().ask(post(b"1234")).body == b"b'1234'"
    assert chunked(site.connect(), b"1234").body == b"b'1234'"


def fill(peer: Peer, site: Site) -> int:
    """Send until the node takes no more, and return how much that was."""
    piece = bytes(1024 * 1024)
    peer.socket.settimeout(0)
    sent = tries = 0
    while tries < 10 and sent < 256 * 1024 * 1024:
        try:
            sent += peer.socket.send(piece)
            tries = 0
        except BlockingIOError:
            tries += 1
            site.connect().get("/help")  # the node has its turns meanwhile
    return sent


def test_wsgi_input_backpressure(serve: Serve) -> None:
    asked, may_read = Event(), Event()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        asked.set()
        assert may_read.wait(LIMIT)
        start_response("200 OK", TEXT)
        return [b"done"]

    site = serve(app)
    peer = site.connect()
    peer.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1073741824\r\n\r\n")
    assert asked.wait(LIMIT)
    tracemalloc.start()
    sent = fill(peer, site)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    may_read.set()

    assert sent < 64 * 1024 * 1024  # what sockets hold
    assert peak < 8 * 1024 * 1024


def test_wsgi_input_gzip_untouched(serve: Serve) -> None:
    packed = gzip.compress(b"hello" * 100, mtime=0)
    site = serve(reading(lambda f: f.read()))

    for way in WAYS:
        assert way(site.connect(), packed).body == repr(packed).encode()
    answer = site.connect().ask(post(packed, "Content-Encoding: gzip"))
    assert answer.body == repr(packed).encode()


EXPECTING = post(b"hello", "Expect: 100-continue")[:-5]


def test_wsgi_expect_on_first_read(serve: Serve) -> None:
    asked, may_read = Event(), Event()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        asked.set()
        assert may_read.wait(LIMIT)
        body = environ["wsgi.input"].read()
        start_response("200 OK", TEXT)
        return [body]

    site = serve(app)
    peer = site.connect()
    peer.send(EXPECTING)
    assert asked.wait(LIMIT)
    site.connect().get("/help")  # a whole round trip, in which a 100 would have come
    peer.socket.settimeout(0)
    with pytest.raises(BlockingIOError):
        peer.read(1)
    peer.socket.settimeout(LIMIT)
    may_read.set()

    assert peer.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert peer.ask(b"hello").body == b"hello"
    assert peer.ask(post(b"again")).body == b"again"


def test_a_client_that_does_not_wait_gets_no_continue(serve: Serve) -> None:
    peer = serve(reading(lambda f: f.read())).connect()

    assert peer.ask(EXPECTING + b"hello").body == b"b'hello'"


def test_wsgi_expect_without_read(serve: Serve) -> None:
    peer = serve(answering(b"no thanks")).connect()
    answer = peer.ask(EXPECTING)

    assert (answer.code, answer.body) == (200, b"no thanks")
    assert answer.header("Connection") == "close"
    assert peer.read_to_end() == b""


@pytest.mark.parametrize("size", [10, 1024 * 1024])
def test_wsgi_unread_body_keep_alive(serve: Serve, size: int) -> None:
    peer = serve(answering(b"first")).connect()
    peer.send(post(bytes(size)) + get("/"))

    assert peer.read_answer().body == b"first"
    assert peer.read_answer().body == b"first"


def test_a_huge_rest_closes(serve: Serve) -> None:
    site: Site = serve(answering(b"first"), settings=Settings(stop_timeout=5.0))
    peer = site.connect()
    peer.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1073741824\r\n\r\n")
    assert peer.read_answer().body == b"first"
    rest = bytes(128 * 1024 * 1024)

    with pytest.raises(ConnectionError):
        peer.send(rest)
