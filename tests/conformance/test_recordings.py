"""A live node gets the very bytes that a C++ libprocess sent, and those it was sent.

The requests and responses were recorded on loopback; ports and dates differ from run to run. The
node that was asked ran the processes ``echo`` and ``sink``, which are rebuilt here.
"""

from __future__ import annotations

import re

import pytest

from greenproc.http.request import Request
from greenproc.message import Message
from greenproc.pid import UPID
from greenproc.process import Event, MessageEvent, Process, install, route
from greenproc.runtime import Runtime
from greenproc.testing import await_ready, future_message
from tests.peer import Peer

LINKER = UPID.parse("linker@127.0.0.1:43173")


class Echo(Process):
    """Answers each message with a ``pong`` of the same body."""

    def consume_message(self, event: MessageEvent) -> None:
        if event.message.name == "die":
            self.terminate()
        else:
            self.send(event.message.sender, "pong", event.message.body)


class Sink(Process):
    """Counts messages called ``data``."""

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.count = 0

    @install("data")
    def on_data(self, sender: UPID, body: bytes) -> None:
        self.count += 1

    @route("/count")
    def on_count(self, request: Request) -> str:
        return str(self.count)


# What libprocess sent


def sent(path: bytes, body: bytes, sender: bytes = b"linker@127.0.0.1:43173") -> bytes:
    """Return the request in the form in which all of them were recorded."""
    return (
        b"POST " + path + b" HTTP/1.1\r\n"
        b"User-Agent: libprocess/" + sender + b"\r\n"
        b"Libprocess-From: " + sender + b"\r\n"
        b"Connection: Keep-Alive\r\n"
        b"Host: 127.0.0.1:33885\r\n" + body
    )


def chunk(size: bytes, data: bytes) -> bytes:
    return b"Transfer-Encoding: chunked\r\n\r\n" + size + b"\r\n" + data + b"\r\n0\r\n\r\n"


HELLO = chunk(b"5", b"hello")
BINARY = b"\x00\x01\r\n\r\n\xff\xc3\xa9\x7f\x80"
SENT = {
    "empty": (sent(b"/rcv/ping", b"\r\n"), "rcv", "ping", b""),
    "small": (sent(b"/rcv/ping", HELLO), "rcv", "ping", b"hello"),
    "binary": (sent(b"/rcv/ping", chunk(b"b", BINARY)), "rcv", "ping", BINARY),
    "100k": (
        sent(b"/rcv/ping", chunk(b"19000", b"x" * 102_400)),
        "rcv",
        "ping",
        b"x" * 102_400,
    ),
    "empty id": (sent(b"/ping", HELLO), "ping", "", b"hello"),
    "empty name": (sent(b"/rcv/", HELLO), "rcv", "", b"hello"),
    "id with percent": (sent(b"/r%20v/ping", HELLO), "r v", "ping", b"hello"),
    "id with slash": (sent(b"/a/b/ping", HELLO), "a", "b/ping", b"hello"),
    "id with parentheses": (sent(b"/rcv(1)/ping", HELLO), "rcv(1)", "ping", b"hello"),
    "name with dots": (
        sent(b"/rcv/mesos.internal.Foo", chunk(b"1", b"\x01")),
        "rcv",
        "mesos.internal.Foo",
        b"\x01",
    ),
    "name with slash": (sent(b"/rcv/a/b", HELLO), "rcv", "a/b", b"hello"),
}


@pytest.mark.parametrize("case", SENT)
def test_message_as_libprocess_sends_it_is_delivered(runtime: Runtime, case: str) -> None:
    data, id, name, body = SENT[case]
    pid = runtime.spawn(Process(id))
    message = future_message(to=pid)
    with Peer.connect(runtime.address) as peer:
        assert peer.ask(data).code == 202
    assert await_ready(message) == Message(name, LINKER, pid, body)


def test_message_without_a_sender_as_libprocess_sends_it(runtime: Runtime) -> None:
    pid = runtime.spawn(Process("rcv"))
    message = future_message(to=pid)
    with Peer.connect(runtime.address) as peer:
        assert peer.ask(sent(b"/rcv/ping", HELLO, b"@0.0.0.0:0")).code == 202
    assert await_ready(message) == Message("ping", UPID(), pid, b"hello")


class Collector(Process):
    """Keeps the messages that it gets."""

    def __init__(self, id: str, messages: list[Message]) -> None:
        super().__init__(id)
        self.messages = messages

    def serve(self, event: Event) -> None:
        if isinstance(event, MessageEvent):
            self.messages.append(event.message)
        super().serve(event)


UNLINKED_BURST = (
    sent(b"/rcv/one", chunk(b"1", b"1"))
    + sent(b"/rcv/two", chunk(b"1", b"2"))
    + sent(b"/rcv/three", chunk(b"1", b"3"))
)


