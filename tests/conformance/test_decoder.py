"""libprocess' decoder_tests.cpp."""

from __future__ import annotations

import pytest

from greenproc.errors import RemoteProtocolError
from greenproc.http.body import BodySink
from greenproc.http.parser import RequestParser, ResponseParser
from greenproc.http.raw_message import RawRequest, RawResponse, to_request, to_response
from greenproc.http.request import Request
from greenproc.http.response import Response, ResponseKind
from greenproc.http.status import status_line_text


class Pipe:
    """Takes a streamed body."""

    def __init__(self) -> None:
        self.data = b""
        self.closed = False
        self.failure: str | None = None

    def write(self, data: bytes) -> None:
        self.data += data

    def close(self) -> None:
        self.closed = True

    def fail(self, message: str) -> None:
        self.failure = message


@pytest.fixture(params=["whole", "streamed"])
def parser(request: pytest.FixtureRequest) -> RequestParser:
    """Both ways of reading a body, as the original runs with both of its decoders."""

    def stream(raw: RawRequest) -> BodySink:
        return Pipe()

    return RequestParser(streams=stream if request.param == "streamed" else None)


def decode(parser: RequestParser, data: bytes) -> Request:
    (raw,) = parser.feed(data)
    assert parser.error is None
    return to_request(raw)


def test_request(parser: RequestParser) -> None:
    """RequestDecoderTest.Request."""
    request = decode(
        parser,
        b"GET /path/file.json?key1=value1&key2=value2#fragment HTTP/1.1\r\n"
        b"Host: localhost\r\n"
        b"Connection: close\r\n"
        b"Accept-Encoding: compress, gzip\r\n"
        b"\r\n",
    )

    assert request.method == "GET"
    assert request.url.path == "/path/file.json"
    assert request.url.fragment == "fragment"
    assert request.url.query == {"key1": "value1", "key2": "value2"}
    assert request.body == b""
    assert not request.keep_alive
    assert len(request.headers) == 3
    assert request.headers["Host"] == "localhost"
    assert request.headers["Connection"] == "close"
    assert request.headers["Accept-Encoding"] == "compress, gzip"


def test_header_continuation(parser: RequestParser) -> None:
    """RequestDecoderTest.HeaderContinuation."""
    request = decode(
        parser,
        b"GET /path/file.json HTTP/1.1\r\n"
        b"Host: localhost\r\n"
        b"Connection: close\r\n"
        b"Accept-Encoding: compress,                 gzip\r\n"
        b"\r\n",
    )

    assert request.headers["Accept-Encoding"] == "compress,                 gzip"


def test_header_case_insensitive(parser: RequestParser) -> None:
    """RequestDecoderTest.HeaderCaseInsensitive."""
    request = decode(
        parser,
        b"GET /path/file.json HTTP/1.1\r\n"
        b"Host: localhost\r\n"
        b"cOnnECtioN: close\r\n"
        b"accept-ENCODING: compress, gzip\r\n"
        b"\r\n",
    )

    assert not request.keep_alive
    assert request.headers["Accept-Encoding"] == "compress, gzip"


def test_invalid_query_args(parser: RequestParser) -> None:
    """RequestDecoderTest.InvalidQueryArgs.

    Here the connection survives: the request alone is answered with 400.
    """
    (raw,) = parser.feed(
        b"GET /path/file.json?%x=%y&key2=value2#fragment HTTP/1.1\r\nHost: localhost\r\n\r\n"
    )

    with pytest.raises(RemoteProtocolError, match="Malformed % escape in '%x'") as caught:
        to_request(raw)
    assert caught.value.status == 400


def test_response() -> None:
    """DecoderTest.Response."""
    parser = ResponseParser()
    (raw,) = parser.feed(
        b"HTTP/1.1 200 OK\r\n"
        b"Date: Fri, 31 Dec 1999 23:59:59 GMT\r\n"
        b"Content-Type: text/plain\r\n"
        b"Content-Length: 2\r\n"
        b"\r\n"
        b"hi"
    )
    response = to_response(raw)

    assert parser.error is None
    assert status_line_text(response.status) == "200 OK"
    assert response.kind is ResponseKind.BODY
    assert response.body == b"hi"
    assert len(response.headers) == 3


def test_response_with_unspecified_length() -> None:
    """DecoderTest.ResponseWithUnspecifiedLength."""
    parser = ResponseParser()
    responses = parser.feed(
        b"HTTP/1.1 200 OK\r\n"
        b"Date: Fri, 31 Dec 1999 23:59:59 GMT\r\n"
        b"Content-Type: text/plain\r\n"
        b"\r\n"
        b"hi"
    )
    assert parser.error is None
    assert responses == []

    (raw,) = parser.feed_eof()
    response: Response = to_response(raw)

    assert parser.error is None
    assert status_line_text(response.status) == "200 OK"
    assert response.kind is ResponseKind.BODY
    assert response.body == b"hi"
    assert len(response.headers) == 2


def test_streaming_response() -> None:
    """DecoderTest.StreamingResponse."""
    pipe = Pipe()
    parser = ResponseParser(streams=lambda raw: pipe)
    head = (
        b"HTTP/1.1 200 OK\r\n"
        b"Date: Fri, 31 Dec 1999 23:59:59 GMT\r\n"
        b"Content-Type: text/plain\r\n"
        b"Content-Length: 2\r\n"
        b"\r\n"
    )
    (raw,) = parser.feed(head)

    assert parser.error is None
    assert not parser.is_idle
    response = to_response(raw)
    assert status_line_text(response.status) == "200 OK"
    assert len(response.headers) == 3
    assert pipe.data == b""

    parser.feed(b"hi")
    assert parser.error is None
    assert pipe.data == b"hi"

    parser.feed_eof()
    assert parser.error is None
    assert parser.is_idle
    assert pipe.closed


def test_streaming_response_failure() -> None:
    """DecoderTest.StreamingResponseFailure."""
    pipe = Pipe()
    parser = ResponseParser(streams=lambda raw: pipe)
    (raw,) = parser.feed(
        b"HTTP/1.1 200 OK\r\n"
        b"Date: Fri, 31 Dec 1999 23:59:59 GMT\r\n"
        b"Content-Type: text/plain\r\n"
        b"Content-Length: 5\r\n"
        b"\r\n"
    )
    assert raw.head.status == 200

    parser.feed(b"12")
    assert pipe.data == b"12" and pipe.failure is None

    parser.feed_eof()
    assert parser.error is not None
    assert parser.is_idle
    assert pipe.failure == "failed to decode body"


def test_streaming_response_invalid_header() -> None:
    """DecoderTest.StreamingResponseInvalidHeader."""
    asked: list[RawResponse] = []

    def stream(raw: RawResponse) -> BodySink | None:
        asked.append(raw)
        return None

    parser = ResponseParser(streams=stream)
    responses = parser.feed(
        b"HTTP/1.1 999 OK\r\n"
        b"Date: Fri, 31 Dec 1999 23:59:59 GMT\r\n"
        b"Content-Type: text/plain\r\n"
        b"Content-Length: 2\r\n"
        b"\r\n"
    )

    assert responses == [] and asked == []
    assert parser.error is not None
