"""Messages that go out: the bytes, the connections they take, and what is told of a loss."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace

import gevent
import pytest
from gevent import socket

from greenproc.address import Address
from greenproc.errors import Broken
from greenproc.message import Message
from greenproc.pid import UPID
from greenproc.process.ports import Delivery, RemoteConnection
from greenproc.settings import Settings
from greenproc.transport import peer_connection
from greenproc.transport.listener import Listener
from greenproc.transport.peers import SocketManager
from tests.peer import linked_socket
from tests.polls import Polls
from tests.transport.conftest import LIMIT, LOCAL, Node, Peer, RawServer, message

Manager = Callable[..., SocketManager]
Listen = Callable[..., Address]

REUSE, RECONNECT = RemoteConnection.REUSE, RemoteConnection.RECONNECT
ACCEPTED = (
    b"HTTP/1.1 202 Accepted\r\nDate: Tue, 24 Nov 2026 02:22:24 GMT\r\nContent-Length: 0\r\n\r\n"
)


def spelled(name: str, body: str = "", *, to: Address) -> bytes:
    """Return a message as libprocess sends it."""
    chunk = f"Transfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n{body}\r\n0\r\n" if body else ""
    return (
        f"POST /rcv/{name} HTTP/1.1\r\n"
        "User-Agent: libprocess/linker@127.0.0.1:43173\r\n"
        "Libprocess-From: linker@127.0.0.1:43173\r\n"
        "Connection: Keep-Alive\r\n"
        f"Host: {to}\r\n"
        f"{chunk}\r\n"
    ).encode()


def unused_address() -> Address:
    """Return an address without a listener."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return Address(*taken.getsockname())


def read_message(peer: Peer, name: str, body: str = "", *, to: Address) -> None:
    expected = spelled(name, body, to=to)
    assert peer.receive(len(expected)) == expected


# Sending


def test_a_message_is_spelled_as_libprocess_does(manager: Manager, server: RawServer) -> None:
    manager().send(message("ping", b"hello", to=server.address))

    expected = (
        b"POST /rcv/ping HTTP/1.1\r\n"
        b"User-Agent: libprocess/linker@127.0.0.1:43173\r\n"
        b"Libprocess-From: linker@127.0.0.1:43173\r\n"
        b"Connection: Keep-Alive\r\n"
        b"Host: 127.0.0.1:%d\r\n"
        b"Transfer-Encoding: chunked\r\n"
        b"\r\n"
        b"5\r\nhello\r\n0\r\n\r\n"
    ) % server.address.port
    peer = server.accept()
    assert peer.receive(len(expected)) == expected
    peer.send(ACCEPTED)


def test_messages_that_are_sent_while_connecting_keep_their_order(
    manager: Manager, server: RawServer
) -> None:
    sockets = manager()

    for number in range(3):
        sockets.send(message(f"m{number}", to=server.address))

    peer = server.accept()
    for number in range(3):
        read_message(peer, f"m{number}", to=server.address)
    peer.send(ACCEPTED * 3)


def test_messages_to_one_address_share_a_connection(manager: Manager, server: RawServer) -> None:
    sockets = manager()

    sockets.send(message("first", to=server.address))
    peer = server.accept()
    read_message(peer, "first", to=server.address)
    sockets.send(message("second", to=server.address, id="rcv"))

    read_message(peer, "second", to=server.address)
    peer.send(ACCEPTED * 2)
    assert sockets.statistics()["connections"] == 1


def test_a_message_that_cannot_be_spelled_is_dropped(
    node: Node, manager: Manager, server: RawServer
) -> None:
    bad = message("two words", to=server.address)

    manager().send(bad)

    dropped, reason = node.dropped.get(timeout=LIMIT)
    assert dropped is bad
    assert "two words" in reason