def test_burst_of_libprocess_which_shuts_its_end_at_once(runtime: Runtime) -> None:
    messages: list[Message] = []
    runtime.spawn(Collector("rcv", messages))
    with Peer.connect(runtime.address) as peer:
        peer.send(UNLINKED_BURST)
        peer.socket.shutdown(1)
        assert [peer.read_answer().code for _ in range(3)] == [202, 202, 202]
        assert peer.read_to_end() == b""
    runtime.settle()
    assert [(message.name, message.body) for message in messages] == [
        ("one", b"1"),
        ("two", b"2"),
        ("three", b"3"),
    ]


LINKED_SENDS = (
    sent(b"/rcv/ping", chunk(b"3", b"one"))
    + sent(b"/other/ping", chunk(b"3", b"two"))
    + sent(b"/third/ping", chunk(b"5", b"three"))
)


def test_sends_of_libprocess_over_a_link(runtime: Runtime) -> None:
    messages: list[Message] = []
    for id in ("rcv", "other", "third"):
        runtime.spawn(Collector(id, messages))
    with Peer.connect(runtime.address) as peer:
        peer.send(LINKED_SENDS)
        assert [peer.read_answer().code for _ in range(3)] == [202, 202, 202]
    assert [(message.to.id, message.body) for message in messages] == [
        ("rcv", b"one"),
        ("other", b"two"),
        ("third", b"three"),
    ]


# What libprocess was sent, and what it answered

ACCEPTED = (
    b"HTTP/1.1 202 Accepted\r\nDate: Tue, 24 Nov 2026 02:22:17 GMT\r\nContent-Length: 0\r\n\r\n"
)
NOT_FOUND = (
    b"HTTP/1.1 404 Not Found\r\nDate: Tue, 24 Nov 2026 02:22:17 GMT\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 14\r\n\r\n404 Not Found."
)
AGENT = b"User-Agent: libprocess/x@127.0.0.1:1234\r\n"
HOST = b"Host: 127.0.0.1:36069\r\n"
EMPTY = b" HTTP/1.1\r\n" + AGENT + b"Content-Length: 0\r\n" + HOST + b"\r\n"
ASKED = {
    "get": (b"GET /sink/data HTTP/1.1\r\n" + AGENT + HOST + b"\r\n", NOT_FOUND, 0),
    "put": (b"PUT /sink/data" + EMPTY, NOT_FOUND, 0),
    "percent id": (b"POST /%73ink/data" + EMPTY, ACCEPTED, 1),
    "query": (b"POST /sink/data?a=b" + EMPTY, ACCEPTED, 1),
    "unknown name": (b"POST /sink/nosuch" + EMPTY, ACCEPTED, 0),
    "unknown process": (b"POST /nobody/ping" + EMPTY, NOT_FOUND, 0),
}


NOSNIFF = b"X-Content-Type-Options: nosniff\r\n"  # which libprocess does not write


def without_date(response: bytes) -> bytes:
    date = rb"Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n"
    changed, count = re.subn(date, b"", response)
    assert count == 1
    return changed


@pytest.mark.parametrize("case", ASKED)
def test_node_answers_as_libprocess_did(runtime: Runtime, case: str) -> None:
    data, response, counted = ASKED[case]
    sink = Sink("sink")
    runtime.spawn(sink)
    with Peer.connect(runtime.address) as peer:
        peer.send(data)
        added = NOSNIFF if response is NOT_FOUND else b""
        answer = peer.read(len(response) + len(added))
        assert without_date(answer).replace(added, b"", 1) == without_date(response)
    runtime.settle()
    assert sink.count == counted


def test_gzipped_body_of_a_message_is_unpacked(runtime: Runtime) -> None:
    runtime.spawn(Echo("echo"))
    linker = runtime.spawn(Process("linker"))
    pong = future_message("pong", to=linker)
    # The sender was on the node itself, so its port differs from run to run.
    port = str(runtime.address.port).encode()
    with Peer.connect(runtime.address) as peer:
        peer.send(
            b"POST /echo/ping HTTP/1.1\r\nUser-Agent: libprocess/linker@127.0.0.1:"
            + port
            + b"\r\n"
            b"Content-Encoding: gzip\r\nContent-Length: 26\r\nHost: 127.0.0.1:36069\r\n\r\n"
            b"\x1f\x8b\x08\x00\xe1\xf4\x04k\x02\xff\xab\xca,(HM\x01\x00Wh\xc2\xe2\x06\x00\x00\x00"
        )
        assert without_date(peer.read(len(ACCEPTED))) == without_date(ACCEPTED)
    assert await_ready(pong).body == b"zipped"
