"""Requests from bytes: what is in them, limits, streams, and what comes after the last one."""

from __future__ import annotations

import gzip

import pytest

from greenproc.address import Address
from greenproc.errors import RemoteProtocolError
from greenproc.http.body import BodySink
from greenproc.http.head_cache import HeadCache
from greenproc.http.limits import ParserLimits
from greenproc.http.parser import RequestParser
from greenproc.http.raw_message import RawRequest, to_request
from greenproc.testing import feeds
from tests.http.requests import SPARE, Sink, read, read_error, read_once, read_one, seen

HELLO = b"GET /echo/hello HTTP/1.1\r\nHost: 127.0.0.1:36069\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: h\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


def parse(data: bytes) -> RawRequest:
    (request,), parser = read_once([data])
    assert parser.error is None and parser.is_idle
    return request


def test_a_request_says_what_was_sent() -> None:
    assert read_one(
        b"PUT /a/b?c=d HTTP/1.1\r\nHost: h\r\nX-A:  1 \r\nx-a: 2\r\nContent-Length: 2\r\n\r\nhi"
    ) == (
        b"PUT",
        b"/a/b?c=d",
        (1, 1),
        True,
        ((b"Host", b"h"), (b"X-A", b"1"), (b"x-a", b"2"), (b"Content-Length", b"2")),
        b"hi",
    )


def test_a_header_is_empty_when_there_is_none() -> None:
    assert read_one(b"GET / HTTP/1.0\r\n\r\n")[4] == ()


@pytest.mark.parametrize(
    ("lines", "keep_alive"),
    [
        (b"HTTP/1.1\r\nHost: h", True),
        (b"HTTP/1.1\r\nHost: h\r\nConnection: close", False),
        (b"HTTP/1.1\r\nHost: h\r\nConnection: ClOsE", False),
        (b"HTTP/1.1\r\nHost: h\r\nConnection: foo ,\tclose", False),
        (b"HTTP/1.1\r\nHost: h\r\nConnection: foo\r\nConnection: close", False),
        (b"HTTP/1.1\r\nHost: h\r\nProxy-Connection: close", False),
        (b"HTTP/1.1\r\nHost: h\r\nConnection: enclosed", True),
        (b"HTTP/1.1\r\nHost: h\r\nConnection: Keep-Alive", True),
        (b"HTTP/1.0", False),
        (b"HTTP/1.0\r\nConnection: Keep-Alive", True),
        (b"HTTP/1.0\r\nConnection: keep-alive, close", False),
    ],
)
def test_the_version_and_the_connection_header_say_whether_it_is_the_last(
    lines: bytes, keep_alive: bool
) -> None:
    assert read_one(b"GET / " + lines + b"\r\n\r\n")[3] is keep_alive


def test_pipelined_requests_are_all_returned() -> None:
    data = HELLO + POST + b"Content-Length: 2\r\n\r\nhi" + SPARE + SPARE + HELLO
    requests, status = read(data)
    assert [request[5] for request in requests] == [b"", b"hi", b"hello", b"hello", b""]
    assert status is None


def test_messages_with_the_same_head_keep_their_own_bodies() -> None:
    head = SPARE[: SPARE.index(b"5\r\nhello")]
    bodies = [b"1", b"2", b"34", b"5\r\n0\r\n\r\n", b"6", b"7"]
    data = b"".join(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) for body in bodies)
    requests, status = read(data)
    assert [request[5] for request in requests] == bodies
    assert status is None


def test_requests_before_garbage_are_returned() -> None:
    requests, status = read(HELLO + SPARE + b"garbage\r\n\r\n")
    assert [request[1] for request in requests] == [b"/echo/hello", b"/rcv/ping"]
    assert status == 400


def test_nothing_is_read_after_an_error() -> None:
    _, parser = read_once([b"garbage\r\n\r\n"])
    error = parser.error
    assert parser.feed(SPARE) == []
    assert parser.error is error and parser.is_idle


def test_nothing_is_read_after_the_last_request() -> None:
    last = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    requests, parser = read_once([last + SPARE, b"garbage"])
    assert len(requests) == 1 and parser.error is None
    assert parser.is_finished and parser.is_idle


