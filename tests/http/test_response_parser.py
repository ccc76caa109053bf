"""Responses from bytes."""

from __future__ import annotations

import pytest

from greenproc.errors import RemoteProtocolError
from greenproc.http.content_coding import gzip_compress
from greenproc.http.limits import ParserLimits
from greenproc.http.parser import ResponseParser
from greenproc.http.raw_message import RawResponse, to_response
from greenproc.http.response import ResponseKind
from greenproc.http.response_counter import ResponseCounter
from greenproc.testing import feeds
from tests.http.requests import Sink

ACCEPTED = (
    b"HTTP/1.1 202 Accepted\r\nDate: Tue, 24 Nov 2026 02:22:25 GMT\r\nContent-Length: 0\r\n\r\n"
)
LATER = ACCEPTED.replace(b":25", b":26")
UNKNOWN = (
    b"HTTP/1.1 404 Not Found\r\nDate: Tue, 24 Nov 2026 02:22:17 GMT\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 14\r\n\r\n404 Not Found."
)
REFUSED = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
STREAM = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"4\r\none\n\r\n4\r\ntwo\n\r\n6\r\nthree\n\r\n0\r\n\r\n"
)

Seen = list[tuple[int, bytes]]


def read(data: bytes, methods: tuple[str, ...] = (), *, eof: bool = False) -> tuple[Seen, bool]:
    """Return status and body of the responses, and whether there is an error behind them.

    However the bytes are cut, and with bodies collected and streamed, that must be the same.
    """
    results = []
    for pieces in feeds(data):
        for streamed in (False, True):
            parser = ResponseParser(streams=_stream if streamed else None)
            for method in methods:
                parser.expect(method)
            raws = [raw for piece in pieces for raw in parser.feed(piece)]
            raws += parser.feed_eof() if eof else []
            seen = []
            for raw in raws:
                body = raw.body
                if isinstance(raw.sink, Sink):
                    if raw.sink.ended != "closed":
                        continue
                    body = raw.sink.data
                seen.append((raw.head.status, body))
            results.append((seen, parser.error is not None))
    assert all(result == results[0] for result in results)
    return results[0]


def _stream(raw: RawResponse) -> Sink:
    return Sink()


def test_pipelined_responses_are_all_returned() -> None:
    assert read(ACCEPTED + UNKNOWN + STREAM + LATER) == (
        [(202, b""), (404, b"404 Not Found."), (200, b"one\ntwo\nthree\n"), (202, b"")],
        False,
    )


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    data = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nsome text"
    assert read(data, eof=True) == ([(200, b"some text")], False)
    assert read(data) == ([], False)


def test_a_body_that_ends_too_early_is_an_error() -> None:
    assert read(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", eof=True) == ([], True)
    assert read(STREAM[:-1], eof=True) == ([], True)
    assert read(ACCEPTED[:-1], eof=True) == ([], True)


def test_the_end_after_a_response_is_no_error() -> None:
    assert read(ACCEPTED, eof=True) == ([(202, b"")], False)
    assert read(b"", eof=True) == ([], False)


def test_a_response_to_head_has_no_body_whatever_it_says() -> None:
    head = UNKNOWN[: UNKNOWN.index(b"404 Not Found.")]
    data = head + UNKNOWN + STREAM[: STREAM.index(b"4\r\none")] + ACCEPTED
    assert read(data, ("HEAD", "GET", "HEAD", "GET")) == (
        [(404, b""), (404, b"404 Not Found."), (200, b""), (202, b"")],
        False,
    )


def test_a_head_that_comes_again_is_read_for_the_method_it_answers() -> None:
    head = UNKNOWN[: -len(b"404 Not Found.")]

    assert read(UNKNOWN + head + UNKNOWN + UNKNOWN, ("GET", "HEAD", "GET", "GET")) == (
        [(404, b"404 Not Found."), (404, b""), (404, b"404 Not Found."), (404, b"404 Not Found.")],
        False,
    )


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_some_statuses_never_have_a_body(status: bytes) -> None:
    data = b"HTTP/1.1 " + status + b"\r\nContent-Length: 7\r\n\r\n" + ACCEPTED
    assert read(data) == ([(int(status[:3]), b""), (202, b"")], False)


def test_interim_responses_are_passed_over() -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    assert read(interim + UNKNOWN, ("POST",)) == ([(404, b"404 Not Found.")], False)


@pytest.mark.parametrize("value", [b"close", b"Close", b"foo, CLOSE"])
def test_nothing_is_read_after_the_last_response(value: bytes) -> None:
    data = b"HTTP/1.1 200 OK\r\nConnection: %b\r\nContent-Length: 2\r\n\r\nhi" % value
    parser = ResponseParser()
    assert len(parser.feed(data + b"garbage")) == 1
    assert parser.is_finished and parser.error is None
    assert parser.feed(ACCEPTED) == []


def test_a_connection_of_http_1_0_ends_unless_it_is_kept() -> None:
    data = b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n"
    for line, finished in ((b"", True), (b"Connection: keep-alive\r\n", False)):
        parser = ResponseParser()
        parser.feed(data + line + b"\r\n")
        assert parser.is_finished is finished


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        (b"HTTP/1.1 418", 418, b""),
        (b"HTTP/1.1 429 ", 429, b""),
        (b"HTTP/1.1 200 What \xe9ver", 200, b"What \xe9ver"),
        (b"HTTP/1.1 599 x", 599, b"x"),
    ],
)
def test_a_status_may_have_any_words_or_none(line: bytes, status: int, reason: bytes) -> None:
    (raw,) = ResponseParser().feed(line + b"\r\nContent-Length: 0\r\n\r\n")
    assert (raw.head.status, raw.head.reason) == (status, reason)


