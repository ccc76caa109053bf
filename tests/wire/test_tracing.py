"""Trace contexts on the wire: where their lines stand, and what they do to the caches of heads."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenproc.address import Address
from greenproc.http.head_cache import HeadCache
from greenproc.http.parser import RequestParser
from greenproc.http.raw_message import RawRequest
from greenproc.message import Message, with_trace
from greenproc.pid import UPID
from greenproc.testing import feeds
from greenproc.tracing import TRACING, TraceContext, use_trace
from greenproc.transport.retries import RetriedMessage
from greenproc.wire.framing import MessageDecoder, MessageEncoder, encode_message
from tests.generated import inputs

pytestmark = pytest.mark.usefixtures("untraced")

LOCAL = Address("127.0.0.1", 43173)
PEER = Address("127.0.0.1", 33885)
SENDER, TO = UPID("linker", LOCAL), UPID("rcv", PEER)
TRACE = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", 1)
STATED = TraceContext(
    "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", 0, "congo=t61,rojo=0"
)

# As libprocess sends them, which was recorded; the lines of the trace follow.
HEAD = (
    b"POST /rcv/ping HTTP/1.1\r\n"
    b"User-Agent: libprocess/linker@127.0.0.1:43173\r\n"
    b"Libprocess-From: linker@127.0.0.1:43173\r\n"
    b"Connection: Keep-Alive\r\n"
    b"Host: 127.0.0.1:33885\r\n"
)
LINE = b"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n"
STATED_LINES = (
    b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00\r\n"
    b"tracestate: congo=t61,rojo=0\r\n"
)


def ping(body: bytes = b"hello", trace: TraceContext | None = None) -> Message:
    with use_trace(trace):
        return with_trace(Message("ping", SENDER, TO, body))


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


ENCODED = {
    "empty": (ping(b"", TRACE), HEAD + LINE + b"\r\n"),
    "with a body": (
        ping(b"hello", TRACE),
        HEAD + b"Transfer-Encoding: chunked\r\n" + LINE + b"\r\n" + chunk(b"hello"),
    ),
    "with a state": (ping(b"", STATED), HEAD + STATED_LINES + b"\r\n"),
    "none": (ping(b""), HEAD + b"\r\n"),
}


@pytest.mark.parametrize("case", ENCODED)
def test_the_lines_of_a_trace_follow_those_of_libprocess(case: str) -> None:
    message, expected = ENCODED[case]

    assert encode_message(message) == expected
    assert MessageEncoder(LOCAL).encode(message) == expected


def read(data: bytes, heads: HeadCache | None = None) -> list[Message | None]:
    parser = RequestParser(heads=HeadCache() if heads is None else heads)
    requests = parser.feed(data)
    assert parser.error is None
    decoder = MessageDecoder(PEER)
    return [decoder.decode(raw) for raw in requests]


@pytest.mark.parametrize("case", ENCODED)
def test_what_is_encoded_is_decoded_however_it_comes(case: str) -> None:
    message, data = ENCODED[case]
    for feed in feeds(data):
        parser = RequestParser()
        requests: list[RawRequest] = []
        for piece in feed.pieces:
            requests += parser.feed(piece)

        assert [MessageDecoder(PEER).decode(raw) for raw in requests[:1]] == [message]


def test_traced_messages_do_not_reach_the_next_ones_nor_they_them() -> None:
    messages = [
        ping(),
        ping(),
        ping(trace=TRACE),
        ping(),
        ping(trace=STATED),
        ping(trace=TRACE),
        ping(),
        ping(b""),
        ping(b"", TRACE),
        ping(b""),
    ]
    encoder, heads = MessageEncoder(LOCAL), HeadCache()
    data = b"".join(map(encoder.encode, messages))

    assert data == b"".join(map(encode_message, messages))
    for _ in range(3):  # the caches know more each time
        assert read(data, heads) == messages


def test_a_request_may_be_decoded_twice() -> None:
    parser, decoder = RequestParser(), MessageDecoder(PEER)
    data = encode_message(ping(trace=TRACE))
    TRACING.is_active = False  # so that the first head is parsed, and the second one derived
    for _ in range(2):
        (raw,) = parser.feed(data)

        assert [decoder.decode(raw) for _ in range(2)] == [ping(trace=TRACE)] * 2


def test_traced_heads_are_not_kept() -> None:
    heads, encoder = HeadCache(max_heads=4), MessageEncoder(LOCAL)
    read(encode_message(ping()) + encode_message(ping(b"")), heads)
    known = dict(heads.by_bytes)
    traces = [TraceContext(f"{number:032x}", "a" * 16) for number in range(1, 5000)]
    data = b"".join(encoder.encode(ping(trace=trace)) for trace in traces)

    assert [message.trace for message in read(data, heads) if message] == traces
    assert heads.by_bytes == known
    assert len(encoder._heads) == 1


def test_a_name_that_is_changed_does_not_get_the_head_of_a_traced_one() -> None:
    encoder = MessageEncoder(LOCAL)
    traced = ping(trace=TRACE)
    other = Message("pong", traced.sender, traced.to, b"")

    encoder.encode(other)
    assert encoder.encode(traced) == encode_message(traced)
    assert encoder.encode(other) == encode_message(other)


@pytest.mark.parametrize("trace", [None, TRACE, STATED])
def test_a_message_that_is_sent_again_keeps_its_trace(trace: TraceContext | None) -> None:
    message = ping(trace=trace)
    again = RetriedMessage("ping", SENDER, TO, b"hello", 1.0, message.trace)

    assert again.as_it_was() == message
    assert encode_message(again) == encode_message(message)
    assert MessageEncoder(LOCAL).encode(again) == encode_message(message)


HOSTILE = {
    "malformed": b"traceparent: 00-xyz\r\n",
    "no value": b"traceparent:\r\n",
    "upper case": LINE.upper(),
    "twice": LINE + LINE,
    "twice, once malformed": LINE + b"traceparent: x\r\n",
    "all zero": b"traceparent: 00-%b-%b-01\r\n" % (b"0" * 32, b"0" * 16),
    "version ff": LINE.replace(b"00-", b"ff-", 1),
    "long": LINE.replace(b"01\r\n", b"01-%b\r\n" % (b"a" * 4000)),
    "bytes beyond ASCII": b"traceparent: \xff\xfe\r\n",
    "a state alone": b"tracestate: foo=1\r\n",
    "a state of 10,000 members alone": b"tracestate: %b\r\n" % (b"a=1," * 2000),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_malformed_trace_is_ignored(case: str) -> None:
    data = HEAD + HOSTILE[case] + b"\r\n"

    assert read(data) == [ping(b"")]
    assert not TRACING.is_active


ACCEPTED = {
    "names in any case": LINE.replace(b"traceparent", b"TraceParent"),
    "blanks around it": LINE.replace(b": ", b": \t ").replace(b"\r\n", b" \t\r\n"),
    "of a later version": LINE.replace(b"00-", b"cc-", 1).replace(b"01\r\n", b"01-later\r\n"),
    "a malformed state": LINE + b"tracestate: a=1,=\r\n",
    "too many members": LINE + b"tracestate: %b\r\n" % (b"a=1," * 40),
    "many lines of many members": LINE + b"tracestate: a=1,b=2,c=3\r\n" * 20,
    "before the lines of libprocess": LINE,
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_a_trace_is_accepted(case: str) -> None:
    line, rest = HEAD.split(b"\r\n", 1)
    data = line + b"\r\n" + ACCEPTED[case] + rest + b"\r\n"

    assert read(data) == [ping(b"", TRACE)]
    assert TRACING.is_active


def test_the_state_of_several_lines_is_joined() -> None:
    data = HEAD + LINE + b"tracestate: a=1\r\nX: y\r\nTraceState: b=2\r\n\r\n"
    (message,) = read(data)

    assert message is not None
    assert message.trace == TraceContext(TRACE.trace_id, TRACE.parent_id, 1, "a=1,b=2")


def test_a_null_byte_is_refused_as_in_every_header() -> None:
    parser = RequestParser()

    assert parser.feed(HEAD + LINE.replace(b"4bf9", b"\0bf9") + b"\r\n") == []
    assert parser.error is not None
    assert parser.error.status == 400


@given(
    st.binary(max_size=60).filter(lambda value: not set(value) & set(b"\r\n\0")),
    st.binary(max_size=60).filter(lambda value: not set(value) & set(b"\r\n\0")),
)
@inputs(500)
def test_any_value_leaves_the_message_as_it_is(traceparent: bytes, tracestate: bytes) -> None:
    lines = b"traceparent: %b\r\ntracestate: %b\r\n" % (traceparent, tracestate)
    parser = RequestParser()
    requests = parser.feed(HEAD + lines + b"\r\n")
    plain = RequestParser()
    plain.feed(HEAD + lines.replace(b"trace", b"x-t") + b"\r\n")

    # What HTTP does not allow in a value is refused whatever the header.
    assert (parser.error is None) == (plain.error is None)
    assert [MessageDecoder(PEER).decode(raw) for raw in requests] == [ping(b"")] * len(requests)


def test_a_packed_body_is_unpacked() -> None:
    body = gzip.compress(b"hello")
    data = HEAD + LINE + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    assert read(data) == [ping(b"hello", TRACE)]


def test_only_messages_without_a_trace_get_one() -> None:
    traced = ping(trace=TRACE)
    with use_trace(STATED):
        assert with_trace(traced) is traced
        assert with_trace(Message("ping", SENDER, TO, b"hello")) == ping(trace=STATED)
