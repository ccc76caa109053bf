"""A live node and clients that send what no client should, over real sockets."""

from __future__ import annotations

import pytest
from gevent import socket

from greenproc import UPID, Process, Runtime, Settings, install, route
from greenproc.http import OK, Request, Response
from greenproc.testing import RuntimeMaker
from tests.integration.http_cases import CASES, HEAD, MAX_BODY_BYTES, Case, get
from tests.peer import Peer

GOOD = get(b"/probe")


class Probe(Process):
    """Answers with what it sees, and keeps that."""

    def __init__(self) -> None:
        super().__init__("probe")
        self.served: list[str] = []

    @route("/")
    @route("/dump")
    @route("/smuggled")
    def on_request(self, request: Request) -> Response:
        text = f"{request.method} {request.url.path} {len(request.body)}"
        self.served.append(text)
        return OK(text)

    @install("note")
    def on_note(self, sender: UPID, body: bytes) -> None:
        """Take a message."""


@pytest.fixture
def node(make_runtime: RuntimeMaker) -> Runtime:
    return make_runtime(Settings(ip="127.0.0.1", max_body_bytes=MAX_BODY_BYTES))


@pytest.fixture
def probe(node: Runtime) -> Probe:
    probe = Probe()
    node.spawn(probe)
    return probe


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
            assert answer.header("Content-Length") == str(len(answer.body))
        assert tuple(probe.served) == case.served
        if case.closed:
            assert peer.read_to_end() == b""
        else:
            assert peer.ask(GOOD).code == 200

    with Peer.connect(node.address) as peer:
        assert peer.ask(GOOD).body == b"GET /probe 0"
