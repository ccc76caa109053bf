"""What a node keeps for peers that do not take it is bounded, however many there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent

from greenproc.address import Address
from greenproc.future import Future
from greenproc.http.response import OK
from greenproc.transport.buffered_writer import UnsentBytes
from greenproc.transport.peers import SocketManager
from greenproc.transport.send_queue import FREE_BYTES, SendQueue
from tests.transport.conftest import LIMIT, Node, Peer, RawServer, message

MIB = 1024 * 1024
REQUEST = b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n"


def test_the_client_that_takes_least_makes_room(
    node: Node, listen: Callable[..., Address], connect: Callable[[Address], Peer]
) -> None:
    node.answer = lambda request: Future(OK(bytes(int(request.url.path[1:]))))
    address = listen(max_unsent_bytes=48 * MIB)
    peers = [connect(address) for _ in range(3)]
    for peer, size in zip(peers, (20 * MIB, 40 * MIB, 20 * MIB), strict=True):
        peer.send(REQUEST % size)
        gevent.idle()

    client, reason = node.refused.get(timeout=LIMIT)

    assert client == Address(*peers[1].socket.getsockname())
    assert reason == "too much unsent"
    assert node.refused.empty()
    honest = connect(address)
    honest.send(REQUEST % 5)
    assert honest.receive(12) == b"HTTP/1.1 200"
    for peer in (peers[0], peers[2]):
        peer.end_sending()
        assert len(peer.receive_to_end()) > 20 * MIB
    context = listen.listeners[0]._context  # type: ignore[attr-defined]
    assert context.unsent.total == 0


def test_a_response_larger_than_all_may_be_is_given_up(
    node: Node, listen: Callable[..., Address], connect: Callable[[Address], Peer]
) -> None:
    node.answer = lambda request: Future(OK(bytes(40 * MIB)))
    peer = connect(listen(max_unsent_bytes=MIB))
    peer.send(REQUEST % 1)

    assert node.refused.get(timeout=LIMIT)[1] == "too much unsent"
    assert listen.listeners[0]._context.unsent.total == 0  # type: ignore[attr-defined]


def test_messages_to_many_nodes_that_take_none_are_bounded_together(
    node: Node, manager: Callable[..., SocketManager], server: RawServer
) -> None:
    sockets = manager(max_unsent_bytes=2 * MIB)
    addresses = [Address(f"127.0.0.{number}", server.address.port) for number in range(2, 12)]
    for to in addresses:  # none of them is connected yet
        sockets.send(message("data", bytes(MIB // 2), to=to))

    dropped = [node.dropped.get(timeout=LIMIT) for _ in range(6)]

    assert {text.split(" for ")[0] for _, text in dropped[:3]} == {"too much is queued"}
    assert sockets._peer_hooks.unsent.total <= 2 * MIB


def test_what_was_counted_is_given_back() -> None:
    unsent = UnsentBytes(10 * MIB)
    first, second = SendQueue(8 * MIB, unsent), SendQueue(8 * MIB, unsent)

    def fill(queue: SendQueue, size: int) -> bool:
        note: Any = message("data", to=Address("127.0.0.1", 1))
        return queue.append(note, bytes(size))

    assert fill(first, FREE_BYTES)
    assert unsent.total == 0
    assert all(fill(first, MIB) for _ in range(7))
    assert not fill(first, MIB)
    assert unsent.total == 8 * MIB - FREE_BYTES
    assert not fill(second, 3 * MIB)
    assert fill(second, MIB)
    first.drain_unsent()
    assert unsent.total == MIB - FREE_BYTES
    assert fill(second, 3 * MIB)
    third = SendQueue(8 * MIB, unsent)
    second.move_unsent(third)
    while third:
        third.take_batch()
    assert unsent.total == 0
