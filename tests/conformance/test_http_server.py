"""Twins of the tests of servers in libprocess' http_tests.cpp: files, serve, and Server."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from gevent import socket

from greenproc.address import Address
from greenproc.future import Future, Promise
from greenproc.http.request import Request
from greenproc.http.response import OK, Response
from greenproc.http.url import URL
from greenproc.process import Process
from greenproc.runtime import Runtime
from greenproc.testing import await_abandoned, await_discarded, await_failed, await_ready
from greenproc.web import Connection, Server, connect, get, post, serve, serve_connection

A_GET = Request("GET", URL("/"), keep_alive=True)


class Asked:
    """A handler that answers when it is told to."""

    def __init__(self) -> None:
        self.promises: list[Promise[Response]] = []
        self.three_are_here: Promise[None] = Promise()
        self.one_is_here: Promise[None] = Promise()

    def __call__(self, request: Request) -> Future[Response]:
        self.promises.append(Promise())
        self.one_is_here.set(None)
        if len(self.promises) == 3:
            self.three_are_here.set(None)
        return self.promises[-1].future


@pytest.fixture
def ends() -> Iterator[tuple[Connection, socket.socket]]:
    """A client's connection, and the server's end of it."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        connection = await_ready(connect(Address(*listening.getsockname())))
        accepted, _ = listening.accept()
        with accepted:
            yield connection, accepted
            connection.disconnect()


def check_pipelining(connection: Connection, asked: Asked) -> None:
    """Send three requests, answer them in reverse order, and look for the order of the answers."""
    responses = [connection.send(A_GET) for _ in range(3)]
    await_ready(asked.three_are_here.future)

    asked.promises[2].set(OK("3"))
    assert all(response.is_pending for response in responses)
    asked.promises[0].set(OK("1"))
    assert await_ready(responses[0]).body == b"1"
    asked.promises[1].set(OK("2"))
    assert await_ready(responses[1]).body == b"2"
    assert await_ready(responses[2]).body == b"3"


def test_provide_sendfile(runtime: Runtime, tmp_path: Path) -> None:
    """HTTPTest.ProvideSendfile."""
    small = tmp_path / "small"
    small.write_bytes(b"lorem ipsum")
    large = tmp_path / "large"
    large.write_bytes(bytes(range(256)) * 4 * 1024 + b"and a bit more than 1 MiB")

    for path in (small, large):
        process = Process(f"of-{path.name}")
        process.provide("", path)
        pid = runtime.spawn(process)
        response = await_ready(get(pid))
        assert response.status == 200
        assert response.headers["Content-Length"] == str(path.stat().st_size)
        assert response.body == path.read_bytes()


def test_serve_pipelining(ends: tuple[Connection, socket.socket]) -> None:
    """HttpServeTest.Pipelining."""
    connection, accepted = ends
    asked = Asked()
    serving = serve_connection(asked, accepted)

    check_pipelining(connection, asked)

    assert serving.is_pending
    await_ready(connection.disconnect())
    await_ready(serving)


def test_serve_discard(ends: tuple[Connection, socket.socket]) -> None:
    """HttpServeTest.Discard."""
    connection, accepted = ends
    asked = Asked()
    serving = serve_connection(asked, accepted)
    response = connection.send(A_GET)
    await_ready(asked.one_is_here.future)

    serving.discard()

    await_discarded(serving)
    assert asked.promises[0].future.has_discard
    await_failed(response)
    await_ready(connection.disconnected)


def test_serve_unix(tmp_path: Path) -> None:
    """HttpServeTest.Unix."""
    path = str(tmp_path / "server.sock")

    def echo(request: Request) -> Response:
        return OK(request.reader.read_all().get())

    with serve(echo, path, streaming=True):
        response = await_ready(post(path, body=b"Hello World!"))

    assert (response.status, response.body) == (200, b"Hello World!")


def test_server_pipeline() -> None:
    """HttpServerTest.Pipeline."""
    asked = Asked()
    server = Server(asked)
    running = server.run()
    with await_ready(connect(server.address)) as connection:
        check_pipelining(connection, asked)

        assert running.is_pending
        await_ready(server.stop())
        await_ready(running)
        await_ready(connection.disconnected)


def test_server_stop_not_running() -> None:
    """HttpServerTest.StopNotRunning."""
    server = Server(Asked())
    await_failed(server.stop())


def test_server_discard() -> None:
    """HttpServerTest.Discard."""
    server = Server(Asked())
    running = server.run()
    with await_ready(connect(server.address)) as connection:
        running.discard()

        await_ready(connection.disconnected)
        await_failed(running)


def test_server_finalize() -> None:
    """HttpServerTest.Finalize."""
    server = Server(Asked())
    running = server.run()
    with await_ready(connect(server.address)) as connection:
        del server
        gc.collect()

        await_ready(connection.disconnected)
        await_abandoned(running)