def test_a_message_to_a_closed_port_is_dropped(node: Node, manager: Manager) -> None:
    address = unused_address()
    first, second = message("first", to=address), message("second", to=address)
    sockets = manager()

    sockets.send(first)
    sockets.send(second)

    for sent in (first, second):
        dropped, reason = node.dropped.get(timeout=LIMIT)
        assert dropped is sent
        assert reason.startswith(f"cannot connect to {address}: ")
    assert sockets.statistics()["connections"] == 0
    assert node.lost.empty()


def test_ten_thousand_messages_arrive_in_order(
    node: Node, manager: Manager, listen: Listen
) -> None:
    address = listen()
    sockets = manager()

    for number in range(10_000):
        sockets.send(message("count", b"%d" % number, to=address))

    bodies = [int(node.delivered.get(timeout=LIMIT).body) for _ in range(10_000)]
    assert bodies == list(range(10_000))
    assert node.dropped.empty()


def test_large_messages_arrive_whole(node: Node, manager: Manager, listen: Listen) -> None:
    address = listen()
    body = bytes(range(256)) * 20_000
    sockets = manager()

    for _ in range(3):
        sockets.send(message("large", body, to=address))

    for _ in range(3):
        assert node.delivered.get(timeout=LIMIT).body == body


def test_a_burst_to_a_slow_receiver_loses_nothing_when_the_sender_stops(
    node: Node, manager: Manager, listen: Listen
) -> None:
    address = listen()

    def slowly(one: Message) -> Delivery:
        gevent.sleep(0)
        return accept(one)

    accept = node.delivery
    node.delivery = slowly
    sockets = manager()
    for number in range(5000):
        sockets.send(message("count", b"%d" % number, to=address))

    assert sockets.stop(LIMIT) == 0

    assert node.dropped.empty()
    for number in range(5000):
        assert int(node.delivered.get(timeout=LIMIT).body) == number


def test_an_ipv6_address_can_be_sent_to(node: Node, manager: Manager) -> None:
    listener = Listener(Settings(ip="::1"), node.hooks)
    try:
        address = listener.bind()
        listener.start()
        manager().send(message("ping", to=address))

        assert node.delivered.get(timeout=LIMIT).to == UPID("rcv", address)
    finally:
        listener.stop(LIMIT)


# Bounds


def test_what_a_peer_does_not_read_is_bounded_and_the_rest_is_dropped(
    node: Node, manager: Manager, server: RawServer
) -> None:
    sockets = manager(max_outgoing_bytes=1_000_000)
    sockets.link(server.address, REUSE)
    server.accept()
    assert node.connected.get(timeout=LIMIT) == server.address
    body = b"x" * 100_000

    # The system's buffers hold some megabytes; gevent.sleep lets the writer fill them.
    while node.dropped.empty():
        sockets.send(message("data", body, to=server.address))
        gevent.sleep(0)

    _, reason = node.dropped.get(timeout=LIMIT)
    assert reason == f"too much is queued for {server.address}"
    assert sockets.statistics()["queued_bytes"] <= 1_000_000
    assert node.lost.empty()
    server.close()


def test_messages_one_at_a_time_to_a_full_socket_arrive_whole_and_in_order(
    node: Node, manager: Manager, server: RawServer
) -> None:
    sockets = manager(max_outgoing_bytes=1_000_000)
    sockets.link(server.address, REUSE)
    peer = server.accept()
    assert node.connected.get(timeout=LIMIT) == server.address
    sent = 0
    # Each is small enough to be written at once, until the socket takes only a part of one.
    while sockets.statistics()["queued_bytes"] == 0 or sent % 100:
        sockets.send(message("data", b"%08x" % sent * 1000, to=server.address))
        gevent.idle()
        sent += 1

    for number in range(sent):
        read_message(peer, "data", f"{number:08x}" * 1000, to=server.address)
    assert node.dropped.empty()


# Temporary connections


