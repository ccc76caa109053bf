"""What the result of a handler means as a response."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent.event import Event

from greenproc.errors import Failure
from greenproc.future import Future, Promise
from greenproc.http.response import OK, Response
from greenproc.process.results import as_response
from greenproc.sync.pipe import Pipe
from greenproc.testing import await_failed, await_ready
from tests.polls import Polls

LIMIT = 15.0


def test_response_is_itself() -> None:
    response = OK("x")
    assert as_response(response) is response


@pytest.mark.parametrize(
    ("result", "body", "content_type"),
    [
        ("text é", "text é".encode(), "text/plain; charset=utf-8"),
        ({"a": 1}, b'{"a":1}', "application/json"),
        ([1], b"[1]", "application/json"),
    ],
)
def test_plain_values_are_a_200(result: object, body: bytes, content_type: str) -> None:
    response = as_response(result)
    assert (response.status, response.body) == (200, body)
    assert response.headers["Content-Type"] == content_type


def test_bytes_are_a_200() -> None:
    response = as_response(b"\x00")
    assert (response.status, response.body) == (200, b"\x00")


def test_future_is_followed() -> None:
    future = as_response(Future("text"))
    assert future.get().body == b"text"


def test_failure_stays_a_failure() -> None:
    failure = Failure("no")
    assert as_response(failure) is failure


@pytest.mark.parametrize("result", [None, 1, object()])
def test_other_results_are_refused(result: object) -> None:
    with pytest.raises(TypeError, match="expected a handler to return a Response"):
        as_response(result)


def test_the_reader_of_a_pipe_is_a_stream() -> None:
    reader = Pipe().reader
    assert as_response(reader).reader is reader


def test_a_generator_is_a_stream_of_its_pieces() -> None:
    def pieces():
        yield "one é"
        yield b"two"

    response = as_response(pieces())

    assert (response.status, "Content-Type" in response.headers) == (200, False)
    assert list(response.reader) == ["one é".encode(), b"two"]


def test_any_iterator_is_a_stream() -> None:
    assert await_ready(as_response(iter(["a", b"b"])).reader.read_all()) == b"ab"


def test_a_response_may_have_a_generator_as_its_reader() -> None:
    response = Response(201, headers={"X": "y"}, reader=iter(["a"]))

    assert as_response(response) is response
    assert await_ready(response.reader.read_all()) == b"a"


def test_a_future_of_a_generator_is_a_stream() -> None:
    response = await_ready(as_response(Future(iter(["a"]))))
    assert await_ready(response.reader.read_all()) == b"a"


def test_an_error_of_a_generator_fails_the_stream() -> None:
    def pieces():
        yield "one"
        raise ValueError("broken")

    reader = as_response(pieces()).reader

    assert await_ready(reader.read()) == b"one"
    assert isinstance(await_failed(reader.read()), ValueError)


def test_a_piece_that_is_neither_text_nor_bytes_fails_the_stream() -> None:
    await_failed(as_response(iter([1])).reader.read())


def test_a_generator_waits_for_its_reader() -> None:
    made = []

    def pieces():
        for number in range(100):
            made.append(number)
            yield b"x" * 64 * 1024

    reader = as_response(pieces()).reader
    gevent.idle()

    assert len(made) < 10
    assert len(list(reader)) == 100


@pytest.mark.parametrize("is_slow", [False, True])
def test_a_generator_is_closed_when_nobody_reads(is_slow: bool) -> None:
    closed, never = Event(), Event()

    def pieces():
        try:
            while True:
                yield b"x" * 64 * 1024
                if not is_slow:
                    never.wait()
        finally:
            closed.set()

    reader = as_response(pieces()).reader
    await_ready(reader.read())
    gevent.idle()

    reader.close()

    assert closed.wait(LIMIT)


def test_a_reader_that_is_no_iterator_is_refused() -> None:
    with pytest.raises(TypeError, match="expected the reader of a pipe or an iterator"):
        as_response(Response(reader=[b"a"]))


def test_a_handler_that_ignores_a_discard_request_is_heard() -> None:
    source: Promise[Any] = Promise()
    future = as_response(source.future)

    future.discard()
    assert source.future.has_discard
    source.set("late")

    assert await_ready(future).body == b"late"


def test_a_future_that_brings_nothing_is_followed_too() -> None:
    ends = [
        as_response(source) for source in (Future.failed(KeyError("x")), Future("a"), Future(5))
    ]
    assert isinstance(ends[0].exception, KeyError)
    assert await_ready(ends[1]).body == b"a"
    assert isinstance(ends[2].exception, TypeError)

    source: Promise[Any] = Promise()
    discarded = as_response(source.future)
    source.discard()
    assert discarded.is_discarded

    source = Promise()
    abandoned = as_response(source.future)
    source.abandon()
    assert abandoned.is_abandoned


def test_small_pieces_of_a_stream_give_others_their_turn(polls: Polls) -> None:
    seen: list[int] = []

    def pieces() -> Iterator[str]:
        for _ in range(100):
            seen.append(polls.count)
            yield "x"

    response = as_response(pieces())
    assert response.reader.read_all().get(timeout=LIMIT) == b"x" * 100
    # All of them would have had room in the pipe at once.
    assert len(set(seen)) > 90
