"""What is accepted and what is refused, and with which status.

The cases are those in which HTTP parsers are known to differ, which is what request smuggling
lives on.
"""

from __future__ import annotations

import pytest

from tests.http.requests import read_error, read_one

POST = b"POST /a/b HTTP/1.1\r\nHost: h\r\n"
GET = b"GET /a/b HTTP/1.1\r\nHost: h\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

REFUSED = {
    # Framing. RFC 9112 section 6.
    "length and chunks": (POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "chunks and length": (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n", 400),
    "two equal lengths": (POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi", 400),
    "two lengths": (POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi", 400),
    "length with a plus": (POST + b"Content-Length: +3\r\n\r\nabc", 400),
    "length with a minus": (POST + b"Content-Length: -3\r\n\r\nabc", 400),
    "length with an underscore": (POST + b"Content-Length: 1_0\r\n\r\n0123456789", 400),
    "list of lengths": (POST + b"Content-Length: 3, 3\r\n\r\nabc", 400),
    "hexadecimal length": (POST + b"Content-Length: 0x3\r\n\r\nabc", 400),
    "empty length": (POST + b"Content-Length:\r\n\r\n", 400),
    "length over 64 bits": (POST + b"Content-Length: 18446744073709551619\r\n\r\nabc", 400),
    "unknown coding": (POST + b"Transfer-Encoding: xchunked\r\n\r\n", 501),
    "other coding": (POST + b"Transfer-Encoding: gzip\r\n\r\n", 501),
    "coding before chunked": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
    "coding after chunked": (POST + b"Transfer-Encoding: chunked, identity\r\n\r\n", 400),
    "chunked twice": (POST + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n", 400),
    "codings on two lines": (
        POST + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n",
        501,
    ),
    "vertical tab after chunked": (POST + b"Transfer-Encoding: chunked\x0b\r\n\r\n", 400),
    "tab after chunked": (POST + b"Transfer-Encoding: chunked\t\r\n\r\n", 400),
    "empty coding": (POST + b"Transfer-Encoding:\r\n\r\n", 400),
    "chunks with HTTP/1.0": (
        b"POST /a/b HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
    ),
    # Chunks. RFC 9112 section 7.1.
    "chunk size with 0x": (CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n", 400),
    "chunk size with a plus": (CHUNKED + b"+3\r\nabc\r\n0\r\n\r\n", 400),
    "chunk size with an underscore": (CHUNKED + b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n", 400),
    "chunk size with a blank": (CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n", 400),
    "blank before the chunk size": (CHUNKED + b" 3\r\nabc\r\n0\r\n\r\n", 400),
    "no chunk size": (CHUNKED + b"\r\nabc\r\n0\r\n\r\n", 400),
    "chunk size of letters": (CHUNKED + b"zz\r\nhello\r\n0\r\n\r\n", 400),
    "chunk size of 17 digits": (CHUNKED + b"00000000000000003\r\nabc\r\n0\r\n\r\n", 400),
    "chunk line ends with LF": (CHUNKED + b"3\nabc\r\n0\r\n\r\n", 400),
    "chunk ends with LF": (CHUNKED + b"3\r\nabc\n0\r\n\r\n", 400),
    "chunk longer than its size": (CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n", 400),
    "bare CR in an extension": (CHUNKED + b"3;a=\rb\r\nabc\r\n0\r\n\r\n", 400),
    "bare LF in an extension": (CHUNKED + b"3;a=\nb\r\nabc\r\n0\r\n\r\n", 400),
    "blank in an extension": (CHUNKED + b"3; a\r\nabc\r\n0\r\n\r\n", 400),
    "empty extension": (CHUNKED + b"3;\r\nabc\r\n0\r\n\r\n", 400),
    "NUL in an extension": (CHUNKED + b"3;a=\x00\r\nabc\r\n0\r\n\r\n", 400),
    "length as a trailer": (CHUNKED + b"3\r\nabc\r\n0\r\nContent-Length: 3\r\n\r\n", 400),
    "coding as a trailer": (CHUNKED + b"3\r\nabc\r\n0\r\ntransfer-encoding: x\r\n\r\n", 400),
    "trailer without a colon": (CHUNKED + b"3\r\nabc\r\n0\r\nnothing\r\n\r\n", 400),
    "trailer ends with LF": (CHUNKED + b"3\r\nabc\r\n0\r\nA: b\n\r\n", 400),
    # Header lines. RFC 9112 section 5.
    "bare LF": (b"GET / HTTP/1.1\nHost: h\n\n", 400),
    "LF after a header": (GET + b"A: b\n\r\n", 400),
    "bare CR in a header": (GET + b"A: b\rc\r\n\r\n", 400),
    "fold": (GET + b"A: b\r\n c\r\n\r\n", 400),
    "fold with a tab": (GET + b"A: b\r\n\tc\r\n\r\n", 400),
    "blank before the colon": (POST + b"Content-Length : 3\r\n\r\nabc", 400),
    "blank before the first header": (b"GET / HTTP/1.1\r\n Host: h\r\n\r\n", 400),
    "no colon": (GET + b"nothing\r\n\r\n", 400),
    "empty name": (GET + b": b\r\n\r\n", 400),
    "NUL in a name": (GET + b"A\x00: b\r\n\r\n", 400),
    "NUL in a value": (GET + b"A: \x00\r\n\r\n", 400),
    "name beyond ASCII": (GET + b"\xe9: b\r\n\r\n", 400),
    "no Host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two Hosts": (GET + b"Host: h\r\n\r\n", 400),
    "two Hosts with HTTP/1.0": (b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    # Request lines. RFC 9112 section 3.
    "HTTP/0.9": (b"GET /\r\n\r\n", 400),
    "HTTP/2.0": (b"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505),
    "HTTP/1.2": (b"GET / HTTP/1.2\r\nHost: h\r\n\r\n", 505),
    "preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "PRI with HTTP/1.1": (b"PRI * HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "version in small letters": (b"GET / http/1.1\r\nHost: h\r\n\r\n", 400),
    "long version": (b"GET / HTTP/1.10\r\nHost: h\r\n\r\n", 400),
    "two blanks before the target": (b"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "two blanks before the version": (b"GET /  HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "blank after the version": (b"GET / HTTP/1.1 \r\nHost: h\r\n\r\n", 400),
    "tab in the request line": (b"GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "blank before the method": (b" GET / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "NUL in the target": (b"GET /\x00 HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "DEL in the target": (b"GET /\x7f HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "tab in the target": (b"GET /a\tb HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "target without a slash": (b"GET echo/hello HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "authority as a target": (b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 501),
    "more than a star": (b"OPTIONS *a HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "method in small letters": (b"get / HTTP/1.1\r\nHost: h\r\n\r\n", 501),
    "unknown method": (b"FOO /echo/hello HTTP/1.1\r\nHost: h\r\n\r\n", 501),
    "method of RTSP": (b"DESCRIBE / HTTP/1.1\r\nHost: h\r\n\r\n", 501),
    "one word": (b"garbage\r\n\r\n", 400),
    "bytes of TLS": (b"\x16\x03\x01\x00\xf8\x01\x00\x00\xf4\x03\x03", 400),
    "LF before the method": (b"\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "CR before the method": (b"\rGET / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
}

ACCEPTED = {
    "no body": (GET + b"\r\n", b""),
    "POST without a length": (POST + b"\r\n", b""),
    "length": (POST + b"Content-Length: 5\r\n\r\nhello", b"hello"),
    "length of zero": (POST + b"Content-Length: 0\r\n\r\n", b""),
    "blanks around the length": (POST + b"Content-Length: \t5 \t\r\n\r\nhello", b"hello"),
    "zeros before the length": (POST + b"Content-Length: 005\r\n\r\nhello", b"hello"),
    "body on GET": (GET + b"Content-Length: 5\r\n\r\nhello", b"hello"),
    "one chunk": (CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
    "chunks": (CHUNKED + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", b"hello"),
    "no chunk": (CHUNKED + b"0\r\n\r\n", b""),
    "chunk size in both cases": (CHUNKED + b"aA\r\n" + b"x" * 170 + b"\r\n0\r\n\r\n", b"x" * 170),
    "zeros before a chunk size": (CHUNKED + b"0005\r\nhello\r\n000\r\n\r\n", b"hello"),
    "chunk that looks like an end": (
        CHUNKED + b"7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n",
        b"\r\n0\r\n\r\n",
    ),
    "extensions": (CHUNKED + b'5;a;b="c \xe9";c=d\r\nhello\r\n0;z\r\n\r\n', b"hello"),
    "trailers": (CHUNKED + b"5\r\nhello\r\n0\r\nA: b\r\nC:\r\n\r\n", b"hello"),
    "chunked in capitals": (POST + b"TRANSFER-ENCODING: Chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", b"a"),
    "blanks around chunked": (POST + b"Transfer-Encoding:  chunked \r\n\r\n0\r\n\r\n", b""),
    "HTTP/1.0": (b"GET / HTTP/1.0\r\n\r\n", b""),
    "blank lines before": (b"\r\n\r\n" + GET + b"\r\n", b""),
    "star": (b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", b""),
    "absolute target": (b"GET http://h:1/a?b HTTP/1.1\r\nHost: h\r\n\r\n", b""),
    "absolute target without a path": (b"GET http://h HTTP/1.1\r\nHost: h\r\n\r\n", b""),
    "bytes beyond ASCII in the target": (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: h\r\n\r\n", b""),
    "bytes beyond ASCII in a value": (GET + b"A: \xe9\r\n\r\n", b""),
    "empty value": (GET + b"A:\r\nB: \r\n\r\n", b""),
    "empty Host": (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", b""),
    "fragment": (b"GET /a?b#c HTTP/1.1\r\nHost: h\r\n\r\n", b""),
}


@pytest.mark.parametrize(("data", "status"), REFUSED.values(), ids=list(REFUSED))
def test_a_request_is_refused_with_its_status(data: bytes, status: int) -> None:
    assert read_error(data) == status


@pytest.mark.parametrize(("data", "body"), ACCEPTED.values(), ids=list(ACCEPTED))
def test_a_request_is_accepted_with_its_body(data: bytes, body: bytes) -> None:
    assert read_one(data)[5] == body
