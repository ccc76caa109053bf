"""Exchanges, and how a streamed body gets from the parser to its reader."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import gevent
import pytest

from greenproc.errors import LocalProtocolError
from greenproc.future import Promise
from greenproc.http.request import Request
from greenproc.http.response import Response
from greenproc.http.url import URL
from greenproc.sync.pipe import HIGH_WATER_BYTES, Pipe
from greenproc.web.endpoint import Endpoint
from greenproc.web.exchange import BodyFeed, Exchange, as_piece

ENDPOINT = Endpoint("http", "127.0.0.1", 5050)


def exchange_of(request: Request) -> Exchange:
    promise: Promise[Response] = Promise()
    return Exchange(request, ENDPOINT, promise, streamed=False)


def fed(pipe: Pipe) -> tuple[BodyFeed, list[str]]:
    """Return a feed of *pipe*, and what it tells when nobody wants the body."""
    told: list[str] = []
    return BodyFeed(pipe, lambda: told.append("unwanted")), told


def test_an_exchange_knows_what_to_send_and_whether_it_is_the_last() -> None:
    exchange = exchange_of(Request("GET", URL("/x")))

    assert exchange.data.startswith(b"GET /x HTTP/1.1\r\nConnection: close\r\n")
    assert exchange.is_last
    assert not exchange_of(Request("GET", URL("/x"), keep_alive=True)).is_last


def test_an_exchange_leaves_its_request_as_it_is() -> None:
    request = Request("GET", URL("/x"))

    exchange_of(request)

    assert request == Request("GET", URL("/x"))


def test_closing_the_body_of_an_exchange_tells_who_makes_it() -> None:
    pipe = Pipe()
    ended: list[bool] = []

    def body() -> Iterator[bytes]:
        try:
            yield b""
        finally:
            ended.append(True)

    generator = body()
    next(generator)
    for reader in (pipe.reader, generator, iter([b"nothing to close"]), None):
        exchange_of(Request("POST", URL("/"), reader=reader)).close_body()

    assert pipe.writer.reader_closed.is_ready
    assert ended == [True]


@pytest.mark.parametrize("piece", [b"x", "x", bytearray(b"x"), memoryview(b"x")])
def test_a_piece_may_be(piece: object) -> None:
    assert as_piece(piece) == b"x"


@pytest.mark.parametrize("piece", [None, 1, [b"x"]])
def test_a_piece_must_not_be(piece: object) -> None:
    with pytest.raises(LocalProtocolError, match="expected bytes as a piece"):
        as_piece(piece)


def test_what_is_fed_reaches_the_reader_in_order() -> None:
    pipe = Pipe()
    feed, told = fed(pipe)
    feed.write(b"a")
    feed.write(b"b")
    feed.close()
    assert feed.is_over

    assert pipe.reader.read_all().get() == b"ab"
    assert not told


def test_a_failure_reaches_the_reader_behind_what_was_fed() -> None:
    pipe = Pipe()
    feed, _ = fed(pipe)
    feed.write(b"a")
    feed.fail("cut")

    assert pipe.reader.read().get() == b"a"
    assert pipe.reader.read().failure() == "cut"


def test_what_is_called_back_does_not_run_in_who_feeds() -> None:
    pipe = Pipe()
    feed, _ = fed(pipe)
    greenlets: list[object] = []
    pipe.reader.read().on_ready(lambda _: greenlets.append(gevent.getcurrent()))

    feed.write(b"a")
    gevent.idle()

    assert greenlets
    assert greenlets[0] not in (gevent.getcurrent(), gevent.get_hub())


def test_there_is_room_until_much_is_unread() -> None:
    pipe = Pipe()
    feed, _ = fed(pipe)
    feed.write(b"x" * HIGH_WATER_BYTES)
    assert feed.room().is_ready
    gevent.sleep(0)
    room = feed.room()
    assert room.is_pending

    pipe.reader.read()

    assert room.is_ready


def test_closing_the_reader_tells_that_the_body_is_unwanted_once() -> None:
    pipe = Pipe()
    feed, told = fed(pipe)

    pipe.reader.close()
    feed.write(b"more")
    gevent.idle()

    assert told == ["unwanted"]


def test_losing_the_reader_does_too() -> None:
    pipe = Pipe()
    feed, told = fed(pipe)

    del pipe
    gc.collect()
    gevent.idle()

    assert told == ["unwanted"]
    assert feed.room().is_ready


def test_losing_the_reader_while_a_read_waits_tells_after_that_read() -> None:
    pipe = Pipe()
    feed, told = fed(pipe)
    read = pipe.reader.read()
    del pipe
    gc.collect()
    gevent.idle()
    assert not told

    feed.write(b"a")
    gevent.idle()

    assert read.value == b"a"
    assert told == ["unwanted"]


@pytest.mark.parametrize("lost", [False, True], ids=["closed", "lost"])
def test_a_reader_that_goes_after_the_end_tells_nothing(lost: bool) -> None:
    pipe = Pipe()
    feed, told = fed(pipe)
    feed.write(b"a")
    feed.close()
    gevent.idle()

    if lost:
        del pipe
        gc.collect()
    else:
        pipe.reader.close()
    gevent.idle()

    assert not told
