"""The state machine of the parsers: each cell of the table in their documentation is walked."""

from __future__ import annotations

import pytest

from greenproc.http import parser as module
from greenproc.http.parser import RequestParser, ResponseParser
from tests.state_table import cells_of, read_table

TABLE = read_table(module)

Parser = RequestParser | ResponseParser

LINE = {RequestParser: b"POST / HTTP/1.1\r\nHost: a\r\n", ResponseParser: b"HTTP/1.1 200 OK\r\n"}
EMPTY = b"Content-Length: 0\r\n\r\n"
LONG = b"Content-Length: 4\r\n\r\n"
CLOSE = b"Connection: close\r\n"
PARSERS = [RequestParser, ResponseParser]


def state_of(parser: Parser) -> str:
    if parser.error is not None:
        return "FAILED"
    if parser.is_finished:
        return "FINISHED"
    if parser._body is not None:
        return "BODY"
    return "IDLE" if parser.is_idle else "HEAD"


def bytes_to(state: str, kind: type[Parser], *, closing: bool = False) -> bytes:
    """Return the bytes that bring a parser into *state*, with a message that closes or does not."""
    line = LINE[kind] + (CLOSE if closing else b"")
    return {
        "IDLE": b"",
        "HEAD": line,
        "BODY": line + LONG + b"ab",
        "FINISHED": line + CLOSE + EMPTY,
        "FAILED": b"malformed\r\n",
    }[state]


def bytes_of(event: str, state: str, kind: type[Parser]) -> bytes:
    """Return the bytes of *event* where a parser is in *state*."""
    line = b"" if state == "HEAD" else LINE[kind]
    return {
        "part of head": line + b"A: b\r\n",
        "head without body": line + EMPTY,
        "head with body": line + LONG,
        "part of body": b"c",
        "end": b"cd",
        "last end": b"cd" if state == "BODY" else line + CLOSE + EMPTY,
        "malformed": b"malformed\r\nx y\r\n\r\n",
    }[event]


def feed(parser: Parser, event: str, state: str) -> None:
    if event == "eof":
        parser.feed_eof()
    else:
        parser.feed(bytes_of(event, state, type(parser)))


def is_possible(state: str, event: str) -> bool:
    """Whether the bytes of *event* can be told from others in *state*."""
    if state == "BODY":
        return event in ("part of body", "end", "last end", "eof")
    if state in ("IDLE", "HEAD"):
        return event not in ("part of body", "end")
    return True


def test_the_table_has_a_row_for_each_state() -> None:
    assert list(TABLE) == ["IDLE", "HEAD", "BODY", "FINISHED", "FAILED"]


@pytest.mark.parametrize("kind", PARSERS)
@pytest.mark.parametrize(
    ("state", "event"), [cell for cell in cells_of(TABLE) if is_possible(*cell)]
)
def test_a_parser_moves_as_the_table_says(kind: type[Parser], state: str, event: str) -> None:
    parser = kind()
    parser.feed(bytes_to(state, kind, closing=event == "last end"))
    assert state_of(parser) == state
    after = TABLE[state][event]

    feed(parser, event, state)

    assert state_of(parser) == (state if after == "-" else after)


@pytest.mark.parametrize("kind", PARSERS)
@pytest.mark.parametrize("event", ["malformed", "eof"])
def test_a_malformed_or_truncated_body_fails_the_parser(kind: type[Parser], event: str) -> None:
    parser = kind()
    parser.feed(LINE[kind] + b"Transfer-Encoding: chunked\r\n\r\n1\r\n")
    assert state_of(parser) == "BODY"

    feed(parser, event, "BODY")

    assert state_of(parser) == TABLE["BODY"][event] == "FAILED"


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    parser = ResponseParser()
    parser.feed(LINE[ResponseParser] + b"\r\n")
    assert state_of(parser) == "BODY"

    parser.feed_eof()

    assert state_of(parser) == "FINISHED"
