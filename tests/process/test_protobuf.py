"""Bodies that are protobuf messages, of classes that are made here."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from greenproc import UPID, Process, Promise, Runtime, install
from greenproc.errors import InvalidArgument, InvalidMessage
from greenproc.testing import await_ready
from greenproc.testing.runtimes import RuntimeMaker
from greenproc.typed import codec_of, encode
from tests.peer import Peer

pytest.importorskip("google.protobuf")

from tests.protobuf_classes import Nothing, Register

WHOLE = Register(name="ann", port=5, below=[Register(name="bob")])


class Master(Process):
    """Keeps what registers."""

    def __init__(self) -> None:
        super().__init__("master")
        self.got: list[tuple[UPID, Any]] = []
        self.first: Promise[Any] = Promise()

    @install(Register)
    def on_register(self, sender: UPID, register: Any) -> None:
        self.got.append((sender, register))
        self.first.set(register)

    @install("named", Nothing)
    def on_named(self, sender: UPID, nothing: Any) -> None:
        self.got.append((sender, nothing))

    @install("raw")
    def on_raw(self, sender: UPID, body: bytes) -> None:
        self.got.append((sender, body))


def test_full_name_is_the_name_on_the_wire(runtime: Runtime) -> None:
    master = Master()
    runtime.spawn(master)
    runtime.post(master, WHOLE)
    runtime.post(master, "mesos.internal.Register", WHOLE)
    runtime.post(master, "named", Nothing())
    runtime.post(master, "raw", WHOLE)
    runtime.settle()
    raw = WHOLE.SerializeToString()
    assert [value for _, value in master.got] == [WHOLE, WHOLE, Nothing(), raw]


def test_message_travels_between_nodes(make_runtime: RuntimeMaker) -> None:
    here, there = make_runtime(), make_runtime()
    master = Master()
    there.spawn(master)
    here.post(master.pid, WHOLE)
    assert await_ready(master.first.future) == WHOLE


def test_bytes_are_those_of_a_libprocess_peer(runtime: Runtime) -> None:
    master = Master()
    runtime.spawn(master)
    body = b"\x0a\x03ann\x10\x05\x1a\x05\x0a\x03bob"  # by the specification of the encoding
    head = (
        b"POST /master/mesos.internal.Register HTTP/1.1\r\nHost: x\r\n"
        b"User-Agent: libprocess/a@1.2.3.4:5\r\nLibprocess-From: a@1.2.3.4:5\r\n"
        b"Connection: Keep-Alive\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with Peer.connect(runtime.address) as peer:
        peer.send(head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
        assert peer.read_answer().code == 202
    runtime.settle()
    assert master.got == [(UPID.parse("a@1.2.3.4:5"), WHOLE)]
    assert encode(WHOLE) == body


def test_required_field_must_be_there_to_send(runtime: Runtime) -> None:
    master = Master()
    runtime.spawn(master)
    with pytest.raises(InvalidArgument, match=r"Register, got one without name, below\[0\].name"):
        runtime.post(master, Register(below=[Register()]))


FAULTS = {
    "a required field is missing": (b"\x10\x05", "$.name"),
    "one is missing below": (b"\x0a\x03ann\x1a\x00", "$.below[0].name"),
    "nothing": (b"", "$.name"),
    "truncated": (WHOLE.SerializeToString()[:-1], "$"),
    "trailing bytes": (WHOLE.SerializeToString() + b"\x00", "$"),
    "a length of 2 gigabytes": (b"\x0a\xff\xff\xff\xff\x07a", "$"),
    "a number that never ends": (b"\x10" + b"\xff" * 100, "$"),
    "messages in each other": (b"", "$"),
    "MessagePack": (encode({"name": "ann"}), "$"),
}


def deep(depth: int) -> bytes:
    """Return a Register in a Register and so on."""
    body = b""
    for _ in range(depth):
        size, length = len(body), b""
        while size > 127:
            length += bytes([size % 128 + 128])
            size //= 128
        body = b"\x0a\x01a\x1a" + length + bytes([size]) + body
    return body


FAULTS["messages in each other"] = (deep(5_000), "$")


@pytest.mark.parametrize("fault", FAULTS)
def test_message_that_does_not_decode_is_dropped(
    runtime: Runtime, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "greenproc.process")
    body, path = FAULTS[fault]
    with pytest.raises(InvalidMessage) as caught:
        codec_of(Register).decode(body)
    assert caught.value.path == path

    master = Master()
    runtime.spawn(master)
    runtime.post(master, "mesos.internal.Register", body)
    runtime.post(master, "raw", b"lives")
    runtime.settle()
    assert master.got == [(UPID(), b"lives")]
    assert runtime.statistics()["messages_dropped"]["body not decoded"] == 1
    assert f"at {path}: " in caplog.text
