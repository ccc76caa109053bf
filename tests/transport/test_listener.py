from __future__ import annotations

import errno
import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

import gevent
import pytest
from gevent.event import Event

from greenproc.address import Address
from greenproc.errors import BindError, StateError
from greenproc.future import Future
from greenproc.http.response import OK
from greenproc.settings import Settings
from greenproc.transport.listen_socket import address_of, listen_on
from greenproc.transport.listener import MAX_ACCEPTED, Acceptor, Listener
from tests.polls import Polls
from tests.transport.conftest import LIMIT, Node, Peer, RawServer

Listen = Callable[..., Address]
Connect = Callable[[Address], Peer]

MESSAGE = (
    b"POST /sink/data HTTP/1.1\r\n"
    b"User-Agent: libprocess/x@127.0.0.1:1234\r\n"
    b"Content-Length: 0\r\n"
    b"Host: 127.0.0.1:36069\r\n"
    b"\r\n"
)
ANSWER_BYTES = 81  # of b-msg-query.response, recorded from libprocess


def test_bind_returns_the_port_that_the_system_chose(node: Node) -> None:
    listener = Listener(Settings(ip="127.0.0.1"), node.hooks)

    address = listener.bind()

    assert address.ip == "127.0.0.1"
    assert address.port != 0
    assert listener.address == address
    listener.stop(LIMIT)


def test_a_taken_address_is_named_with_the_cause(node: Node, server: RawServer) -> None:
    listener = Listener(Settings(ip="127.0.0.1", port=server.address.port), node.hooks)

    with pytest.raises(BindError, match=f"127.0.0.1:{server.address.port}.*in use") as raised:
        listener.bind()

    assert isinstance(raised.value.__cause__, OSError)
    assert raised.value.__cause__.errno == errno.EADDRINUSE


def test_start_without_bind_is_an_error(node: Node) -> None:
    with pytest.raises(StateError):
        Listener(Settings(), node.hooks).start()


def test_clients_that_connect_before_start_are_served_after_it(
    node: Node, connect: Connect
) -> None:
    listener = Listener(Settings(ip="127.0.0.1"), node.hooks)
    peer = connect(listener.bind())
    peer.send(MESSAGE)
    gevent.idle()
    assert node.delivered.empty()

    listener.start()

    assert node.delivered.get(timeout=LIMIT).name == "data"
    listener.stop(LIMIT)


def test_messages_are_addressed_to_what_the_node_calls_itself(
    node: Node, connect: Connect
) -> None:
    listener = Listener(Settings(ip="127.0.0.1"), node.hooks)
    advertised = Address("10.0.0.1", 5050)
    address = listener.bind()
    listener.start(advertised)

    connect(address).send(MESSAGE)

    assert node.delivered.get(timeout=LIMIT).to.address == advertised
    listener.stop(LIMIT)


def test_without_accepting_connections_go_on_and_new_ones_are_refused(
    node: Node, listen: Any, connect: Connect
) -> None:
    address = listen()
    peer = connect(address)
    peer.send(MESSAGE)
    peer.receive(ANSWER_BYTES)

    listen.listeners[0].stop_accepting()

    peer.send(MESSAGE)
    assert len(peer.receive(ANSWER_BYTES)) == ANSWER_BYTES
    with pytest.raises(ConnectionRefusedError):
        connect(address)


def test_stop_closes_the_connections(node: Node, listen: Any, connect: Connect) -> None:
    peer = connect(listen())
    peer.send(MESSAGE)
    peer.receive(ANSWER_BYTES)

    assert listen.listeners[0].stop(LIMIT) == 0

    assert peer.receive_to_end() == b""


def test_stop_kills_a_reader_that_does_not_end_and_says_so(
    node: Node, listen: Any, connect: Connect
) -> None:
    never, entered = Event(), Event()

    def block(_request: object) -> Any:
        entered.set()
        never.wait()

    node.answer = block
    connect(listen()).send(MESSAGE.replace(b"POST", b"GET"))
    entered.wait(LIMIT)

    assert listen.listeners[0].stop(0.01) == 1


def test_stop_works_before_start_and_twice(node: Node) -> None:
    listener = Listener(Settings(ip="127.0.0.1"), node.hooks)
    listener.bind()

    assert listener.stop(LIMIT) == 0
    assert listener.stop(LIMIT) == 0