def test_a_wish_for_another_version_is_ignored_and_the_body_is_read() -> None:
    """RFC 9110 section 7.8: a server may ignore it; curl --http2 and Java's client send it."""
    h2c = (
        b"POST /a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nContent-Length: 5\r\n\r\nhello"
    )
    chunked = h2c.replace(b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n")
    requests, status = read(h2c + chunked + b"5\r\nhello\r\n0\r\n\r\n" + SPARE)
    assert [request[5] for request in requests] == [b"hello", b"hello", b"hello"]
    assert status is None


@pytest.mark.parametrize(
    ("lines", "upgrades"),
    [
        (b"Connection: Upgrade\r\nUpgrade: websocket\r\n", True),
        (b"connection: keep-alive, upgrade\r\nUPGRADE: h2c, WebSocket\r\n", True),
        (b"Connection: keep-alive\r\nConnection: upgrade\r\nUpgrade: websocket\r\n", True),
        (b"Connection: keep-alive\r\nUpgrade: websocket\r\n", False),
        (b"Connection: Upgrade\r\n", False),
        (b"Connection: Upgrade\r\nUpgrade: TLS/1.0, foo/2\r\n", False),
    ],
)
def test_what_follows_the_handshake_of_a_websocket_is_not_read(
    lines: bytes, *, upgrades: bool
) -> None:
    asked = b"GET /b HTTP/1.1\r\nHost: h\r\n" + lines + b"\r\n"
    parser = RequestParser()
    requests = parser.feed(asked + SPARE)
    assert parser.error is None
    assert [one.head.upgrades for one in requests] == ([True] if upgrades else [False, False])
    assert (parser.is_finished, parser.is_upgrading) == (upgrades, upgrades)
    assert parser.trailing_data == (SPARE if upgrades else b"")


def test_a_parser_is_idle_between_requests_only() -> None:
    _, parser = read_once([])
    for at in range(len(SPARE)):
        assert parser.is_idle == (at == 0)
        parser.feed(SPARE[at : at + 1])
    assert parser.is_idle


def test_the_end_of_the_connection_between_requests_is_no_error() -> None:
    _, parser = read_once([SPARE])
    parser.feed_eof()
    assert parser.error is None and parser.is_finished


@pytest.mark.parametrize("size", [1, 30, len(SPARE) - 1])
def test_the_end_of_the_connection_within_a_request_is_an_error(size: int) -> None:
    _, parser = read_once([SPARE[:size]])
    parser.feed_eof()
    assert parser.error is not None and parser.error.status == 400


# Limits


def headers(size: int, line: bytes = b"") -> bytes:
    """Return a head of *size* bytes."""
    begin = b"GET /echo/hello HTTP/1.1\r\nHost: h\r\n" + line + b"X: "
    return begin + b"y" * (size - len(begin) - 4) + b"\r\n\r\n"


def test_a_head_of_80_kib_is_read() -> None:
    requests, parser = read_once([headers(80 * 1024)])
    assert len(requests) == 1 and parser.error is None


def test_a_longer_head_is_refused() -> None:
    requests, parser = read_once([headers(80 * 1024 + 1)])
    assert requests == [] and parser.error is not None and parser.error.status == 431


LIMITS = ParserLimits(max_header_bytes=200, max_headers=5, max_body_bytes=10)


def test_a_head_at_the_limit_is_read_however_it_comes() -> None:
    assert read_one(headers(200), limits=LIMITS)[1] == b"/echo/hello"


def test_a_head_over_the_limit_is_refused_however_it_comes() -> None:
    assert read_error(headers(201), limits=LIMITS) == 431


def test_a_head_without_an_end_is_refused_at_the_limit() -> None:
    parser = RequestParser(LIMITS)
    for byte in headers(300)[:200]:
        assert parser.feed(bytes([byte])) == [] and parser.error is None
    parser.feed(b"y")
    assert parser.error is not None and parser.error.status == 431


def test_a_target_over_the_limit_is_told_from_a_long_header() -> None:
    assert (
        read_error(b"GET /" + b"a" * 300 + b" HTTP/1.1\r\nHost: h\r\n\r\n", limits=LIMITS) == 414
    )


def test_a_target_of_70_000_bytes_is_read_in_full() -> None:
    target = b"/" + b"a" * 70_000
    assert parse(b"GET " + target + b" HTTP/1.1\r\nHost: h\r\n\r\n").target == target


def test_as_many_header_lines_as_the_limit_allows_are_read() -> None:
    lines = b"".join(b"A: %d\r\n" % number for number in range(4))
    assert len(read_one(POST + lines + b"\r\n", limits=LIMITS)[4]) == 5


def test_more_header_lines_are_refused() -> None:
    lines = b"".join(b"A: %d\r\n" % number for number in range(5))
    assert read_error(POST + lines + b"\r\n", limits=LIMITS) == 431


FRAMED = {
    "length": lambda body: POST + b"Content-Length: %d\r\n\r\n%b" % (len(body), body),
    "chunk": lambda body: CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body),
    "chunks": lambda body: (
        CHUNKED + b"1\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (body[:1], len(body) - 1, body[1:])
    ),
}


