"""Bodies that are larger than what anybody wants to keep in memory, in both directions."""

from __future__ import annotations

import resource
import socket
import sys
from collections.abc import Iterator
from time import perf_counter
from typing import Any

from benchmarks.children import serving
from benchmarks.harness import Goal, Row, Sample
from benchmarks.load import HEAD_END, ask, connected, request_for
from benchmarks.nodes import running, say, wait_for_end_of_input
from benchmarks.wire import serve
from greenproc import Process, route
from greenproc.http import Request

MEGABYTE = 1024 * 1024
PIECE = b"x" * (64 * 1024)
READ_BYTES = 256 * 1024
LAST_CHUNK = b"\r\n0\r\n\r\n"


class Streamer(Process):
    """Sends and takes streams."""

    def __init__(self) -> None:
        super().__init__("streamer")

    @route("/down")
    def on_down(self, request: Request) -> Iterator[bytes]:
        for _ in range(int(request.url.query["megabytes"]) * MEGABYTE // len(PIECE)):
            yield PIECE

    @route("/up", streaming=True)
    def on_up(self, request: Request) -> str:
        return str(sum(len(piece) for piece in request.reader))

    @route("/peak")
    def on_peak(self, request: Request) -> str:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return str(peak if sys.platform == "darwin" else peak * 1024)


def serve_streamer() -> None:
    """Run a node with the process for the parent."""
    with running() as runtime:
        runtime.spawn(Streamer())
        say(runtime.address)
        wait_for_end_of_input()


def send_and_take() -> None:
    """Take as many bytes as the first line says, or send them if it is negative."""

    def handle(connection: Any, _client: object) -> None:
        left = int(connection.recv(20))
        for _ in range(-left // len(PIECE)):
            connection.sendall(PIECE)
        while left > 0:
            left -= len(connection.recv(READ_BYTES))
        connection.sendall(b"\r\n")
        connection.close()

    serve(handle)


def down(count: int) -> Sample:
    """Read what a generator yields."""
    with serving(serve_streamer) as address, connected(address) as connection:
        return streamed(connection, count, lambda: read_stream(connection, count))


def up(count: int) -> Sample:
    """Send a body to a handler that reads it as it comes."""
    with serving(serve_streamer) as address, connected(address) as connection:
        return streamed(connection, count, lambda: send_body(connection, count))


def streamed(connection: socket.socket, count: int, stream: Any) -> Sample:
    """Time *stream*, which returns how many bytes came through, and see what the server needed."""
    before = peak(connection)
    start = perf_counter()
    came = stream()
    seconds = perf_counter() - start
    grown = (peak(connection) - before) / MEGABYTE
    lost = int(came != count * MEGABYTE)
    return Sample(count / seconds, lost, f"{count:,} MB, the server grew by {grown:.1f} MB")


def peak(connection: socket.socket) -> int:
    return int(ask(connection, request_for("/streamer/peak")).partition(HEAD_END)[2])


def read_stream(connection: socket.socket, megabytes: int) -> int:
    """Return the length of the body, less what frames its chunks of one piece each."""
    connection.sendall(request_for(f"/streamer/down?megabytes={megabytes}"))
    begin = connection.recv(READ_BYTES)
    while HEAD_END not in begin:
        begin += connection.recv(READ_BYTES)
    received = len(begin) - begin.index(HEAD_END) - len(HEAD_END)
    end = begin
    while not end.endswith(LAST_CHUNK):
        data = connection.recv(READ_BYTES)
        received += len(data)
        end = (end + data)[-len(LAST_CHUNK) :]
    pieces = megabytes * MEGABYTE // len(PIECE)
    return received - pieces * len(b"10000\r\n\r\n") - len(b"0\r\n\r\n")


def send_body(connection: socket.socket, megabytes: int) -> int:
    """Return what the handler counted."""
    head = "POST /streamer/up HTTP/1.1\r\nHost: h\r\n"
    connection.sendall(f"{head}Content-Length: {megabytes * MEGABYTE}\r\n\r\n".encode())
    for _ in range(megabytes * MEGABYTE // len(PIECE)):
        connection.sendall(PIECE)
    return int(ask(connection, b"").partition(HEAD_END)[2])


def bytes_down(count: int) -> Sample:
    with serving(send_and_take) as address, connected(address) as connection:
        start = perf_counter()
        connection.sendall(b"%d" % (-count * MEGABYTE))
        left = count * MEGABYTE
        while left > 0:
            left -= len(connection.recv(READ_BYTES))
        return Sample(count / (perf_counter() - start))


def bytes_up(count: int) -> Sample:
    with serving(send_and_take) as address, connected(address) as connection:
        start = perf_counter()
        connection.sendall(b"%-20d" % (count * MEGABYTE))
        for _ in range(count * MEGABYTE // len(PIECE)):
            connection.sendall(PIECE)
        connection.recv(2)
        return Sample(count / (perf_counter() - start))


DOWN = Row(
    name="http-stream-down",
    title="a large response that a generator makes, in chunks",
    against="the same pieces over one socket",
    subject=down,
    baseline=bytes_down,
    goal=Goal(0.5),
    count=1024,
    quick_count=4,
    unit="MB/s",
    once=True,
)

UP = Row(
    name="http-stream-up",
    title="a large request that a handler reads as it comes",
    against="the same pieces over one socket",
    subject=up,
    baseline=bytes_up,
    goal=Goal(0.5),
    count=1024,
    quick_count=4,
    unit="MB/s",
    once=True,
)