def test_the_port_can_be_bound_again_at_once(node: Node, connect: Connect) -> None:
    first = Listener(Settings(ip="127.0.0.1"), node.hooks)
    address = first.bind()
    first.start()
    peer = connect(address)
    peer.send(MESSAGE)
    peer.receive(ANSWER_BYTES)
    first.stop(LIMIT)  # the connection it closed lingers in the system

    second = Listener(Settings(ip="127.0.0.1", port=address.port), node.hooks)

    assert second.bind() == address
    second.stop(LIMIT)


def test_statistics_count_connections_and_requests(
    node: Node, listen: Any, connect: Connect
) -> None:
    node.answer = lambda request: Future(OK("hello"))
    address = listen()
    first, second = connect(address), connect(address)
    first.send(MESSAGE * 3)
    first.receive(3 * ANSWER_BYTES)
    second.send(MESSAGE.replace(b"POST", b"GET"))
    second.end_sending()
    second.receive_to_end()
    gevent.idle()

    statistics = listen.listeners[0].statistics()
    assert [statistics[key] for key in ("connections", "accepted", "requests")] == [1, 2, 4]


def test_a_listener_and_its_connections_tell_their_state(
    node: Node, listen: Any, connect: Connect
) -> None:
    address = listen()
    listener = listen.listeners[0]
    peer = connect(address)
    peer.send(MESSAGE)
    peer.receive(ANSWER_BYTES)

    assert repr(listener) == f"<Listener {address} ACCEPTING, 1 connections>"
    (connection,) = listener._connections
    client = Address(*peer.socket.getsockname())
    assert repr(connection) == f"<ServerConnection {client} OPEN, 0 unanswered>"


def test_failures_to_accept_are_logged_once_and_tried_again(
    node: Node,
    listen: Any,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    address = listen()
    failures = [OSError(errno.EMFILE, "Too many open files") for _ in range(3)]
    acceptor = listen.listeners[0]._acceptor
    monkeypatch.setattr("greenproc.transport.listener.MIN_BACK_OFF", 0.001)
    acceptor._back_off = 0.001

    class Failing:
        """The listening socket, out of descriptors for a while."""

        def __init__(self, real: Any) -> None:
            self.real = real

        def _accept(self) -> Any:
            if failures:
                raise failures.pop()
            return self.real._accept()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.real, name)

    acceptor.socket = Failing(acceptor.socket)
    with caplog.at_level(logging.ERROR):
        peer = connect(address)
        peer.send(MESSAGE)
        assert len(peer.receive(ANSWER_BYTES)) == ANSWER_BYTES

    assert not failures
    assert len(caplog.records) == 1
    assert "Too many open files" in caplog.text


def test_a_client_that_is_gone_before_it_is_accepted_does_no_harm(
    node: Node, listen: Any, connect: Connect
) -> None:
    address = listen()
    connect(address).reset()

    peer = connect(address)
    peer.send(MESSAGE)

    assert len(peer.receive(ANSWER_BYTES)) == ANSWER_BYTES


@pytest.mark.parametrize(
    ("name", "address"),
    [
        (("127.0.0.1", 80), Address("127.0.0.1", 80)),
        (("::1", 80, 0, 0), Address("::1", 80)),
        (("::ffff:10.0.0.1", 80, 0, 0), Address("10.0.0.1", 80)),
        (("fe80::1%eth0", 80, 0, 2), Address("fe80::1", 80)),
    ],
)
def test_the_name_of_a_socket_becomes_an_address(name: Any, address: Address) -> None:
    assert address_of(name) == address


def test_few_connections_are_accepted_between_two_polls(polls: Polls, connect: Connect) -> None:
    accepted: list[int] = []

    def accept(connected: Any, _name: object) -> None:
        accepted.append(polls.count)
        connected.close()

    listening = listen_on(Address("127.0.0.1", 0))
    address = address_of(listening.getsockname())
    assert address is not None
    for _ in range(3 * MAX_ACCEPTED):
        connect(address)
    acceptor = Acceptor(listening, accept, lambda: False)
    acceptor.start()
    with gevent.Timeout(LIMIT):
        while len(accepted) < 3 * MAX_ACCEPTED:
            gevent.idle()
    acceptor.stop()
    listening.close()

    assert max(Counter(accepted).values()) == MAX_ACCEPTED
