"""A node that answers for some hosts only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from greenproc.address import Address
from greenproc.future import Future
from greenproc.http.response import OK
from tests.transport.conftest import LIMIT, Node, Peer

Listen = Callable[..., Address]
Connect = Callable[[Address], Peer]

REQUESTS = {
    "request": b"GET /a HTTP/1.1\r\nHost: %b\r\n\r\n",
    "message": b"POST /sink/data HTTP/1.1\r\nUser-Agent: libprocess/x@127.0.0.1:1\r\n"
    b"Content-Length: 0\r\nHost: %b\r\n\r\n",
    "body to come": b"POST /a HTTP/1.1\r\nContent-Length: 5\r\nHost: %b\r\n\r\n",
    "body in chunks": b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: %b\r\n\r\n",
}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_nothing_for_another_host_is_delivered(
    node: Node, listen: Listen, connect: Connect, request_: bytes
) -> None:
    asked: list[str] = []
    node.hooks = replace(node.hooks, streams=lambda path: asked.append(path) is None)
    peer = connect(listen(allowed_hosts=("node.example.org",)))
    peer.send(request_ % b"evil.org:5050")

    answer = peer.receive_to_end()

    head = answer.partition(b"\r\n\r\n")[0]
    assert head.startswith(b"HTTP/1.1 421 Misdirected Request\r\n")
    assert b"X-Content-Type-Options: nosniff" in head and b"Connection: close" in head
    assert not node.delivered.qsize() and not node.requests.qsize() and not asked
    client, reason = node.refused.get(timeout=LIMIT)
    assert reason == "host not allowed" and client is not None


@pytest.mark.parametrize(
    "host", [b"Node.example.org", b"localhost:1", b"127.0.0.1:9", b"10.7.7.7"]
)
def test_what_is_for_this_host_is_delivered(
    node: Node, listen: Listen, connect: Connect, host: bytes
) -> None:
    node.answer = lambda request: Future(OK("hello"))
    peer = connect(listen(allowed_hosts=("node.example.org", "10.7.7.7")))

    peer.send(REQUESTS["message"] % host + REQUESTS["request"] % host)

    assert node.delivered.get(timeout=LIMIT).name == "data"
    assert node.requests.get(timeout=LIMIT).url.path == "/a"
    assert not node.refused.qsize()


def test_what_came_before_is_served(node: Node, listen: Listen, connect: Connect) -> None:
    node.answer = lambda request: Future(OK("hello"))
    peer = connect(listen(allowed_hosts=("node.example.org",)))

    peer.send(REQUESTS["request"] % b"localhost" + REQUESTS["request"] % b"evil.org" * 2)

    answers = peer.receive_to_end()
    assert answers.count(b"HTTP/1.1 200") == 1 and answers.count(b"HTTP/1.1 421") == 1
    assert node.requests.qsize() == 1


@pytest.mark.parametrize("allowed", [(), ("*",), ("node.example.org", "*")])
def test_any_host_is_served_by_default(
    node: Node, listen: Listen, connect: Connect, allowed: tuple[str, ...]
) -> None:
    node.answer = lambda request: Future(OK("hello"))
    peer = connect(listen(allowed_hosts=allowed))

    peer.send(REQUESTS["request"] % b"evil.org")

    assert node.requests.get(timeout=LIMIT).url.path == "/a"
