"""What libprocess does and its own tests do not tell: messages on the wire, their order, settling."""

from __future__ import annotations

import re

import gevent
import pytest

from greenproc.future import Promise
from greenproc.message import Message
from greenproc.pid import UPID
from greenproc.process import Process, install
from greenproc.runtime import Runtime
from greenproc.settings import Settings
from greenproc.testing import RuntimeMaker, await_ready, future_message
from tests.peer import Acceptor, Peer

COUNT = 10_000


class Collector(Process):
    """Completes a future when the message called ``last`` comes."""

    def __init__(self, id: str = "collector") -> None:
        super().__init__(id)
        self.bodies: list[bytes] = []
        self.senders: set[UPID] = set()
        self.done: Promise[None] = Promise()

    @install("number")
    def on_number(self, sender: UPID, body: bytes) -> None:
        self.bodies.append(body)
        self.senders.add(sender)

    @install("last")
    def on_last(self, sender: UPID, body: bytes) -> None:
        self.done.set(None)


class Burster(Process):
    def burst(self, to: UPID, count: int) -> None:
        for number in range(count):
            self.send(to, "number", str(number).encode())
        self.send(to, "last")


@pytest.mark.parametrize("linked", [True, False], ids=["linked", "unlinked"])
def test_burst_arrives_complete_and_in_order(make_runtime: RuntimeMaker, linked: bool) -> None:
    here, there = make_runtime(), make_runtime()
    collector, burster = Collector(), Burster("burster")
    there.spawn(collector)
    here.spawn(burster)
    if linked:
        here.dispatch(burster, burster.link, collector.pid).get()

    here.dispatch(burster, Burster.burst, collector.pid, COUNT)

    await_ready(collector.done.future)
    assert collector.bodies == [str(number).encode() for number in range(COUNT)]
    assert collector.senders == {burster.pid}


def test_two_unlinked_bursts_lose_nothing(make_runtime: RuntimeMaker) -> None:
    here, there = make_runtime(), make_runtime()
    burster = Burster("burster")
    here.spawn(burster)
    for id in ("first", "second"):
        collector = Collector(id)
        there.spawn(collector)
        here.dispatch(burster, Burster.burst, collector.pid, 100)
        await_ready(collector.done.future)
        assert len(collector.bodies) == 100


def sender_of(runtime: Runtime) -> Process:
    process = Process("s")
    runtime.spawn(process)
    return process


def test_message_without_a_body_on_the_wire(runtime: Runtime) -> None:
    with Acceptor() as acceptor:
        sender_of(runtime).send(UPID("rcv", acceptor.address), "ping")
        with acceptor.accept() as peer:
            assert peer.read_until(b"\r\n\r\n") == (
                b"POST /rcv/ping HTTP/1.1\r\n"
                b"User-Agent: libprocess/s@%(from)s\r\n"
                b"Libprocess-From: s@%(from)s\r\n"
                b"Connection: Keep-Alive\r\n"
                b"Host: %(to)s\r\n"
                b"\r\n" % addresses(runtime, acceptor)
            )


def test_message_with_a_body_on_the_wire(runtime: Runtime) -> None:
    with Acceptor() as acceptor:
        sender_of(runtime).send(UPID("rcv", acceptor.address), "ping", b"\x00\x01\r\n\r\n\xff")
        expected = (
            b"POST /rcv/ping HTTP/1.1\r\n"
            b"User-Agent: libprocess/s@%(from)s\r\n"
            b"Libprocess-From: s@%(from)s\r\n"
            b"Connection: Keep-Alive\r\n"
            b"Host: %(to)s\r\n"
            b"Transfer-Encoding: chunked\r\n"
            b"\r\n"
            b"7\r\n\x00\x01\r\n\r\n\xff\r\n0\r\n\r\n" % addresses(runtime, acceptor)
        )
        with acceptor.accept() as peer:
            assert peer.read(len(expected)) == expected


def test_link_sends_nothing(runtime: Runtime) -> None:
    linker = sender_of(runtime)
    with Acceptor() as acceptor:
        runtime.dispatch(linker, linker.link, UPID("x", acceptor.address)).get()
        with acceptor.accept() as peer:
            runtime.stop()
            assert peer.read_to_end() == b""


def addresses(runtime: Runtime, acceptor: Acceptor) -> dict[bytes, bytes]:
    return {b"from": str(runtime.address).encode(), b"to": str(acceptor.address).encode()}


