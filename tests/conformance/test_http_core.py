"""Twins of libprocess' http_tests.cpp that the core covers: statuses, endpoints, nested paths."""

from __future__ import annotations

from greenproc.future import Failure, Future
from greenproc.http.request import Request
from greenproc.http.response import OK, Response
from greenproc.http.status import Status
from greenproc.process import Process, route
from greenproc.runtime import Runtime
from greenproc.testing import await_ready
from greenproc.web import Pipe, get
from tests.peer import Peer


def test_statuses() -> None:
    """HTTPTest.Statuses."""
    codes = {int(status) for status in Status}
    assert {200, 404} <= codes
    assert 1337 not in codes


class Endpoints(Process):
    answer: Response

    @route("/pipe")
    def on_pipe(self, request: Request) -> Response:
        return self.answer

    @route("/body")
    def on_body(self, request: Request) -> Response:
        return OK("hello")

    @route("/failed")
    def on_failed(self, request: Request) -> Future[Response]:
        return Future.failed("failed on purpose")

    @route("/failure")
    def on_failure(self, request: Request) -> Failure:
        return Failure("a failure as the result")

    @route("/a")
    def on_a(self, request: Request) -> Response:
        return OK("a")

    @route("/a/b/c")
    def on_abc(self, request: Request) -> Response:
        return OK("abc")


def test_endpoints(runtime: Runtime) -> None:
    """HTTPTest.Endpoints."""
    endpoints = Endpoints("p")
    runtime.spawn(endpoints)
    with Peer.connect(runtime.address) as peer:
        answer = peer.ask(b"GET /p/body HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
        assert answer.status == "HTTP/1.1 200 OK"
        assert answer.body == b"hello"
        assert peer.ask(b"GET /p/body/ HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").code == 200
        failed = peer.get("/p/failed")
        assert failed.status == "HTTP/1.1 500 Internal Server Error"
        assert failed.body == b"failed on purpose"
        assert peer.get("/p/failure").body == b"a failure as the result"

    pipe = Pipe()
    endpoints.answer = Response(reader=pipe.reader)
    response = get((endpoints.pid, "pipe"))
    for piece in (b"Hello ", b"World\n"):
        assert pipe.writer.write(piece)
    assert pipe.writer.close()
    assert await_ready(response).headers["Transfer-Encoding"] == "chunked"
    assert response.get().body == b"Hello World\n"


def test_nested_get(runtime: Runtime) -> None:
    """HTTPTest.NestedGet."""
    runtime.spawn(Endpoints("p"))
    with Peer.connect(runtime.address) as peer:
        assert peer.get("/p/a/b/c").body == b"abc"
        assert peer.get("/p/a/b").body == b"a"
        assert peer.get("/p/a/b/").body == b"a"
        assert peer.get("/p/a/x/y").body == b"a"
        assert peer.get("/p/a/b/c/d").body == b"abc"
        assert peer.get("/p/b").code == 404
