"""What a client may take of a node: bytes, time, and the patience of its pings."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from collections.abc import Iterator

import gevent
import pytest
from gevent import socket
from gevent.event import Event

from greenproc import Process, Runtime, Settings, WebSocket, websocket
from greenproc.errors import StateError
from greenproc.future import Future
from greenproc.testing import RuntimeMaker
from greenproc.websockets.session import MAX_UNSERVED_BYTES, MAX_UNSERVED_MESSAGES
from tests.peer import LIMIT
from tests.websockets.client import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Client,
    Frame,
    close,
    frame,
)
from tests.websockets.conftest import Connect, Echo
from tests.websockets.test_autobahn import RSV1, packed, unpacked

KIB, MIB = 1024, 1024 * 1024
TOO_BIG = struct.pack("!H", 1009)


class Bounded(Process):
    """Has small limits, and a handler that waits as long as a test wants."""

    def __init__(self) -> None:
        super().__init__("bounded")
        self.sockets: list[WebSocket] = []
        self.messages: list[str | bytes] = []
        self.ended: list[int | None] = []
        self.gate = Event()
        self.gate.set()

    @websocket("/ws", max_message_bytes=1000, max_send_bytes=256 * KIB, ping_interval=5.0)
    def on_connect(self, ws: WebSocket) -> None:
        self.sockets.append(ws)
        ws.on_message(self.on_message)
        ws.on_close(self.on_close)

    @websocket("/silent", max_send_bytes=256 * KIB, ping_interval=None)
    def on_silent(self, ws: WebSocket) -> None:
        self.on_connect(ws)

    def on_message(self, ws: WebSocket, message: str | bytes) -> None:
        self.gate.wait()
        self.messages.append(message)

    def on_close(self, ws: WebSocket) -> None:
        self.ended.append(ws.close_code)


@pytest.fixture
def bounded(runtime: Runtime) -> Iterator[Bounded]:
    process = Bounded()
    runtime.spawn(process)
    yield process
    process.gate.set()


@pytest.fixture
def client(bounded: Bounded, connect: Connect) -> Client:
    return connect("/bounded/ws")


def test_ws_message_limit(bounded: Bounded, connect: Connect, runtime: Runtime) -> None:
    """The limit is for the bytes of a message, whole or in fragments."""
    client = connect("/bounded/ws")
    client.send(frame(BINARY, b"x" * 1000) + frame(TEXT, "ü".encode() * 500))
    client.send(frame(TEXT, b"x" * 500, fin=False) + frame(CONTINUATION, b"x" * 500))
    runtime.settle()
    assert list(map(len, bounded.messages)) == [1000, 500, 1000]
    for sent in (
        frame(BINARY, b"x" * 1001),
        frame(TEXT, "ü".encode() * 500 + b"x"),
        frame(TEXT, b"x" * 500, fin=False) + frame(CONTINUATION, b"x" * 501),
        frame(TEXT, b"x" * 1001)[:4],  # by its head alone
    ):
        client = connect("/bounded/ws")
        client.send(sent)
        assert client.read_frames() == [Frame(CLOSE, TOO_BIG)]
    runtime.settle()
    assert bounded.ended == [1009] * 4
    assert len(bounded.messages) == 3


def test_ws_fragment_flood(bounded: Bounded, connect: Connect) -> None:
    client = connect("/bounded/ws")
    flood = frame(TEXT, b"", fin=False) + frame(CONTINUATION, b"", fin=False) * 2000
    client.send(flood)
    assert client.read_frames() == [Frame(CLOSE, TOO_BIG)]


def test_ws_huge_length(bounded: Bounded, client: Client) -> None:
    client.send(b"\x82\xff" + struct.pack("!Q", 1 << 62) + b"\0\0\0\0" + b"x" * 100)
    assert client.read_frames() == [Frame(CLOSE, TOO_BIG)]


DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate"


def test_ws_huge_packed_length(bounded: Bounded, connect: Connect) -> None:
    """Packed bytes that never unpack to anything are bounded, too."""
    client = connect("/bounded/ws", DEFLATE)
    client.send(b"\xc2\xff" + struct.pack("!Q", 1 << 40) + b"\0\0\0\0")
    assert client.read_frames() == [Frame(CLOSE, TOO_BIG)]
    client = connect("/bounded/ws", DEFLATE)
    nothing = b"\0\0\0\xff\xff" * 100
    client.send(frame(BINARY, nothing, fin=False, rsv=RSV1))
    client.send(frame(CONTINUATION, nothing, fin=False) * 5)
    assert client.read_frames() == [Frame(CLOSE, TOO_BIG)]


def test_ws_deflate_bomb(echo: Echo, connect: Connect) -> None:
    """190 KiB that unpack to 200 MiB: unpacking ends at the limit, in steps of 64 KiB."""
    packer = zlib.compressobj(9, wbits=-15)
    bomb = b"".join(packer.compress(bytes(MIB)) for _ in range(200))
    bomb += packer.flush(zlib.Z_SYNC_FLUSH)[:-4]
    client = connect("/echo/ws", DEFLATE)
    tracemalloc.start()
    try:
        client.send(frame(BINARY, bomb, rsv=RSV1))
        assert client.read_frames() == [Frame(CLOSE, TOO_BIG)]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * MIB


def test_ws_a_large_packed_message_lets_others_work(echo: Echo, connect: Connect) -> None:
    """Each 64 KiB of it is a step, after which others get their turn if the time is over."""
    payload = bytes(8 * MIB)
    client, other = connect("/echo/big", DEFLATE), connect()
    client.send(frame(BINARY, packed(payload), rsv=RSV1))
    other.say("hello")
    assert other.hear() == "hello"
    one = client.read_frame()
    assert one is not None and one.rsv == RSV1
    unpacker = zlib.decompressobj(-15)
    assert unpacker.decompress(one.payload + b"\0\0\xff\xff") == payload


def test_ws_a_message_to_many_is_packed_once(
    echo: Echo, connect: Connect, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    packers: list[int] = []
    compressobj = zlib.compressobj

    def counting(*args: int, wbits: int) -> object:
        packers.append(wbits)
        return compressobj(*args, wbits=wbits)

    monkeypatch.setattr("greenproc.websockets.frame_encoder.zlib.compressobj", counting)
    clients = [connect("/echo/ws", DEFLATE) for _ in range(5)]
    clients.append(connect("/echo/ws", f"{DEFLATE}; server_max_window_bits=9"))
    plain = connect()
    runtime.settle()
    text = "x" * 1000
    for ws in echo.sockets:
        ws.send(text)
    for client, bits in zip(clients, [15] * 5 + [9], strict=True):
        assert unpacked(client.read_frame(), bits) == text.encode()
    assert plain.hear() == text
    assert packers == [-15, -9]


def test_ws_a_message_that_changes_is_sent_as_it_is(
    echo: Echo, connect: Connect, runtime: Runtime
) -> None:
    client = connect()
    runtime.settle()
    data = bytearray(b"one")
    echo.sockets[0].send(data)
    data[:] = b"two"
    echo.sockets[0].send(data)
    assert (client.hear(), client.hear()) == (b"one", b"two")


def test_ws_packed_data_that_is_none(echo: Echo, connect: Connect) -> None:
    client = connect("/echo/ws", DEFLATE)
    client.send(frame(BINARY, b"\xff\xff\xff", rsv=RSV1))
    assert client.read_frames() == [Frame(CLOSE, struct.pack("!H", 1007))]


def test_ws_packed_text_that_is_no_utf8(echo: Echo, connect: Connect) -> None:
    client = connect("/echo/ws", DEFLATE)
    client.send(frame(TEXT, packed(b"\xff"), rsv=RSV1))
    assert client.read_frames() == [Frame(CLOSE, struct.pack("!H", 1007))]


def test_ws_packed_blocks_that_say_to_be_the_last(echo: Echo, connect: Connect) -> None:
    """RFC 7692 section 7.2.3.5, with its bytes, and twice."""
    client = connect("/echo/ws", DEFLATE)
    final = bytes.fromhex("f348cdc9c90700")
    client.send(frame(TEXT, final + b"\0", rsv=RSV1))
    assert client.hear() == "Hello"
    client.send(frame(TEXT, final + final + b"\0", rsv=RSV1))
    assert client.hear() == "HelloHello"


def test_ws_packed_examples_of_the_rfc(echo: Echo, connect: Connect) -> None:
    """RFC 7692 sections 7.2.3.1 to 7.2.3.4 and 7.2.3.6."""
    client = connect("/echo/ws", DEFLATE)
    for payload in ("f248cdc9c90700", "000500faff48656c6c6f00", "f24805000000ffffcac9c90700"):
        client.send(frame(TEXT, bytes.fromhex(payload), rsv=RSV1))
        assert client.hear() == "Hello"
    client.send(frame(TEXT, bytes.fromhex("f248cd"), fin=False, rsv=RSV1))
    client.send(frame(PING) + frame(CONTINUATION, bytes.fromhex("c9c90700")))
    assert client.read_frame() == Frame(PONG, b"")
    assert client.hear() == "Hello"
    client.send(frame(TEXT, b"\0", rsv=RSV1))
    assert client.hear() == ""


def test_ws_rsv1_on_a_later_fragment(echo: Echo, connect: Connect) -> None:
    client = connect("/echo/ws", DEFLATE)
    client.send(frame(TEXT, packed(b"a"), fin=False, rsv=RSV1))
    client.send(frame(CONTINUATION, b"", rsv=RSV1))
    assert client.read_frames() == [Frame(CLOSE, struct.pack("!H", 1002))]


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        ("permessage-deflate", ""),
        ("permessage-deflate; client_max_window_bits", ""),
        ("permessage-deflate; client_max_window_bits=10", "; client_max_window_bits=10"),
        ('permessage-deflate; client_max_window_bits="10"', "; client_max_window_bits=10"),
        ("permessage-deflate;server_max_window_bits=9", "; server_max_window_bits=9"),
        ("permessage-deflate; server_max_window_bits=15", ""),
        ("permessage-deflate; server_no_context_takeover;client_no_context_takeover", ""),
        ("permessage-deflate; server_max_window_bits = 12", "; server_max_window_bits=12"),
        ("x-webkit-deflate-frame, permessage-deflate", ""),
        ("permessage-deflate; server_max_window_bits=8, permessage-deflate", ""),
        ("permessage-deflate; server_max_window_bits=8", None),
        ("permessage-deflate; server_max_window_bits", None),
        ("permessage-deflate; server_max_window_bits=16", None),
        ("permessage-deflate; server_max_window_bits=09", None),
        ("permessage-deflate; client_max_window_bits=7", None),
        ("permessage-deflate; client_max_window_bits=abc", None),
        ("permessage-deflate; client_max_window_bits=", None),
        ("permessage-deflate; client_max_window_bits; client_max_window_bits", None),
        ("permessage-deflate; server_no_context_takeover=1", None),
        ("permessage-deflate; unknown", None),
        ("permessage-deflate;", None),
        ("deflate", None),
        ("", None),
    ],
)
def test_ws_deflate_negotiation(
    echo: Echo, connect: Connect, offer: str, answer: str | None
) -> None:
    client = connect("/echo/ws", f"Sec-WebSocket-Extensions: {offer}")
    told = client.answer.header("Sec-WebSocket-Extensions")
    usual = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
    assert told == (None if answer is None else usual + answer)
    client.say("hello")
    assert client.hear() == "hello"


def test_ws_offers_on_two_lines(echo: Echo, connect: Connect) -> None:
    client = connect(
        "/echo/ws",
        "Sec-WebSocket-Extensions: permessage-deflate; unknown",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=9",
    )
    told = client.answer.header("Sec-WebSocket-Extensions") or ""
    assert told.endswith("; client_max_window_bits=9")


def test_ws_ping_dead_peer(bounded: Bounded, client: Client, runtime: Runtime) -> None:
    """By the clock of the node: probed after 5 seconds, given up after 10."""
    runtime.settle()
    runtime.clock.pause()
    runtime.clock.advance(5.1)
    assert client.read_frame() == Frame(PING, b"")
    runtime.clock.advance(4.8)
    runtime.settle()
    assert bounded.sockets[0].is_open
    runtime.clock.advance(0.2)
    assert client.read_frame() is None
    runtime.settle()
    assert bounded.ended == [1006]
    assert runtime.statistics()["websockets"]["dead"] == 1


@pytest.mark.parametrize("answer", [frame(PONG), frame(TEXT, b"x"), frame(TEXT, b"xy")[:3]])
def test_ws_any_byte_is_a_sign_of_life(
    bounded: Bounded, client: Client, runtime: Runtime, answer: bytes
) -> None:
    runtime.settle()
    runtime.clock.pause()
    whole = frame(TEXT, b"xy")
    answers = [whole[:3], whole[3:], frame(PONG)] if len(answer) == 3 else [answer] * 3
    for one in answers:
        runtime.clock.advance(5.1)
        assert client.read_frame() == Frame(PING, b"")
        client.send(one)
        runtime.settle()
    runtime.clock.advance(5.1)
    assert client.read_frame() == Frame(PING, b"")
    assert bounded.sockets[0].is_open


def test_ws_a_slow_client_that_goes_on_reading_is_not_dead(
    bounded: Bounded, client: Client, runtime: Runtime
) -> None:
    """It cannot answer a Ping that stands behind what it still reads."""
    small_buffers(client)
    runtime.settle()
    (socket,) = bounded.sockets

    def queued() -> int:
        return socket.statistics()["queued_bytes"]

    def fill() -> int:
        while queued() < 100 * KIB:
            socket.send(b"x" * 32 * KIB)
            gevent.idle()
        return queued()

    runtime.clock.pause()
    for _ in range(3):
        before = fill()
        runtime.clock.advance(5.1)
        runtime.settle()
        while queued() >= before:
            client.read(KIB)
            gevent.idle()
        assert socket.is_open
    fill()
    for _ in range(2):
        runtime.clock.advance(5.1)
        runtime.settle()
    assert bounded.ended == [1006]


def test_ws_a_client_that_leaves_while_it_is_not_read_is_noticed(
    bounded: Bounded, client: Client, runtime: Runtime
) -> None:
    bounded.gate.clear()
    client.send(frame(TEXT, b"x") * (MAX_UNSERVED_MESSAGES + 10))
    while not bounded.sockets or bounded.sockets[0].statistics()["messages_in"] < 32:
        gevent.idle()
    runtime.clock.pause()
    runtime.clock.advance(5.1)
    client.reset()
    gevent.idle()
    runtime.clock.advance(5.1)
    gevent.idle()
    assert bounded.sockets[0].close_code == 1006
    bounded.gate.set()
    runtime.settle()
    assert bounded.ended == [1006]


def test_ws_without_an_interval_there_are_no_pings(
    bounded: Bounded, connect: Connect, runtime: Runtime
) -> None:
    client = connect("/bounded/silent")
    runtime.settle()
    runtime.clock.pause()
    runtime.clock.advance(1e6)
    runtime.settle()
    client.send(close(1000))
    assert client.read_frames() == [Frame(CLOSE, b"\x03\xe8")]


def small_buffers(client: Client) -> None:
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * KIB)


def test_ws_ping_flood(bounded: Bounded, connect: Connect, runtime: Runtime) -> None:
    """A client that does not read its Pongs has one that waits, the latest."""
    client = connect("/bounded/silent")
    small_buffers(client)
    runtime.settle()
    (socket,) = bounded.sockets
    while socket.statistics()["queued_bytes"] == 0:
        socket.send(b"x" * 32 * KIB)
        gevent.idle()
    before = socket.statistics()["queued_bytes"]
    client.send(b"".join(frame(PING, b"%05d" % number) for number in range(20_000)))
    runtime.settle()
    assert socket.statistics()["queued_bytes"] <= before + 7
    client.send(close(1000))
    frames = client.read_frames()
    pongs = [one.payload for one in frames if one.opcode == PONG]
    assert pongs[-1] == b"19999"
    assert len(pongs) < 20_000


def test_ws_backpressure_in(bounded: Bounded, client: Client, runtime: Runtime) -> None:
    """While the process does not serve, the client is not read; then it is, and loses nothing."""
    bounded.gate.clear()
    sent = [b"%05d" % number + b"x" * 900 for number in range(20_000)]
    flood = gevent.spawn(client.send, b"".join(frame(BINARY, one) for one in sent))
    runtime.clock.pause()
    while bounded.sockets[0].statistics()["messages_in"] < MAX_UNSERVED_MESSAGES:
        gevent.idle()
    for _ in range(5):
        gevent.idle()
        runtime.clock.advance(6.0)  # it is not dead, as it was not heard
    figures = bounded.sockets[0].statistics()
    assert figures["messages_in"] == MAX_UNSERVED_MESSAGES
    assert figures["unserved_bytes"] < MAX_UNSERVED_BYTES
    assert not flood.ready()
    bounded.gate.set()
    flood.get(timeout=LIMIT)
    client.send(close(1000))
    *_, last = client.read_frames()
    assert last == Frame(CLOSE, b"\x03\xe8")
    assert bounded.messages == sent
    assert bounded.ended == [1000]


def test_ws_backpressure_out(bounded: Bounded, connect: Connect, runtime: Runtime) -> None:
    """A client that does not read is told so with 1008, and so is the process; others go on."""
    client, other = connect("/bounded/silent"), connect("/bounded/silent")
    small_buffers(client)
    runtime.settle()
    slow, quick = bounded.sockets
    while slow.send(b"x" * 32 * KIB):
        gevent.idle()
        assert slow.statistics()["queued_bytes"] <= 256 * KIB
    assert slow.statistics()["queued_bytes"] < 256 * KIB + 32 * KIB  # what is being written
    assert not slow.is_open
    runtime.settle()
    assert bounded.ended == [1008]
    assert runtime.statistics()["websockets"]["slow"] == 1
    assert quick.send("hello")
    assert other.hear() == "hello"
    while (one := client.read_frame()) == Frame(BINARY, b"x" * 32 * KIB):
        pass
    assert one == Frame(CLOSE, struct.pack("!H", 1008) + b"too slow")
    client.send(close(1008))
    assert client.read_frame() is None


def test_ws_a_message_beyond_the_bound_may_be_sent_alone(
    bounded: Bounded, client: Client, runtime: Runtime
) -> None:
    runtime.settle()
    (socket,) = bounded.sockets
    assert socket.send(b"x" * MIB)
    assert client.hear() == b"x" * MIB


def test_ws_writable(bounded: Bounded, connect: Connect, runtime: Runtime) -> None:
    """A sender that waits is as fast as its client, and never too fast."""
    client = connect("/bounded/silent")
    small_buffers(client)
    runtime.settle()
    (socket,) = bounded.sockets
    assert socket.writable().is_ready

    def send_much() -> None:
        for _ in range(50):
            assert socket.send(b"x" * 200 * KIB)
            socket.writable().wait()

    sending = gevent.spawn(send_much)
    for _ in range(50):
        assert client.hear() == b"x" * 200 * KIB
    sending.get(timeout=LIMIT)


def test_ws_writable_is_ready_when_the_client_is_gone(
    bounded: Bounded, client: Client, runtime: Runtime
) -> None:
    small_buffers(client)
    runtime.settle()
    (socket,) = bounded.sockets
    waiting: Future[None] = Future(None)
    while waiting.is_ready:
        socket.send(b"x" * 100 * KIB)
        gevent.idle()
        waiting = socket.writable()
    client.reset()
    waiting.get(timeout=LIMIT)
    runtime.settle()
    assert bounded.ended == [1006]


def test_ws_messages_without_a_callback_are_dropped(runtime: Runtime, connect: Connect) -> None:
    class Deaf(Process):
        @websocket("/ws")
        def joined(self, ws: WebSocket) -> None:
            ws.send("hello")

    runtime.spawn(Deaf("deaf"))
    client = connect("/deaf/ws")
    assert client.hear() == "hello"
    client.send(frame(TEXT, b"x" * 100) * 1000 + close(1000))
    assert client.read_close() == 1000


def test_ws_another_thread_may_not_send(
    bounded: Bounded, client: Client, runtime: Runtime
) -> None:
    runtime.settle()
    (socket,) = bounded.sockets

    def send() -> None:
        with pytest.raises(StateError, match="another native thread"):
            socket.send("x")

    gevent.get_hub().threadpool.apply(send)


def test_ws_a_full_mailbox_closes_with_1013(make_runtime: RuntimeMaker) -> None:
    """Dropping a message in silence would be worse."""
    runtime = make_runtime(Settings(ip="127.0.0.1", max_mailbox_events=3))
    process = Bounded()
    runtime.spawn(process)
    with Client.at(runtime.address, "/bounded/silent") as client:
        runtime.settle()
        process.gate.clear()
        client.send(frame(TEXT, b"first"))
        while not process.sockets[0].statistics()["messages_in"]:
            gevent.idle()
        gevent.idle()
        for _ in range(3):
            runtime.post(process.pid, "other")
        client.send(frame(TEXT, b"second"))
        assert client.read_close() == 1013
        process.gate.set()
    assert process.sockets[0].close_code == 1013


def test_ws_all_slow_clients_together_are_bounded(make_runtime: RuntimeMaker) -> None:
    """The one that holds the most has to go."""
    runtime = make_runtime(Settings(ip="127.0.0.1", max_unsent_bytes=300 * KIB))
    process = Bounded()
    runtime.spawn(process)
    with (
        Client.at(runtime.address, "/bounded/silent") as one,
        Client.at(runtime.address, "/bounded/silent") as two,
    ):
        runtime.settle()
        first, second = process.sockets
        for client, ws, least in ((one, first, 100 * KIB), (two, second, 150 * KIB)):
            small_buffers(client)
            while ws.statistics()["queued_bytes"] < least:
                ws.send(b"x" * 32 * KIB)
                gevent.idle()
        assert first.is_open
        assert second.is_open
        while second.is_open:
            second.send(b"x" * 32 * KIB)
        assert second.close_code == 1008
        assert first.is_open
        runtime.settle()
        assert process.ended == [1008]
    assert runtime.websockets.unsent.total <= 300 * KIB
