"""Twins of HTTPConnectionTest in libprocess' http_tests.cpp."""

from __future__ import annotations

from collections import deque

import pytest

from greenproc.future import Future, Promise
from greenproc.http.content_coding import gzip_compress
from greenproc.http.request import Request
from greenproc.http.response import OK, Response
from greenproc.http.url import URL
from greenproc.process import Process, route
from greenproc.runtime import Runtime
from greenproc.testing import await_failed, await_ready
from greenproc.web import Connection, Pipe, connect


class Asked(Process):
    """Answers when it is told to: with the next of its responses."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: deque[Request] = deque()
        self.promises: deque[Promise[Response]] = deque()
        self.arrivals: deque[Promise[None]] = deque()

    def expect(self) -> Promise[Response]:
        """Return the promise of the response to the next request, which can be `arrival` of."""
        self.promises.append(Promise())
        self.arrivals.append(Promise())
        return self.promises[-1]

    @route("/get")
    def on_get(self, request: Request) -> Future[Response]:
        self.requests.append(request)
        self.arrivals[len(self.requests) - 1].set(None)
        return self.promises[len(self.requests) - 1].future


@pytest.fixture
def asked(runtime: Runtime) -> Asked:
    process = Asked()
    runtime.spawn(process)
    return process


def a_get(process: Process, *, keep_alive: bool = True, path: str = "get") -> Request:
    return Request("GET", URL(f"/{process.pid.id}/{path}"), keep_alive=keep_alive)


def test_serial(runtime: Runtime, asked: Asked) -> None:
    """HTTPConnectionTest.Serial."""
    connection = await_ready(connect(f"http://{runtime.address}/get"))
    asked.expect().set(OK("1"))
    response = await_ready(connection.send(a_get(asked)))
    assert (response.status, response.body) == (200, b"1")

    asked.expect().set(OK("2"))
    response = await_ready(connection.send(a_get(asked), True))
    assert response.status == 200
    assert response.kind.value == "pipe"
    assert await_ready(response.reader.read()) == b"2"
    assert await_ready(response.reader.read()) == b""

    await_ready(connection.disconnect())
    await_ready(connection.disconnected)
    await_failed(connection.send(a_get(asked)))


def test_pipeline(runtime: Runtime, asked: Asked) -> None:
    """HTTPConnectionTest.Pipeline: to two processes, the one in the middle streamed."""
    other = Asked()
    runtime.spawn(other)
    connection = await_ready(connect(f"http://{runtime.address}"))
    promises = [asked.expect(), other.expect(), asked.expect()]
    futures = [
        connection.send(a_get(asked)),
        connection.send(a_get(other), streamed_response=True),
        connection.send(a_get(asked)),
    ]
    for arrival in (*asked.arrivals, *other.arrivals):
        await_ready(arrival.future)

    promises[2].set(OK("3"))
    promises[1].set(OK("2"))
    assert all(future.is_pending for future in futures)
    promises[0].set(OK("1"))

    first, second, third = (await_ready(future) for future in futures)
    assert (first.body, third.body) == (b"1", b"3")
    assert await_ready(second.reader.read()) == b"2"
    assert await_ready(second.reader.read()) == b""
    connection.disconnect()
    await_ready(connection.disconnected)


def test_closing_request(runtime: Runtime, asked: Asked) -> None:
    """HTTPConnectionTest.ClosingRequest."""
    connection = await_ready(connect(f"http://{runtime.address}"))
    promises = [asked.expect(), asked.expect()]
    first = connection.send(a_get(asked))
    second = connection.send(a_get(asked, keep_alive=False))
    third = connection.send(a_get(asked))
    await_failed(third)
    assert third.failure() == "Cannot pipeline after 'Connection: close'"

    for promise, text in zip(promises, "12", strict=True):
        promise.set(OK(text))

    assert await_ready(first).body == b"1"
    assert await_ready(second).body == b"2"
    await_ready(connection.disconnected)


def test_closing_response(runtime: Runtime, asked: Asked) -> None:
    """HTTPConnectionTest.ClosingResponse."""
    connection = await_ready(connect(f"http://{runtime.address}"))
    asked.expect().set(OK("1", headers={"Connection": "close"}))
    asked.expect().set(OK("2"))
    first = connection.send(a_get(asked))
    second = connection.send(a_get(asked))

    assert await_ready(first).body == b"1"
    await_failed(second)
    assert second.failure() == "Received 'Connection: close' from the server"
    await_ready(connection.disconnected)


def test_reference_counting(runtime: Runtime, asked: Asked) -> None:
    """HTTPConnectionTest.ReferenceCounting."""
    connection: Connection | None = await_ready(connect(f"http://{runtime.address}"))
    copy = connection
    assert connection is not None
    disconnected = connection.disconnected

    connection = None
    assert disconnected.is_pending
    del copy

    await_ready(disconnected)


def test_equality(runtime: Runtime) -> None:
    """HTTPConnectionTest.Equality."""
    first = await_ready(connect(f"http://{runtime.address}"))
    second = await_ready(connect(f"http://{runtime.address}"))
    same = first

    assert first != second
    assert second == second  # noqa: PLR0124 -- that is the question
    assert first == same


def test_gzip_request_body(runtime: Runtime, asked: Asked) -> None:
    """HTTPConnectionTest.GzipRequestBody."""
    asked.expect().set(OK())
    with await_ready(connect(f"http://{runtime.address}")) as connection:
        packed = a_get(asked)
        packed.method = "POST"
        packed.headers["Content-Encoding"] = "gzip"
        packed.body = gzip_compress(b"this is the uncompressed body")

        assert await_ready(connection.send(packed)).status == 200

    assert asked.requests[0].body == b"this is the uncompressed body"


class StreamedTo(Process):
    """Takes a request before its body is there."""

    def __init__(self) -> None:
        super().__init__()
        self.request: Promise[Request] = Promise()
        self.answer: Promise[Response] = Promise()

    @route("/get", streaming=True)
    def on_get(self, request: Request) -> Future[Response]:
        self.request.set(request)
        return self.answer.future


def test_request_streaming(runtime: Runtime) -> None:
    """HTTPConnectionTest.RequestStreaming."""
    process = StreamedTo()
    runtime.spawn(process)
    pipe = Pipe()
    with await_ready(connect(f"http://{runtime.address}")) as connection:
        streamed = Request(
            "POST", URL(f"/{process.pid.id}/get"), reader=pipe.reader, keep_alive=True
        )
        future = connection.send(streamed)
        request = await_ready(process.request.future)
        assert request.body == b""

        for piece in (b"hello", b"world"):
            read = request.reader.read()
            assert read.is_pending
            assert pipe.writer.write(piece)
            assert await_ready(read) == piece
        assert pipe.writer.close()
        assert await_ready(request.reader.read()) == b""

        process.answer.set(OK())
        assert await_ready(future).status == 200
