"""What remote rows are measured against: the same bytes, with nothing done about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from gevent import Timeout, socket, spawn
from gevent.lock import Semaphore
from gevent.server import StreamServer
from httptools import HttpRequestParser

from benchmarks.children import serving
from benchmarks.harness import Sample, rate
from benchmarks.nodes import LIMIT_SECONDS, say, wait_for_end_of_input

BODY_BYTES = 100
READ_BYTES = 64 * 1024
BLOCK_MESSAGES = 800  # of one send: about 240 KiB, as much as a batch of the transport


# A message as it stands on the wire; the addresses have the length of real ones.
MESSAGE = (
    b"POST /sink/item HTTP/1.1\r\n"
    b"User-Agent: libprocess/source@127.0.0.1:43173\r\n"
    b"Libprocess-From: source@127.0.0.1:43173\r\n"
    b"Connection: Keep-Alive\r\n"
    b"Host: 127.0.0.1:33885\r\n"
    b"Transfer-Encoding: chunked\r\n"
    b"\r\n"
    b"64\r\n%b\r\n"
    b"0\r\n\r\n"
) % (b"x" * BODY_BYTES)
MESSAGE_BYTES = len(MESSAGE)


class Counter:
    """Counts requests."""

    def __init__(self) -> None:
        self.count = 0

    def on_message_complete(self) -> None:
        self.count += 1


class ReadingCounter(Counter):
    """Is given what a request consists of, as whoever does something with it must be."""

    def on_url(self, url: bytes) -> None:
        pass

    def on_header(self, name: bytes, value: bytes) -> None:
        pass

    def on_body(self, body: bytes) -> None:
        pass


def count_requests() -> None:
    """Count the requests of each connection until the client has no more, and tell how many."""
    serve_counter(ReadingCounter)


def count_ends() -> None:
    """Do so without ever looking at a request."""
    serve_counter(Counter)


def serve_counter(counter_class: type[Counter]) -> None:
    """Serve connections, each with its counter."""

    def handle(connection: socket.socket, _client: object) -> None:
        counter = counter_class()
        parser = HttpRequestParser(counter)
        while data := connection.recv(READ_BYTES):
            parser.feed_data(data)
        connection.sendall(b"%d" % counter.count)
        connection.close()

    serve(handle)


def echo_messages() -> None:
    """Send back what comes, a message at a time."""

    def handle(connection: socket.socket, _client: object) -> None:
        while message := receive(connection, MESSAGE_BYTES):
            connection.sendall(message)
        connection.close()

    serve(handle)


def echo_blocks() -> None:
    """Send back what comes, as much of it as there is."""

    def handle(connection: socket.socket, _client: object) -> None:
        while data := connection.recv(READ_BYTES):
            connection.sendall(data)
        connection.close()

    serve(handle)


def receive(connection: socket.socket, size: int) -> bytes:
    """Return the next *size* bytes; nothing at the end."""
    data = connection.recv(size)
    while data and len(data) < size:
        more = connection.recv(size - len(data))
        data = data + more if more else b""
    return data


def serve(handle: Callable[[socket.socket, object], None]) -> None:
    """Serve connections with *handle* until the parent wants no more."""

    def handle_at_once(connection: Any, client: object) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        handle(connection, client)

    server = StreamServer(("127.0.0.1", 0), handle_at_once)
    server.start()
    say(f"127.0.0.1:{server.server_port}")
    wait_for_end_of_input()
    server.stop()


@contextmanager
def connected(address: str) -> Iterator[socket.socket]:
    """Connect to *address* for the block."""
    ip, _, port = address.rpartition(":")
    with socket.create_connection((ip, int(port))) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield connection


def counted(count: int, server: Callable[[], None] = count_requests) -> Sample:
    """Send the bytes of *count* messages to a *server* that only counts them."""
    with serving(server) as address, connected(address) as connection:
        block = MESSAGE * BLOCK_MESSAGES
        rest = MESSAGE * (count % BLOCK_MESSAGES)
        start = perf_counter()
        with Timeout(LIMIT_SECONDS):
            for _ in range(count // BLOCK_MESSAGES):
                connection.sendall(block)
            connection.sendall(rest)
            connection.shutdown(socket.SHUT_WR)
            arrived = int(connection.recv(READ_BYTES))
        return rate(count, perf_counter() - start, lost=count - arrived)


def echoed(count: int, window: int) -> Sample:
    """Let messages go there and back, *window* of them on their way: two greenlets at this end."""
    with serving(echo_messages) as address, connected(address) as connection:
        message = MESSAGE
        credit = Semaphore(window)

        def send() -> None:
            for _ in range(count):
                credit.acquire()
                connection.sendall(message)

        start = perf_counter()
        sending = spawn(send)
        with Timeout(LIMIT_SECONDS):
            for _ in range(count):
                receive(connection, MESSAGE_BYTES)
                credit.release()
        sending.join()
        return rate(count, perf_counter() - start)


def echoed_in_blocks(count: int, window: int) -> Sample:
    """Let the bytes of messages go there and back, *window* of them on their way, uncut."""
    with serving(echo_blocks) as address, connected(address) as connection:
        unsent = max(count - window, 0)
        left = count
        received = 0
        start = perf_counter()
        with Timeout(LIMIT_SECONDS):
            connection.sendall(MESSAGE * (count - unsent))
            while left:
                received += len(connection.recv(READ_BYTES))
                answered, received = divmod(received, MESSAGE_BYTES)
                left -= answered
                more = min(answered, unsent)
                unsent -= more
                connection.sendall(MESSAGE * more)
        return rate(count, perf_counter() - start)
