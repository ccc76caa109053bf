"""How many connections without a link there are, and what becomes of further ones."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent import socket

from greenproc.address import Address
from greenproc.errors import Broken
from greenproc.process.ports import RemoteConnection
from greenproc.transport.connection_limit import Slots
from greenproc.transport.peers import SocketManager
from tests.transport.conftest import LIMIT, Node, Peer, RawServer, message

Manager = Callable[..., SocketManager]

ANSWER = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
NEVER = 3600.0  # until an idle connection is closed by itself


@pytest.fixture
def servers() -> Iterator[list[RawServer]]:
    servers = [RawServer() for _ in range(3)]
    yield servers
    for server in servers:
        server.close()


def read_head(peer: Peer) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        head += peer.receive(1)
    return head


def test_further_connections_wait_and_are_opened_when_one_is_idle(
    node: Node, manager: Manager, servers: list[RawServer]
) -> None:
    sockets = manager(max_temporary_connections=1, temporary_idle=NEVER)
    for server in servers:
        sockets.send(message("m", to=server.address))
    first = servers[0].accept()
    read_head(first)
    gevent.idle()
    assert sockets.statistics()["waiting"] == 2

    first.send(ANSWER)
    assert first.receive(1) == b""  # it gives way
    first.close()
    second = servers[1].accept()
    assert b" /rcv/m " in read_head(second)
    second.send(ANSWER)
    second.receive(1)
    second.close()

    assert servers[2].accept()
    assert node.dropped.empty()


def test_an_idle_connection_gives_way_at_once(
    node: Node, manager: Manager, servers: list[RawServer]
) -> None:
    sockets = manager(max_temporary_connections=1, temporary_idle=NEVER)
    sockets.send(message("m", to=servers[0].address))
    idle = servers[0].accept()
    read_head(idle)
    idle.send(ANSWER)
    gevent.idle()

    sockets.send(message("m", to=servers[1].address))

    assert idle.receive(1) == b""
    idle.close()
    assert b" /rcv/m " in read_head(servers[1].accept())


class Busy:
    """A connection that has something to do, and counts how often it is looked at."""

    def __init__(self) -> None:
        self.looks = 0

    @property
    def is_idle(self) -> bool:
        self.looks += 1
        return False

    def give_way(self) -> None:
        raise AssertionError("it is not idle")


def test_busy_connections_are_looked_at_once_however_many_wait() -> None:
    slots = Slots(2)
    holders, waiting = [Busy(), Busy()], [Busy() for _ in range(10)]
    for one in holders:
        assert slots.take(one)
    for one in waiting:
        assert not slots.take(one)

    waits = [gevent.spawn(slots.wait, one, LIMIT) for one in waiting]
    gevent.idle()
    looks = [one.looks for one in holders]
    for one in [*waiting, *holders]:
        slots.release(one)
    gevent.joinall(waits)

    assert looks == [1, 1]


def test_what_waits_too_long_is_dropped_and_reported(
    node: Node, manager: Manager, servers: list[RawServer]
) -> None:
    sockets = manager(max_temporary_connections=1, connect_timeout=0.05)
    sockets.send(message("m", to=servers[0].address))
    servers[0].accept()

    sockets.send(message("late", to=servers[1].address))

    dropped, reason = node.dropped.get(timeout=LIMIT)
    assert dropped.name == "late"
    assert reason.endswith("too many connections without a link are open")


def test_beyond_those_that_wait_messages_are_dropped_at_once(
    node: Node, manager: Manager, servers: list[RawServer]
) -> None:
    sockets = manager(max_temporary_connections=1)
    sockets.send(message("m", to=servers[0].address))
    servers[0].accept()
    for port in range(1, 9):
        sockets.send(message("wait", to=Address("127.0.0.1", port)))
    gevent.idle()

    sockets.send(message("m", to=servers[1].address))

    _, reason = node.dropped.get(timeout=LIMIT)
    assert reason == "too many connections without a link are being opened"


def test_a_link_waits_for_no_slot(node: Node, manager: Manager, servers: list[RawServer]) -> None:
    sockets = manager(max_temporary_connections=1)
    sockets.send(message("m", to=servers[0].address))
    servers[0].accept()

    sockets.link(servers[1].address, RemoteConnection.REUSE)

    assert servers[1].accept()


def test_a_waiting_connection_that_becomes_a_link_waits_no_longer(
    node: Node, manager: Manager, servers: list[RawServer]
) -> None:
    sockets = manager(max_temporary_connections=1)
    sockets.send(message("m", to=servers[0].address))
    servers[0].accept()
    sockets.send(message("m", to=servers[1].address))
    gevent.idle()

    sockets.link(servers[1].address, RemoteConnection.REUSE)

    assert b" /rcv/m " in read_head(servers[1].accept())


def test_a_connection_that_becomes_a_link_gives_its_slot_to_another(
    node: Node, manager: Manager, servers: list[RawServer]
) -> None:
    sockets = manager(max_temporary_connections=1)
    for server in servers[:2]:
        sockets.send(message("m", to=server.address))
    servers[0].accept()
    gevent.idle()

    sockets.link(servers[0].address, RemoteConnection.REUSE)

    assert b" /rcv/m " in read_head(servers[1].accept())


def test_a_peer_that_dies_gives_its_slot_to_another(
    node: Node, manager: Manager, servers: list[RawServer]
) -> None:
    sockets = manager(max_temporary_connections=1)
    for server in servers[:2]:
        sockets.send(message("m", to=server.address))
    peer = servers[0].accept()
    gevent.idle()

    peer.reset()

    assert b" /rcv/m " in read_head(servers[1].accept())


def test_a_node_that_stops_lets_nothing_wait(
    node: Node, manager: Manager, servers: list[RawServer]
) -> None:
    sockets = manager(max_temporary_connections=1)
    for server in servers[:2]:
        sockets.send(message("m", to=server.address))
    servers[0].accept()
    gevent.idle()

    assert sockets.stop(0.01) == 0

    assert len(node.dropped) == 2
    assert sockets.statistics()["waiting"] == 0


def test_spoofed_senders_use_no_more_descriptors_than_there_are_slots(
    node: Node, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[socket.socket] = []
    new = socket.socket

    def note(*args: int) -> socket.socket:
        made.append(new(*args))
        return made[-1]

    monkeypatch.setattr("greenproc.transport.peer_connection.socket.socket", note)
    sockets = manager(max_temporary_connections=10)

    # What TEST-NET-1 leads to drops everything, or refuses at once.
    for number in range(500):
        sockets.send(message("m", to=Address("192.0.2.1", number + 1)))
    open_at_once = sum(one.fileno() >= 0 for one in made)

    assert open_at_once <= 10
    assert sockets.stop(0.01) == 0


def link_claimed(sockets: SocketManager, address: Address) -> None:
    sockets.link(address, RemoteConnection.REUSE, is_claimed=True)


@pytest.fixture
def black_hole(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Let no connection to 192.0.2.1 be answered, and return the ports that were tried."""
    tried: list[int] = []
    silent, other = socket.socketpair()
    connect = socket.socket.connect

    def connect_or_wait(self: socket.socket, address: tuple[str, int]) -> None:
        if address[0] != "192.0.2.1":
            connect(self, address)
            return
        tried.append(address[1])
        os.dup2(silent.fileno(), self.fileno())  # an unconnected socket would be readable
        self._wait(self._read_event)  # type: ignore[attr-defined]  # until it is closed

    monkeypatch.setattr(socket.socket, "connect", connect_or_wait)
    yield tried
    silent.close()
    other.close()


