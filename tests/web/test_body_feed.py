"""The way of a streamed body from its connection to its reader."""

from __future__ import annotations

import gc

import gevent
import pytest

from greenproc.errors import RemoteProtocolError
from greenproc.http.content_coding import gzip_compress
from greenproc.sync.pipe import HIGH_WATER_BYTES
from greenproc.testing import await_ready
from greenproc.web.body_feed import BodyFeed
from tests.web.support import failure_of


def fed(*, is_compressed: bool = False) -> tuple[BodyFeed, list[str]]:
    """Return a feed, and what it tells."""
    told: list[str] = []
    return BodyFeed(lambda: told.append("unwanted"), is_compressed=is_compressed), told


def test_what_is_fed_reaches_the_reader_in_order() -> None:
    feed, told = fed()
    reader = feed.detach_reader()
    feed.write(b"a")
    feed.write(b"b")
    feed.close()
    assert feed.is_over

    assert reader.read_all().get() == b"ab"
    assert not told


def test_a_failure_reaches_the_reader_behind_what_was_fed() -> None:
    feed, _ = fed()
    reader = feed.detach_reader()
    feed.write(b"a")
    feed.abort("cut")

    assert reader.read().get() == b"a"
    assert reader.read().failure() == "cut"


def test_the_parser_leaves_it_to_the_connection_to_tell_the_reason() -> None:
    feed, _ = fed()
    reader = feed.detach_reader()

    feed.fail("failed to decode body")
    assert not feed.is_over
    feed.abort(RemoteProtocolError("the reason"))

    assert failure_of(reader.read(), RemoteProtocolError) == "the reason"


def test_what_is_called_back_does_not_run_in_who_feeds() -> None:
    feed, _ = fed()
    reader = feed.detach_reader()
    greenlets: list[object] = []
    reader.read().on_ready(lambda _: greenlets.append(gevent.getcurrent()))

    feed.write(b"a")
    gevent.idle()

    assert greenlets
    assert greenlets[0] not in (gevent.getcurrent(), gevent.get_hub())


def test_there_is_room_until_much_is_unread() -> None:
    feed, _ = fed()
    reader = feed.detach_reader()
    assert feed.writable().is_ready
    feed.write(b"x" * HIGH_WATER_BYTES)
    room = feed.writable()
    gevent.idle()
    assert room.is_pending and feed.writable().is_pending

    reader.read()

    assert room.is_ready and feed.writable().is_ready


@pytest.mark.parametrize("how", ["closed", "broken off"])
def test_nobody_waits_for_room_once_the_body_is_over(how: str) -> None:
    feed, _ = fed(is_compressed=True)
    reader = feed.detach_reader()
    feed.write(gzip_compress(bytes(10 * HIGH_WATER_BYTES)))
    gevent.idle()
    room = feed.writable()
    assert room.is_pending

    if how == "closed":
        reader.close()
    else:
        feed.abort("gone")
    gevent.idle()

    assert room.is_ready


def test_closing_the_reader_tells_that_the_body_is_unwanted_once() -> None:
    feed, told = fed()

    feed.detach_reader().close()
    feed.write(b"more")
    gevent.idle()

    assert told == ["unwanted"]


def test_losing_the_reader_does_too() -> None:
    feed, told = fed()

    feed.detach_reader()
    gc.collect()
    gevent.idle()

    assert told == ["unwanted"]
    assert feed.writable().is_ready


@pytest.mark.parametrize("is_compressed", [False, True], ids=["plain", "packed"])
def test_losing_the_reader_while_a_read_waits_tells_after_that_read(is_compressed: bool) -> None:
    feed, told = fed(is_compressed=is_compressed)
    read = feed.detach_reader().read()
    gc.collect()
    gevent.idle()
    assert not told

    body = bytes(10 * HIGH_WATER_BYTES)
    feed.write(gzip_compress(body) if is_compressed else body)
    gevent.idle()

    assert read.value
    assert read.value == (body[: len(read.value)] if is_compressed else body)
    assert told == ["unwanted"]


@pytest.mark.parametrize("lost", [False, True], ids=["closed", "lost"])
def test_a_reader_that_goes_after_the_end_tells_nothing(lost: bool) -> None:
    feed, told = fed()
    reader = feed.detach_reader()
    feed.write(b"a")
    feed.close()
    gevent.idle()

    if lost:
        del reader
        gc.collect()
    else:
        reader.close()
    gevent.idle()

    assert not told


# Packed bodies


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_packed_body_is_unpacked_however_it_comes(size: int) -> None:
    body = bytes(range(256)) * 2000
    packed = gzip_compress(body)
    feed, told = fed(is_compressed=True)
    reader = feed.detach_reader()

    for at in range(0, len(packed), size):
        feed.write(packed[at : at + size])
    feed.close()

    assert await_ready(reader.read_all()) == body
    assert not told


def test_a_packed_body_is_unpacked_no_faster_than_it_is_read() -> None:
    size = 100 * HIGH_WATER_BYTES
    feed, _ = fed(is_compressed=True)
    reader = feed.detach_reader()
    feed.write(gzip_compress(bytes(size)))
    feed.close()

    taken = 0
    piece = b"x"
    while piece:
        gevent.idle()
        at_hand = 0
        while (read := reader.read()).is_ready and (piece := read.value):
            at_hand += len(piece)
        assert at_hand <= 2 * HIGH_WATER_BYTES
        piece = await_ready(read)
        taken += at_hand + len(piece)

    assert taken == size


def test_others_have_their_turns_while_much_is_unpacked() -> None:
    feed, _ = fed(is_compressed=True)
    reader = feed.detach_reader()
    reading = gevent.spawn(lambda: sum(len(piece) for piece in reader))
    turns = 0
    feed.write(gzip_compress(bytes(50 * HIGH_WATER_BYTES)))
    feed.close()

    while not reading.ready():
        gevent.sleep(0)
        turns += 1

    assert reading.value == 50 * HIGH_WATER_BYTES
    assert turns > 50


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"this is no gzip", "Failed to decode response: failed to decode body"),
        (gzip_compress(b"hello")[:-1], "Failed to decode response: Failed to decompress body"),
        (gzip_compress(b"hello") + b"more", "Failed to decode response: failed to decode body"),
    ],
    ids=["none", "cut short", "something behind it"],
)
def test_what_cannot_be_unpacked_fails_the_reader(data: bytes, text: str) -> None:
    feed, _ = fed(is_compressed=True)
    reader = feed.detach_reader()
    feed.write(data)
    feed.close()

    assert failure_of(reader.read_all(), RemoteProtocolError) == text


def test_what_cannot_be_unpacked_is_unwanted_from_then_on() -> None:
    feed, told = fed(is_compressed=True)
    reader = feed.detach_reader()

    feed.write(b"this is no gzip")
    gevent.idle()
    assert told == ["unwanted"]
    feed.write(b"nor is this")
    feed.close()

    assert failure_of(reader.read(), RemoteProtocolError)
    assert told == ["unwanted"]


def test_nothing_at_all_needs_no_unpacking() -> None:
    feed, _ = fed(is_compressed=True)
    reader = feed.detach_reader()
    feed.close()

    assert await_ready(reader.read_all()) == b""
