"""Messages that come in: bytes and answers as recorded from libprocess."""

from __future__ import annotations

import socket as plain_socket
from collections.abc import Callable

import gevent
import pytest

from greenproc.address import Address
from greenproc.message import Message
from greenproc.pid import UPID
from greenproc.process.ports import Delivery
from tests.transport.conftest import LIMIT, Node, Peer, undated

Listen = Callable[..., Address]
Connect = Callable[[Address], Peer]

MESSAGE = (
    b"POST /rcv/ping HTTP/1.1\r\n"
    b"User-Agent: libprocess/linker@127.0.0.1:43173\r\n"
    b"Libprocess-From: linker@127.0.0.1:43173\r\n"
    b"Connection: Keep-Alive\r\n"
    b"Host: 127.0.0.1:33885\r\n"
    b"Transfer-Encoding: chunked\r\n"
    b"\r\n"
    b"5\r\nhello\r\n0\r\n\r\n"
)
WITHOUT_LENGTH = (
    b"POST /sink/data?a=b HTTP/1.1\r\n"
    b"User-Agent: libprocess/x@127.0.0.1:1234\r\n"
    b"Content-Length: 0\r\n"
    b"Host: 127.0.0.1:36069\r\n"
    b"\r\n"
)
ACCEPTED = b"HTTP/1.1 202 Accepted\r\nDate: *\r\nContent-Length: 0\r\n\r\n"
NOT_FOUND = (
    b"HTTP/1.1 404 Not Found\r\n"
    b"Date: *\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"X-Content-Type-Options: nosniff\r\n"
    b"Content-Length: 14\r\n"
    b"\r\n"
    b"404 Not Found."
)


def size_of(answer: bytes) -> int:
    """Return how long *answer* is on the wire, where a date has 29 bytes."""
    return len(answer) + answer.count(b"Date: *") * 28


def ask(peer: Peer, request: bytes, answer: bytes) -> None:
    peer.send(request)
    assert undated(peer.receive(size_of(answer))) == answer


def test_a_message_is_delivered_and_accepted(node: Node, listen: Listen, connect: Connect) -> None:
    address = listen()

    ask(connect(address), MESSAGE, ACCEPTED)

    sender = UPID("linker", Address("127.0.0.1", 43173))
    assert node.delivered.get(timeout=LIMIT) == Message(
        "ping", sender, UPID("rcv", address), b"hello"
    )


def test_a_message_is_delivered_whole_when_its_bytes_come_one_by_one(
    node: Node, listen: Listen, connect: Connect
) -> None:
    peer = connect(listen())

    for at in range(len(MESSAGE)):
        peer.send(MESSAGE[at : at + 1])
        gevent.sleep(0)

    assert undated(peer.receive(size_of(ACCEPTED))) == ACCEPTED
    assert node.delivered.get(timeout=LIMIT).body == b"hello"


def test_the_query_of_a_message_is_ignored(node: Node, listen: Listen, connect: Connect) -> None:
    ask(connect(listen()), WITHOUT_LENGTH, ACCEPTED)

    delivered = node.delivered.get(timeout=LIMIT)
    assert (delivered.to.id, delivered.name, delivered.body) == ("sink", "data", b"")


def test_a_packed_body_is_unpacked(node: Node, listen: Listen, connect: Connect) -> None:
    request = (
        b"POST /echo/ping HTTP/1.1\r\n"
        b"User-Agent: libprocess/linker@127.0.0.1:36069\r\n"
        b"Content-Encoding: gzip\r\n"
        b"Content-Length: 26\r\n"
        b"Host: 127.0.0.1:36069\r\n"
        b"\r\n"
        b"\x1f\x8b\x08\x00\xe1\xf4\x04k\x02\xff\xab\xca,(HM\x01\x00Wh\xc2\xe2\x06\x00\x00\x00"
    )

    ask(connect(listen()), request, ACCEPTED)

    assert node.delivered.get(timeout=LIMIT).body == b"zipped"


def test_a_message_for_nobody_gets_404(node: Node, listen: Listen, connect: Connect) -> None:
    node.delivery = lambda message: Delivery.UNKNOWN

    ask(connect(listen()), WITHOUT_LENGTH, NOT_FOUND)


def test_a_message_for_a_full_mailbox_gets_503(
    node: Node, listen: Listen, connect: Connect
) -> None:
    node.delivery = lambda message: Delivery.FULL

    answer = connect_and_read_head(connect(listen()), WITHOUT_LENGTH)

    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")


def connect_and_read_head(peer: Peer, request: bytes) -> bytes:
    peer.send(request)
    peer.end_sending()
    return peer.receive_to_end()


