"""Requests on their way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from greenproc.errors import LocalProtocolError
from greenproc.future import Promise
from greenproc.http.request import Request
from greenproc.http.response import Response
from greenproc.http.url import URL
from greenproc.sync.pipe import Pipe
from greenproc.web.exchange import Exchange, as_piece
from greenproc.web.origin import Origin

ORIGIN = Origin("http", "127.0.0.1", 5050)


def exchange_of(request: Request) -> Exchange:
    promise: Promise[Response] = Promise()
    return Exchange(request, ORIGIN, promise, streamed=False)


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