def test_an_idle_temporary_connection_is_half_closed_and_then_closed(
    node: Node, manager: Manager, server: RawServer
) -> None:
    sockets = manager(temporary_idle=0.01)
    sockets.send(message("ping", to=server.address))
    peer = server.accept()
    read_message(peer, "ping", to=server.address)

    peer.send(ACCEPTED)

    assert peer.receive_to_end() == b""
    assert sockets.statistics()["connections"] == 0
    assert sockets.statistics()["leaving"] == 1
    peer.close()
    assert node.disconnected.get(timeout=LIMIT) == server.address
    assert sockets.statistics()["leaving"] == 0
    assert node.dropped.empty()
    assert node.lost.empty()


def test_a_message_after_an_idle_connection_was_given_up_opens_another(
    node: Node, manager: Manager, server: RawServer
) -> None:
    sockets = manager(temporary_idle=0.01)
    sockets.send(message("first", to=server.address))
    first = server.accept()
    read_message(first, "first", to=server.address)
    first.send(ACCEPTED)
    assert first.receive_to_end() == b""

    sockets.send(message("second", to=server.address))

    second = server.accept()
    read_message(second, "second", to=server.address)
    second.send(ACCEPTED)
    first.close()


def test_a_temporary_connection_waits_for_its_answers(
    node: Node, manager: Manager, server: RawServer
) -> None:
    sockets = manager(temporary_idle=0.0)
    sockets.send(message("ping", to=server.address))
    peer = server.accept()
    read_message(peer, "ping", to=server.address)
    gevent.idle()
    assert sockets.statistics()["connections"] == 1
    assert sockets.statistics()["unanswered"] == 1

    peer.send(ACCEPTED)

    assert peer.receive_to_end() == b""


def test_a_temporary_connection_without_answers_is_closed_and_its_messages_reported(
    node: Node, manager: Manager, server: RawServer
) -> None:
    sockets = manager(answer_timeout=0.02, temporary_idle=0.01)
    sent = message("ping", to=server.address)

    sockets.send(sent)

    dropped, reason = node.dropped.get(timeout=LIMIT)
    assert dropped is sent
    assert reason == f"no answer from {server.address} within 0.02 seconds; it may have arrived"
    assert node.lost.empty()


