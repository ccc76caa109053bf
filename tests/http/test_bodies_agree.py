"""One body, four readers: our two parsers and the two of llhttp find the same bytes in it.

Where two readers of the same bytes disagree about an end, one request becomes two to one of them.
"""

from __future__ import annotations

from typing import Any

import httptools
from hypothesis import event, given
from hypothesis import strategies as st

from greenproc.http.parser import ResponseParser
from tests.generated import inputs
from tests.http.requests import read_once

REQUEST = b"POST /a HTTP/1.1\r\nHost: h\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\n"
BEHIND = b"X-Behind: 1\r\nContent-Length: 6\r\n\r\nbehind"

GOOD = [b"Content-Length: %d", b"Transfer-Encoding: chunked"]
LINES = [
    b"content-length:\t%d \t",
    b"Content-Length: 00%d",
    b"Content-Length: +%d",
    b"Content-Length: %d, %d",
    b"Content-Length : %d",
    *GOOD,
    b"TRANSFER-ENCODING:chunked ",
    b"Transfer-Encoding: x, chunked",
    b"Transfer-Encoding: chunked\t",
    b"Transfer-Encoding: identity",
    b"X: y\n Z",
    b"X: y",
]
EXTENSIONS = [*[b""] * 12, b";a", b';a="b;c\r"', b";a=b;c", b" ", b";", b"\t;a"]
TRAILERS = [*[b""] * 4, b"A: b\r\n", b"A:\r\nB: c\r\n", b"Content-Length: 1\r\n", b"A: b\n"]
SIZES = [*[b"%x"] * 12, b"%X", b"0%x", b"0x%x", b"+%x", b" %x"]


@st.composite
def framings(draw: st.DrawFn) -> bytes:
    """Draw header lines and a body that goes with them, or nearly so."""
    lines = [draw(st.sampled_from(GOOD))] if draw(st.integers(0, 2)) else []
    lines += draw(st.lists(st.sampled_from(LINES), max_size=1))
    if any(b"chunked" in line for line in lines):
        body = b""
        for chunk in draw(st.lists(st.binary(min_size=1, max_size=20), max_size=3)):
            size = draw(st.sampled_from(SIZES)) % len(chunk)
            body += b"%b%b\r\n%b\r\n" % (size, draw(st.sampled_from(EXTENSIONS)), chunk)
        body += b"0%b\r\n%b\r\n" % (
            draw(st.sampled_from(EXTENSIONS)),
            draw(st.sampled_from(TRAILERS)),
        )
    else:
        body = draw(st.binary(min_size=1, max_size=20))
    head = b"".join(line.replace(b"%d", b"%d" % len(body)) + b"\r\n" for line in lines)
    return head + b"\r\n" + body


class Bodies:
    """The bodies that a parser of llhttp finds, those of complete messages only."""

    def __init__(self, kind: type[Any], data: bytes) -> None:
        self.found: list[bytes] = []
        self._body = b""
        try:
            kind(self).feed_data(data)
        except httptools.HttpParserError:
            pass

    def on_message_begin(self) -> None:
        self._body = b""

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self.found.append(self._body)


@inputs(2000)
@given(framings())
def test_a_body_that_we_accept_everybody_finds(framing: bytes) -> None:
    asked = REQUEST + framing + REQUEST + BEHIND
    answered = RESPONSE + framing + RESPONSE + BEHIND
    requests, parser = read_once([asked])
    bodies = [request.body for request in requests]
    if parser.error is not None or len(bodies) != 2:
        return
    event("accepted")

    assert bodies[1] == b"behind"
    assert Bodies(httptools.HttpRequestParser, asked).found == bodies
    head = framing.partition(b"\r\n\r\n")[0].lower()
    if b"content-length" not in head and b"transfer-encoding" not in head:
        return  # blank lines between requests; a response without a length ends with all bytes
    assert Bodies(httptools.HttpResponseParser, answered).found == bodies
    reader = ResponseParser()
    assert [response.body for response in reader.feed(answered)] == bodies
    assert reader.error is None
