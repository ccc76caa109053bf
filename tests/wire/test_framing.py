"""Messages on the wire. The recorded bytes are those that a C++ libprocess sent."""

from __future__ import annotations

import gzip

import pytest

from greenproc.address import ADDRESS_EMPTY, Address
from greenproc.errors import InvalidArgument, RemoteProtocolError
from greenproc.http.head_cache import HeadCache
from greenproc.http.parser import RequestParser
from greenproc.http.raw_message import RawRequest
from greenproc.message import Message
from greenproc.pid import UPID, ClaimedUPID
from greenproc.testing import feeds
from greenproc.wire.framing import (
    MAX_CACHED,
    MAX_HEADS_BYTES,
    MessageDecoder,
    MessageEncoder,
    encode_message,
    is_message,
)

SENDER_ADDRESS = Address("127.0.0.1", 43173)
RECEIVER_ADDRESS = Address("127.0.0.1", 33885)
LINKER = UPID("linker", SENDER_ADDRESS)


def to(id: str) -> UPID:
    return UPID(id, RECEIVER_ADDRESS)


HEADERS = (
    b"User-Agent: libprocess/linker@127.0.0.1:43173\r\n"
    b"Libprocess-From: linker@127.0.0.1:43173\r\n"
    b"Connection: Keep-Alive\r\n"
    b"Host: 127.0.0.1:33885\r\n"
)
HELLO = HEADERS + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"

# Name of the recording: what was sent, the bytes, and what a libprocess receiver makes of the
# path, which is not always what was meant.
RECORDED = {
    "small": (
        Message("ping", LINKER, to("rcv"), b"hello"),
        b"POST /rcv/ping HTTP/1.1\r\n" + HELLO,
        ("rcv", "ping"),
    ),
    "empty": (
        Message("ping", LINKER, to("rcv"), b""),
        b"POST /rcv/ping HTTP/1.1\r\n" + HEADERS + b"\r\n",
        ("rcv", "ping"),
    ),
    "binary": (
        Message("ping", LINKER, to("rcv"), b"\x00\x01\r\n\r\n\xff\xc3\xa9\x7f\x80"),
        b"POST /rcv/ping HTTP/1.1\r\n"
        + HEADERS
        + b"Transfer-Encoding: chunked\r\n\r\nb\r\n\x00\x01\r\n\r\n\xff\xc3\xa9\x7f\x80\r\n0\r\n\r\n",
        ("rcv", "ping"),
    ),
    "100k": (
        Message("ping", LINKER, to("rcv"), b"x" * 102400),
        b"POST /rcv/ping HTTP/1.1\r\n"
        + HEADERS
        + b"Transfer-Encoding: chunked\r\n\r\n19000\r\n"
        + b"x" * 102400
        + b"\r\n0\r\n\r\n",
        ("rcv", "ping"),
    ),
    "emptyid": (
        Message("ping", LINKER, to(""), b"hello"),
        b"POST /ping HTTP/1.1\r\n" + HELLO,
        ("ping", ""),
    ),
    "emptyname": (
        Message("", LINKER, to("rcv"), b"hello"),
        b"POST /rcv/ HTTP/1.1\r\n" + HELLO,
        ("rcv", ""),
    ),
    "idpercent": (
        Message("ping", LINKER, to("r%20v"), b"hello"),
        b"POST /r%20v/ping HTTP/1.1\r\n" + HELLO,
        ("r v", "ping"),
    ),
    "idslash": (
        Message("ping", LINKER, to("a/b"), b"hello"),
        b"POST /a/b/ping HTTP/1.1\r\n" + HELLO,
        ("a", "b/ping"),
    ),
    "idwithparens": (
        Message("ping", LINKER, to("rcv(1)"), b"hello"),
        b"POST /rcv(1)/ping HTTP/1.1\r\n" + HELLO,
        ("rcv(1)", "ping"),
    ),
    "namespace": (
        Message("mesos.internal.Foo", LINKER, to("rcv"), b"\x01"),
        b"POST /rcv/mesos.internal.Foo HTTP/1.1\r\n"
        + HEADERS
        + b"Transfer-Encoding: chunked\r\n\r\n1\r\n\x01\r\n0\r\n\r\n",
        ("rcv", "mesos.internal.Foo"),
    ),
    "post-nofrom": (
        Message("ping", UPID(), to("rcv"), b"hello"),
        b"POST /rcv/ping HTTP/1.1\r\n" + HELLO.replace(b"linker@127.0.0.1:43173", b"@0.0.0.0:0"),
        ("rcv", "ping"),
    ),
    "slashname": (
        Message("a/b", LINKER, to("rcv"), b"hello"),
        b"POST /rcv/a/b HTTP/1.1\r\n" + HELLO,
        ("rcv", "a/b"),
    ),
}
BURST = b"".join(
    b"POST /rcv/%b HTTP/1.1\r\n" % name
    + HEADERS
    + b"Transfer-Encoding: chunked\r\n\r\n1\r\n%b\r\n0\r\n\r\n" % body
    for name, body in ((b"one", b"1"), (b"two", b"2"), (b"three", b"3"))
)


