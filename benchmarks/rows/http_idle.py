"""What an idle connection of an HTTP client takes: bytes of the server's resident memory."""

from __future__ import annotations

import resource
import socket
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from benchmarks.children import serving
from benchmarks.harness import Goal, Row, Sample
from benchmarks.load import HEAD_END, READ_BYTES, ask, connected, request_for
from benchmarks.nodes import running, say, wait_for_end_of_input
from benchmarks.rows.memory import settled_bytes
from benchmarks.wire import serve
from greenproc import Process, route
from greenproc.http import Request

BYTES = request_for("/memory/bytes")
NOTHING = request_for("/memory/none")
SPARE = 200  # descriptors for everything else


class Memory(Process):
    """Tells how much memory its OS process takes."""

    def __init__(self) -> None:
        super().__init__("memory")

    @route("/none")
    def on_none(self, request: Request) -> str:
        return f"{0:20}"

    @route("/bytes")
    def on_bytes(self, request: Request) -> str:
        return f"{settled_bytes():20}"


def serve_memory() -> None:
    """Run a node with the process for the parent."""
    with running() as runtime:
        runtime.spawn(Memory())
        say(runtime.address)
        wait_for_end_of_input()


def answer_memory() -> None:
    """Do the same without greenproc."""

    def handle(connection: Any, _client: object) -> None:
        while data := connection.recv(READ_BYTES):
            body = b"%20d" % settled_bytes() if b"bytes" in data else b"%20d" % 0
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" + body)
        connection.close()

    serve(handle)


def memory_of_connections(server: Callable[[], None], count: int) -> Sample:
    """Return the bytes of one of *count* connections that were used once."""
    count = min(count, allowed_descriptors() - SPARE)
    with serving(server) as address, ExitStack() as stack:
        first = stack.enter_context(connected(address))
        before = taken(first)
        for _ in range(count):
            ask(stack.enter_context(connected(address)), NOTHING)
        return Sample((taken(first) - before) / count, note=f"{count:,} connections")


def taken(connection: socket.socket) -> int:
    """Return what the server says that it takes."""
    return int(ask(connection, BYTES).partition(HEAD_END)[2])


def allowed_descriptors() -> int:
    """Return how many descriptors this OS process and its children may have, now as many as can be."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


ROW = Row(
    name="http-idle-memory",
    title="memory of an idle connection of an HTTP client",
    against="a StreamServer whose greenlets wait in recv",
    subject=lambda count: memory_of_connections(serve_memory, count),
    baseline=lambda count: memory_of_connections(answer_memory, count),
    goal=Goal(1.5, at_most=True),
    count=10_000,
    quick_count=500,
    unit="B each",
    once=True,
)