@pytest.mark.parametrize("frame", FRAMED.values(), ids=list(FRAMED))
def test_a_body_at_the_limit_is_read(frame) -> None:
    requests, parser = read_once([frame(b"0123456789")], limits=LIMITS)
    assert requests[0].body == b"0123456789" and parser.error is None


@pytest.mark.parametrize("frame", FRAMED.values(), ids=list(FRAMED))
def test_a_body_over_the_limit_is_refused(frame) -> None:
    for pieces in feeds(frame(b"0123456789a")):
        requests, parser = read_once(pieces, limits=LIMITS)
        assert requests == [] and parser.error is not None and parser.error.status == 413


@pytest.mark.parametrize("frame", FRAMED.values(), ids=list(FRAMED))
def test_a_streamed_body_has_no_limit(frame) -> None:
    for pieces in feeds(frame(b"0123456789a")):
        requests, parser = read_once(pieces, limits=LIMITS, streamed=True)
        sink = requests[0].sink
        assert isinstance(sink, Sink) and parser.error is None
        assert (sink.data, sink.ended) == (b"0123456789a", "closed")


def test_a_length_over_the_limit_is_refused_before_the_body_comes() -> None:
    _, parser = read_once([POST + b"Content-Length: 67108865\r\n\r\n"])
    assert parser.error is not None and parser.error.status == 413


@pytest.mark.parametrize(
    "tail",
    [
        b"1;" + b"x" * 5000,
        b"1;" + b"x" * 5000 + b"\r\na\r\n0\r\n\r\n",
        (b"1;" + b"x" * 4000 + b"\r\na\r\n") * 21,
        b"0\r\nA: " + b"x" * 82000,
        b"0\r\n" + b"A: bcdefg\r\n" * 9000,
    ],
    ids=["endless extension", "long extension", "extensions", "long trailer", "trailers"],
)
def test_what_stands_beside_the_chunks_is_bounded(tail: bytes) -> None:
    data = CHUNKED + tail
    for size in (len(data), 1000, 7):
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        requests, parser = read_once(pieces)
        assert requests == [] and parser.error is not None and parser.error.status == 431


def test_memory_stays_small_while_nothing_useful_comes() -> None:
    parser = RequestParser()
    for _ in range(1000):
        parser.feed(b"\r\n" * 1000)
    assert parser.is_idle


# Expect


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", True),
        (POST + b"expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n\r\n", True),
        (POST + b"Content-Length: 5\r\n\r\n", False),
        (POST + b"Expect: something\r\nContent-Length: 5\r\n\r\n", False),
        (POST + b"Expect: 100-continue\r\n\r\n", False),
        (b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", False),
    ],
)
def test_a_peer_may_wait_for_100_continue(head: bytes, expected: bool) -> None:
    for pieces in feeds(head):
        _, parser = read_once(pieces)
        assert parser.expects_continue is expected


def test_a_peer_does_not_wait_when_its_body_has_begun() -> None:
    head = POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    _, parser = read_once([head + b"h"])
    assert not parser.expects_continue
    _, parser = read_once([head, b"h"])
    assert not parser.expects_continue
    assert parser.feed(b"ello")[0].body == b"hello"


# Streams


def test_a_streamed_request_is_returned_before_its_body() -> None:
    sink = Sink()
    parser = RequestParser(streams=lambda request: sink)
    (request,) = parser.feed(POST + b"Content-Length: 5\r\n\r\nhe")
    assert request.sink is sink and (sink.data, sink.ended) == (b"he", None)
    assert not parser.is_idle
    assert parser.feed(b"ll") == []
    assert (sink.data, sink.ended) == (b"hell", None)
    (after,) = parser.feed(b"o" + HELLO)
    assert (sink.data, sink.ended) == (b"hello", "closed")
    assert after.target == b"/echo/hello"