def test_blanks_before_a_colon_are_removed() -> None:
    # As the server of SSLTest.HTTPSGet sends it.
    data = b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\nContent-Type\t: a/b\r\n\r\nhi"
    assert read(data) == ([(200, b"hi")], False)
    (raw,) = ResponseParser().feed(data)
    assert dict(raw.head.headers) == {b"Content-Length": b"2", b"Content-Type": b"a/b"}


def test_trailers_are_dropped() -> None:
    data = STREAM[:-2] + b"A: b\r\n\r\n" + ACCEPTED
    assert read(data) == ([(200, b"one\ntwo\nthree\n"), (202, b"")], False)


@pytest.mark.parametrize(
    "data",
    [
        b"garbage\r\n\r\n",
        b"\x16\x03\x01\x00",
        b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 99 x\r\n\r\n",
        b"HTTP/1.1 099 x\r\n\r\n",
        b"HTTP/1.1 600 x\r\n\r\n",
        b"HTTP/1.1 2000 x\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"HTTP/1.1 200 O\x00K\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 200 OK\r\nnothing\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 67108865\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_garbage_becomes_an_error_and_never_an_exception(data: bytes) -> None:
    for pieces in feeds(data):
        parser = ResponseParser()
        assert [raw for piece in pieces for raw in parser.feed(piece)] == []
        assert parser.error is not None
    parser = ResponseParser()
    assert len(parser.feed(ACCEPTED + data)) == 1
    assert parser.error is not None


def test_limits_hold_for_responses_too() -> None:
    limits = ParserLimits(max_header_bytes=100, max_headers=3, max_body_bytes=10)
    for data in (
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * 100,
        b"HTTP/1.1 200 OK\r\nA:\r\nB:\r\nC:\r\nD:\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 11,
    ):
        for pieces in feeds(data):
            parser = ResponseParser(limits)
            assert [raw for piece in pieces for raw in parser.feed(piece)] == []
            assert parser.error is not None


def test_a_body_is_under_way_between_its_head_and_its_end() -> None:
    parser = ResponseParser()
    parser.feed(UNKNOWN[:-3])
    assert not parser.is_idle
    parser.feed(UNKNOWN[-3:])
    assert parser.is_idle


GZIPPED = gzip_compress(b"hello")
PACKED = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(GZIPPED)


def test_a_packed_body_is_unpacked_and_the_headers_say_nothing_of_it() -> None:
    (raw,) = ResponseParser().feed(PACKED + GZIPPED)
    response = to_response(raw)
    assert response.body == b"hello" and response.kind is ResponseKind.BODY
    assert response.headers == {"Content-Length": "5"}


def test_a_packed_stream_is_left_to_its_reader() -> None:
    sink = Sink()
    parser = ResponseParser(streams=lambda raw: sink)
    (raw,) = parser.feed(PACKED + GZIPPED)
    assert (sink.data, sink.ended) == (GZIPPED, "closed")
    response = to_response(raw)
    assert response.body == b"" and response.headers == {}


@pytest.mark.parametrize(
    ("method", "head"),
    [
        ("HEAD", PACKED),
        ("GET", PACKED.replace(b"200 OK", b"204 No Content")),
        ("GET", PACKED.replace(b"200 OK", b"304 Not Modified")),
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n"),
    ],
    ids=["HEAD", "204", "304", "no length"],
)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_what_has_no_body_is_not_unpacked_and_keeps_its_headers(
    method: str, head: bytes, streamed: bool
) -> None:
    sink = Sink()
    parser = ResponseParser(streams=lambda raw: sink if streamed else None)
    parser.expect(method)
    (raw,) = parser.feed(head)
    assert sink.ended == ("closed" if streamed else None)
    response = to_response(raw)
    assert response.body == b"" and response.headers["Content-Encoding"] == "gzip"
    assert response.headers["Content-Length"] == (
        "0" if b"Length: 0" in head else str(len(GZIPPED))
    )


def test_nothing_at_all_needs_no_unpacking() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    (raw,) = ResponseParser().feed(head + b"0\r\n\r\n")
    assert to_response(raw).body == b""


def test_a_packed_body_that_is_none_is_refused() -> None:
    (raw,) = ResponseParser().feed(PACKED + b"x" * len(GZIPPED))
    with pytest.raises(RemoteProtocolError, match="failed to decode body"):
        to_response(raw)


# Counting


@pytest.mark.parametrize(
    ("data", "complete", "refused"),
    [
        (b"", 0, 0),
        (ACCEPTED * 5, 5, 0),
        (ACCEPTED * 2 + LATER * 2 + ACCEPTED, 5, 0),
        (ACCEPTED + UNKNOWN + ACCEPTED * 2 + UNKNOWN, 5, 2),
        (UNKNOWN * 3, 3, 3),
        (REFUSED * 2 + ACCEPTED * 2 + REFUSED, 5, 3),
        (STREAM + ACCEPTED, 2, 0),
        (ACCEPTED * 2 + ACCEPTED[:-1], 2, 0),
    ],
)
def test_responses_are_counted_however_they_come(data: bytes, complete: int, refused: int) -> None:
    for pieces in feeds(data):
        counter = ResponseCounter()
        assert sum(counter.feed(piece) for piece in pieces) == complete
        assert (counter.complete, counter.refused) == (complete, refused)
        assert counter.error is None


def test_counting_many_equal_responses_parses_one() -> None:
    parsed: list[bytes] = []

    class Watched(ResponseParser):
        def feed(self, data: bytes) -> list[RawResponse]:
            parsed.append(data)
            return super().feed(data)

    counter = ResponseCounter()
    counter._parser = Watched()
    assert counter.feed(ACCEPTED * 1000) == 1000
    assert parsed == [ACCEPTED]


def test_nothing_is_counted_after_garbage() -> None:
    for pieces in feeds(ACCEPTED * 2 + b"garbage\r\n\r\n" + ACCEPTED):
        counter = ResponseCounter()
        for piece in pieces:
            counter.feed(piece)
        assert counter.complete == 2 and counter.error is not None
    assert counter.feed(ACCEPTED) == 0


def test_nothing_is_counted_after_the_last_response() -> None:
    last = ACCEPTED.replace(b"Content", b"Connection: close\r\nContent")
    counter = ResponseCounter()
    counter.feed(ACCEPTED + last + ACCEPTED)
    assert counter.complete == 2 and counter.is_finished
    assert counter.feed(last) == 0


def test_responses_with_equal_heads_have_headers_of_their_own() -> None:
    parser = ResponseParser()
    first, second = (to_response(raw) for raw in parser.feed(ACCEPTED + ACCEPTED))

    first.headers["Date"] = "never"
    del first.headers["Content-Length"]

    assert second.headers["Date"] == "Tue, 24 Nov 2026 02:22:25 GMT"
    (third,) = parser.feed(ACCEPTED)
    assert to_response(third).headers == second.headers


@pytest.mark.parametrize("parted", [False, True])
@pytest.mark.parametrize(("size", "error"), [(3, None), (4, "body of 4 bytes")])
def test_the_limit_holds_for_a_body_that_comes_with_its_head_and_for_one_that_does_not(
    size: int, error: str | None, parted: bool
) -> None:
    parser = ResponseParser(ParserLimits(max_body_bytes=3))
    head, body = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size, b"x" * size

    pieces = [head, body] if parted else [head + body]
    responses = [raw for piece in pieces for raw in parser.feed(piece)]

    assert (None if parser.error is None else str(parser.error)) == error
    assert [raw.body for raw in responses] == ([] if error else [body])
