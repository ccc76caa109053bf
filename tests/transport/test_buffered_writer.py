"""What every buffered writer does: a batch in the hub, and a greenlet only for what is left."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from gevent import Greenlet, get_hub, getcurrent, socket

from greenproc.transport.buffered_writer import BufferedWriter
from tests.transport.conftest import LIMIT

LARGE = 4 * 1024 * 1024  # more than the system buffers for both ends of a pair


class BatchWriter(BufferedWriter):
    """Writes batches that a test gives, and notes what becomes of them."""

    def __init__(self, connected: socket.socket) -> None:
        super().__init__(self._start, connected)
        self.batches: deque[bytes] = deque()
        self.greenlets: list[Greenlet[..., Any]] = []
        self.flushed = 0
        self.errors: list[OSError] = []
        self.writers: list[object] = []

    def flush(self, *batches: bytes) -> None:
        """Write in the hub, as the subclasses do."""
        self.batches.extend(batches)
        get_hub().loop.run_callback(self._flush_now)

    def _start(self, function: Callable[..., object], *args: object) -> Greenlet[..., Any]:
        self.greenlets.append(gevent.spawn(function, *args))
        return self.greenlets[-1]

    def _take(self) -> bytes:
        return self.batches.popleft() if self.batches else b""

    def _has_more(self) -> bool:
        return bool(self.batches)

    def _send(self, data: memoryview) -> None:
        self.writers.append(getcurrent())
        self._socket.sendall(data)

    def _write_next(self) -> bool:
        data = self._take()
        if data:
            self._send(memoryview(data))
        return bool(data)

    def _flushed(self) -> None:
        self.flushed += 1

    def _write_failed(self, error: OSError) -> None:
        self.is_closed = True
        self.errors.append(error)


@pytest.fixture
def pair() -> Iterator[tuple[BatchWriter, socket.socket]]:
    near, far = socket.socketpair()
    far.settimeout(LIMIT)
    writer = BatchWriter(near)
    yield writer, far
    near.close()
    far.close()
    gevent.joinall(writer.greenlets, timeout=LIMIT)
    assert all(one.ready() for one in writer.greenlets)


def receive(far: socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size and (piece := far.recv(size - len(received))):
        received += piece
    return bytes(received)


def test_a_batch_that_fits_leaves_without_a_greenlet(
    pair: tuple[BatchWriter, socket.socket],
) -> None:
    writer, far = pair
    writer.flush(b"hello")
    gevent.idle()

    assert receive(far, 5) == b"hello"
    assert (writer.greenlets, writer.flushed, writer.is_writing) == ([], 1, False)


def test_batches_behind_the_first_leave_in_a_greenlet_that_ends(
    pair: tuple[BatchWriter, socket.socket],
) -> None:
    writer, far = pair
    writer.flush(b"one", b"two", b"three")
    gevent.idle()

    assert receive(far, 11) == b"onetwothree"
    assert len(writer.greenlets) == 1
    assert set(writer.writers) == {writer.greenlets[0]}
    assert writer.greenlets[0].ready()
    assert (writer.flushed, writer.is_writing) == (1, False)


def test_what_is_flushed_while_the_peer_stalls_leaves_behind_the_rest(
    pair: tuple[BatchWriter, socket.socket],
) -> None:
    writer, far = pair
    writer.flush(b"x" * LARGE)
    writer.flush(b"y")
    gevent.idle()
    writer.flush(b"z")
    gevent.idle()
    assert (writer.is_writing, writer.flushed) == (True, 0)

    assert receive(far, LARGE + 2) == b"x" * LARGE + b"yz"
    gevent.idle()
    assert len(writer.greenlets) == 1
    assert (writer.is_writing, writer.flushed) == (False, 1)


@pytest.mark.parametrize("size", [5, LARGE], ids=["in the hub", "in a greenlet"])
def test_a_lost_peer_fails_the_writer_once(
    pair: tuple[BatchWriter, socket.socket], size: int
) -> None:
    writer, far = pair
    if size == LARGE:
        writer.flush(b"x" * size)
        gevent.idle()
    far.close()
    gevent.idle()
    writer.flush(b"late")
    gevent.idle()
    writer.flush(b"later")
    gevent.idle()

    assert [type(error) for error in writer.errors] == [BrokenPipeError]
    assert writer.is_closed
    assert not writer.is_writing


def test_a_killed_greenlet_leaves_the_writer_idle(
    pair: tuple[BatchWriter, socket.socket],
) -> None:
    writer, _ = pair
    writer.flush(b"x" * LARGE)
    gevent.idle()

    writer.greenlets[0].kill(timeout=LIMIT)

    assert (writer.is_writing, writer.flushed, writer.errors) == (False, 0, [])
