"""Each bound of what a node sends, crossed while a handler waits, a peer stalls, or its process dies.

In every case the bound holds, what is lost is counted, an honest client is answered meanwhile, and
nothing is left.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent.event import Event

from greenproc.address import Address
from greenproc.pid import UPID
from greenproc.process import Process
from greenproc.runtime import Runtime
from greenproc.settings import Settings
from greenproc.testing import RuntimeMaker
from tests.peer import Acceptor, Peer

KIB = 1024
MIB = 1024 * KIB
ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
REFUSED = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
LIMIT = 15.0


def until(happened: Callable[[], bool]) -> None:
    """Let everything else run until something has happened; the limits of the table are short."""
    with gevent.Timeout(LIMIT):
        while not happened():
            gevent.idle()


class Situation(Enum):
    """What goes on while the messages of a process cross a bound."""

    HANDLER_WAITS = "its handler waits"
    PEER_LEAVES = "the peer leaves"
    PROCESS_DIES = "it dies"


class Speaker(Process):
    """Sends many messages in one handler, and then waits in it, or dies."""

    def __init__(self, situation: Situation) -> None:
        super().__init__("speaker")
        self.situation = situation
        self.gate = Event()

    def speak(self, to: list[UPID], count: int, size: int) -> None:
        for pid in to:
            for _ in range(count):
                self.send(pid, "data", bytes(size))
        if self.situation is Situation.HANDLER_WAITS:
            self.gate.wait()
        elif self.situation is Situation.PROCESS_DIES:
            self.runtime.terminate(self)


@dataclass
class Case:
    """A node whose messages are not taken."""

    node: Runtime
    speaker: Speaker
    honest: Peer
    acceptors: list[Acceptor]
    situation: Situation
    peers: list[Peer] = field(default_factory=list)

    def speak(self, to: list[Address], count: int, size: int) -> None:
        pids = [UPID("peer", address) for address in to]
        self.node.dispatch(self.speaker, self.speaker.speak, pids, count, size)

    @property
    def outbound(self) -> dict[str, Any]:
        told: dict[str, Any] = self.node.statistics()["outbound"]
        return told

    def leave(self) -> None:
        """Close the peers, which have taken nothing."""
        while self.peers:
            self.peers.pop().reset()

    def accept(self) -> None:
        self.peers += [acceptor.accept() for acceptor in self.acceptors]
        if self.situation is Situation.PEER_LEAVES:
            self.leave()

    def until_lost(self, count: int) -> None:
        until(lambda: self.outbound["dropped"] == count)


@dataclass(frozen=True, kw_only=True)
class Bound:
    """A bound, and what crosses it.

    Args:
        cross: sends what crosses it, and checks what comes of that.
        lost: how many messages are lost to it.
    """

    name: str
    settings: dict[str, Any]
    cross: Callable[[Case], None]
    lost: int
    peers: int = 1


def flood(case: Case) -> None:
    """Send a peer more than may wait for it."""
    case.speak([case.acceptors[0].address], 16, 300 * KIB)
    case.until_lost(13)
    assert case.outbound["queued_bytes"] <= MIB
    case.accept()


def flood_many(case: Case) -> None:
    """Send several peers more than may wait for all of them."""
    case.speak([acceptor.address for acceptor in case.acceptors], 8, 100 * KIB)
    # The mark of a queue is raised in steps, so that one may have what others would use.
    until(lambda: case.outbound["dropped"] >= 20)
    assert case.outbound["queued_bytes"] <= MIB + 4 * 64 * KIB
    case.accept()


def speak_to_a_full_one(case: Case) -> None:
    """Send to an address where every attempt to connect is ignored."""
    with socket.socket() as full, socket.socket() as taking:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        taking.connect(full.getsockname())
        case.speak([Address(*full.getsockname())], 5, KIB)
        case.until_lost(5)


def speak_to_a_silent_one(case: Case) -> None:
    """Send to a peer that acknowledges nothing."""
    case.speak([case.acceptors[0].address], 5, KIB)
    case.accept()
    case.until_lost(5)


def speak_and_be_idle(case: Case) -> None:
    """Let a connection stand still when every message has arrived."""
    case.speak([case.acceptors[0].address], 2, KIB)
    peer = case.acceptors[0].accept()
    peer.send(2 * ACCEPTED)
    if case.situation is Situation.PEER_LEAVES:
        peer.read_until(bytes(KIB))
        peer.close()
    else:
        case.peers.append(peer)
    until(lambda: case.outbound["connections"] == 0)


def speak_to_one_that_refuses(case: Case) -> None:
    """Send to a peer whose process has no room, and that may leave when it has said so."""
    case.speak([case.acceptors[0].address], 5, KIB)
    peer = case.acceptors[0].accept()
    case.peers.append(peer)

    def refuse() -> None:
        while data := peer.socket.recv(64 * KIB):
            peer.send(data.count(b"POST /") * REFUSED)

    refusing = gevent.spawn(refuse)
    if case.situation is Situation.PEER_LEAVES:
        until(lambda: case.outbound["refused"] == 5)
        refusing.kill()
        case.acceptors[0].close()
        case.leave()
    case.until_lost(5)
    assert case.outbound["refused"] == 0
    refusing.kill()


def speak_to_nobody(case: Case) -> None:
    """Send to processes that are not there: the last letters are kept, and all are counted."""
    case.speak([case.node.address], 16, KIB)
    letters = case.node.dead_letters
    until(lambda: letters.total == 16)
    assert [letter.number for letter in letters] == [14, 15, 16]
    told = json.loads(case.honest.get("/dead-letters").body)
    assert (told["total"], len(told["letters"])) == (16, 3)


TABLE = [
    Bound(name="max_outgoing_bytes", settings={"max_outgoing_bytes": MIB}, cross=flood, lost=13),
    Bound(
        name="max_unsent_bytes",
        settings={"max_unsent_bytes": MIB},
        cross=flood_many,
        lost=20,
        peers=4,
    ),
    Bound(
        name="connect_timeout",
        settings={"connect_timeout": 0.02},
        cross=speak_to_a_full_one,
        lost=5,
    ),
    Bound(
        name="answer_timeout",
        settings={"answer_timeout": 0.02, "temporary_idle": 0.01},
        cross=speak_to_a_silent_one,
        lost=5,
    ),
    Bound(
        name="refusal_timeout",
        settings={"refusal_timeout": 0.05},
        cross=speak_to_one_that_refuses,
        lost=5,
    ),
    Bound(
        name="max_dead_letters",
        settings={"max_dead_letters": 3},
        cross=speak_to_nobody,
        lost=0,
    ),
    Bound(
        name="temporary_idle",
        settings={"temporary_idle": 0.01},
        cross=speak_and_be_idle,
        lost=0,
    ),
]


@pytest.fixture
def make_case(make_runtime: RuntimeMaker) -> Iterator[Callable[[Bound, Situation], Case]]:
    cases: list[Case] = []

    def make(bound: Bound, situation: Situation) -> Case:
        settings = {"metrics_snapshot_endpoint_rate_limit": "", **bound.settings}
        node = make_runtime(Settings(ip="127.0.0.1", **settings))
        speaker = Speaker(situation)
        node.spawn(speaker)
        acceptors = [Acceptor() for _ in range(bound.peers)]
        cases.append(Case(node, speaker, Peer.connect(node.address), acceptors, situation))
        return cases[-1]

    yield make
    for case in cases:
        case.speaker.gate.set()
        for one in (*case.acceptors, *case.peers, case.honest):
            one.close()


@pytest.mark.parametrize("situation", Situation, ids=lambda situation: situation.value)
@pytest.mark.parametrize("bound", TABLE, ids=lambda bound: bound.name)
def test_a_bound_of_what_is_sent_holds(
    bound: Bound, situation: Situation, make_case: Callable[[Bound, Situation], Case]
) -> None:
    case = make_case(bound, situation)

    bound.cross(case)

    answer = case.honest.get("/metrics/snapshot")
    assert answer.code == 200
    if bound.lost:
        assert b'"greenproc/messages_dropped/not_sent":' in answer.body
    assert case.outbound["dropped"] >= bound.lost
    is_dead = situation is Situation.PROCESS_DIES
    assert (case.node.processes.find_process(case.speaker.pid) is None) is is_dead
    case.speaker.gate.set()
    case.leave()
    until(lambda: not (case.outbound["connections"] or case.outbound["leaving"]))
    assert case.outbound["queued_bytes"] == case.outbound["unanswered"] == 0
    assert case.node.transport._peer_hooks.unsent.total == 0