@pytest.mark.parametrize("method", [b"GET", b"PUT"])
def test_only_a_post_is_a_message(
    node: Node, listen: Listen, connect: Connect, method: bytes
) -> None:
    ask(connect(listen()), WITHOUT_LENGTH.replace(b"POST", method), NOT_FOUND)

    assert node.requests.get(timeout=LIMIT).method == method.decode()
    assert node.delivered.empty()


def test_an_id_with_a_broken_escape_gets_400_and_the_connection_stays(
    node: Node, listen: Listen, connect: Connect
) -> None:
    peer = connect(listen())

    peer.send(WITHOUT_LENGTH.replace(b"/sink/", b"/s%zzk/") + MESSAGE)
    peer.end_sending()

    answers = peer.receive_to_end()
    assert answers.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"Failed to decode URL path" in answers
    assert undated(answers).endswith(ACCEPTED)


def test_messages_that_come_together_are_delivered_before_they_are_answered(
    node: Node, listen: Listen, connect: Connect
) -> None:
    peer = connect(listen())

    ask(peer, MESSAGE * 100, ACCEPTED * 100)

    assert len(node.delivered) == 100


def test_messages_keep_their_order(node: Node, listen: Listen, connect: Connect) -> None:
    peer = connect(listen())
    count = 10_000
    numbered = [MESSAGE.replace(b"hello", b"%05d" % number) for number in range(count)]
    sending = gevent.spawn(peer.send, b"".join(numbered))

    bodies = [int(node.delivered.get(timeout=LIMIT).body) for _ in range(count)]

    assert bodies == list(range(count))
    assert undated(peer.receive(size_of(ACCEPTED) * count)) == ACCEPTED * count
    sending.get(timeout=LIMIT)


def test_a_message_with_connection_close_is_the_last_one(
    node: Node, listen: Listen, connect: Connect
) -> None:
    peer = connect(listen())

    peer.send(MESSAGE + MESSAGE.replace(b"Keep-Alive", b"close") + MESSAGE)

    assert undated(peer.receive_to_end()) == ACCEPTED * 2
    assert len(node.delivered) == 2


def test_a_sender_that_claims_another_ip_is_refused_if_the_setting_says_so(
    node: Node, listen: Listen, connect: Connect
) -> None:
    peer = connect(listen(require_peer_address_ip_match=True))

    peer.send(WITHOUT_LENGTH.replace(b"127.0.0.1:1234", b"10.1.2.3:1234") + MESSAGE)
    peer.end_sending()

    answers = peer.receive_to_end()
    assert answers.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert (
        b"\r\n\r\nUPID IP address validation failed:"
        b" Message from x@10.1.2.3:1234 was sent from IP 127.0.0.1HTTP/1.1 202"
    ) in answers
    assert node.delivered.get(timeout=LIMIT).sender.id == "linker"
    assert node.delivered.empty()


def test_a_sender_without_an_address_is_delivered_by_default(
    node: Node, listen: Listen, connect: Connect
) -> None:
    request = WITHOUT_LENGTH.replace(b"x@127.0.0.1:1234", b"what is this")

    ask(connect(listen()), request, ACCEPTED)

    assert node.delivered.get(timeout=LIMIT).sender == UPID()


def test_a_peer_that_closes_right_after_its_last_byte_loses_nothing(
    node: Node, listen: Listen
) -> None:
    # What libprocess does with a temporary connection. The answers meet a closed socket.
    address = listen()
    count = 5000
    with plain_socket.create_connection((address.ip, address.port), timeout=LIMIT) as sender:
        # The listener does not run in the meantime: this socket blocks the whole thread.
        sender.setsockopt(plain_socket.SOL_SOCKET, plain_socket.SO_SNDBUF, 1 << 20)
        sender.setblocking(False)
        burst = MESSAGE * count
        sent = sender.send(burst)
    whole = sent // len(MESSAGE)
    assert whole > 1000

    for _ in range(whole):
        node.delivered.get(timeout=LIMIT)


def test_the_listener_can_be_reached_over_ipv6(node: Node, connect: Connect) -> None:
    from greenproc.settings import Settings
    from greenproc.transport.listener import Listener

    listener = Listener(Settings(ip="::1"), node.hooks)
    try:
        address = listener.bind()
        listener.start()
        ask(connect(address), MESSAGE, ACCEPTED)
    finally:
        listener.stop(LIMIT)

    assert address.ip == "::1"
    assert node.delivered.get(timeout=LIMIT).body == b"hello"
