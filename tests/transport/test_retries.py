"""What another node answers with 503 is sent again, in order, until a deadline."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

import gevent
import pytest
from gevent.event import Event

from greenproc import UPID, MailboxLimit, Process, RemoteConnection, install
from greenproc.http.response_counter import ResponseCounter
from greenproc.message import Message, TracedMessage
from greenproc.settings import Settings
from greenproc.testing import RuntimeMaker
from greenproc.tracing import TraceContext
from greenproc.transport import retries as retries_module
from greenproc.transport.peers import SocketManager
from greenproc.transport.send_queue import SendQueue
from greenproc.wire.framing import encode_message
from tests.transport.conftest import LIMIT, Node, Peer, RawServer, message

Manager = Callable[..., SocketManager]

ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
FULL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture(autouse=True)
def _no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries_module, "FIRST_DELAY", 0.001)
    monkeypatch.setattr(retries_module, "MAX_DELAY", 0.002)


def read_names(peer: Peer, count: int) -> list[str]:
    """Return the names of the next messages, none of which has a body."""
    data = b""
    while data.count(b"\r\n\r\n") < count:
        data += peer.socket.recv(4096)
    return [name.decode() for name in re.findall(rb"POST /rcv/(\S+) ", data)]


def read_bytes(peer: Peer, count: int) -> bytes:
    data = b""
    while len(data) < count:
        data += peer.socket.recv(count - len(data))
    return data


def test_a_counter_tells_which_responses_were_503() -> None:
    counter = ResponseCounter()

    assert counter.feed(ACCEPTED + FULL + ACCEPTED * 3 + FULL[:20]) == 5
    assert counter.unavailable == [1]
    assert counter.feed(FULL[20:] + FULL + ACCEPTED) == 3
    assert counter.unavailable == [0, 1]
    assert counter.not_found == []
    assert counter.feed(ACCEPTED + NOT_FOUND + FULL) == 3
    assert (counter.not_found, counter.unavailable) == ([1], [2])
    assert counter.feed(ACCEPTED) == 1
    assert (counter.not_found, counter.unavailable) == ([], [])


def test_sent_messages_are_found_by_their_places() -> None:
    queue = SendQueue(1000)
    sent = [message(f"m{number}", to=RawServerAddress) for number in range(6)]
    for batch in (sent[:3], sent[3:]):
        for one in batch:
            queue.append(one, b"x")
        queue.take_batch()
    queue.answer(1)

    assert queue.find_sent([0, 1, 3]) == [sent[1], sent[2], sent[4]]
    assert queue.find_sent([]) == []
    assert queue.find_sent([100]) == []


RawServerAddress = UPID.parse("x@127.0.0.1:9").address


def test_a_refused_message_is_sent_again_before_those_that_came_later(
    node: Node, manager: Manager, server: RawServer
) -> None:
    sockets = manager()
    for name in ("a", "b", "c"):
        sockets.send(message(name, to=server.address))
    peer = server.accept()
    assert read_names(peer, 3) == ["a", "b", "c"]
    peer.send(ACCEPTED + FULL + FULL)
    assert read_names(peer, 1) == ["b"]
    sockets.send(message("d", to=server.address))
    peer.send(FULL)
    assert read_names(peer, 1) == ["b"]
    peer.send(ACCEPTED)
    names = read_names(peer, 2)
    peer.send(ACCEPTED * 2)

    assert names == ["c", "d"]
    assert node.dropped.empty()


def test_a_refused_message_is_sent_again_with_its_trace_context(
    manager: Manager, server: RawServer
) -> None:
    sockets = manager()
    plain = message("a", to=server.address)
    traces = [TraceContext(digit * 32, digit * 16) for digit in "12"]
    sent = [plain, *(TracedMessage("a", plain.sender, plain.to, b"", trace) for trace in traces)]
    encoded = [encode_message(one) for one in sent]
    for one in sent:
        sockets.send(one)
    peer = server.accept()

    assert read_bytes(peer, len(b"".join(encoded))) == b"".join(encoded)
    peer.send(ACCEPTED + FULL + FULL)
    assert read_bytes(peer, len(encoded[1])) == encoded[1]
    sockets.send(plain)  # held behind the one that waits
    peer.send(ACCEPTED)
    assert read_bytes(peer, len(encoded[2] + encoded[0])) == encoded[2] + encoded[0]
    peer.send(ACCEPTED * 2)


@pytest.mark.parametrize("is_traced", [False, True])
def test_what_is_refused_for_too_long_is_reported_as_it_was(
    node: Node, manager: Manager, server: RawServer, is_traced: bool
) -> None:
    sockets = manager(refusal_timeout=0.02)
    sent = message("a", b"body", to=server.address)
    if is_traced:
        trace = TraceContext("1" * 32, "2" * 16)
        sent = TracedMessage(sent.name, sent.sender, sent.to, sent.body, trace)
    sockets.send(sent)
    peer = server.accept()

    def refuse() -> None:
        while peer.socket.recv(4096):
            peer.send(FULL)

    refusing = gevent.spawn(refuse)
    dropped, reason = node.dropped.get(timeout=LIMIT)

    assert (dropped, type(dropped)) == (sent, type(sent))
    assert reason == f"rcv@{server.address} was answered 503 for 0.02 seconds"
    refusing.kill()


def test_a_report_that_is_killed_does_not_end_the_retries() -> None:
    dropped: list[str] = []
    done = Event()

    def drop(one: Message, _reason: str) -> None:
        dropped.append(one.name)
        if len(dropped) == 1:
            raise gevent.GreenletExit
        done.set()

    retries = retries_module.Retries(
        gevent.get_hub(),
        timeout=1e-6,
        max_bytes=1000,
        send=lambda _: None,
        mark=lambda _: lambda: True,
        drop=drop,
    )
    both = [message("a", to=RawServerAddress), message("b", to=RawServerAddress)]
    retries.note_answers(both, both)

    assert done.wait(LIMIT)
    assert dropped == ["a", "b"]
    assert len(retries) == 0
    retries.close("over")


def test_nothing_is_sent_again_when_the_setting_says_so(
    node: Node, manager: Manager, server: RawServer
) -> None:
    sockets = manager(refusal_timeout=0)
    sockets.send(message("a", to=server.address))
    peer = server.accept()
    read_names(peer, 1)
    peer.send(FULL)

    assert "503" in node.dropped.get(timeout=LIMIT)[1]
    assert sockets.statistics()["refused"] == 0


def test_what_waits_is_bounded_by_bytes(node: Node, manager: Manager, server: RawServer) -> None:
    sockets = manager(max_outgoing_bytes=300)
    sockets.send(message("a", to=server.address))
    peer = server.accept()
    read_names(peer, 1)
    peer.send(FULL)
    while not sockets.statistics()["refused"]:
        gevent.sleep(0)

    large = message("large", b"x" * 300, to=server.address)
    sockets.send(large)

    assert node.dropped.get(timeout=LIMIT) == (
        large,
        f"too much waits for rcv@{server.address}, which answers 503",
    )


def test_what_waits_when_the_node_stops_is_reported(
    node: Node, manager: Manager, server: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries_module, "FIRST_DELAY", 60.0)
    sockets = manager()
    sockets.send(message("a", to=server.address))
    peer = server.accept()
    read_names(peer, 1)
    peer.send(FULL)
    while not sockets.statistics()["refused"]:
        gevent.sleep(0)
    sockets.stop(0.0)

    dropped, reason = node.dropped.get(timeout=LIMIT)
    assert (dropped.name, reason) == ("a", "the node stopped")


@pytest.mark.parametrize("is_linked", [False, True])
def test_a_message_that_is_answered_404_is_reported_and_not_sent_again(
    node: Node, manager: Manager, server: RawServer, is_linked: bool
) -> None:
    sockets = manager()
    if is_linked:
        sockets.link(server.address, RemoteConnection.REUSE)
    sent = [message(name, to=server.address) for name in "abc"]
    for one in sent:
        sockets.send(one)
    peer = server.accept()
    assert read_names(peer, 3) == ["a", "b", "c"]
    peer.send(ACCEPTED + NOT_FOUND + FULL)

    assert read_names(peer, 1) == ["c"]
    assert node.not_found.get(timeout=LIMIT) is sent[1]
    assert node.not_found.empty()
    peer.send(ACCEPTED)


# Over a link the order of each sender is kept


def linked(sockets: SocketManager, server: RawServer, names: str) -> Peer:
    """Send messages with these *names* over a link, and read them at the peer."""
    sockets.link(server.address, RemoteConnection.REUSE)
    peer = server.accept()
    for name in names:
        sockets.send(message(name, to=server.address))
    assert read_names(peer, len(names)) == list(names)
    return peer


def test_what_was_overtaken_on_a_link_is_dropped_and_the_rest_comes_again_in_order(
    node: Node, manager: Manager, server: RawServer
) -> None:
    sockets = manager()
    peer = linked(sockets, server, "abcde")
    peer.send(FULL + FULL + ACCEPTED + FULL)
    for name in "ab":
        dropped, reason = node.dropped.get(timeout=LIMIT)
        assert (dropped.name, type(dropped)) == (name, Message)
        assert reason == (
            f"rcv@{server.address} was answered 503, and a later message of the same sender was "
            "accepted"
        )
    sockets.send(message("f", to=server.address))
    peer.send(FULL)
    assert read_names(peer, 1) == ["d"]  # the last answer tells that nothing else is on its way
    peer.send(ACCEPTED)
    assert read_names(peer, 2) == ["e", "f"]
    peer.send(FULL + ACCEPTED)

    assert (
        node.dropped.get(timeout=LIMIT)[0].name == "e"
    )  # likewise in a burst that is tried again
    assert node.dropped.empty()
    assert sockets.statistics()["refused"] == 0


def test_messages_of_other_senders_and_to_other_receivers_overtake_nothing(
    node: Node, manager: Manager, server: RawServer
) -> None:
    sockets = manager()
    sockets.link(server.address, RemoteConnection.REUSE)
    peer = server.accept()
    first = message("a", to=server.address)
    others = [
        Message("b", UPID("other", first.sender.address), first.to, b""),
        Message("c", first.sender, UPID("rcv2", server.address), b""),
    ]
    for one in (first, *others):
        sockets.send(one)
    data = b""
    while data.count(b"\r\n\r\n") < 3:
        data += peer.socket.recv(4096)
    peer.send(FULL + ACCEPTED + ACCEPTED)

    assert read_names(peer, 1) == ["a"]
    peer.send(ACCEPTED)
    assert node.dropped.empty()


@pytest.mark.parametrize("is_linked_first", [True, False])
def test_a_link_whose_peer_answers_nonsense_carries_on_and_counts_no_more(
    node: Node, manager: Manager, server: RawServer, is_linked_first: bool
) -> None:
    sockets = manager()
    if is_linked_first:
        peer = linked(sockets, server, "a")
    else:
        sockets.send(message("a", to=server.address))
        peer = server.accept()
        assert read_names(peer, 1) == ["a"]
    peer.send(b"nonsense\r\n\r\n")
    if not is_linked_first:
        gevent.idle()
        sockets.link(server.address, RemoteConnection.REUSE)
    for name in "bc":
        sockets.send(message(name, to=server.address))
        assert read_names(peer, 1) == [name]
        peer.send(FULL)
    gevent.idle()

    assert sockets.statistics()["unanswered"] == 0
    assert sockets.statistics()["refused"] == 0
    assert node.lost.empty()


def test_a_linked_peer_that_stops_answering_holds_up_no_deadline(
    node: Node, manager: Manager, server: RawServer
) -> None:
    sockets = manager(refusal_timeout=0.02)
    peer = linked(sockets, server, "ab")
    peer.send(FULL)

    dropped, reason = node.dropped.get(timeout=LIMIT)
    assert dropped.name == "a"
    assert reason == f"rcv@{server.address} was answered 503 for 0.02 seconds"
    assert node.lost.empty()


def test_what_was_sent_to_a_linked_peer_that_never_answers_is_remembered_in_part() -> None:
    queue = SendQueue(1_000_000)
    queue.limit_sent(100)
    sent = [message(f"m{number}", to=RawServerAddress) for number in range(100)]
    for one in sent:
        queue.append(one, b"x" * 10)
        queue.take_batch()

    assert queue.unanswered == 100
    assert queue.find_sent(range(100)) == sent[-10:]
    queue.answer(95)
    assert queue.find_sent(range(5)) == sent[-5:]


class Slow(Process):
    """Serves one message after the other, while others send."""

    mailbox_limit = MailboxLimit(events=10)

    def __init__(self) -> None:
        super().__init__("slow")
        self.served: Counter[bytes] = Counter()
        self.most = 0

    @install("m")
    def on_message(self, sender: UPID, body: bytes) -> None:
        self.most = max(self.most, len(self.mailbox))
        self.served[body] += 1
        gevent.sleep(0)  # others send meanwhile


@pytest.mark.parametrize(("seconds", "is_patient"), [(20.0, True), (0.03, False)])
def test_a_flood_from_another_node_is_served_or_reported_by_the_sender(
    seconds: float, is_patient: bool, make_runtime: RuntimeMaker
) -> None:
    there = make_runtime()
    here = make_runtime(Settings(ip="127.0.0.1", refusal_timeout=seconds))
    slow = Slow()
    to = there.spawn(slow)
    lost: Counter[bytes] = Counter()
    count = 100

    here.dead_letters.subscribe(lambda letter: lost.update([letter.start]))
    sent = Counter(b"%d" % number for number in range(count))
    for body in sent:
        here.post(UPID("slow", to.address), "m", body)
    while sum(slow.served.values()) + sum(lost.values()) < count:
        gevent.sleep(0)

    assert slow.served + lost == sent
    assert slow.most <= 10
    assert there.dead_letters.total > 0
    if is_patient:
        assert not lost
