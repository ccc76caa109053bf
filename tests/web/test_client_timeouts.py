"""Limits on time, phase by phase, by a clock that the test moves."""

from __future__ import annotations

import gevent
import pytest
from gevent import socket
from gevent.event import Event

from greenproc.errors import Broken, WaitTimeout
from greenproc.http.request import Request
from greenproc.http.url import URL
from greenproc.runtime import Runtime
from greenproc.testing import await_ready
from greenproc.web import Pipe, connect, get, post
from tests.peer import LIMIT, Acceptor
from tests.web.support import CHUNKED, EMPTY, HEAD_END, HELLO, a_get, connected, failure_of


@pytest.fixture(autouse=True)
def _paused(runtime: Runtime) -> None:
    runtime.clock.pause()


def settled() -> None:
    """Wait until nobody has anything to do, and what was sent on the loopback is read."""
    for _ in range(3):
        gevent.idle()


def test_the_whole_may_take_so_long(runtime: Runtime, server: Acceptor) -> None:
    future = get(server.address, timeout=5.0)
    with server.accept() as peer:
        peer.read_until(HEAD_END)
        runtime.clock.advance(4.9)
        settled()
        assert future.is_pending

        runtime.clock.advance(0.1)

        assert failure_of(future, WaitTimeout) == f"no response from {server.address} within 5 s"
        assert peer.read_to_end() == b""


def test_bytes_that_trickle_do_not_prolong_the_whole(runtime: Runtime, server: Acceptor) -> None:
    future = get(server.address, timeout=5.0, read_timeout=2.0)
    with server.accept() as peer:
        peer.read_until(HEAD_END)
        for byte in b"HTTP/":
            peer.send(bytes([byte]))
            settled()
            runtime.clock.advance(1.0)

        assert failure_of(future, WaitTimeout).startswith("no response from")


def test_in_time_is_in_time(runtime: Runtime, server: Acceptor) -> None:
    future = get(server.address, timeout=5.0, first_byte_timeout=3.0, read_timeout=3.0)
    with server.accept() as peer:
        peer.read_until(HEAD_END)
        runtime.clock.advance(2.9)
        peer.send(HELLO[:-1])
        settled()
        runtime.clock.advance(2.0)
        peer.send(HELLO[-1:])

        assert await_ready(future).body == b"hello"
    assert runtime.clock.statistics()["timers"] == 0


@pytest.mark.parametrize("ask", [get, connect], ids=["get", "connect"])
def test_connecting_may_take_so_long(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, ask: object
) -> None:
    looking = Event()

    def never(*args: object, **options: object) -> None:
        looking.set()
        Event().wait()

    monkeypatch.setattr("greenproc.web.dial.socket.getaddrinfo", never)
    future = ask("http://slow.example/", connect_timeout=3.0)  # type: ignore[operator]
    assert looking.wait(LIMIT)

    runtime.clock.advance(3.0)

    text = failure_of(future, WaitTimeout)
    assert text == "cannot connect to slow.example:80: no answer within 3 s"