def test_a_body_that_came_with_its_request_is_given_whole() -> None:
    asked: list[RawRequest] = []
    parser = RequestParser(streams=asked.append)
    (request,) = parser.feed(POST + b"Content-Length: 5\r\n\r\nhello")
    assert request.body == b"hello" and request.sink is None and not asked


def test_who_declines_to_stream_gets_the_body_whole() -> None:
    asked: list[RawRequest] = []
    parser = RequestParser(streams=asked.append)
    assert parser.feed(POST + b"Content-Length: 5\r\n\r\nhe") == []
    (request,) = parser.feed(b"llo")
    assert request.body == b"hello" and asked == [request]


@pytest.mark.parametrize("rest", [b"\r\nzz", b"\r\n0\r\nbad\r\n"])
def test_a_malformed_rest_fails_the_stream(rest: bytes) -> None:
    sink = Sink()
    parser = RequestParser(streams=lambda request: sink)
    parser.feed(CHUNKED + b"5\r\nhello")
    parser.feed(rest)
    assert (sink.data, sink.ended) == (b"hello", "failed to decode body")
    assert parser.error is not None


def test_the_end_of_the_connection_fails_the_stream() -> None:
    sink = Sink()
    parser = RequestParser(streams=lambda request: sink)
    parser.feed(CHUNKED + b"5\r\nhello\r\n")
    parser.feed_eof()
    assert (sink.data, sink.ended) == (b"hello", "failed to decode body")


# b-post-echo-gzip.request
PACKED = bytes.fromhex("1f8b0800e7f4046b02ffabca2c28484d01005768c2e206000000")
GZIP = (
    b"POST /echo/echo-body HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: 26\r\n"
    b"Host: 127.0.0.1:36069\r\n\r\n"
)


def test_a_packed_stream_is_handed_on_as_it_came_also_if_it_came_at_once() -> None:
    chunked = GZIP.replace(b"Content-Length: 26", b"Transfer-Encoding: chunked")
    chunked += b"1a\r\n" + PACKED + b"\r\n0\r\n\r\n"
    for pieces in [*feeds(GZIP + PACKED), [GZIP + PACKED] * 2, [chunked] * 3, [chunked * 3]]:
        requests, parser = read_once(pieces, streamed=True)
        for request in requests:
            assert isinstance(request.sink, Sink)
            assert (request.sink.data, request.sink.ended) == (PACKED, "closed")
        assert requests and parser.error is None and parser.is_idle


# The cache of heads


def test_requests_with_the_same_head_share_it() -> None:
    requests, _ = read_once([SPARE * 3])
    assert requests[0].head is requests[1].head is requests[2].head


def test_parsers_share_the_heads_of_a_common_cache() -> None:
    heads = HeadCache()
    (first,), _ = read_once([SPARE], heads=heads)
    (second,), _ = read_once([SPARE], heads=heads)
    assert first.head is second.head and len(heads) == 1


def test_the_cache_is_bounded_in_entries_and_their_size() -> None:
    heads = HeadCache(max_heads=8)
    data = b"".join(HELLO.replace(b"hello", b"%d" % number) for number in range(20))
    read_once([data + headers(3000)], heads=heads)
    assert len(heads) == 4


def test_a_head_that_was_refused_is_refused_again() -> None:
    heads = HeadCache()
    for _ in range(3):
        _, parser = read_once([b"GET / HTTP/1.1\r\n\r\n"], heads=heads)
        assert parser.error is not None
    assert len(heads) == 0


def test_a_known_head_still_means_that_the_connection_ends() -> None:
    last = CHUNKED.replace(b"Host", b"Connection: close\r\nHost") + b"5\r\nhello\r\n0\r\n\r\n"
    heads = HeadCache()
    for _ in range(3):
        requests, parser = read_once([SPARE + last + SPARE], heads=heads)
        assert len(requests) == 2 and parser.is_finished


def test_a_known_head_and_size_do_not_lift_the_limit() -> None:
    data = FRAMED["chunk"](b"0123456789a")
    requests, parser = read_once([data * 3], limits=LIMITS, streamed=True)
    assert all(isinstance(request.sink, Sink) for request in requests)
    assert len(requests) == 3 and parser.error is None


