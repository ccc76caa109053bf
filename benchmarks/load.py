"""Load for HTTP servers, the same for all: requests over connections that are kept.

Nothing is parsed but the first response; the others must have its length and begin and end as it
does. Against a server that always answers the same that keeps half a core busy, so the server is
what is measured.
"""

from __future__ import annotations

import re
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from benchmarks.harness import Sample, rate
from benchmarks.nodes import LIMIT_SECONDS

CONNECTIONS = 32
READ_BYTES = 64 * 1024
HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)


def request_for(path: str) -> bytes:
    """Return the bytes of a GET as small clients send it."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:33885\r\nAccept: */*\r\n\r\n".encode()


@contextmanager
def connected(address: str) -> Iterator[socket.socket]:
    """Connect to *address* for the block."""
    ip, _, port = address.rpartition(":")
    with socket.create_connection((ip, int(port)), LIMIT_SECONDS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield connection


def ask(connection: socket.socket, request: bytes) -> bytes:
    """Return the one response to *request*.

    Raises:
        RuntimeError: it is none that a server in good order gives.
    """
    connection.sendall(request)
    response = b""
    while (more := connection.recv(READ_BYTES)) or not response:
        response += more
        head, end, body = response.partition(HEAD_END)
        length = _LENGTH.search(head + end)
        if length and len(body) >= int(length[1]):
            if head.startswith(b"HTTP/1.1 200 "):
                return response
            break
    raise RuntimeError(f"expected 200 with a length, got {response[:200]!r}")


def alternating(address: str, path: str, count: int) -> Sample:
    """Send a request over each of 32 connections, the next one when the response is there."""
    load = _Load(address, request_for(path), count)
    return load.run()


def pipelined(address: str, path: str, count: int, window: int) -> Sample:
    """Send so many requests at once over one connection, and the next ones when all are answered."""
    request = request_for(path)
    with connected(address) as connection:
        response = ask(connection, request)
        answered = 0
        start = perf_counter()
        for begin in range(0, count, window):
            size = min(window, count - begin)
            connection.sendall(request * size)
            received = _receive(connection, size * len(response))
            answered += received.count(response[:15]) if received.endswith(response[-5:]) else 0
        return rate(count, perf_counter() - start, lost=count - answered)


def _receive(connection: socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size and (data := connection.recv(READ_BYTES)):
        received += data
    return bytes(received)


class _Load:
    """32 connections, and how many requests are left for them."""

    def __init__(self, address: str, request: bytes, count: int) -> None:
        self._address = address
        self._request = request
        self._count = count
        self._answered = 0
        self._partial: dict[int, bytes] = {}
        with connected(address) as connection:
            self._response = ask(connection, request)

    def run(self) -> Sample:
        """Make all requests."""
        sockets = {}
        with select.epoll() as poll:
            try:
                for _ in range(CONNECTIONS):
                    ip, _, port = self._address.rpartition(":")
                    one = socket.create_connection((ip, int(port)), LIMIT_SECONDS)
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    sockets[one.fileno()] = one
                    poll.register(one, select.EPOLLIN)
                start = perf_counter()
                self._drive(poll, sockets, start + LIMIT_SECONDS)
                seconds = perf_counter() - start
            finally:
                for one in sockets.values():
                    one.close()
        return rate(self._count, seconds, lost=self._count - self._answered)

    def _drive(
        self, poll: select.epoll, sockets: dict[int, socket.socket], deadline: float
    ) -> None:
        request, size = self._request, len(self._response)
        begin, end = self._response[:15], self._response[-5:]
        unsent, open_requests = self._count, 0
        for one in list(sockets.values())[:unsent]:
            one.sendall(request)
            unsent -= 1
            open_requests += 1
        while open_requests and perf_counter() < deadline:
            for number, _ in poll.poll(1.0):
                data = self._partial.pop(number, b"") + sockets[number].recv(READ_BYTES)
                if not data:
                    return
                if len(data) < size:
                    self._partial[number] = data
                    continue
                self._answered += (
                    len(data) == size and data.startswith(begin) and data.endswith(end)
                )
                open_requests -= 1
                if unsent:
                    sockets[number].sendall(request)
                    unsent -= 1
                    open_requests += 1