def test_connecting_has_a_limit_by_itself(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenproc.web.dial.open_socket", lambda _: Event().wait())
    future = get("http://127.0.0.1:1/")
    settled()

    runtime.clock.advance(10.0)

    assert "within 10 s" in failure_of(future, WaitTimeout)


def test_a_server_may_take_nothing_for_so_long(runtime: Runtime, server: Acceptor) -> None:
    future = post(server.address, body=b"x" * 20_000_000, send_timeout=3.0)
    with server.accept():
        settled()
        runtime.clock.advance(2.9)
        settled()
        assert future.is_pending
        runtime.clock.advance(0.1)

        text = failure_of(future, WaitTimeout)
        assert text == f"{server.address} took no byte of a request within 3 s"


def test_a_server_that_takes_some_has_more_time_for_the_rest(
    runtime: Runtime, server: Acceptor
) -> None:
    # Each read takes more than fits into the buffers of the system, so that more is sent.
    step = 6_000_000
    server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    future = post(server.address, body=b"x" * step * 4, send_timeout=3.0)
    with server.accept() as peer:
        peer.read_until(HEAD_END)
        for _ in range(4):
            settled()
            runtime.clock.advance(2.0)
            assert len(peer.read(step)) == step
        peer.send(EMPTY)

        assert await_ready(future).status == 200


def test_the_time_that_a_body_takes_to_be_made_does_not_count(
    runtime: Runtime, server: Acceptor
) -> None:
    pipe = Pipe()
    future = post(server.address, body=pipe.reader, send_timeout=3.0, first_byte_timeout=3.0)
    with server.accept() as peer:
        peer.read_until(HEAD_END)
        runtime.clock.advance(100.0)
        settled()
        assert future.is_pending
        pipe.writer.close()
        peer.read_until(b"0\r\n\r\n")
        settled()

        runtime.clock.advance(3.0)

        assert "sent no byte of a response" in failure_of(future, WaitTimeout)


def test_the_first_byte_may_take_so_long(runtime: Runtime, server: Acceptor) -> None:
    future = get(server.address, first_byte_timeout=3.0)
    with server.accept() as peer:
        peer.read_until(HEAD_END)
        settled()
        runtime.clock.advance(3.0)

        text = failure_of(future, WaitTimeout)
        assert text == f"{server.address} sent no byte of a response within 3 s"


def test_the_first_byte_is_all_that_its_limit_is_about(runtime: Runtime, server: Acceptor) -> None:
    future = get(server.address, first_byte_timeout=3.0)
    with server.accept() as peer:
        peer.read_until(HEAD_END)
        peer.send(HELLO[:1])
        settled()
        runtime.clock.advance(100.0)
        peer.send(HELLO[1:])

        assert await_ready(future).body == b"hello"


def test_each_response_has_its_time_to_begin(runtime: Runtime, server: Acceptor) -> None:
    with connected(server, first_byte_timeout=3.0) as (connection, peer):
        futures = [connection.send(a_get()) for _ in range(3)]
        for _ in futures:
            peer.read_until(HEAD_END)
        for future in futures[:2]:
            runtime.clock.advance(2.0)
            peer.send(HELLO)
            assert await_ready(future).body == b"hello"
        runtime.clock.advance(3.0)

        assert "sent no byte of a response" in failure_of(futures[2], WaitTimeout)


def test_more_requests_do_not_prolong_the_time_of_the_first(
    runtime: Runtime, server: Acceptor
) -> None:
    with connected(server, first_byte_timeout=3.0) as (connection, peer):
        first = connection.send(a_get())
        peer.read_until(HEAD_END)
        settled()
        runtime.clock.advance(2.0)
        second = connection.send(a_get())
        peer.read_until(HEAD_END)
        settled()
        runtime.clock.advance(1.0)

        assert "sent no byte of a response" in failure_of(first, WaitTimeout)
        assert "Disconnected: " in failure_of(second, Broken)


def test_an_idle_connection_has_all_the_time(runtime: Runtime, server: Acceptor) -> None:
    limits = {"send_timeout": 1.0, "first_byte_timeout": 1.0, "read_timeout": 1.0}
    with connected(server, **limits) as (connection, peer):
        for _ in range(2):
            future = connection.send(a_get())
            peer.read_until(HEAD_END)
            peer.send(HELLO)
            await_ready(future)
            runtime.clock.advance(1000.0)
            settled()

        assert connection.disconnected.is_pending


def test_the_next_byte_may_take_so_long(runtime: Runtime, server: Acceptor) -> None:
    future = get(server.address, read_timeout=3.0)
    with server.accept() as peer:
        peer.read_until(HEAD_END)
        runtime.clock.advance(100.0)  # nothing has begun
        peer.send(HELLO[:20])
        settled()
        runtime.clock.advance(3.0)

        text = failure_of(future, WaitTimeout)
        assert text == f"{server.address} sent no further byte of a response within 3 s"


def test_a_streamed_body_fails_when_the_server_stalls(runtime: Runtime, server: Acceptor) -> None:
    future = get(server.address, stream=True, read_timeout=3.0)
    with server.accept() as peer:
        peer.read_until(HEAD_END)
        peer.send(CHUNKED + b"3\r\none\r\n")
        reader = await_ready(future).reader
        assert await_ready(reader.read()) == b"one"
        settled()
        runtime.clock.advance(3.0)

        assert "no further byte" in failure_of(reader.read(), WaitTimeout)


def test_the_time_that_a_reader_takes_does_not_count(runtime: Runtime, server: Acceptor) -> None:
    size = 4 * 1024 * 1024
    future = get(server.address, stream=True, read_timeout=3.0)
    with server.accept() as peer:
        peer.read_until(HEAD_END)
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
        sending = gevent.spawn(peer.send, head + b"x" * size)
        reader = await_ready(future).reader
        settled()
        runtime.clock.advance(1000.0)
        settled()

        assert sum(len(piece) for piece in reader) == size
        sending.join(LIMIT)


def test_the_whole_of_a_streamed_response_is_its_head(runtime: Runtime, server: Acceptor) -> None:
    future = get(server.address, stream=True, timeout=3.0)
    with server.accept() as peer:
        peer.read_until(HEAD_END)
        peer.send(CHUNKED)
        reader = await_ready(future).reader
        runtime.clock.advance(100.0)
        peer.send(b"3\r\none\r\n0\r\n\r\n")

        assert await_ready(reader.read_all()) == b"one"


def test_a_read_may_take_so_long(runtime: Runtime, server: Acceptor) -> None:
    future = get(server.address, stream=True)
    with server.accept() as peer:
        peer.read_until(HEAD_END)
        peer.send(CHUNKED)
        reader = await_ready(future).reader
        read = reader.read(timeout=2.0)
        runtime.clock.advance(2.0)
        failure_of(read, WaitTimeout)
        peer.send(b"3\r\none\r\n")

        assert await_ready(reader.read()) == b"one"


def test_a_request_on_a_kept_connection_that_takes_too_long_harms_no_other(
    runtime: Runtime, server: Acceptor
) -> None:
    with connected(server) as (connection, peer):
        slow = connection.send(a_get(), timeout=3.0)
        other = connection.send(a_get())
        peer.read_until(HEAD_END)
        runtime.clock.advance(3.0)
        text = failure_of(slow, WaitTimeout)
        assert text == f"no response from {server.address} within 3 s"

        peer.send(EMPTY + HELLO)

        assert await_ready(other).body == b"hello"


def test_a_time_that_is_none_is_refused(server: Acceptor) -> None:
    with connected(server) as (connection, _):
        future = connection.send(Request("GET", URL("/")), timeout=-1)

        assert "expected seconds" in future.failure()


def test_a_connection_outlives_the_clock_of_its_limits(runtime: Runtime, server: Acceptor) -> None:
    with connected(server, first_byte_timeout=3.0) as (connection, peer):
        runtime.clock.stop()
        try:
            future = connection.send(a_get())
            peer.read_until(HEAD_END)
            peer.send(HELLO)
            assert future.get(timeout=LIMIT).body == b"hello"
        finally:
            runtime.clock.start()
