"""Bodies larger than memory should hold, in both directions."""

from __future__ import annotations

import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent
import pytest

from greenproc.http.request import Request
from greenproc.http.url import URL
from greenproc.testing import await_ready
from greenproc.web import Pipe, get, put
from tests.peer import LIMIT, Acceptor
from tests.web.support import EMPTY, HEAD_END, a_get, answering, connected, served

SIZE = 200 * 1024 * 1024
PIECE = bytes(64 * 1024)
CHUNK_BYTES = len(b"10000\r\n") + len(PIECE) + len(b"\r\n")
BOUND = 16 * 1024 * 1024  # of memory, for both ends together; less than a tenth of the body


@contextmanager
def bounded_memory() -> Iterator[None]:
    """Fail if the block needs more memory at any moment than `BOUND`."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before < BOUND


def test_a_large_response_is_read_in_constant_memory(server: Acceptor) -> None:
    def serve() -> None:
        with server.accept() as peer:
            peer.read_until(HEAD_END)
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
            for _ in range(SIZE // len(PIECE)):
                peer.send(PIECE)

    with bounded_memory():
        serving = gevent.spawn(serve)
        response = await_ready(get(server.address, stream=True))
        read = sum(len(piece) for piece in response.reader)
        serving.get(timeout=LIMIT)

    assert read == SIZE


def test_a_packed_response_is_unpacked_in_constant_memory(server: Acceptor) -> None:
    """Zeros become a thousandth, so that a single read of the socket brings 64 MiB of them."""
    packer = zlib.compressobj(wbits=31)
    packed = b"".join([packer.compress(PIECE) for _ in range(SIZE // len(PIECE))]) + packer.flush()
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"

    with bounded_memory(), served(server, answering(head % len(packed) + packed)):
        response = await_ready(get(server.address, stream=True))
        read = sum(len(piece) for piece in response.reader)

    assert read == SIZE


@pytest.mark.parametrize("way", ["generator", "pipe"])
def test_a_large_request_is_sent_in_constant_memory(server: Acceptor, way: str) -> None:
    count = SIZE // len(PIECE)

    def serve() -> int:
        with server.accept() as peer:
            peer.read_until(HEAD_END)
            read = sum(len(peer.read(CHUNK_BYTES)) for _ in range(count))
            assert peer.read(5) == b"0\r\n\r\n"
            peer.send(EMPTY)
        return read

    def write(pipe: Pipe) -> None:
        for _ in range(count):
            pipe.writer.writable().get()
            assert pipe.writer.write(PIECE)
        pipe.writer.close()

    with bounded_memory():
        serving = gevent.spawn(serve)
        if way == "generator":
            future = put(server.address, body=(PIECE for _ in range(count)))
        else:
            pipe = Pipe()
            gevent.spawn(write, pipe)
            future = put(server.address, body=pipe.reader)
        assert future.get(timeout=60).status == 200
        assert serving.get(timeout=LIMIT) == count * CHUNK_BYTES


def test_a_server_is_not_read_faster_than_the_reader_does(server: Acceptor) -> None:
    """What is not read stays with the server, but for what fits into a pipe and the system."""
    sent: list[int] = []

    def serve() -> None:
        with server.accept() as peer:
            peer.read_until(HEAD_END)
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
            while True:
                sent.append(peer.socket.send(PIECE))

    serving = gevent.spawn(serve)
    response = await_ready(get(server.address, stream=True))
    gevent.idle()

    assert sum(sent) < SIZE // 2
    serving.kill()
    response.reader.close()


@pytest.mark.parametrize("direction", ["up", "down"])
def test_other_greenlets_have_their_turns_during_a_transfer(
    server: Acceptor, direction: str
) -> None:
    turns = 0
    busy = True
    size = 20 * 1024 * 1024
    ways: dict[str, Callable[[], object]] = {
        "up": lambda: Request("PUT", URL("/"), reader=(PIECE for _ in range(size // len(PIECE)))),
        "down": a_get,
    }

    def count_turns() -> None:
        nonlocal turns
        while busy:
            turns += 1
            gevent.sleep(0)

    with connected(server) as (connection, peer):
        counting = gevent.spawn(count_turns)
        future = connection.send(ways[direction](), streamed_response=True)  # type: ignore[arg-type]
        peer.read_until(HEAD_END)
        if direction == "up":
            for _ in range(size // len(PIECE)):
                peer.read(CHUNK_BYTES)
            peer.send(EMPTY)
        else:
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
            gevent.spawn(peer.send, head + bytes(size))
        for _ in await_ready(future).reader:
            pass
        busy = False
        counting.join(LIMIT)

    assert turns >= size // (256 * 1024)
