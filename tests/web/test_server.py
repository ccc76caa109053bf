"""Servers beside the node: their places, their life, and what becomes of their clients."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

import gevent
import pytest
from gevent import socket
from gevent.event import Event

from greenproc.address import Address
from greenproc.current import find_runtime
from greenproc.errors import (
    BindError,
    Failure,
    InvalidAddress,
    InvalidArgument,
    InvalidSettings,
)
from greenproc.future import Future, Promise
from greenproc.http.request import Request
from greenproc.http.response import OK, Response
from greenproc.runtime import Runtime
from greenproc.settings import Settings, TLSSettings
from greenproc.testing import (
    await_abandoned,
    await_failed,
    await_ready,
    expect_failure,
)
from greenproc.web import Pipe, Server, get, post, serve
from tests.peer import LIMIT, Peer

HELLO = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def hello(_request: Request) -> str:
    return "hello"


class Slow:
    """A handler whose responses a test gives."""

    def __init__(self) -> None:
        self.asked: Promise[Request] = Promise()
        self.answer: Promise[Response] = Promise()

    def __call__(self, request: Request) -> Future[Response]:
        self.asked.set(request)
        return self.answer.future


# Places


def test_a_server_answers_at_the_address_it_tells() -> None:
    with Server(hello) as server:
        assert isinstance(server.address, Address)
        assert server.address.ip == "127.0.0.1"
        assert await_ready(get(server.address)).body == b"hello"


def test_a_server_listens_before_it_runs() -> None:
    server = Server(hello)
    assert isinstance(server.address, Address)
    with Peer.connect(server.address) as peer:
        peer.send(HELLO)
        with server:
            assert peer.read_answer().body == b"hello"


def test_a_server_may_be_at_an_ipv6_address() -> None:
    with serve(hello, "[::1]:0") as server:
        assert await_ready(get(server.address)).body == b"hello"


@pytest.mark.parametrize("kind", [str, Path])
def test_a_server_may_be_at_a_unix_socket(tmp_path: Path, kind: type) -> None:
    path = tmp_path / "server.sock"
    with serve(lambda request: repr(request.client), kind(path)) as server:
        assert server.address == str(path)
        assert await_ready(get(str(path))).body == b"None"
    assert not path.exists()


def test_a_unix_socket_that_a_dead_server_left_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "server.sock")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(path)
    with serve(hello, path):
        assert await_ready(get(path)).body == b"hello"


def test_a_unix_socket_in_use_is_left_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "server.sock")
    with serve(hello, path):
        with pytest.raises(BindError, match="in use"):
            Server(hello, path)
        assert await_ready(get(path)).body == b"hello"


def test_a_file_is_no_place_for_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("precious")
    with pytest.raises(BindError, match="in use"):
        Server(hello, str(path))
    assert path.read_text() == "precious"


def test_an_address_in_use_is_named() -> None:
    with serve(hello) as server, pytest.raises(BindError, match=str(server.address)):
        Server(hello, server.address)


@pytest.mark.parametrize("where", ["localhost", "127.0.0.1", 8080, None])
def test_what_is_no_place_is_refused(where: object) -> None:
    with pytest.raises(InvalidAddress):
        Server(hello, where)  # type: ignore[arg-type]


# Handlers


def test_a_handler_may_block_without_holding_up_others() -> None:
    free = Event()

    def handler(request: Request) -> str:
        if request.url.path == "/slow":
            assert free.wait(LIMIT)
        return request.url.path

    with serve(handler) as server:
        slow = get(f"http://{server.address}/slow")
        assert await_ready(get(f"http://{server.address}/quick")).body == b"/quick"
        free.set()
        assert await_ready(slow).body == b"/slow"


def test_a_handler_may_return_a_generator() -> None:
    def handler(request: Request) -> Iterator[str]:
        yield "one"
        yield "two"

    with serve(handler) as server:
        assert await_ready(get(server.address)).body == b"onetwo"


def test_an_error_of_a_handler_is_a_500() -> None:
    def handler(request: Request) -> str:
        raise ValueError("a secret")

    with serve(handler) as server, expect_failure(ValueError, "a secret"):
        response = await_ready(get(server.address))
    assert (response.status, response.body) == (500, b"500 Internal Server Error.")


def test_bodies_come_whole_or_as_they_come() -> None:
    def handler(request: Request) -> bytes:
        return b"".join(request.reader) if request.reader else request.body

    for streaming in (False, True):
        with serve(handler, streaming=streaming) as server:
            pipe = Pipe()
            answer = post(server.address, body=pipe.reader)
            pipe.writer.write(b"one")
            gevent.idle()
            pipe.writer.write(b"two")
            pipe.writer.close()
            assert await_ready(answer).body == b"onetwo"


def test_with_streaming_every_request_has_a_reader() -> None:
    def handler(request: Request) -> bytes:
        return b"".join(request.reader) + request.body

    with serve(handler, streaming=True) as server:
        assert await_ready(get(server.address)).body == b""
        assert await_ready(post(server.address, body=b"whole")).body == b"whole"


def test_what_looks_like_a_message_is_a_request_like_others() -> None:
    with serve(lambda request: request.method) as server, Peer.connect(server.address) as peer:
        answer = peer.ask(
            b"POST /a/b HTTP/1.1\r\nHost: x\r\nLibprocess-From: a@1.2.3.4:5\r\n"
            b"Content-Length: 0\r\n\r\n"
        )
    assert (answer.code, answer.body) == (200, b"POST")


def test_any_target_reaches_the_handler() -> None:
    with serve(lambda request: request.url.path) as server, Peer.connect(server.address) as peer:
        assert peer.ask(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n").body == b"*"
        assert peer.get("/../x").body == b"/../x"


def test_a_handler_runs_in_the_context_and_runtime_of_its_server(runtime: Runtime) -> None:
    with serve(lambda request: str(find_runtime() is runtime)) as server:
        assert await_ready(get(server.address)).body == b"True"


def test_a_handler_runs_in_the_context_of_its_server() -> None:
    colour: ContextVar[str] = ContextVar("colour", default="none")
    token = colour.set("green")
    try:
        with serve(lambda request: colour.get()) as server:
            assert await_ready(get(server.address)).body == b"green"
    finally:
        colour.reset(token)


def test_a_handler_sees_a_discard_when_its_client_is_gone() -> None:
    slow, seen = Slow(), Event()
    slow.answer.future.on_discard(seen.set)
    with serve(slow) as server:
        with Peer.connect(server.address) as peer:
            peer.send(HELLO)
            await_ready(slow.asked.future)
            peer.reset()
        assert seen.wait(LIMIT)


def test_settings_limit_what_is_read() -> None:
    with serve(hello, settings=Settings(max_body_bytes=10)) as server:
        assert await_ready(post(server.address, body=b"x" * 11)).status == 413


# Life


def test_stopping_finishes_what_is_being_answered() -> None:
    slow = Slow()
    with serve(slow) as server, Peer.connect(server.address) as peer:
        peer.send(HELLO)
        await_ready(slow.asked.future)
        stopped = server.stop()
        gevent.idle()
        assert stopped.is_pending
        slow.answer.set(OK("in time"))
        answer = peer.read_answer()
        assert (answer.body, answer.header("Connection")) == (b"in time", "close")
        assert peer.read_to_end() == b""
        peer.close()
        await_ready(stopped)


def test_stopping_finishes_a_stream() -> None:
    pipe = Pipe()
    with serve(lambda request: pipe.reader) as server, Peer.connect(server.address) as peer:
        peer.send(HELLO)
        peer.read_until(b"\r\n\r\n")
        stopped = server.stop()
        pipe.writer.write(b"last")
        pipe.writer.close()
        assert peer.read_to_end() == b"4\r\nlast\r\n0\r\n\r\n"
        peer.close()
        await_ready(stopped)


def test_stopping_finishes_a_request_that_is_half_here() -> None:
    with serve(lambda request: request.body) as server, Peer.connect(server.address) as peer:
        peer.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbo")
        gevent.idle()
        stopped = server.stop()
        gevent.idle()
        peer.send(b"dy")
        assert peer.read_answer().body == b"body"
        peer.close()
        await_ready(stopped)


def test_stopping_does_not_wait_for_a_request_behind_the_last_response() -> None:
    slow = Slow()
    with serve(slow) as server, Peer.connect(server.address) as peer:
        peer.send(HELLO + HELLO[:10])
        await_ready(slow.asked.future)
        stopped = server.stop(1000.0)
        slow.answer.set(OK("last"))
        assert peer.read_answer().header("Connection") == "close"
        assert peer.read_to_end() == b""
        peer.close()
        await_ready(stopped)


def test_stopping_closes_idle_connections_at_once() -> None:
    with serve(hello) as server, Peer.connect(server.address) as peer:
        assert peer.ask(HELLO).body == b"hello"
        stopped = server.stop(1000.0)
        assert peer.read_to_end() == b""
        await_ready(stopped)


def test_stopping_refuses_new_connections() -> None:
    slow = Slow()
    with serve(slow) as server, Peer.connect(server.address) as peer:
        peer.send(HELLO)
        await_ready(slow.asked.future)
        server.stop()
        gevent.idle()
        with pytest.raises(ConnectionRefusedError):
            Peer.connect(server.address)
        slow.answer.set(OK())
        peer.read_to_end()


def test_stopping_cuts_off_who_takes_too_long() -> None:
    slow, seen = Slow(), Event()
    slow.answer.future.on_discard(seen.set)
    with serve(slow) as server, Peer.connect(server.address) as peer:
        peer.send(HELLO)
        await_ready(slow.asked.future)
        await_ready(server.stop(0.0))
        assert peer.read_to_end() == b""
        assert seen.is_set()


def test_stopping_kills_a_handler_that_blocks() -> None:
    entered, never = Event(), Event()
    ended: list[str] = []

    def handler(request: Request) -> str:
        entered.set()
        try:
            never.wait()
        finally:
            ended.append("killed")
        return ""

    with serve(handler) as server, Peer.connect(server.address) as peer:
        peer.send(HELLO)
        entered.wait(LIMIT)
        await_ready(server.stop(0.0))
    assert ended == ["killed"]


def test_a_handler_may_stop_its_server() -> None:
    stops: list[Future[None]] = []

    def handler(request: Request) -> str:
        stops.append(server.stop())
        return "bye"

    with serve(handler) as server:
        with Peer.connect(server.address) as peer:
            assert peer.ask(HELLO).body == b"bye"
        await_ready(stops[0])


def test_run_is_over_when_the_server_has_stopped() -> None:
    server = Server(hello)
    running = server.run()
    assert running.is_pending
    await_ready(server.stop())
    await_ready(running)


@pytest.mark.parametrize("is_stopped", [False, True])
def test_a_server_runs_once(is_stopped: bool) -> None:
    with Server(hello) as server:
        if is_stopped:
            await_ready(server.stop())
        again = server.run()
        await_failed(again)
        assert again.failure() == "Invalid current state"


def test_a_server_that_does_not_run_cannot_be_stopped() -> None:
    server = Server(hello)
    future = server.stop()
    await_failed(future)
    assert future.failure() == "Server must be started in order to be stopped"
    server.run()
    await_ready(server.stop())
    await_failed(server.stop())


@pytest.mark.parametrize("grace", [-1.0, float("nan"), "5", True], ids=str)
def test_a_server_goes_on_if_it_is_stopped_with_what_is_no_time(grace: float) -> None:
    with Server(hello) as server:
        failed = await_failed(server.stop(grace))
        assert isinstance(failed, InvalidArgument)
        assert await_ready(get(server.address)).body == b"hello"


def test_stopping_may_take_for_ever() -> None:
    slow = Slow()
    server = serve(slow)
    response = get(server.address)
    await_ready(slow.asked.future)

    stopped = server.stop(None)
    gevent.idle()
    assert stopped.is_pending
    slow.answer.set(OK("late"))

    assert await_ready(response).body == b"late"
    await_ready(stopped)


def test_a_server_that_has_stopped_is_not_entered() -> None:
    with serve(hello) as server:
        assert await_ready(get(server.address)).body == b"hello"

    with pytest.raises(Failure, match="Invalid current state"), server:
        pytest.fail("entered")


def test_a_handler_is_a_function() -> None:
    with pytest.raises(InvalidArgument, match="expected a function"):
        Server("hello")  # type: ignore[arg-type]


def test_a_server_that_nobody_holds_is_closed() -> None:
    server = Server(hello)
    running = server.run()
    with Peer.connect(server.address) as peer:
        assert peer.ask(HELLO).body == b"hello"
        del server
        gc.collect()
        assert peer.read_to_end() == b""
    await_abandoned(running)


def test_what_serve_started_goes_on_without_being_held(tmp_path: Path) -> None:
    path = str(tmp_path / "server.sock")
    stop: list[Server] = []

    def handler(request: Request) -> str:
        stop.extend(one for one in gc.get_objects() if isinstance(one, Server))
        return "still here"

    serve(handler, path)
    gc.collect()
    assert await_ready(get(path)).body == b"still here"
    await_ready(stop[0].stop())
    assert not os.path.exists(path)  # noqa: PTH110 -- a text


def test_a_server_tells_its_state() -> None:
    server = Server(hello)
    assert repr(server) == f"<Server {server.address} INITIALIZED, 0 connections>"
    with server:
        await_ready(get(server.address))
        assert server.statistics()["requests"] == 1
    assert repr(server) == f"<Server {server.address} STOPPED, 0 connections>"


def test_a_server_does_not_serve_in_plain_what_is_to_be_encrypted() -> None:
    tls = TLSSettings(enabled=True, cert_file="/cert", key_file="/key")
    with pytest.raises(InvalidSettings, match=r"^expected tls\.enabled to be False"):
        Server(hello, settings=Settings(tls=tls))
