"""What a client of HTTP costs: requests to a server that always answers the same."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import gevent
from gevent import Timeout, socket
from httptools import HttpResponseParser

from benchmarks.children import measure_other, serving
from benchmarks.harness import Goal, Other, Row, Sample, Skipped, rate
from benchmarks.nodes import LIMIT_SECONDS
from benchmarks.wire import READ_BYTES, connected, serve
from greenproc.http import URL, Request
from greenproc.web import Connection, connect

CLIENTS = 50
WINDOW = 250
TARGET = URL.parse("/x")
HEAD_END = b"\r\n\r\n"
# As long as what our client sends to a port of five digits.
REQUEST = b"GET /x HTTP/1.1\r\nContent-Length: 0\r\nHost: 127.0.0.1:33885\r\n\r\n"
RESPONSE = (
    b"HTTP/1.1 200 OK\r\n"
    b"Date: Tue, 24 Nov 2026 01:56:39 GMT\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: 5\r\n"
    b"\r\n"
    b"hello"
)


def answer_always_the_same() -> None:
    """Answer each request, which must have no body, for the parent."""

    def handle(connection: socket.socket, _client: object) -> None:
        rest = b""
        while data := connection.recv(READ_BYTES):
            *requests, rest = (rest + data).split(HEAD_END)
            connection.sendall(RESPONSE * len(requests))
        connection.close()

    serve(handle)


def with_server(count: int, ask: Callable[[str, int], int]) -> Sample:
    """Time ``ask(address, count)``, which returns how many good responses came."""
    with serving(answer_always_the_same) as address, Timeout(LIMIT_SECONDS):
        start = perf_counter()
        arrived = ask(address, count)
        return rate(count, perf_counter() - start, lost=count - arrived)


def in_greenlets(ask: Callable[[str, int], int]) -> Callable[[str, int], int]:
    """Return what shares the requests among greenlets that each do *ask*."""

    def ask_together(address: str, count: int) -> int:
        asking = [gevent.spawn(ask, address, count // CLIENTS) for _ in range(CLIENTS)]
        gevent.joinall(asking, raise_error=True)
        return sum(one.get() for one in asking) + count % CLIENTS

    return ask_together


def ask_one_by_one(address: str, count: int) -> int:
    """Send a request, wait for its response, and so on."""
    with connect(f"http://{address}").get() as connection:
        return sum(_send(connection).get().body == b"hello" for _ in range(count))


def ask_many(address: str, count: int) -> int:
    """Send so many requests, then wait for their responses."""
    arrived = 0
    with connect(f"http://{address}").get() as connection:
        for begin in range(0, count, WINDOW):
            futures = [_send(connection) for _ in range(min(WINDOW, count - begin))]
            arrived += sum(future.get().body == b"hello" for future in futures)
    return arrived


def _send(connection: Connection) -> Any:
    return connection.send(Request("GET", TARGET, keep_alive=True))


def exchange_bytes(address: str, count: int) -> int:
    """Send the bytes of a request, receive those of a response, and so on."""
    with connected(address) as connection:
        return sum(_exchange(connection) for _ in range(count))


class ReadingCounter:
    """Counts responses, and is given what they consist of."""

    def __init__(self) -> None:
        self.count = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        pass

    def on_body(self, body: bytes) -> None:
        pass

    def on_message_complete(self) -> None:
        self.count += 1


def count_responses(address: str, count: int) -> int:
    """Send the bytes of so many requests, then parse the responses and do nothing about them."""
    counter = ReadingCounter()
    parser = HttpResponseParser(counter)
    with connected(address) as connection:
        for begin in range(0, count, WINDOW):
            connection.sendall(REQUEST * min(WINDOW, count - begin))
            while counter.count < min(begin + WINDOW, count):
                parser.feed_data(connection.recv(READ_BYTES))
    return counter.count


def _exchange(connection: socket.socket) -> int:
    connection.sendall(REQUEST)
    left = len(RESPONSE)
    while left:
        left -= len(connection.recv(READ_BYTES))
    return 1


def geventhttpclient_one_by_one(count: int) -> Sample:
    """Do the same with geventhttpclient."""
    return with_server(count, _with_geventhttpclient)


def geventhttpclient_in_greenlets(count: int) -> Sample:
    """Do the same with geventhttpclient, which keeps a connection for each greenlet."""
    return with_server(count, in_greenlets(_with_geventhttpclient))


def _with_geventhttpclient(address: str, count: int) -> int:
    from geventhttpclient import HTTPClient

    host, _, port = address.rpartition(":")
    client = HTTPClient(host, int(port))
    try:
        return sum(client.get("/x").read() == b"hello" for _ in range(count))
    finally:
        client.close()


def geventhttpclient(count: int, function: Callable[[int], Sample]) -> Other:
    """Return geventhttpclient doing *function*, so many times, in a child.

    It is no rival: its parser, in C, reads a whole response, and it does not pipeline.
    """

    def run(count: int) -> Sample | Skipped:
        return measure_other("geventhttpclient", function, count)

    return Other("geventhttpclient", count, run, is_rival=False)


ONE = Row(
    name="http-client",
    title="HTTP requests of one client, one at a time",
    against="the same bytes over one socket",
    subject=lambda count: with_server(count, ask_one_by_one),
    baseline=lambda count: with_server(count, exchange_bytes),
    goal=Goal(0.2),
    count=10_000,
    quick_count=200,
    others=(geventhttpclient(10_000, geventhttpclient_one_by_one),),
)

GREENLETS = Row(
    name="http-client-50",
    title="HTTP requests of 50 greenlets, each with a connection",
    against="the same bytes over 50 sockets",
    subject=lambda count: with_server(count, in_greenlets(ask_one_by_one)),
    baseline=lambda count: with_server(count, in_greenlets(exchange_bytes)),
    goal=Goal(0.2),
    count=20_000,
    quick_count=200,
    others=(geventhttpclient(20_000, geventhttpclient_in_greenlets),),
)

PIPELINED = Row(
    name="http-client-pipelined",
    title="HTTP requests of one client, 250 on their way",
    against="the same bytes over one socket, the responses parsed and only counted",
    subject=lambda count: with_server(count, ask_many),
    baseline=lambda count: with_server(count, count_responses),
    goal=Goal(0.02),
    count=50_000,
    quick_count=500,
)
