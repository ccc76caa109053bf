"""The reader of connections whose messages come one at a time."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import pytest
from gevent import socket

from greenproc.transport.socket_reader import SocketReader

LIMIT = 20.0


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def reader(ends: tuple[socket.socket, socket.socket]) -> Iterator[SocketReader]:
    reader = SocketReader(ends[0], 4)
    yield reader
    reader.close()


def read_later(reader: SocketReader) -> gevent.Greenlet[[], bytes]:
    """Return a greenlet that reads, and waits already."""
    reading = gevent.spawn(reader.read)
    gevent.idle()
    return reading


def test_it_reads_what_is_there_up_to_its_bound(
    reader: SocketReader, ends: tuple[socket.socket, socket.socket]
) -> None:
    ends[1].sendall(b"abcdef")

    assert [reader.read(), reader.read()] == [b"abcd", b"ef"]


def test_after_a_short_read_it_waits_for_more(
    reader: SocketReader, ends: tuple[socket.socket, socket.socket]
) -> None:
    ends[1].sendall(b"a")
    assert reader.read() == b"a"
    reading = read_later(reader)
    assert not reading.ready()
    ends[1].sendall(b"b")

    assert reading.get(timeout=LIMIT) == b"b"


def test_the_end_is_empty_also_after_a_short_read(
    reader: SocketReader, ends: tuple[socket.socket, socket.socket]
) -> None:
    ends[1].sendall(b"a")
    assert reader.read() == b"a"
    reading = read_later(reader)
    ends[1].close()

    assert reading.get(timeout=LIMIT) == b""


def test_a_stale_switch_does_not_end_the_waiting(
    reader: SocketReader, ends: tuple[socket.socket, socket.socket]
) -> None:
    ends[1].sendall(b"a")
    assert reader.read() == b"a"
    reading = read_later(reader)
    gevent.get_hub().loop.run_callback(reading.switch)
    gevent.idle()
    assert not reading.ready()
    ends[1].sendall(b"b")

    assert reading.get(timeout=LIMIT) == b"b"


def test_closing_ends_a_read_with_an_error(
    reader: SocketReader, ends: tuple[socket.socket, socket.socket]
) -> None:
    ends[1].sendall(b"a")
    assert reader.read() == b"a"
    reading = read_later(reader)
    reader.close()
    ends[0].close()

    with pytest.raises(OSError, match="Bad file descriptor"):
        reading.get(timeout=LIMIT)


def test_a_killed_reader_leaves_no_watcher_behind(
    reader: SocketReader, ends: tuple[socket.socket, socket.socket]
) -> None:
    ends[1].sendall(b"a")
    assert reader.read() == b"a"
    reading = read_later(reader)
    reading.kill()
    ends[1].sendall(b"b")

    assert reader.read() == b"b"
