"""The body of a request on its way to a handler."""

from __future__ import annotations

import gzip
from functools import partial

import gevent
import pytest

from greenproc.errors import RemoteProtocolError
from greenproc.http.content_coding import gzip_compress
from greenproc.sync.pipe import HIGH_WATER_BYTES
from greenproc.transport.body_pipe import BodyFailure, BodyPipe


class Body:
    """A pipe, and whether it has given up."""

    def __init__(self, *, is_compressed: bool = True) -> None:
        self.has_given_up = False
        self.pipe = BodyPipe(self.stop_taking, blame=lambda: 408, is_compressed=is_compressed)

    def stop_taking(self) -> None:
        self.has_given_up = True

    def failure(self) -> tuple[str, int]:
        """Return what a reader is told, and what a client is answered because of it."""
        error = self.pipe.reader.read().exception
        assert isinstance(error, BodyFailure)
        return str(error), error.status

    def read(self) -> bytes:
        return self.pipe.reader.read_all().get(timeout=1)


def test_nothing_is_handed_on_before_the_handler_is_asked() -> None:
    body = Body(is_compressed=False)
    body.pipe.write(b"one")
    body.pipe.close()
    reading = body.pipe.reader.read()
    assert reading.is_pending

    body.pipe.begin()

    assert reading.get() == b"one"
    assert body.read() == b""


def test_a_failure_comes_behind_what_was_held_back() -> None:
    body = Body(is_compressed=False)
    body.pipe.write(b"one")
    body.pipe.fail("lost")

    body.pipe.begin()

    assert body.pipe.reader.read().get() == b"one"
    assert body.failure() == ("lost", 408)


@pytest.mark.parametrize("held", [0, 1, 2])
def test_a_packed_body_is_unpacked(held: int) -> None:
    body = Body()
    packed = gzip.compress(b"hello" * 100)
    steps = [partial(body.pipe.write, packed[:10]), partial(body.pipe.write, packed[10:])]
    steps.insert(held, body.pipe.begin)

    for step in steps:
        step()
    body.pipe.close()

    assert body.read() == b"hello" * 100
    assert not body.has_given_up


def test_a_packed_body_is_unpacked_no_faster_than_it_is_read() -> None:
    body = Body()
    size = 4 * HIGH_WATER_BYTES
    body.pipe.write(gzip_compress(bytes(size)))
    body.pipe.close()

    beginning = gevent.spawn(body.pipe.begin)
    gevent.idle()
    assert body.pipe.is_full
    assert body.pipe._writer.statistics()["unread_bytes"] == HIGH_WATER_BYTES

    assert len(body.read()) == size
    beginning.get()
    assert not body.pipe.is_full


def test_what_is_no_gzip_fails_where_the_handler_reads() -> None:
    body = Body()
    body.pipe.write(b"no gzip at all")

    body.pipe.begin()

    assert body.failure() == ("failed to decode body", 400)
    assert body.has_given_up


def test_what_is_no_gzip_is_refused_once_the_handler_was_asked() -> None:
    body = Body()
    body.pipe.begin()

    with pytest.raises(RemoteProtocolError, match="failed to decode body"):
        body.pipe.write(b"no gzip at all")


@pytest.mark.parametrize("length", [0, 10])
def test_a_packed_body_that_is_cut_short_fails(length: int) -> None:
    body = Body()
    body.pipe.begin()
    if length:
        body.pipe.write(gzip.compress(b"hello")[:length])

    body.pipe.close()

    assert body.failure() == ("Failed to decompress body", 400)
    assert not body.has_given_up