def test_accepted_message_is_answered_with_202(runtime: Runtime) -> None:
    runtime.spawn(Collector())
    with Peer.connect(runtime.address) as peer:
        peer.send(
            b"POST /collector/number HTTP/1.1\r\nHost: x\r\nLibprocess-From: @1.2.3.4:99\r\n"
            b"Content-Length: 2\r\n\r\nhi"
        )
        head = peer.read_until(b"\r\n\r\n")
    assert re.fullmatch(
        rb"HTTP/1\.1 202 Accepted\r\n"
        rb"Date: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\r\n"
        rb"Content-Length: 0\r\n\r\n",
        head,
    )


def test_forged_sender_is_refused_when_the_settings_say_so(make_runtime: RuntimeMaker) -> None:
    node = make_runtime(Settings(ip="127.0.0.1", require_peer_address_ip_match=True))
    collector = Collector()
    node.spawn(collector)
    with Peer.connect(node.address) as peer:
        answer = peer.ask(
            b"POST /collector/number HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"
            b"Libprocess-From: x@10.0.0.1:99\r\n\r\n"
        )
        assert answer.status == "HTTP/1.1 400 Bad Request"
        assert answer.body == (
            b"UPID IP address validation failed: Message from x@10.0.0.1:99 "
            b"was sent from IP 127.0.0.1"
        )
        honest = f"Libprocess-From: x@127.0.0.1:{peer.address.port}\r\n\r\n".encode()
        assert (
            peer.ask(
                b"POST /collector/number HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n" + honest
            ).code
            == 202
        )
    node.settle()
    assert len(collector.bodies) == 1


@pytest.mark.parametrize(
    ("path", "id", "name"),
    [
        ("/id%281%29/n", "id(1)", "n"),
        ("/a+b/n", "a b", "n"),
        ("/id/a/b/c", "id", "a/b/c"),
        ("/id/a%20b+c", "id", "a%20b+c"),
        ("/id?x=y", "id", ""),
        ("/id/", "id", ""),
    ],
)
def test_id_is_decoded_and_name_is_not(runtime: Runtime, path: str, id: str, name: str) -> None:
    pid = runtime.spawn(Process(id))
    message = future_message(to=pid)
    with Peer.connect(runtime.address) as peer:
        answer = peer.ask(
            f"POST {path} HTTP/1.1\r\nHost: x\r\nLibprocess-From: s@1.2.3.4:99\r\n"
            "Content-Length: 0\r\n\r\n".encode()
        )
    assert answer.code == 202
    assert await_ready(message) == Message(name, UPID.parse("s@1.2.3.4:99"), pid, b"")


COMPACTOR = (
    b"POST /collector/number HTTP/1.0\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n"
    b"Libprocess-From: master(1)@10.0.0.1:5050\r\n\r\nhi"
)
COMPACTOR_LEGACY = (
    b"POST /collector/number HTTP/1.0\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n"
    b"User-Agent: libprocess/master(1)@10.0.0.1:5050\r\n\r\nhi"
)
MESOS_GO = (
    b"POST /collector/number HTTP/1.1\r\nHost: 127.0.0.1:5050\r\nUser-Agent: Go-http-client/1.1\r\n"
    b"Content-Length: 2\r\nConnection: Keep-Alive\r\nContent-Type: application/x-protobuf\r\n"
    b"Libprocess-From: master(1)@10.0.0.1:5050\r\nAccept-Encoding: gzip\r\n\r\nhi"
)


@pytest.mark.parametrize(
    "request_bytes",
    [COMPACTOR, COMPACTOR_LEGACY, MESOS_GO],
    ids=["compactor", "compactor, legacy", "mesos-go"],
)
def test_requests_of_other_ports_are_messages(runtime: Runtime, request_bytes: bytes) -> None:
    collector = Collector()
    runtime.spawn(collector)
    with Peer.connect(runtime.address) as peer:
        assert [peer.ask(request_bytes).code for _ in range(2)] == [202, 202]  # kept alive
    runtime.settle()
    assert collector.bodies == [b"hi", b"hi"]
    assert collector.senders == {UPID.parse("master(1)@10.0.0.1:5050")}


# Settling


def test_settle_returns_at_once_when_nothing_is_to_do(runtime: Runtime) -> None:
    runtime.settle()
    runtime.settle(timeout=0.0)


def test_settle_waits_for_a_blocked_handler_and_for_what_follows(runtime: Runtime) -> None:
    calls: list[str] = []

    class Chain(Process):
        def first(self) -> None:
            gate.future.get()
            self.runtime.dispatch(self.runtime.spawn(Chain()), Chain.second)

        def second(self) -> None:
            self.runtime.delay(0.0, self, Chain.third)

        def third(self) -> None:
            calls.append("third")

    gate: Promise[None] = Promise()
    runtime.clock.pause()
    runtime.dispatch(runtime.spawn(Chain()), Chain.first)
    opener = gevent.spawn_later(0.01, gate.set, None)
    runtime.settle()
    assert calls == ["third"]
    opener.join()
