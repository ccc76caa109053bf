"""How many connections stand, and which go when others want in."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import gevent
import pytest

from greenproc.address import Address
from greenproc.future import Future, Promise
from greenproc.http.response import OK, Response
from greenproc.settings import Settings
from greenproc.transport.connection_limit import (
    ACCEPTED_SHARE,
    RESERVE,
    ConnectionLimit,
    share_of_descriptors,
)
from greenproc.transport.listener import Acceptor
from tests.transport.conftest import LIMIT, Node, Peer

Listen = Callable[..., Address]
Connect = Callable[[Address], Peer]

HELLO = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
MESSAGE = (
    b"POST /sink/data HTTP/1.1\r\nUser-Agent: libprocess/x@127.0.0.1:1234\r\n"
    b"Content-Length: 0\r\nHost: 127.0.0.1:36069\r\n\r\n"
)
ANSWER_BYTES = 81  # of the answer to a message, recorded from libprocess


@pytest.fixture(autouse=True)
def _hello(node: Node) -> None:
    node.answer = lambda request: Future(OK("hello"))


@pytest.fixture(autouse=True)
def _nothing_in_reserve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("greenproc.transport.connection_limit.RESERVE", 0)


def ask(peer: Peer) -> bytes:
    """Return the first line of the answer to a request; empty when there is none."""
    try:
        peer.send(HELLO)
        answer = b""
        while not answer.endswith(b"hello") and (piece := peer.socket.recv(4096)):
            answer += piece
    except ConnectionError:
        return b""
    return answer.partition(b"\r\n")[0]


def is_closed(peer: Peer) -> bool:
    try:
        return peer.receive_to_end() == b""
    except ConnectionResetError:
        return True


def deliver(peer: Peer) -> Peer:
    """Make the connection of *peer* one that may be a link."""
    peer.send(MESSAGE)
    assert peer.receive(ANSWER_BYTES).startswith(b"HTTP/1.1 202")
    return peer


def reasons(node: Node) -> list[str]:
    return [node.refused.get()[1] for _ in range(len(node.refused))]


def test_the_oldest_silent_connection_goes_first(
    node: Node, listen: Listen, connect: Connect
) -> None:
    address = listen(max_connections=3)
    idle = connect(address)
    assert ask(idle) == b"HTTP/1.1 200 OK"
    silent, younger = connect(address), connect(address)
    gevent.idle()

    fresh = connect(address)

    assert ask(fresh) == b"HTTP/1.1 200 OK"
    assert is_closed(silent)
    assert ask(idle) == ask(younger) == b"HTTP/1.1 200 OK"
    assert reasons(node) == ["closed to make room"]


def test_at_last_one_that_is_idle_goes(node: Node, listen: Any, connect: Connect) -> None:
    address = listen(max_connections=2)
    link = deliver(connect(address))
    idle = connect(address)
    assert ask(idle) == b"HTTP/1.1 200 OK"

    assert ask(connect(address)) == b"HTTP/1.1 200 OK"

    assert is_closed(idle)
    deliver(link)
    statistics = listen.listeners[0].statistics()
    assert (statistics["max_connections"], statistics["evicted"], statistics["refused"]) == (
        2,
        1,
        0,
    )


def test_then_one_with_part_of_its_first_head(
    node: Node, listen: Listen, connect: Connect
) -> None:
    address = listen(max_connections=2)
    idle = connect(address)
    assert ask(idle) == b"HTTP/1.1 200 OK"
    slow = connect(address)
    slow.send(HELLO[:10])
    gevent.idle()

    assert ask(connect(address)) == b"HTTP/1.1 200 OK"

    assert is_closed(slow)
    assert ask(idle) == b"HTTP/1.1 200 OK"


def test_nobody_goes_who_is_busy_or_may_be_a_link(
    node: Node, listen: Any, connect: Connect
) -> None:
    answer: Promise[Response] = Promise()
    answers = iter([answer.future])
    node.answer = lambda request: next(answers)
    address = listen(max_connections=2)
    link = deliver(connect(address))
    waiting = connect(address)
    waiting.send(HELLO)
    node.requests.get(timeout=LIMIT)

    assert connect(address).receive_to_end().startswith(b"HTTP/1.1 503 Service Unavailable\r\n")

    answer.set(OK("hello"))
    assert waiting.receive(20).startswith(b"HTTP/1.1 200 OK")
    deliver(link)
    assert reasons(node) == ["too many connections"]
    assert listen.listeners[0].statistics()["refused"] == 1


def test_a_connection_that_ends_makes_room(node: Node, listen: Listen, connect: Connect) -> None:
    address = listen(max_connections=1)
    for _ in range(3):
        link = deliver(connect(address))
        link.end_sending()
        assert link.receive_to_end() == b""
        gevent.idle()

    assert ask(connect(address)) == b"HTTP/1.1 200 OK"
    assert reasons(node) == []


def test_a_limit_of_one_serves_one_after_the_other(
    node: Node, listen: Listen, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A scan that is interrupted, by the garbage collector for one, is followed by a long pause.
    monkeypatch.setattr("greenproc.transport.connection_limit.SCAN_SHARE", 0)
    address = listen(max_connections=1, max_pipelined_requests=1, max_answer_bytes=1)

    assert [ask(connect(address)) for _ in range(5)] == [b"HTTP/1.1 200 OK"] * 5


def test_one_address_gets_no_more_than_its_share(
    node: Node, listen: Listen, connect: Connect
) -> None:
    address = listen(max_connections=10, max_connections_per_address=2)
    first, second = deliver(connect(address)), deliver(connect(address))

    assert connect(address).receive_to_end().startswith(b"HTTP/1.1 503")

    assert reasons(node) == ["too many connections from one address"]
    second.end_sending()
    second.receive_to_end()
    gevent.idle()
    assert ask(connect(address)) == b"HTTP/1.1 200 OK"
    deliver(first)


def test_an_address_without_connections_gets_one_of_the_reserve(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("greenproc.transport.connection_limit.RESERVE", RESERVE)
    enemy, operator = Address("10.0.0.1", 1), Address("10.0.0.2", 1)
    standing: list[Any] = [object()]
    reported: list[str] = []
    limit = ConnectionLimit(
        Settings(max_connections=1), standing, lambda client, reason: reported.append(reason)
    )
    standing[0] = Kept()
    limit.add(enemy)

    assert limit.reason_to_refuse(enemy) == "too many connections"
    assert limit.reason_to_refuse(operator) is None
    assert reported == ["too many connections"]


class Kept:
    """A connection that must not be closed."""

    client = None
    cost_of_loss = None

    def close(self) -> None:
        raise AssertionError


def test_by_default_the_limit_leaves_descriptors_for_links(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _which: (1024, 4096))

    assert ConnectionLimit(Settings(), [], print).limit == 768
    monkeypatch.setattr("resource.getrlimit", lambda _which: (-1, -1))
    assert share_of_descriptors(ACCEPTED_SHARE) == 49152


def test_where_descriptors_run_out_a_silent_connection_makes_room(
    node: Node, listen: Any, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = listen()
    silent = connect(address)
    gevent.idle()
    accept = Acceptor.do_read.__globals__["StreamServer"].do_read
    failures = iter([OSError(errno.EMFILE, "too many open files")])

    def fail_once(acceptor: Acceptor) -> Any:
        for failure in failures:
            raise failure
        return accept(acceptor)

    monkeypatch.setattr("gevent.server.StreamServer.do_read", fail_once)

    assert ask(connect(address)) == b"HTTP/1.1 200 OK"
    assert is_closed(silent)