def parse(data: bytes) -> RawRequest:
    parser = RequestParser()
    (request,) = parser.feed(data)
    assert parser.error is None and parser.is_idle
    return request


def decode(data: bytes) -> Message | None:
    return MessageDecoder(RECEIVER_ADDRESS).decode(parse(data))


def decoded(data: bytes) -> Message:
    message = decode(data)
    assert message is not None
    return message


def post(target: bytes, headers: bytes = b"Libprocess-From: x@10.0.0.1:99\r\n") -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: h\r\n%b\r\n" % (target, headers)


@pytest.mark.parametrize(("message", "data", "read"), RECORDED.values(), ids=list(RECORDED))
def test_a_message_is_written_byte_for_byte_as_libprocess_does(
    message: Message, data: bytes, read: tuple[str, str]
) -> None:
    assert encode_message(message) == data


@pytest.mark.parametrize(("message", "data", "read"), RECORDED.values(), ids=list(RECORDED))
def test_an_encoder_writes_the_same_the_first_time_and_from_its_cache(
    message: Message, data: bytes, read: tuple[str, str]
) -> None:
    encoder = MessageEncoder(Address("127.0.0.1", 43173))
    assert encoder.encode(message) == data
    assert encoder.encode(message) == data


@pytest.mark.parametrize(("message", "data", "read"), RECORDED.values(), ids=list(RECORDED))
def test_a_recorded_message_is_read_as_libprocess_does(
    message: Message, data: bytes, read: tuple[str, str]
) -> None:
    id, name = read
    expected = Message(name, message.sender, to(id), message.body)
    decoder = MessageDecoder(RECEIVER_ADDRESS)
    # The long one is cut where something can happen only.
    ways = feeds(data) if len(data) < 1000 else ([data[:at], data[at:]] for at in range(240))
    for pieces in ways:
        parser = RequestParser()
        requests = [request for piece in pieces for request in parser.feed(piece)]
        assert [decoder.decode(request) for request in requests] == [expected]


def test_a_recorded_burst_is_read_as_three_messages() -> None:
    decoder = MessageDecoder(RECEIVER_ADDRESS)
    for pieces in feeds(BURST):
        parser = RequestParser()
        requests = [request for piece in pieces for request in parser.feed(piece)]
        assert [decoder.decode(request) for request in requests] == [
            Message("one", LINKER, to("rcv"), b"1"),
            Message("two", LINKER, to("rcv"), b"2"),
            Message("three", LINKER, to("rcv"), b"3"),
        ]


def test_an_address_of_ipv6_is_written_with_brackets_and_read_again() -> None:
    local = Address("::1", 5051)
    sent = Message("ping", UPID("a", local), UPID("b", Address("::1", 5050)), b"")
    data = encode_message(sent)
    assert data == (
        b"POST /b/ping HTTP/1.1\r\n"
        b"User-Agent: libprocess/a@[::1]:5051\r\n"
        b"Libprocess-From: a@[::1]:5051\r\n"
        b"Connection: Keep-Alive\r\n"
        b"Host: [::1]:5050\r\n"
        b"\r\n"
    )
    assert MessageDecoder(Address("::1", 5050)).decode(parse(data)) == sent


def test_an_address_of_ipv6_is_read_without_brackets_as_libprocess_writes_it() -> None:
    message = decoded(post(b"/b/ping", b"Libprocess-From: a@::1:5051\r\n"))
    assert message.sender == UPID("a", Address("::1", 5051))


@pytest.mark.parametrize("name", ["a\rb", "a\nb", "a b", "a\tb", "a\x00b", "a\x7fb", "a?b", "a#b"])
def test_a_name_that_cannot_travel_is_refused_with_its_character(name: str) -> None:
    with pytest.raises(InvalidArgument, match="name cannot travel") as caught:
        encode_message(Message(name, LINKER, to("rcv"), b""))
    assert repr(name[1]) in str(caught.value)