def test_the_sizes_that_a_parser_knows_are_bounded() -> None:
    data = b"".join(FRAMED["chunk"](b"x" * size) for size in range(1, 1100))
    requests, parser = read_once([data])
    assert [len(request.body) for request in requests] == list(range(1, 1100))
    assert len(parser._known_sizes) == 1099 - 1024


# Values for handlers


def test_a_request_becomes_a_value() -> None:
    client = Address("10.0.0.1", 99)
    request = to_request(
        parse(
            b"POST /probe/dump?a=1&a=2;b=%20+x&c#frag HTTP/1.1\r\nHost: h\r\n"
            b"Content-Length: 5\r\n\r\nhello"
        ),
        client,
    )
    assert (request.method, request.url.path) == ("POST", "/probe/dump")
    assert request.url.query == {"a": "2", "b": "  x", "c": ""}
    assert request.url.fragment == "frag"
    assert request.headers == {"Host": "h", "Content-Length": "5"}
    assert (request.body, request.client, request.keep_alive) == (b"hello", client, True)
    assert request.version == (1, 1) and request.reader is None


def test_what_a_handler_does_to_a_request_is_not_seen_by_the_next_one() -> None:
    requests, _ = read_once([b"GET /a?b=c HTTP/1.1\r\nHost: h\r\nX: 1\r\n\r\n" * 3])
    first, second, third = (to_request(raw) for raw in requests)

    first.headers["X"] = "2"
    first.url.query["b"] = "d"  # type: ignore[index]  # which handlers may do all the same
    second.headers.clear()
    second.url.query.clear()  # type: ignore[attr-defined]

    assert third == to_request(requests[0])
    assert third.headers == {"Host": "h", "X": "1"} and third.url.query == {"b": "c"}


def test_a_request_without_a_body_is_read_with_a_head_that_is_known() -> None:
    heads = HeadCache()
    read_once([HELLO], heads=heads)
    requests, parser = read_once(
        [HELLO + CHUNKED + b"5\r\nhello\r\n0\r\n\r\n" + HELLO[:-1]], heads=heads
    )
    assert [request.body for request in requests] == [b"", b"hello"]
    assert not parser.is_idle and not parser.is_finished
    last = HELLO.replace(b"Host", b"Connection: close\r\nHost")
    for _ in range(3):
        requests, parser = read_once([HELLO + last + HELLO], heads=heads)
        assert len(requests) == 2 and parser.is_finished


def test_the_path_stays_as_it_was_sent() -> None:
    assert to_request(parse(b"GET /%65c%zz/ HTTP/1.0\r\n\r\n")).url.path == "/%65c%zz/"


def test_an_absolute_target_gives_its_path_only() -> None:
    url = to_request(parse(b"GET http://foo:80/probe/dump?x=1 HTTP/1.0\r\n\r\n")).url
    assert (url.path, url.query, url.host) == ("/probe/dump", {"x": "1"}, None)
    assert to_request(parse(b"GET http://foo HTTP/1.0\r\n\r\n")).url.path == ""


def test_a_malformed_query_is_the_mistake_of_the_request_alone() -> None:
    raw = parse(b"GET /probe/dump?x=%zz HTTP/1.1\r\nHost: h\r\n\r\n")
    with pytest.raises(RemoteProtocolError) as caught:
        to_request(raw)
    assert caught.value.status == 400
    assert str(caught.value) == "Malformed % escape in '%zz': '%zz'"


def test_a_packed_body_is_unpacked_and_the_headers_stay() -> None:
    request = to_request(parse(GZIP + PACKED))
    assert request.body == b"zipped"
    assert request.headers["Content-Encoding"] == "gzip"
    assert request.headers["Content-Length"] == "26"


def test_the_name_of_the_packing_is_read_in_any_case() -> None:
    assert to_request(parse(GZIP.replace(b"gzip", b"GZip") + PACKED)).body == b"zipped"


