"""Twins of the tests of the client in libprocess' http_tests.cpp: one-shot requests."""

from __future__ import annotations

import pytest

from greenproc.http.request import Request
from greenproc.http.response import OK, Response, ResponseKind
from greenproc.http.url import URL
from greenproc.process import Process, route
from greenproc.runtime import Runtime
from greenproc.testing import await_failed, await_ready
from greenproc.web import Pipe, delete, get, post, request
from tests.peer import Acceptor


class Asked(Process):
    """Notes the requests for each of its routes, and answers with no body."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: dict[str, Request] = {}

    @route("/get")
    def on_get(self, request: Request) -> Response:
        return self.note("get", request)

    @route("/post")
    def on_post(self, request: Request) -> Response:
        return self.note("post", request)

    @route("/delete")
    def on_delete(self, request: Request) -> Response:
        return self.note("delete", request)

    @route("/request")
    def on_request(self, request: Request) -> Response:
        return self.note("request", request)

    def note(self, name: str, request: Request) -> Response:
        self.requests[name] = request
        return OK()


@pytest.fixture
def asked(runtime: Runtime) -> Asked:
    process = Asked()
    runtime.spawn(process)
    return process


def test_get(runtime: Runtime, asked: Asked) -> None:
    """HTTPTest.Get."""
    response = await_ready(get((asked.pid, "get")))
    assert response.status == 200
    seen = asked.requests["get"]
    assert seen.method == "GET"
    assert seen.url.path.endswith("get")
    assert (seen.body, seen.url.fragment, seen.url.query) == (b"", None, {})
    assert seen.client is not None
    assert seen.client != runtime.address

    await_ready(get((asked.pid, "get?foo=bar")))
    assert asked.requests["get"].url.query == {"foo": "bar"}


def test_post(runtime: Runtime, asked: Asked) -> None:
    """HTTPTest.Post."""
    failed = post((asked.pid, "post"), content_type="text/plain")
    await_failed(failed)
    assert failed.failure() == "Attempted to do a POST with a Content-Type but no body"

    text = "This is the payload."
    response = await_ready(post((asked.pid, "post"), None, text, "text/plain"))
    assert response.status == 200
    seen = asked.requests.pop("post")
    assert (seen.method, seen.body) == ("POST", text.encode())
    assert seen.headers["Content-Type"] == "text/plain"

    await_ready(post((asked.pid, "post"), {"Content-Type": "text/plain"}, text))
    seen = asked.requests["post"]
    assert (seen.body, seen.headers["Content-Type"]) == (text.encode(), "text/plain")


def test_delete(runtime: Runtime, asked: Asked) -> None:
    """HTTPTest.Delete."""
    assert await_ready(delete((asked.pid, "delete"))).status == 200
    seen = asked.requests["delete"]
    assert (seen.method, seen.body, seen.url.query) == ("DELETE", b"", {})
    assert seen.url.path.endswith("delete")


def test_request(runtime: Runtime, asked: Asked) -> None:
    """HTTPTest.Request."""
    assert await_ready(request("DELETE", (asked.pid, "request"))).status == 200
    seen = asked.requests["request"]
    assert (seen.method, seen.body) == ("DELETE", b"")


def test_query_encoding() -> None:
    """HTTPTest.QueryEncoding: both in the text of the URL and in what the client sends."""
    url = URL("/", {"path": "C:\\foo\\bar%3Abaz"}, scheme="http", host="127.0.0.1", port=80)
    assert str(url).endswith("/?path=C%3A%5Cfoo%5Cbar%253Abaz")

    with Acceptor() as server:
        url = URL(url.path, url.query, scheme="http", host="127.0.0.1", port=server.address.port)
        future = get(url)
        with server.accept() as peer:
            head = peer.read_until(b"\r\n\r\n")
            assert head.startswith(b"GET /?path=C%3A%5Cfoo%5Cbar%253Abaz HTTP/1.1\r\n")
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            await_ready(future)


class Streaming(Process):
    """Answers with what the test writes."""

    def __init__(self) -> None:
        super().__init__()
        self.pipe = Pipe()

    @route("/pipe")
    def on_pipe(self, request: Request) -> Response:
        return Response(200, reader=self.pipe.reader)


@pytest.fixture
def streaming(runtime: Runtime) -> Streaming:
    process = Streaming()
    runtime.spawn(process)
    return process


def test_streaming_get_complete(streaming: Streaming) -> None:
    """HTTPTest.StreamingGetComplete."""
    response = await_ready(get((streaming.pid, "pipe"), stream=True))
    assert (response.status, response.headers["Transfer-Encoding"]) == (200, "chunked")
    assert response.kind is ResponseKind.PIPE
    reader, writer = response.reader, streaming.pipe.writer

    read = reader.read()
    assert read.is_pending
    assert writer.write(b"hello")
    assert await_ready(read) == b"hello"
    read = reader.read()
    assert read.is_pending
    assert writer.write(b"goodbye")
    assert await_ready(read) == b"goodbye"
    read = reader.read()
    assert read.is_pending
    assert writer.close()
    assert await_ready(read) == b""


def test_streaming_get_failure(streaming: Streaming) -> None:
    """HTTPTest.StreamingGetFailure."""
    response = await_ready(get((streaming.pid, "pipe"), stream=True))
    assert (response.status, response.headers["Transfer-Encoding"]) == (200, "chunked")
    assert response.kind is ResponseKind.PIPE
    reader, writer = response.reader, streaming.pipe.writer

    read = reader.read()
    assert read.is_pending
    assert writer.write(b"hello")
    assert await_ready(read) == b"hello"
    read = reader.read()
    assert read.is_pending
    assert writer.fail("oops!")
    await_failed(read)