@pytest.mark.parametrize("id", ["a\r\nb", "a b", "a\x1fb", "a?b", "a#b"])
def test_an_id_that_cannot_travel_is_refused_with_its_character(id: str) -> None:
    encoder = MessageEncoder(SENDER_ADDRESS)
    with pytest.raises(InvalidArgument, match="receiver's id cannot travel") as caught:
        encoder.encode(Message("ping", LINKER, to(id), b""))
    assert repr(id[1]) in str(caught.value)


@pytest.mark.parametrize("id", ["a\r\nX: y", "a b", "a@b"])
def test_a_sender_that_nobody_could_answer_is_refused(id: str) -> None:
    with pytest.raises(InvalidArgument, match="sender's id cannot travel"):
        encode_message(Message("ping", UPID(id, SENDER_ADDRESS), to("rcv"), b""))


def test_text_beyond_ascii_travels_as_utf_8() -> None:
    sent = Message("ping\u00e9", UPID("s\u00e9", SENDER_ADDRESS), to("r\u00e9"), b"")
    data = encode_message(sent)
    assert data.startswith(b"POST /r\xc3\xa9/ping\xc3\xa9 HTTP/1.1\r\n")
    assert decoded(data) == sent


def test_bytes_that_are_no_text_come_back_the_same() -> None:
    message = decoded(post(b"/%ff/\xff"))
    assert encode_message(message).startswith(b"POST /\xff/\xff HTTP/1.1\r\n")


def test_an_encoder_writes_a_foreign_sender_with_its_own_address() -> None:
    encoder = MessageEncoder(SENDER_ADDRESS)
    encoder.encode(Message("ping", LINKER, to("rcv"), b""))
    foreign = Message("ping", UPID("linker", Address("10.9.9.9", 1)), to("rcv"), b"")
    assert b"Libprocess-From: linker@10.9.9.9:1\r\n" in encoder.encode(foreign)


def test_the_cache_of_an_encoder_is_bounded() -> None:
    encoder = MessageEncoder(SENDER_ADDRESS)
    for number in range(MAX_CACHED + 10):
        encoder.encode(Message(f"n{number}", LINKER, to("rcv"), b""))
        assert 0 < len(encoder._heads) <= MAX_CACHED


