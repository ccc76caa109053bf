"""Apps that fail, clients that go away, and that every iterable is closed once."""

from __future__ import annotations

import io
from typing import Any

import gevent
import pytest
from gevent.event import Event

from greenproc import Settings
from greenproc.testing import expect_failure
from tests.peer import LIMIT, Peer
from tests.wsgi.apps import TEXT, Pieces, answering, returning
from tests.wsgi.conftest import Serve, get

CLOSING = "Connection: close"


class Oops(Exception):
    pass


def test_wsgi_exc_info_before(serve: Serve) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [*TEXT, ("X-First", "1")])
        try:
            raise Oops
        except Oops as error:
            start_response("500 Oops", TEXT, (Oops, error, error.__traceback__))
        return [b"replaced"]

    answer = serve(app).get()

    assert (answer.status, answer.body) == ("HTTP/1.1 500 Oops", b"replaced")
    assert answer.header("X-First") is None


def test_wsgi_exc_info_after(serve: Serve) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        yield b"out"
        try:
            raise Oops("too late")
        except Oops as error:
            start_response("500 Oops", TEXT, exc_info=(Oops, error, error.__traceback__))
        yield b"never"

    with expect_failure(Oops, "too late"):
        data = serve(app).raw(get())
    assert data.endswith(b"3\r\nout\r\n")


def test_wsgi_start_twice(serve: Serve) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        start_response("201 Created", TEXT)
        return [b"never"]

    with expect_failure(AssertionError):
        assert serve(app).get().code == 500


@pytest.mark.parametrize("pieces", [[b"x"], [], [b"x", b"y"]])
def test_wsgi_never_started(serve: Serve, pieces: list[bytes]) -> None:
    with expect_failure(AssertionError, "start_response"):
        assert serve(lambda environ, start_response: pieces).get().code == 500


@pytest.mark.parametrize("result", [None, 7])
def test_wsgi_none_result(serve: Serve, result: Any) -> None:
    with expect_failure(TypeError):
        assert serve(returning(lambda: result)).get().code == 500


@pytest.mark.parametrize("result", [["text"], "text", b"bytes", [7], iter([b"", "text"])])
def test_wsgi_str_piece(serve: Serve, result: Any) -> None:
    with expect_failure(ValueError, "bytes"):
        assert serve(returning(lambda: result)).get().code == 500


def test_wsgi_error_before_head(serve: Serve) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        raise Oops("secret")

    site = serve(app)
    peer = site.connect()
    with expect_failure(Oops, "secret"):
        answer = peer.get("/")

    assert (answer.code, answer.body) == (500, b"Internal Server Error")
    assert answer.header("Content-Type") == "text/plain; charset=utf-8"
    with expect_failure(Oops):
        assert peer.get("/").code == 500
    site.settle()
    assert site.process.statistics()["errors"] == 2


def test_wsgi_error_mid_stream(serve: Serve) -> None:
    def pieces() -> Any:
        yield b"first"
        raise Oops

    with expect_failure(Oops):
        data = serve(returning(pieces)).raw(get())
    assert data.endswith(b"5\r\nfirst\r\n")


def test_an_error_in_a_stream_of_known_length_cuts_it(serve: Serve) -> None:
    def pieces() -> Any:
        yield b"first"
        raise Oops

    with expect_failure(Oops):
        data = serve(returning(pieces, [*TEXT, ("Content-Length", "9")])).raw(get())
    assert data.endswith(b"\r\n\r\nfirst")


@pytest.mark.parametrize("error", [SystemExit(3), gevent.Timeout(1)])
def test_wsgi_system_exit_in_app(serve: Serve, error: BaseException) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/exit":
            raise error
        start_response("200 OK", TEXT)
        return [b"alive"]

    site = serve(app)
    answers = []
    if isinstance(error, SystemExit):
        answers.append(site.get("/exit"))  # which no log of errors collects
    else:
        with expect_failure(gevent.Timeout):
            answers.append(site.get("/exit"))

    assert answers[0].code == 500
    assert site.get().body == b"alive"


def test_a_killed_call_is_answered(serve: Serve) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        raise gevent.GreenletExit

    assert serve(app).get().code == 503


def failing() -> Any:
    yield b"a"
    raise Oops


def unstarted(pieces: Any) -> Any:
    return lambda environ, start_response: pieces


CLOSED = {
    "one piece": (returning, [b"a"], get()),
    "no piece": (returning, [], get()),
    "a stream": (returning, [b"a", b"b"], get()),
    "HEAD": (returning, [b"a", b"b"], get().replace(b"GET", b"HEAD")),
    "a failing stream": (returning, failing(), get()),
    "text": (returning, ["a"], get()),
    "not started": (None, [b"a"], get()),
    "cut": (lambda make: returning(make, [("Content-Length", "1")]), [b"ab", b"c"], get()),
    "cut short": (lambda make: returning(make, [("Content-Length", "9")]), [b"ab"], get()),
    "no body": (lambda make: returning(make, status="204 No"), [b"ab", b"c"], get()),
}


