"""A live node and clients that send what no client should, over real sockets."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from gevent import socket

from greenproc import Failure, Process, Runtime, Settings, route
from greenproc.http import Request
from greenproc.testing import RuntimeMaker
from tests.integration.http_cases import CASES, HEAD, Case, chunked, get, message
from tests.integration.probe import Probe
from tests.peer import Peer

GOOD = get(b"/probe")


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_a_client_gets_the_answer_it_deserves_and_the_next_one_is_served(
    node: Runtime, probe: Probe, case: Case
) -> None:
    with Peer.connect(node.address) as peer:
        peer.send(case.data)
        if case.half_closed:
            peer.socket.shutdown(socket.SHUT_WR)
        for status, body in case.answers:
            answer = peer.read_answer()
            assert answer.status == f"HTTP/1.1 {status}"
            assert answer.body == body or body == HEAD == answer.body[: len(HEAD)]
            length = None if answer.code == 100 else str(len(answer.body))
            assert answer.header("Content-Length") == length
        assert tuple(probe.served) == case.served
        if case.closed:
            assert peer.read_to_end() == b""
        else:
            assert peer.ask(GOOD).code == 200

    with Peer.connect(node.address) as peer:
        assert peer.ask(GOOD).body == b"GET /probe 0"


def test_clients_that_stop_within_a_request_hold_nobody_up(node: Runtime, probe: Probe) -> None:
    data = chunked(b"5\r\nhello\r\n0\r\nA: b\r\n\r\n")
    with ExitStack() as stack:
        peers = [stack.enter_context(Peer.connect(node.address)) for _ in range(1, len(data))]
        for sent, peer in enumerate(peers, 1):
            peer.send(data[:sent])
        with Peer.connect(node.address) as quick:
            assert quick.ask(GOOD).code == 200
        assert probe.served == ["GET /probe 0"]

        for sent, peer in enumerate(peers, 1):
            peer.send(data[sent:])
        assert {peer.read_answer().body for peer in peers} == {b"POST /probe/dump 5"}


def test_a_sender_that_is_refused_may_have_any_bytes(make_runtime: RuntimeMaker) -> None:
    node = make_runtime(Settings(ip="127.0.0.1", require_peer_address_ip_match=True))
    with Peer.connect(node.address) as peer:
        answer = peer.ask(message(b"Libprocess-From: \xff@1.2.3.4:5\r\nContent-Length: 0"))
    assert answer.code == 400
    assert b"Message from \xff@1.2.3.4:5 was sent from IP 127.0.0.1" in answer.body


class Teller(Process):
    """Tells the JSON that it gets."""

    @route("/fail")
    def on_fail(self, request: Request) -> Failure:
        return Failure(f"no such {request.json()}")

    @route("/tell")
    def on_tell(self, request: Request) -> str:
        return f"{request.json()}"


@pytest.mark.parametrize(
    ("path", "code", "body"), [(b"/fail", 500, b"no such ?"), (b"/tell", 200, b"?")]
)
def test_a_text_may_hold_whatever_json_may(
    runtime: Runtime, path: bytes, code: int, body: bytes
) -> None:
    runtime.spawn(Teller("teller"))
    with Peer.connect(runtime.address) as peer:
        answer = peer.ask(
            b"POST /teller" + path + b' HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\n"\\ud800"'
        )
        assert (answer.code, answer.body) == (code, body)
        assert peer.get("/teller").code == 404