def test_a_body_packed_otherwise_is_left_alone() -> None:
    request = to_request(parse(GZIP.replace(b"gzip", b"gzip, br") + PACKED))
    assert request.body == PACKED


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"no gzip at all", "failed to decode body"),
        (PACKED + b"more", "failed to decode body"),
        (PACKED[:-1], "Failed to decompress body"),
        (b"", "Failed to decompress body"),
    ],
)
def test_a_broken_packed_body_is_refused(body: bytes, text: str) -> None:
    raw = parse(GZIP.replace(b"26", b"%d" % len(body)) + body)
    with pytest.raises(RemoteProtocolError) as caught:
        to_request(raw)
    assert (str(caught.value), caught.value.status) == (text, 400)


def test_a_packed_body_that_unpacks_to_too_much_is_refused() -> None:
    packed = gzip.compress(bytes(1001))
    raw = parse(GZIP.replace(b"26", b"%d" % len(packed)) + packed)
    assert to_request(raw, max_body_bytes=1001).body == bytes(1001)
    with pytest.raises(RemoteProtocolError) as caught:
        to_request(raw, max_body_bytes=1000)
    assert caught.value.status == 413


def test_a_streamed_body_is_left_to_its_reader() -> None:
    def stream(request: RawRequest) -> BodySink:
        return Sink()

    (raw,) = RequestParser(streams=stream).feed(GZIP)
    assert to_request(raw).body == b""


# Bytes that mean something inside


def test_a_head_that_begins_with_nul_is_no_repetition_of_the_last_one() -> None:
    # Two heads in a row make a prefix to look out for, with the size of the chunk; another head
    # takes the prefix away again, which must not leave bytes that a peer can send.
    first = SPARE.replace(b"5\r\nhello", b"4\r\nhell")
    other = first.replace(b"/ping", b"/pong")
    evil = b"\0EVIL\r\n0\r\n\r\n"
    for before in ([first], [first] * 3, [other, first, first, first, other]):
        for pieces in feeds(b"".join(before) + evil):
            requests, parser = read_once(pieces)
            assert [request.body for request in requests] == [b"hell"] * len(before)
            assert parser.error is not None and parser.error.status == 400


@pytest.mark.parametrize("byte", [bytes([number]) for number in (0, 1, 9, 10, 32, 127, 255)])
def test_no_byte_in_front_of_a_head_is_skipped(byte: bytes) -> None:
    requests, parser = read_once([SPARE * 2 + byte + SPARE])
    assert len(requests) == 2
    assert parser.error is not None


# Stops


def test_the_parser_stops_after_a_new_head_and_goes_on_when_fed_with_nothing() -> None:
    heads = [HELLO.replace(b"hello", b"%d" % number) for number in range(3)]
    parser = RequestParser(heads=HeadCache(max_heads=0), is_spent=lambda: True)

    counts = [len(parser.feed(b"".join(heads)))]
    while parser.has_more:
        counts.append(len(parser.feed(b"")))

    assert counts == [1, 1, 1]
    assert parser.is_idle


def test_the_parser_stops_among_chunks() -> None:
    data = SPARE.replace(b"5\r\nhello\r\n", b"1\r\nx\r\n" * 10_000) + SPARE
    stops = 0
    for streamed in (False, True):
        requests, parser = read_once([data], streamed=streamed, is_spent=lambda: True)
        assert [len(seen(request)[-1]) for request in requests] == [10_000, 5]
        assert parser.is_idle

    parser = RequestParser(is_spent=lambda: True)
    requests = parser.feed(data)
    while parser.has_more:
        stops += 1
        requests += parser.feed(b"")
    assert stops > 10_000 // 256
    assert len(requests) == 2


def test_very_many_chunks_go_to_a_sink_as_one_piece() -> None:
    pieces: list[bytes] = []
    sink = Sink()
    sink.write = pieces.append  # type: ignore[method-assign]
    parser = RequestParser(streams=lambda request: sink)
    head = SPARE.partition(b"5\r\nhello")[0]

    parser.feed(head)
    parser.feed(b"1\r\nx\r\n" * 10_000)
    parser.feed(b"1\r\ny\r\n" * 2)

    assert pieces == [b"x" * 10_000, b"y", b"y"]


def test_a_connection_that_ends_at_a_stop_loses_the_request_that_was_not_read() -> None:
    parser = RequestParser(heads=HeadCache(max_heads=0), is_spent=lambda: True)
    assert len(parser.feed(SPARE + b"GET ")) == 1
    assert parser.has_more

    parser.feed_eof()

    assert parser.error is not None and not parser.has_more
    assert parser.feed(b"") == []
