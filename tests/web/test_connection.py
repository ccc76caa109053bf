"""Kept connections: what is written, how requests and responses meet, and how it all ends."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
from gevent import socket

from greenproc.address import Address
from greenproc.errors import (
    Broken,
    Closed,
    Failure,
    InvalidURL,
    LocalProtocolError,
    RemoteProtocolError,
    StateError,
)
from greenproc.future import Future
from greenproc.http.request import Request
from greenproc.http.response import Response
from greenproc.http.url import URL
from greenproc.pid import UPID
from greenproc.runtime import Runtime
from greenproc.settings import Settings
from greenproc.testing import await_failed, await_ready
from greenproc.web import Pipe, connect, dial, pipeline
from greenproc.web.dial import open_socket
from greenproc.web.origin import Origin
from tests.peer import LIMIT, Acceptor, Peer, closed_address
from tests.web.support import (
    CHUNKED,
    EMPTY,
    HEAD_END,
    HELLO,
    a_get,
    connected,
    failure_of,
)

# What goes out


@pytest.mark.usefixtures("untraced")
def test_requests_on_a_kept_connection_are_what_libprocess_sends(server: Acceptor) -> None:
    """Recorded from libprocess: two requests on one connection."""
    with connected(server) as (connection, peer):
        for _ in range(2):
            connection.send(a_get("/x"))

        host = f"Host: {server.address}".encode()
        recorded = b"GET /x HTTP/1.1\r\nContent-Length: 0\r\n%b\r\n\r\n" % host
        assert peer.read(2 * len(recorded)) == 2 * recorded


def test_the_last_request_says_so(server: Acceptor) -> None:
    with connected(server) as (connection, peer):
        connection.send(Request("GET", URL("/x")))

        assert b"\r\nConnection: close\r\n" in peer.read_until(HEAD_END)


def test_a_url_with_a_host_names_that_host(server: Acceptor) -> None:
    with connected(server) as (connection, peer):
        connection.send(Request("GET", URL.absolute("http://example.com/x"), keep_alive=True))

        assert b"\r\nHost: example.com\r\n" in peer.read_until(HEAD_END)


def test_a_streamed_body_is_sent_in_chunks_and_holds_back_what_is_behind(server: Acceptor) -> None:
    pipe = Pipe()
    with connected(server) as (connection, peer):
        connection.send(Request("POST", URL("/a"), reader=pipe.reader, keep_alive=True))
        connection.send(a_get("/b"))
        assert b"\r\nTransfer-Encoding: chunked\r\n" in peer.read_until(HEAD_END)

        pipe.writer.write(b"hello")
        assert peer.read(10) == b"5\r\nhello\r\n"
        pipe.writer.write(b"world!")
        assert peer.read(11) == b"6\r\nworld!\r\n"
        pipe.writer.close()

        assert peer.read(16) == b"0\r\n\r\nGET /b HTTP"


def test_pieces_of_a_streamed_body_may_be_any_bytes_or_text_and_empty(server: Acceptor) -> None:
    pieces = [b"a", bytearray(b"b"), memoryview(b"c"), b"", "ä"]
    with connected(server) as (connection, peer):
        connection.send(Request("POST", URL("/"), reader=pieces, keep_alive=True))
        peer.read_until(HEAD_END)

        expected = b"1\r\na\r\n1\r\nb\r\n1\r\nc\r\n2\r\n\xc3\xa4\r\n0\r\n\r\n"
        assert peer.read(len(expected)) == expected


def test_a_body_larger_than_the_buffers_of_the_system_arrives(server: Acceptor) -> None:
    body = bytes(range(256)) * 40_000
    with connected(server) as (connection, peer):
        future = connection.send(Request("POST", URL("/"), body=body, keep_alive=True))
        behind = connection.send(a_get("/behind"))
        peer.read_until(HEAD_END)
        assert peer.read(len(body)) == body
        assert peer.read_until(HEAD_END).startswith(b"GET /behind ")
        peer.send(EMPTY + EMPTY)

        assert (await_ready(future).status, await_ready(behind).status) == (200, 200)


# Requests and responses


def test_a_thousand_requests_are_pipelined(server: Acceptor) -> None:
    with connected(server) as (connection, peer):
        futures = [connection.send(a_get(f"/{number}")) for number in range(1000)]
        for number in range(1000):
            assert peer.read_until(HEAD_END).startswith(b"GET /%d " % number)
        for number in range(1000):
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n%04d" % number)

        assert [int(await_ready(future).body) for future in futures] == list(range(1000))
        assert connection.statistics() == {"requests": 1000, "responses": 1000, "unanswered": 0}


def test_a_response_to_head_has_no_body_whatever_its_length_says(server: Acceptor) -> None:
    with connected(server) as (connection, peer):
        head = connection.send(Request("HEAD", URL("/"), keep_alive=True))
        streamed = connection.send(Request("HEAD", URL("/"), keep_alive=True), True)
        after = connection.send(a_get())
        peer.read_until(HEAD_END)
        peer.read_until(HEAD_END)
        peer.read_until(HEAD_END)
        peer.send(
            b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 50\r\n\r\n" + HELLO
        )

        assert (await_ready(head).body, await_ready(head).headers["Content-Length"]) == (
            b"",
            "5000",
        )
        assert await_ready(await_ready(streamed).reader.read()) == b""
        assert await_ready(after).body == b"hello"


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_a_status_without_a_body_ends_with_its_head(server: Acceptor, status: bytes) -> None:
    with connected(server) as (connection, peer):
        first, second = connection.send(a_get()), connection.send(a_get())
        peer.read_until(HEAD_END)
        peer.read_until(HEAD_END)
        peer.send(b"HTTP/1.1 %b\r\n\r\n" % status + HELLO)

        assert (await_ready(first).body, await_ready(second).body) == (b"", b"hello")


def test_a_callback_may_wait_for_the_same_connection(server: Acceptor) -> None:
    with connected(server) as (connection, peer):
        first = connection.send(a_get())
        second = first.then(lambda _: connection.send(a_get()).get(timeout=LIMIT))
        peer.read_until(HEAD_END)
        peer.send(EMPTY)
        peer.read_until(HEAD_END)
        peer.send(HELLO)

        assert await_ready(second).body == b"hello"


def test_what_a_read_calls_back_may_wait_for_the_next_piece(server: Acceptor) -> None:
    with connected(server) as (connection, peer):
        future = connection.send(a_get(), streamed_response=True)
        peer.read_until(HEAD_END)
        peer.send(CHUNKED)
        reader = await_ready(future).reader
        both = reader.read().then(lambda piece: piece + reader.read().get(timeout=LIMIT))

        peer.send(b"3\r\none\r\n3\r\ntwo\r\n")

        assert await_ready(both) == b"onetwo"


def test_a_streamed_response_holds_back_what_is_behind_it(server: Acceptor) -> None:
    size = 4 * 1024 * 1024
    with connected(server) as (connection, peer):
        streamed = connection.send(a_get(), streamed_response=True)
        behind = connection.send(a_get())
        peer.read_until(HEAD_END)
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
        sending = gevent.spawn(peer.send, head + b"x" * size + HELLO)
        reader = await_ready(streamed).reader
        gevent.idle()
        assert behind.is_pending

        assert sum(len(piece) for piece in reader) == size
        assert await_ready(behind).body == b"hello"
        sending.join(LIMIT)


@pytest.mark.parametrize("lost", [False, True], ids=["closed", "lost"])
def test_a_streamed_response_that_nobody_wants_is_dropped(server: Acceptor, lost: bool) -> None:
    size = 4 * 1024 * 1024
    with connected(server) as (connection, peer):
        streamed = connection.send(a_get(), streamed_response=True)
        behind = connection.send(a_get())
        peer.read_until(HEAD_END)
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
        sending = gevent.spawn(peer.send, head + b"x" * size + HELLO)
        response = await_ready(streamed)

        if lost:
            del response, streamed
            gc.collect()
        else:
            response.reader.close()

        assert await_ready(behind).body == b"hello"
        sending.join(LIMIT)


def test_a_read_that_waits_keeps_a_streamed_response_wanted(server: Acceptor) -> None:
    with connected(server) as (connection, peer):
        future = connection.send(a_get(), streamed_response=True)
        peer.read_until(HEAD_END)
        peer.send(CHUNKED)
        read = await_ready(future).reader.read()
        del future
        gc.collect()

        peer.send(b"3\r\none\r\n")

        assert await_ready(read) == b"one"


def test_an_early_response_does_not_stop_the_request(server: Acceptor) -> None:
    pipe = Pipe()
    with connected(server) as (connection, peer):
        early = connection.send(Request("POST", URL("/"), reader=pipe.reader, keep_alive=True))
        peer.read_until(HEAD_END)
        peer.send(HELLO)
        assert await_ready(early).body == b"hello"

        pipe.writer.write(b"more")
        pipe.writer.close()
        assert peer.read(14) == b"4\r\nmore\r\n0\r\n\r\n"
        behind = connection.send(a_get())
        peer.read_until(HEAD_END)
        peer.send(EMPTY)

        assert await_ready(behind).status == 200


def test_the_last_request_is_sent_to_its_end_even_if_it_was_answered(server: Acceptor) -> None:
    pipe = Pipe()
    with connected(server) as (connection, peer):
        early = connection.send(Request("POST", URL("/"), reader=pipe.reader))
        peer.read_until(HEAD_END)
        peer.send(HELLO)
        assert await_ready(early).body == b"hello"
        pipe.writer.write(b"more")
        assert peer.read(9) == b"4\r\nmore\r\n"
        assert connection.disconnected.is_pending

        pipe.writer.close()

        assert peer.read_to_end() == b"0\r\n\r\n"
        await_ready(connection.disconnected)


def test_an_early_response_that_closes_ends_the_request(server: Acceptor) -> None:
    pipe = Pipe()
    with connected(server) as (connection, peer):
        early = connection.send(Request("POST", URL("/"), reader=pipe.reader, keep_alive=True))
        peer.read_until(HEAD_END)
        peer.send(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")

        assert await_ready(early).status == 413
        await_ready(connection.disconnected)
        await_ready(pipe.writer.reader_closed)


def test_a_response_may_stream_while_its_request_does(server: Acceptor) -> None:
    pipe = Pipe()
    with connected(server) as (connection, peer):
        future = connection.send(Request("POST", URL("/"), reader=pipe.reader), True)
        peer.read_until(HEAD_END)
        peer.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
        reader = await_ready(future).reader
        for piece in (b"ping", b"pong"):
            pipe.writer.write(piece)
            peer.send(peer.read(9))
            assert await_ready(reader.read()) == piece
        pipe.writer.close()
        peer.send(peer.read(5))

        assert await_ready(reader.read()) == b""
        await_ready(connection.disconnected)


def test_a_request_that_closes_waits_for_the_end_of_its_streamed_response(
    server: Acceptor,
) -> None:
    with connected(server) as (connection, peer):
        future = connection.send(Request("GET", URL("/")), streamed_response=True)
        peer.read_until(HEAD_END)
        peer.send(CHUNKED + b"3\r\none\r\n")
        reader = await_ready(future).reader
        assert await_ready(reader.read()) == b"one"
        assert connection.disconnected.is_pending

        peer.send(b"0\r\n\r\n")

        assert await_ready(reader.read()) == b""
        await_ready(connection.disconnected)


def test_a_discard_request_drops_the_response_and_nothing_else(server: Acceptor) -> None:
    with connected(server) as (connection, peer):
        first, second = connection.send(a_get()), connection.send(a_get())
        first.discard()
        peer.read_until(HEAD_END)
        peer.read_until(HEAD_END)
        peer.send(EMPTY + HELLO)

        assert await_ready(second).body == b"hello"


def test_a_response_beyond_the_limit_is_refused(server: Acceptor) -> None:
    with connected(server, max_body_bytes=4) as (connection, peer):
        future = connection.send(a_get())
        peer.read_until(HEAD_END)
        peer.send(HELLO)

        assert "body of 5 bytes" in failure_of(future, RemoteProtocolError)


def test_a_streamed_response_has_no_limit(server: Acceptor) -> None:
    with connected(server, max_body_bytes=4) as (connection, peer):
        future = connection.send(a_get(), streamed_response=True)
        peer.read_until(HEAD_END)
        peer.send(HELLO)

        assert await_ready(await_ready(future).reader.read_all()) == b"hello"


# What cannot be sent


def test_nothing_is_sent_after_disconnecting(server: Acceptor) -> None:
    with connected(server) as (connection, _):
        await_ready(connection.disconnect())

        assert failure_of(connection.send(a_get()), Closed) == "Disconnected"


def test_nothing_is_sent_once_the_server_is_gone(server: Acceptor) -> None:
    with connected(server) as (connection, peer):
        peer.close()
        await_ready(connection.disconnected)

        text = failure_of(connection.send(a_get()), Broken)
        assert text == f"Disconnected: {server.address} closed the connection"


@pytest.mark.parametrize(
    "request_",
    [
        Request("GE T", URL("/")),
        Request("GET", URL("/a b")),
        Request("POST", URL("/"), body=b"a", reader=[b"b"]),
    ],
    ids=["method", "path", "body and reader"],
)
def test_what_cannot_be_put_on_the_wire_is_refused_and_harms_nothing(
    server: Acceptor, request_: Request
) -> None:
    with connected(server) as (connection, peer):
        failure_of(connection.send(request_), LocalProtocolError)

        good = connection.send(a_get())
        peer.read_until(HEAD_END)
        peer.send(EMPTY)
        assert await_ready(good).status == 200


def test_requests_without_a_response_have_a_bound(
    server: Acceptor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "MAX_OUTSTANDING", 3)
    with connected(server) as (connection, _):
        for _ in range(3):
            connection.send(a_get())

        assert "fewer than 3 requests" in failure_of(connection.send(a_get()), StateError)


def test_the_reader_of_a_request_that_is_refused_is_closed(server: Acceptor) -> None:
    pipe = Pipe()
    with connected(server) as (connection, _):
        connection.disconnect()
        await_failed(connection.send(Request("POST", URL("/"), reader=pipe.reader)))

    await_ready(pipe.writer.reader_closed)


def test_a_body_that_fails_breaks_the_connection(server: Acceptor) -> None:
    pipe = Pipe()
    with connected(server) as (connection, peer):
        failing = connection.send(Request("POST", URL("/"), reader=pipe.reader, keep_alive=True))
        behind = connection.send(a_get())
        pipe.writer.write(b"some")
        pipe.writer.fail("disk full")

        assert failure_of(failing, Failure) == "disk full"
        assert failure_of(behind, Broken) == "Disconnected: disk full"
        assert not peer.read_to_end().endswith(b"0\r\n\r\n")


def test_the_exception_of_a_generator_is_passed_on(server: Acceptor) -> None:
    error = ZeroDivisionError("division by zero")

    def body() -> Iterator[bytes]:
        yield b"some"
        raise error

    with connected(server) as (connection, _):
        future = connection.send(Request("POST", URL("/"), reader=body()))

        assert await_failed(future) is error


@pytest.mark.parametrize("piece", [5, None, [b"x"]])
def test_a_piece_that_is_no_bytes_breaks_the_connection(server: Acceptor, piece: object) -> None:
    with connected(server) as (connection, _):
        future = connection.send(Request("POST", URL("/"), reader=[piece]))

        assert "expected bytes as a piece" in failure_of(future, LocalProtocolError)


def test_the_makers_of_bodies_are_told_when_the_connection_ends(server: Acceptor) -> None:
    pipe, unsent = Pipe(), Pipe()
    closed: list[str] = []

    def body() -> Iterator[bytes]:
        try:
            yield b"some"
            yield from pipe.reader
        finally:
            closed.append("generator")

    with connected(server) as (connection, peer):
        connection.send(Request("POST", URL("/"), reader=body(), keep_alive=True))
        connection.send(Request("POST", URL("/"), reader=unsent.reader, keep_alive=True))
        peer.read_until(b"some")

        connection.disconnect()

        await_ready(unsent.writer.reader_closed)
        await_ready(connection.disconnected)
        assert closed == ["generator"]


def test_the_maker_of_a_body_whose_greenlet_has_not_begun_is_told_too(server: Acceptor) -> None:
    pipe = Pipe()
    with connected(server) as (connection, _):
        connection.send(Request("POST", URL("/"), reader=pipe.reader, keep_alive=True))
        gevent.get_hub().loop.run_callback(connection.disconnect)

        await_ready(pipe.writer.reader_closed)


# The end


def test_disconnecting_fails_what_is_unanswered(server: Acceptor) -> None:
    with connected(server) as (connection, peer):
        futures = [connection.send(a_get()) for _ in range(3)]
        peer.read_until(HEAD_END)

        await_ready(connection.disconnect())

        assert [failure_of(future, Closed) for future in futures] == ["Disconnected"] * 3


def test_disconnecting_fails_a_streamed_response(server: Acceptor) -> None:
    with connected(server) as (connection, peer):
        future = connection.send(a_get(), streamed_response=True)
        peer.read_until(HEAD_END)
        peer.send(CHUNKED + b"3\r\none\r\n")
        reader = await_ready(future).reader
        assert await_ready(reader.read()) == b"one"

        connection.disconnect()

        assert failure_of(reader.read(), Closed) == "Disconnected"


def test_disconnecting_wakes_what_waits_for_a_reader(server: Acceptor) -> None:
    size = 4 * 1024 * 1024
    with connected(server) as (connection, peer):
        future = connection.send(a_get(), streamed_response=True)
        peer.read_until(HEAD_END)
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
        sending = gevent.spawn(peer.socket.sendall, head + b"x" * size)
        response = await_ready(future)
        gevent.idle()

        await_ready(connection.disconnect())
        sending.kill()

        await_failed(response.reader.read_all())


def test_disconnecting_twice_is_fine(server: Acceptor) -> None:
    with connected(server) as (connection, _):
        await_ready(connection.disconnect())
        await_ready(connection.disconnect())


def test_losing_the_connection_object_fails_what_is_unanswered(server: Acceptor) -> None:
    opening = connect(server.address)
    with server.accept() as peer:
        connection = await_ready(opening)
        del opening
        future = connection.send(a_get())
        peer.read_until(HEAD_END)

        del connection

        text = "Disconnected: Connection object was destructed"
        assert failure_of(future, Closed) == text
        assert peer.read_to_end() == b""


def test_a_runtime_that_stops_closes_its_connections(server: Acceptor) -> None:
    node = Runtime(Settings(ip="127.0.0.1"))
    with node, node.selected():
        connection = await_ready(connect(server.address))
        future = connection.send(a_get())
    assert failure_of(future, Closed).startswith("Disconnected")
    assert connection.disconnected.is_ready


def test_a_runtime_that_stops_at_once_closes_its_connections(server: Acceptor) -> None:
    node = Runtime(Settings(ip="127.0.0.1"))
    with node, node.selected():
        opening = connect(server.address)
        futures: list[Future[Response]] = []
        opening.on_ready(lambda connection: futures.append(connection.send(a_get())))
        opening.on_ready(lambda _: node.stop())
        assert opening.await_(LIMIT)
    assert failure_of(futures[0], Closed).startswith("Disconnected")


def test_what_was_answered_before_the_server_refused_more_is_not_lost(server: Acceptor) -> None:
    with connected(server) as (connection, peer):
        first = connection.send(a_get())
        peer.read_until(HEAD_END)
        peer.send(HELLO)
        assert await_ready(first).body == b"hello"
        peer.close()
        behind = connection.send(Request("POST", URL("/"), body=b"x" * 100, keep_alive=True))

        assert "Disconnected" in failure_of(behind, Broken)


# Connecting


def test_it_knows_both_addresses_and_shows_its_state(server: Acceptor) -> None:
    with connected(server) as (connection, peer):
        assert connection.peer_address == server.address
        assert connection.local_address == Address(*peer.socket.getpeername())
        assert repr(connection) == f"<Connection {server.address} OPEN, 0 unanswered>"
        connection.send(Request("GET", URL("/")))
        assert repr(connection) == f"<Connection {server.address} CLOSING, 1 unanswered>"
    assert repr(connection) == f"<Connection {server.address} CLOSED, 0 unanswered>"


@pytest.mark.parametrize("kind", ["url", "address", "pid", "parsed"])
def test_it_connects_to_whatever_says_where(server: Acceptor, kind: str) -> None:
    url = f"http://{server.address}/ignored?x#y"
    targets = {
        "url": url,
        "parsed": URL.absolute(url),
        "address": server.address,
        "pid": UPID("any", server.address),
    }
    opening = connect(targets[kind])  # type: ignore[arg-type]
    with server.accept(), await_ready(opening) as connection:
        assert connection.peer_address == server.address


@pytest.mark.parametrize("as_url", [False, True])
def test_it_connects_to_a_unix_socket(tmp_path: Path, as_url: bool) -> None:
    path = str(tmp_path / "s o.sock")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen()
    url = "http+unix://" + path.replace("/", "%2F").replace(" ", "%20") + "/ignored"
    opening = connect(url if as_url else path)
    with Peer(listening.accept()[0]) as peer, await_ready(opening) as connection:
        future = connection.send(a_get("/x"))
        assert b"\r\nHost: localhost\r\n" in peer.read_until(HEAD_END)
        peer.send(HELLO)
        assert await_ready(future).body == b"hello"
        assert (connection.peer_address, connection.local_address) == (None, None)
        assert path in repr(connection)
    listening.close()


def test_a_refused_connection_tells_where_and_why() -> None:
    address = closed_address()

    text = failure_of(connect(address), Broken)

    assert text == f"cannot connect to {address}: [Errno 111] Connection refused"


def test_a_missing_unix_socket_tells_where_and_why(tmp_path: Path) -> None:
    path = f"{tmp_path}/missing.sock"

    text = failure_of(connect(path), Broken)

    assert text == f"cannot connect to {path}: [Errno 2] No such file or directory"


@pytest.mark.parametrize(
    "target",
    ["127.0.0.1:80", "ftp://x:21/", "https://x/", "http://", UPID(), 5, None, "http+unix://"],
)
def test_a_target_that_nothing_can_be_connected_to_is_refused(target: object) -> None:
    failure_of(connect(target), InvalidURL)  # type: ignore[arg-type]


def test_an_unknown_option_is_a_mistake_of_the_program(server: Acceptor) -> None:
    with pytest.raises(TypeError, match="stream"):
        connect(server.address, stream=True)  # type: ignore[call-arg]


def test_a_connection_that_is_lost_at_once_is_broken(
    server: Acceptor, monkeypatch: pytest.MonkeyPatch
) -> None:
    sockets: list[socket.socket] = []

    def open_and_lose(origin: Origin) -> socket.socket:
        sockets.append(open_socket(origin))
        with server.accept() as peer:
            peer.reset()
        gevent.idle()
        return sockets[0]

    monkeypatch.setattr(dial, "open_socket", open_and_lose)

    text = failure_of(connect(server.address), Broken)
    assert text.startswith(f"cannot connect to {server.address}: ")
    assert sockets[0].fileno() < 0


def test_the_maker_of_a_body_is_told_when_nothing_can_be_sent(server: Acceptor) -> None:
    pipe = Pipe()
    with connected(server) as (connection, _):
        failure_of(connection.send(a_get("/ x", reader=pipe.reader)), LocalProtocolError)

        assert pipe.writer.reader_closed.is_ready