def test_a_broken_temporary_connection_reports_what_has_no_answer(
    node: Node, manager: Manager, server: RawServer
) -> None:
    sockets = manager()
    sent = [message(f"m{number}", to=server.address) for number in range(4)]
    for one in sent:
        sockets.send(one)
    peer = server.accept()
    for number in range(4):
        read_message(peer, f"m{number}", to=server.address)

    peer.send(ACCEPTED + b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nnot")
    peer.end_sending()

    for one in sent[2:]:
        dropped, reason = node.dropped.get(timeout=LIMIT)
        assert dropped is one
        assert reason.endswith("was closed; it may have arrived")
    assert node.disconnected.get(timeout=LIMIT) == server.address
    assert node.dropped.empty()
    assert node.lost.empty()


def test_what_was_sent_before_the_link_is_not_reported_when_that_breaks(
    node: Node, manager: Manager, server: RawServer
) -> None:
    """A linked connection counts no answers, so nothing tells what has arrived."""
    sockets = manager()
    sockets.send(message("first", to=server.address))
    peer = server.accept()
    read_message(peer, "first", to=server.address)
    gevent.idle()  # the writer has nothing left to write

    sockets.link(server.address, RemoteConnection.REUSE)
    peer.close()

    assert node.lost.get(timeout=LIMIT)[0] == server.address
    assert node.dropped.empty()


def test_answers_that_are_none_change_nothing_for_the_messages(
    node: Node, manager: Manager, server: RawServer
) -> None:
    sockets = manager()
    sockets.send(message("first", to=server.address))
    peer = server.accept()
    read_message(peer, "first", to=server.address)

    peer.send(b"SSH-2.0-OpenSSH_9.2\r\n")
    gevent.idle()
    sockets.send(message("second", to=server.address))

    read_message(peer, "second", to=server.address)
    peer.close()


# Links


def test_a_link_sends_nothing(node: Node, manager: Manager, server: RawServer) -> None:
    sockets = manager()

    sockets.link(server.address, REUSE)

    peer = server.accept()
    stopping = gevent.spawn(sockets.stop, LIMIT)
    assert peer.receive_to_end() == b""
    peer.close()
    assert stopping.get(timeout=LIMIT) == 0
    assert node.lost.empty()


@pytest.mark.parametrize("end", ["close", "reset", "end_sending"])
def test_the_end_of_a_linked_connection_is_told_once(
    node: Node, manager: Manager, server: RawServer, end: str
) -> None:
    sockets = manager()
    sockets.link(server.address, REUSE)
    sockets.link(server.address, REUSE)
    peer = server.accept()
    assert node.connected.get(timeout=LIMIT) == server.address

    getattr(peer, end)()

    address, error = node.lost.get(timeout=LIMIT)
    assert address == server.address
    assert (error is None) == (end != "reset")
    assert node.disconnected.get(timeout=LIMIT) == server.address
    assert node.lost.empty()
    assert linked_socket(sockets, server.address) is None


def test_a_link_to_a_closed_port_is_lost(node: Node, manager: Manager) -> None:
    address = unused_address()

    manager().link(address, REUSE)

    lost, error = node.lost.get(timeout=LIMIT)
    assert lost == address
    assert isinstance(error, Broken)
    assert node.disconnected.empty()


def test_a_closed_port_that_connects_to_itself_is_a_closed_port(
    node: Node, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = unused_address()

    def bound_to_the_same_port(_address: Address) -> socket.socket:
        fresh = socket.socket()
        fresh.bind((address.ip, address.port))
        return fresh

    monkeypatch.setattr(peer_connection, "new_socket", bound_to_the_same_port)

    manager().link(address, REUSE)

    assert "nothing listens there" in str(node.lost.get(timeout=LIMIT)[1])


def test_a_link_that_gets_no_connection_in_time_is_lost(node: Node, manager: Manager) -> None:
    with socket.socket() as full:
        # A backlog of one that is taken: the system ignores further attempts.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = Address(*full.getsockname())
        with socket.socket() as taking:
            taking.connect((address.ip, address.port))
            manager(connect_timeout=0.02).link(address, REUSE)

            _, error = node.lost.get(timeout=LIMIT)

    assert str(error) == f"cannot connect to {address}: no answer within 0.02 seconds"


def test_a_linked_connection_stays_whatever_is_answered(
    node: Node, manager: Manager, server: RawServer
) -> None:
    sockets = manager(temporary_idle=0.0, answer_timeout=0.0)
    sockets.link(server.address, REUSE)
    peer = server.accept()
    peer.send(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\ngarbage")
    gevent.idle()

    sockets.send(message("ping", to=server.address))

    read_message(peer, "ping", to=server.address)
    gevent.idle()
    assert node.lost.empty()
    assert sockets.statistics()["linked"] == 1


def test_a_link_adopts_the_temporary_connection(
    node: Node, manager: Manager, server: RawServer
) -> None:
    sockets = manager(temporary_idle=0.01)
    sockets.send(message("first", to=server.address))
    peer = server.accept()
    read_message(peer, "first", to=server.address)
    peer.send(ACCEPTED)

    sockets.link(server.address, REUSE)
    sockets.send(message("second", to=server.address))

    read_message(peer, "second", to=server.address)
    assert linked_socket(sockets, server.address) is not None
    assert sockets._connections[server.address]._timer is None
    peer.close()
    assert node.lost.get(timeout=LIMIT)[0] == server.address
    assert sockets.statistics()["connections"] == 0


def test_a_link_adopts_a_temporary_connection_that_is_connecting(
    node: Node, manager: Manager, server: RawServer
) -> None:
    sockets = manager()
    sockets.send(message("first", to=server.address))
    sockets.link(server.address, REUSE)

    peer = server.accept()

    read_message(peer, "first", to=server.address)
    assert sockets.statistics()["linked"] == 1
    assert sockets.statistics()["connections"] == 1


def test_a_link_after_a_loss_opens_another_connection(
    node: Node, manager: Manager, server: RawServer
) -> None:
    sockets = manager()
    sockets.link(server.address, REUSE)
    server.accept().close()
    node.lost.get(timeout=LIMIT)

    sockets.link(server.address, REUSE)

    server.accept()
    assert linked_socket(sockets, server.address) is not None


def test_a_lost_link_reports_the_messages_it_held(
    node: Node, manager: Manager, server: RawServer
) -> None:
    sockets = manager()
    sockets.link(server.address, REUSE)
    peer = server.accept()
    assert node.connected.get(timeout=LIMIT) == server.address
    body = b"x" * 200_000
    # More than the system's buffers take: one batch is being written, the others wait.
    for number in range(100):
        sockets.send(message(f"m{number}", body, to=server.address))
    gevent.idle()
    queued = sockets.statistics()["queued_messages"]
    assert queued > 0

    peer.reset()

    node.lost.get(timeout=LIMIT)
    node.disconnected.get(timeout=LIMIT)
    reasons = [node.dropped.get(timeout=LIMIT) for _ in range(len(node.dropped))]
    unsent = [sent.name for sent, reason in reasons if not reason.endswith("may have arrived")]
    assert unsent == [f"m{number}" for number in range(100 - queued, 100)]
    assert [sent.name for sent, _ in reasons] == [f"m{99 - queued}", *unsent]


def test_a_stale_link_is_found_by_sending(node: Node, manager: Manager, server: RawServer) -> None:
    sockets = manager()
    sockets.link(server.address, REUSE)
    server.accept()
    node.connected.get(timeout=LIMIT)
    stale = linked_socket(sockets, server.address)
    assert stale is not None
    with socket.fromfd(stale.fileno(), socket.AF_INET, socket.SOCK_STREAM) as same:
        same.shutdown(socket.SHUT_WR)
    gevent.idle()
    assert node.lost.empty()

    sent = message("ping", to=server.address)
    sockets.send(sent)

    assert node.lost.get(timeout=LIMIT)[0] == server.address
    assert node.dropped.get(timeout=LIMIT)[0] is sent


# RECONNECT


def test_reconnect_without_a_connection_is_a_link(
    node: Node, manager: Manager, server: RawServer
) -> None:
    sockets = manager()

    sockets.link(server.address, RECONNECT)

    server.accept().close()
    assert node.lost.get(timeout=LIMIT) == (server.address, None)


def test_reconnect_replaces_the_connection_and_nobody_is_told(
    node: Node, manager: Manager, server: RawServer
) -> None:
    sockets = manager()
    sockets.link(server.address, REUSE)
    old = server.accept()
    node.connected.get(timeout=LIMIT)
    before = linked_socket(sockets, server.address)

    sockets.link(server.address, RECONNECT)

    fresh = server.accept()
    assert old.receive_to_end() == b""
    old.close()
    assert node.disconnected.get(timeout=LIMIT) == server.address
    assert node.lost.empty()
    assert linked_socket(sockets, server.address) is not before
    sockets.send(message("ping", to=server.address))
    read_message(fresh, "ping", to=server.address)
    fresh.close()
    assert node.lost.get(timeout=LIMIT)[0] == server.address


def test_reconnect_takes_over_what_is_queued(
    node: Node, manager: Manager, server: RawServer
) -> None:
    sockets = manager()
    sockets.send(message("first", to=server.address))  # not written: it is connecting

    sockets.link(server.address, RECONNECT)
    sockets.send(message("second", to=server.address))

    peer = server.accept()
    read_message(peer, "first", to=server.address)
    read_message(peer, "second", to=server.address)
    assert node.lost.empty()
    assert node.dropped.empty()


def test_reconnect_from_a_stale_link_delivers_and_loses_once(
    node: Node, manager: Manager, server: RawServer
) -> None:
    sockets = manager()
    sockets.link(server.address, REUSE)
    server.accept()
    node.connected.get(timeout=LIMIT)
    stale = linked_socket(sockets, server.address)
    assert stale is not None
    with socket.fromfd(stale.fileno(), socket.AF_INET, socket.SOCK_STREAM) as same:
        same.shutdown(socket.SHUT_RDWR)

    sockets.link(server.address, RECONNECT)
    sockets.send(message("ping", to=server.address))

    peer = server.accept()
    read_message(peer, "ping", to=server.address)
    node.disconnected.get(timeout=LIMIT)
    assert node.lost.empty()
    peer.close()
    assert node.lost.get(timeout=LIMIT)[0] == server.address
    assert node.lost.empty()


def test_a_new_connection_that_fails_after_reconnect_is_a_loss(
    node: Node, manager: Manager, server: RawServer
) -> None:
    sockets = manager()
    sockets.link(server.address, REUSE)
    peer = server.accept()
    node.connected.get(timeout=LIMIT)
    server.socket.close()

    sockets.link(server.address, RECONNECT)

    assert isinstance(node.lost.get(timeout=LIMIT)[1], Broken)
    peer.close()
    assert node.disconnected.get(timeout=LIMIT) == server.address


@pytest.mark.parametrize("mode", [REUSE, RECONNECT])
def test_a_link_without_a_descriptor_raises_and_changes_nothing(
    node: Node,
    manager: Manager,
    server: RawServer,
    mode: RemoteConnection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sockets = manager()
    if mode is RECONNECT:
        sockets.link(server.address, REUSE)
        server.accept()
    before = linked_socket(sockets, server.address)

    def refuse(*_arguments: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(peer_connection, "new_socket", refuse)
        with pytest.raises(Broken, match="Too many open files"):
            sockets.link(server.address, mode)

    assert linked_socket(sockets, server.address) is before
    assert node.lost.empty()


# The end


def test_stop_writes_what_is_queued(node: Node, manager: Manager, server: RawServer) -> None:
    sockets = manager()
    sockets.send(message("last", to=server.address))
    stopping = gevent.spawn(sockets.stop, LIMIT)

    peer = server.accept()

    read_message(peer, "last", to=server.address)
    assert peer.receive_to_end() == b""
    peer.send(ACCEPTED)
    peer.close()
    assert stopping.get(timeout=LIMIT) == 0
    assert node.dropped.empty()


def test_stop_reports_what_could_not_be_written(
    node: Node, manager: Manager, server: RawServer
) -> None:
    sockets = manager()
    sockets.link(server.address, REUSE)
    server.accept()
    node.connected.get(timeout=LIMIT)
    for number in range(100):
        sockets.send(message(f"m{number}", b"x" * 200_000, to=server.address))

    assert sockets.stop(0.01) == 0

    assert node.dropped.get(timeout=LIMIT)[1].startswith("the node stopped")
    assert node.lost.empty()


def test_after_stop_nothing_is_sent(node: Node, manager: Manager, server: RawServer) -> None:
    sockets = manager()
    sockets.stop(LIMIT)
    late = message("late", to=server.address)

    sockets.send(late)

    assert node.dropped.get(timeout=LIMIT) == (late, "the node is stopping")
    with pytest.raises(Broken):
        sockets.link(server.address, REUSE)


def test_a_connection_tells_its_state(manager: Manager, server: RawServer) -> None:
    sockets = manager()
    sockets.link(server.address, REUSE)
    connection = sockets._connections[server.address]
    assert repr(connection) == f"<PeerConnection {server.address} LINKED CONNECTING, 0 queued>"
    assert repr(sockets) == f"<SocketManager {LOCAL}, 1 open, 1 linked>"
    server.accept()


def test_links_that_fail_at_once_give_others_their_turn(
    polls: Polls, node: Node, manager: Manager
) -> None:
    seen: list[int] = []
    node.hooks = replace(node.hooks, lost=lambda _address, _error: seen.append(polls.count))
    sockets = manager()
    port = unused_address().port
    for number in range(50):
        sockets.link(Address(f"127.0.0.{number + 1}", port), REUSE)

    with gevent.Timeout(LIMIT):
        while len(seen) < 50:
            gevent.idle()

    assert len(set(seen)) > 40
