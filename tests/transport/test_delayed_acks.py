"""When messages are answered: at once for whom it matters, a little later for libprocess."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from greenproc.address import Address
from greenproc.transport import delayed_acks, response_writer
from tests.transport.conftest import LIMIT, Node, Peer, undated

Listen = Callable[..., Address]
Connect = Callable[[Address], Peer]

AGENT = (
    b"POST /sink/data HTTP/1.1\r\n"
    b"User-Agent: libprocess/x@127.0.0.1:1234\r\n"
    b"Content-Length: 0\r\n"
    b"Host: 127.0.0.1:36069\r\n"
    b"\r\n"
)
CLIENT = AGENT.replace(b"User-Agent: libprocess/", b"Libprocess-From: ")
ACCEPTED = b"HTTP/1.1 202 Accepted\r\nDate: *\r\nContent-Length: 0\r\n\r\n"
ANSWER_BYTES = 81  # of b-msg-query.response, recorded from libprocess


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is put off be put off for longer than any test takes."""
    monkeypatch.setattr(delayed_acks, "ACK_DELAY", 3600.0)


def test_libprocess_gets_its_answers_soon(node: Node, listen: Listen, connect: Connect) -> None:
    peer = connect(listen())

    for _ in range(3):
        peer.send(AGENT)
        assert undated(peer.receive(ANSWER_BYTES)) == ACCEPTED


@pytest.mark.usefixtures("never")
def test_who_is_not_libprocess_gets_answers_at_once(
    node: Node, listen: Listen, connect: Connect
) -> None:
    peer = connect(listen())

    for _ in range(3):
        peer.send(CLIENT)
        assert undated(peer.receive(ANSWER_BYTES)) == ACCEPTED


@pytest.mark.usefixtures("never")
def test_what_is_put_off_is_sent_when_the_peer_sends_no_more(
    node: Node, listen: Listen, connect: Connect
) -> None:
    peer = connect(listen())
    for _ in range(3):
        peer.send(AGENT)
        node.delivered.get(timeout=LIMIT)

    peer.end_sending()

    assert undated(peer.receive_to_end()) == ACCEPTED * 3


@pytest.mark.usefixtures("never")
def test_what_is_put_off_leaves_with_the_answer_to_the_next_request(
    node: Node, listen: Listen, connect: Connect
) -> None:
    peer = connect(listen())
    peer.send(AGENT)
    node.delivered.get(timeout=LIMIT)

    peer.send(AGENT.replace(b"POST", b"GET").replace(b"libprocess", b"curl"))

    assert undated(peer.receive(ANSWER_BYTES)) == ACCEPTED
    assert peer.receive(12) == b"HTTP/1.1 404"


@pytest.mark.usefixtures("never")
def test_no_more_than_a_number_of_answers_is_put_off(
    node: Node, listen: Listen, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(response_writer, "MAX_DELAYED_ACKS", 3)
    peer = connect(listen())

    for _ in range(3):
        peer.send(AGENT)
        node.delivered.get(timeout=LIMIT)

    assert undated(peer.receive(3 * ANSWER_BYTES)) == ACCEPTED * 3


@pytest.mark.usefixtures("never")
def test_answers_are_put_off_for_no_longer_than_a_time(
    node: Node, listen: Listen, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(response_writer, "MAX_ACK_DELAY", -1.0)
    peer = connect(listen())

    peer.send(AGENT)

    assert undated(peer.receive(ANSWER_BYTES)) == ACCEPTED


class Connection:
    """A connection that is ready to send at the given attempts."""

    def __init__(self, *ready: bool) -> None:
        self.ready = list(ready)

    def flush_delayed(self) -> bool:
        return self.ready.pop(0)


def test_a_connection_is_asked_again_until_it_could_send() -> None:
    waiting = delayed_acks.DelayedAcks()
    patient, quick = Connection(False, False, True), Connection(True)
    waiting.add(patient)
    waiting.add(quick)

    for _ in range(3):
        waiting._flush()

    assert patient.ready == quick.ready == []
    assert waiting._timer is None


def test_close_asks_each_connection_once() -> None:
    waiting = delayed_acks.DelayedAcks()
    busy, ready = Connection(False, True), Connection(True, True)
    waiting.add(busy)
    waiting.add(ready)

    waiting.close()

    assert busy.ready == ready.ready == [True]
    assert waiting._timer is None


@pytest.mark.usefixtures("never")
def test_what_is_put_off_is_sent_before_the_listener_closes(
    node: Node, listen: Listen, connect: Connect
) -> None:
    peer = connect(listen())
    peer.send(AGENT)
    node.delivered.get(timeout=LIMIT)

    listen.listeners.pop().stop(LIMIT)  # type: ignore[attr-defined]

    assert undated(peer.receive_to_end()) == ACCEPTED