@pytest.mark.parametrize("length", [10, 1000, 10_000, 70_000])
def test_the_heads_that_an_encoder_keeps_are_bounded_in_bytes(length: int) -> None:
    encoder = MessageEncoder(SENDER_ADDRESS)
    for number in range(300):
        receiver = to(f"{number}".rjust(length, "x"))
        encoder.encode(Message("n", LINKER, receiver, b""))

        kept = sum(len(head) for heads in encoder._heads.values() for head in heads)
        assert kept <= MAX_HEADS_BYTES
    assert bool(encoder._heads) == (length < 70_000 // 4)


def test_a_sender_with_a_very_long_id_is_malformed() -> None:
    decoder = MessageDecoder(RECEIVER_ADDRESS)
    parser = RequestParser()
    for length, is_known in ((4000, True), (5000, False)):
        sender = b"Libprocess-From: %b@1.2.3.4:5\r\n" % (b"s" * length)
        (request,) = parser.feed(post(b"/r/x", sender))
        message = decoder.decode(request)
        assert message is not None
        assert message.sender.is_empty != is_known


def test_the_caches_of_a_decoder_are_bounded() -> None:
    decoder = MessageDecoder(RECEIVER_ADDRESS)
    parser = RequestParser(heads=HeadCache(max_heads=0))
    for number in range(MAX_CACHED + 10):
        sender = b"Libprocess-From: s%d@1.2.3.4:5\r\n" % number
        for request in parser.feed(post(b"/r%d/x" % number, sender)):
            assert decoder.decode(request) is not None
    assert len(decoder._receivers) == len(decoder._senders) == 10


def test_a_decoder_keeps_no_long_texts_of_strangers() -> None:
    decoder = MessageDecoder(RECEIVER_ADDRESS)
    request = parse(post(b"/" + b"r" * 5000, b"Libprocess-From: " + b"s" * 5000 + b"\r\n"))
    assert decoder.decode(request) is not None
    assert not decoder._receivers and not decoder._senders


def test_two_decoders_do_not_mix_up_what_they_noted_on_a_head() -> None:
    request = parse(post(b"/a/ping"))
    first, second = MessageDecoder(Address("10.0.0.1", 1)), MessageDecoder(Address("10.0.0.2", 2))
    for decoder, address in ((first, "10.0.0.1:1"), (second, "10.0.0.2:2"), (first, "10.0.0.1:1")):
        message = decoder.decode(request)
        assert message is not None and str(message.to) == f"a@{address}"


def test_the_header_says_the_sender_before_the_user_agent_does() -> None:
    headers = b"User-Agent: libprocess/a@10.0.0.1:1\r\nLibprocess-From: b@10.0.0.2:2\r\n"
    assert decoded(post(b"/r/n", headers)).sender == UPID("b", Address("10.0.0.2", 2))


def test_the_user_agent_says_the_sender_when_the_header_does_not() -> None:
    message = decoded(post(b"/r/n", b"User-Agent: libprocess/a@10.0.0.1:1\r\n"))
    assert message.sender == UPID("a", Address("10.0.0.1", 1))


def test_a_sender_may_have_an_address_only() -> None:
    message = decoded(post(b"/r/n", b"Libprocess-From: @10.0.0.1:1\r\n"))
    assert message.sender == UPID("", Address("10.0.0.1", 1))


@pytest.mark.parametrize(
    "text", [b"nothing", b"", b"a@b", b"a@localhost:5050", b"a@1.2.3.4:99999", b"\xff\xfe"]
)
def test_a_malformed_sender_is_nobody_and_the_message_arrives(text: bytes) -> None:
    message = decoded(post(b"/r/n", b"Libprocess-From: " + text + b"\r\n"))
    assert message == Message("n", UPID("", ADDRESS_EMPTY), to("r"), b"")


@pytest.mark.parametrize(
    ("target", "id", "name"),
    [
        (b"/foo", "foo", ""),
        (b"/", "", ""),
        (b"//n", "", "n"),
        (b"/%73ink/data", "sink", "data"),
        (b"/a+b/c+d", "a b", "c+d"),
        (b"/rcv%281%29/x%20y", "rcv(1)", "x%20y"),
        (b"/a%2Fb/n", "a/b", "n"),
        (b"/r/n/m//", "r", "n/m//"),
        (b"/r/n?a=b", "r", "n"),
        (b"/r/n?%zz", "r", "n"),
        (b"/r/n#f", "r", "n"),
        (b"http://h:1/r/n?q", "r", "n"),
    ],
)
def test_the_path_says_the_receiver_and_the_name(target: bytes, id: str, name: str) -> None:
    message = decoded(post(target))
    assert (message.to, message.name) == (to(id), name)


def test_an_id_with_a_malformed_escape_is_refused_in_libprocess_words() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode(post(b"/pro%zz/x"))
    expected = "Failed to decode URL path: Malformed % escape in 'pro%zz': '%zz'"
    assert str(caught.value) == expected and caught.value.status == 400


@pytest.mark.parametrize(
    "data",
    [
        b"GET /sink/data HTTP/1.1\r\nUser-Agent: libprocess/x@127.0.0.1:1234\r\nHost: h\r\n\r\n",
        b"PUT /sink/data HTTP/1.1\r\nUser-Agent: libprocess/x@127.0.0.1:1234\r\nHost: h\r\n\r\n",
        post(b"/sink/data", b""),
        post(b"/sink/data", b"User-Agent: curl libprocess/\r\n"),
        post(b"/sink/data", b"User-Agent: Libprocess/x@127.0.0.1:1234\r\n"),
        b"POST * HTTP/1.1\r\nLibprocess-From: x@10.0.0.1:99\r\nHost: h\r\n\r\n",
        post(b"http://h"),
    ],
)
def test_other_requests_are_no_messages(data: bytes) -> None:
    assert not is_message(parse(data))
    assert decode(data) is None


def test_header_names_are_read_in_any_case() -> None:
    assert is_message(parse(post(b"/r/n", b"LIBPROCESS-FROM: a@10.0.0.1:1\r\n")))


# b-msg-gzip-body.request
PACKED = bytes.fromhex("1f8b0800e1f4046b02ffabca2c28484d01005768c2e206000000")


def packed(body: bytes) -> bytes:
    return (
        b"POST /echo/ping HTTP/1.1\r\n"
        b"User-Agent: libprocess/linker@127.0.0.1:36069\r\n"
        b"Content-Encoding: gzip\r\n"
        b"Content-Length: %d\r\n"
        b"Host: 127.0.0.1:36069\r\n"
        b"\r\n%b" % (len(body), body)
    )


def test_a_packed_body_is_unpacked() -> None:
    assert decoded(packed(PACKED)).body == b"zipped"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"no gzip at all", "failed to decode body"),
        (PACKED + b"more", "failed to decode body"),
        (PACKED[:-1], "Failed to decompress body"),
        (b"", "Failed to decompress body"),
    ],
)
def test_a_broken_packed_body_is_refused_in_libprocess_words(body: bytes, text: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode(packed(body))
    assert str(caught.value) == text and caught.value.status == 400


def test_a_body_that_unpacks_to_too_much_is_refused() -> None:
    bomb = packed(gzip.compress(bytes(1_000_000)))
    decoder = MessageDecoder(RECEIVER_ADDRESS, max_body_bytes=999_999)
    with pytest.raises(RemoteProtocolError) as caught:
        decoder.decode(parse(bomb))
    assert caught.value.status == 413


def test_a_message_of_compactor_is_understood() -> None:
    # compactor speaks HTTP/1.0, always gives a length, and names no host.
    message = decoded(
        b"POST /pong/ping HTTP/1.0\r\n"
        b"Connection: Keep-Alive\r\n"
        b"Content-Length: 5\r\n"
        b"Libprocess-From: ping(1)@10.0.0.1:5051\r\n"
        b"Content-Type: application/x-protobuf\r\n"
        b"\r\n"
        b"hello"
    )
    sender = UPID("ping(1)", Address("10.0.0.1", 5051))
    assert message == Message("ping", sender, to("pong"), b"hello")


def test_a_message_of_compactor_in_its_older_mode_is_understood() -> None:
    message = decoded(
        b"POST /pong/ping HTTP/1.0\r\n"
        b"Connection: Keep-Alive\r\n"
        b"Content-Length: 0\r\n"
        b"User-Agent: libprocess/ping(1)@10.0.0.1:5051\r\n"
        b"\r\n"
    )
    sender = UPID("ping(1)", Address("10.0.0.1", 5051))
    assert message == Message("ping", sender, to("pong"), b"")


def test_a_message_of_mesos_go_is_understood() -> None:
    message = decoded(
        b"POST /master/mesos.internal.RegisterFrameworkMessage HTTP/1.1\r\n"
        b"Host: 10.0.0.2:5050\r\n"
        b"User-Agent: Go-http-client/1.1\r\n"
        b"Content-Length: 4\r\n"
        b"Connection: Keep-Alive\r\n"
        b"Content-Type: application/x-protobuf\r\n"
        b"Libprocess-From: scheduler(1)@10.0.0.1:5051\r\n"
        b"Accept-Encoding: gzip\r\n"
        b"\r\n"
        b"\x0a\x02hi"
    )
    sender = UPID("scheduler(1)", Address("10.0.0.1", 5051))
    name = "mesos.internal.RegisterFrameworkMessage"
    assert message == Message(name, sender, to("master"), b"\x0a\x02hi")


@pytest.mark.parametrize("id", ["a(1)", "%28{}%29", "{}", "({})", "x({})(1)", "({})@", "%287%29"])
@pytest.mark.parametrize("sender", ["ask({})", "ask(1)({})", "ask(7)", "({})"])
@pytest.mark.parametrize("name", ["ping", "ping({})", "?({})"])
def test_numbers_in_ids_are_told_apart(id: str, sender: str, name: str) -> None:
    known, unknown = (MessageDecoder(RECEIVER_ADDRESS) for _ in range(2))
    elsewhere = MessageDecoder(SENDER_ADDRESS)
    parser = RequestParser(heads=HeadCache())
    plain = RequestParser(heads=HeadCache(max_heads=0))
    for number in (7, 7, 1, 123, 7):
        line = f"Libprocess-From: {sender.format(number)}@10.0.0.2:5050\r\n".encode()
        data = post(f"/{id.format(number)}/{name.format(number)}".encode(), line)
        (derived,), (read,) = parser.feed(data), plain.feed(data)

        message = known.decode(derived)

        assert message == unknown.decode(read) and message is not None
        assert type(message.sender) is ClaimedUPID
        moved = elsewhere.decode(derived)
        assert moved is not None and moved.to == UPID(message.to.id, SENDER_ADDRESS)