@pytest.mark.parametrize("case", CLOSED)
def test_wsgi_close_always(serve: Serve, case: str) -> None:
    make_app, content, request = CLOSED[case]
    pieces = Pieces(content)
    app = unstarted(pieces) if make_app is None else make_app(lambda: pieces)
    site = serve(app)
    peer = site.connect()
    fails = case in ("a failing stream", "text", "not started")
    if fails:
        with expect_failure():
            peer.send(request)
            peer.read_until(b"\r\n\r\n")
            site.settle()
    else:
        peer.send(request)
        peer.read_until(b"\r\n\r\n")
        site.settle()

    assert pieces.closed == 1


def test_wsgi_close_raises(serve: Serve) -> None:
    class Bad(Pieces):
        def close(self) -> None:
            super().close()
            raise Oops("in close")

    site = serve(returning(lambda: Bad([b"a"])))
    peer = site.connect()
    for _ in range(2):
        with expect_failure(Oops, "in close"):
            assert peer.get("/").body == b"a"
            site.settle()


def test_wsgi_client_gone_stream(serve: Serve) -> None:
    ended = Event()
    peers: list[Peer] = []

    def pieces() -> Any:
        made = 0
        try:
            while True:
                yield b"x" * 1000
                made += 1
                if made == 3:
                    peers[0].reset()
        except GeneratorExit:
            ended.set()
            raise

    site = serve(returning(pieces))
    peers.append(site.connect())
    peers[0].send(get())

    assert ended.wait(LIMIT)
    site.settle()


def test_wsgi_slow_client(serve: Serve) -> None:
    ended = Event()

    def pieces() -> Any:
        try:
            while True:
                yield bytes(64 * 1024)
        finally:
            ended.set()

    site = serve(returning(pieces), settings=Settings(stop_timeout=5.0, answer_timeout=0.2))
    site.connect().send(get())

    assert ended.wait(LIMIT)
    site.settle()


class Counted(io.BytesIO):
    closed_times = 0

    def close(self) -> None:
        self.closed_times += 1
        super().close()


def wrapping(file: Any, headers: Any = None, *, seek: int = 0) -> Any:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        file.seek(seek)
        start_response("200 OK", list(headers or TEXT))
        return environ["wsgi.file_wrapper"](file, 4)

    return app


@pytest.fixture
def file(tmp_path: Any) -> Any:
    (tmp_path / "file").write_bytes(b"0123456789" * 100_000)
    with (tmp_path / "file").open("rb") as opened:
        yield opened


def test_wsgi_file_wrapper_sendfile(serve: Serve, file: Any) -> None:
    site = serve(wrapping(file, seek=3))
    answer = site.get()
    site.settle()

    assert answer.header("Content-Length") == "999997"
    assert answer.body == (b"0123456789" * 100_000)[3:]
    assert file.closed


def test_a_file_is_cut_at_the_length(serve: Serve, file: Any) -> None:
    answer = serve(wrapping(file, [*TEXT, ("Content-Length", "5")], seek=3)).get()

    assert answer.body == b"34567"


def test_a_file_that_is_shorter_breaks_the_connection(
    serve: Serve, file: Any, caplog: pytest.LogCaptureFixture
) -> None:
    site = serve(wrapping(file, [*TEXT, ("Content-Length", "1000009")]))
    with expect_failure(Exception, "ended after 1000000"):
        data = site.raw(get())

    assert len(data.partition(b"\r\n\r\n")[2]) == 1_000_000
    site.settle()
    assert file.closed


def test_wsgi_file_wrapper_fallback(serve: Serve) -> None:
    file = Counted(b"0123456789")
    site = serve(wrapping(file, seek=3))
    data = site.raw(get("/", CLOSING))

    assert data.endswith(b"4\r\n3456\r\n3\r\n789\r\n0\r\n\r\n")
    site.settle()
    assert file.closed_times == 1


def test_a_head_of_a_file_sends_none_of_it(serve: Serve, file: Any) -> None:
    site = serve(wrapping(file))
    data = site.raw(get("/", CLOSING).replace(b"GET", b"HEAD"))

    assert data.endswith(b"\r\n\r\n")
    site.settle()
    assert file.closed


def test_the_client_of_a_file_may_go(serve: Serve, tmp_path: Any) -> None:
    with (tmp_path / "large").open("wb") as made:
        made.truncate(1024 * 1024 * 1024)
    file = (tmp_path / "large").open("rb")
    site = serve(wrapping(file))
    peer = site.connect()
    peer.send(get())
    peer.read(100_000)
    peer.reset()
    site.settle()

    assert file.closed


def test_an_app_that_knows_no_more_than_its_wrapper_can_iterate(serve: Serve) -> None:
    """Middleware may take the wrapper for any iterable."""

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        return [piece.upper() for piece in environ["wsgi.file_wrapper"](io.BytesIO(b"abc"))]

    assert serve(app).get().body == b"ABC"


def test_wsgi_delegate(serve: Serve) -> None:
    site = serve(answering(b"the app"))

    assert site.get("/").body == b"the app"
    assert site.get("/nowhere/else").body == b"the app"
    assert b"the app" not in site.get("/help").body
    assert site.get("/metrics/snapshot").header("Content-Type") == "application/json"
    assert site.get("/app/x").body == b"the app"