def test_links_to_claimed_addresses_wait_for_a_slot(
    node: Node, manager: Manager, black_hole: list[int]
) -> None:
    sockets = manager(max_temporary_connections=3)

    refused = 0
    for port in range(1, 501):
        try:
            link_claimed(sockets, Address("192.0.2.1", port))
        except Broken:
            refused += 1
    gevent.idle()

    assert black_hole == [1, 2, 3]
    assert sockets.statistics()["waiting"] == 24
    assert refused == 500 - 3 - 24


def test_a_claimed_link_that_gets_no_slot_is_lost(
    node: Node, manager: Manager, black_hole: list[int]
) -> None:
    sockets = manager(max_temporary_connections=1, connect_timeout=0.05)
    addresses = [Address("192.0.2.1", port) for port in (1, 2)]

    for address in addresses:
        link_claimed(sockets, address)

    assert {node.lost.get(timeout=LIMIT)[0] for _ in addresses} == set(addresses)


def test_links_that_the_program_asked_for_do_not_wait_behind_claimed_ones(
    node: Node, manager: Manager, servers: list[RawServer], black_hole: list[int]
) -> None:
    sockets = manager(max_temporary_connections=1)
    for port in (1, 2):
        link_claimed(sockets, Address("192.0.2.1", port))
    link_claimed(sockets, servers[0].address)
    gevent.idle()

    sockets.link(servers[1].address, RemoteConnection.REUSE)
    sockets.link(servers[0].address, RemoteConnection.REUSE)

    assert servers[1].accept()
    assert servers[0].accept()
    assert black_hole == [1]


def test_a_claimed_link_that_stands_has_no_slot(
    node: Node, manager: Manager, servers: list[RawServer], black_hole: list[int]
) -> None:
    sockets = manager(max_temporary_connections=1)
    link_claimed(sockets, servers[0].address)
    sockets.send(message("m", to=servers[1].address))
    assert servers[0].accept()
    assert b" /rcv/m " in read_head(servers[1].accept())

    link_claimed(sockets, servers[1].address)
    link_claimed(sockets, servers[2].address)

    assert servers[2].accept()
    assert sockets.statistics()["linked"] == 3


def test_a_connection_that_becomes_a_claimed_link_keeps_its_slot_until_it_stands(
    node: Node, manager: Manager, black_hole: list[int]
) -> None:
    sockets = manager(max_temporary_connections=1)
    for port in (1, 2):
        sockets.send(message("m", to=Address("192.0.2.1", port)))
        link_claimed(sockets, Address("192.0.2.1", port))
    gevent.idle()

    assert black_hole == [1]
    assert sockets.stop(0.01) == 0


def test_a_node_that_stops_ends_links_that_wait_and_that_connect(
    node: Node, manager: Manager, black_hole: list[int]
) -> None:
    sockets = manager(max_temporary_connections=50)
    for port in range(1, 401):
        link_claimed(sockets, Address("192.0.2.1", port))
    gevent.idle()

    assert sockets.stop(0.01) == 0

    assert all(greenlet.dead for greenlet in node.greenlets)
    assert node.lost.empty()


def test_a_slot_says_how_things_are() -> None:
    assert repr(Slots(3)) == "<Slots 0 of 3, 0 waiting>"
