"""Each bound of HTTP, crossed while a handler waits, the client stalls, or it leaves half-way.

In every case the bound holds, a client on another connection is answered meanwhile, what the
documentation says is told and counted, and nothing is left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from gevent import socket
from gevent.queue import Queue

from greenproc.address import Address
from greenproc.runtime import Runtime
from greenproc.settings import Settings
from greenproc.sync.pipe import HIGH_WATER_BYTES
from greenproc.testing import RuntimeMaker
from greenproc.transport.response_queue import FIRST_ROOM
from greenproc.transport.server_connection import READ_BYTES
from tests.peer import Acceptor, Peer
from tests.transport.bounds import (
    PIECE,
    SENDER,
    Asked,
    Busy,
    Case,
    Situation,
    Target,
    get,
    post,
    until,
)
from tests.transport.conftest import Time

KIB = 1024
MIB = 1024 * KIB
WAITS, STALLS, LEAVES = Situation


def nothing(case: Case) -> None:
    """Do nothing more."""


@dataclass(frozen=True, kw_only=True)
class Bound:
    """A bound, how a client crosses it, and what comes of that.

    Args:
        settings: make it small.
        data: what the client sends; when it leaves half-way, one half.
        then: what happens then.
        held: checks that the bound holds, while the case is under way.
        answers: the statuses that the client is sent in the end, None for any.
        answers_waiting: those when a handler has waited, where they differ.
        refused: why the client is turned away, and *dropped* why messages are dropped.
        refused_waiting: why it is while a handler waits, where that differs.
        refused_left: why clients are turned away when this one has left.
        honest: what the honest client asks for meanwhile.
    """

    name: str
    settings: dict[str, Any]
    data: bytes = b""
    then: Callable[[Case], None] = nothing
    held: Callable[[Case], None] = nothing
    answers: list[int] | None = None
    answers_waiting: list[int] | None = None
    refused: tuple[str, ...] = ()
    refused_waiting: tuple[str, ...] | None = None
    refused_left: tuple[str, ...] = ()
    honest: str = "/target/hello"
    limits: dict[str, int] = field(default_factory=dict)

    def expected(self, situation: Situation) -> Counter[str]:
        """Return the reasons for which clients are turned away."""
        reasons = self.refused
        if situation is LEAVES:
            reasons = self.refused_left
        elif situation is WAITS and self.refused_waiting is not None:
            reasons = self.refused_waiting
        return Counter(reasons)


def late(case: Case) -> None:
    """Let so much time pass that every limit is over."""
    case.pass_by()


def dripping(case: Case) -> None:
    """Send a byte now and then, so that nothing stands still."""
    for _ in range(4):
        case.send(b"x")
        case.pass_by(1)


def idle(case: Case) -> None:
    """Take the response, and do nothing more."""
    if case.situation is STALLS:
        assert case.client.read_answer().code == 200
    case.pass_by()


def not_released(count: int) -> Callable[[Case], None]:
    def check(case: Case) -> None:
        assert len(case.target.waiting) <= count

    return check


def few_large(case: Case) -> None:
    # What is taken before the first response is known, and what the system takes of those.
    assert case.target.large <= FIRST_ROOM + (0 if case.situation is WAITS else 16)


def little_streamed(case: Case) -> None:
    # What the pipe holds, and what the system takes for both sides.
    assert case.target.pieces * len(PIECE) < 16 * MIB


def little_taken(case: Case) -> None:
    if case.target.reader is not None:
        unread = case.target.reader._channel.unread
        assert unread <= HIGH_WATER_BYTES + READ_BYTES


def not_read(case: Case) -> None:
    """Wait until the node has had enough of a client that takes nothing."""
    if case.situation is STALLS:
        assert case.refusals.get(timeout=20.0) == "answers not read"


def never_told(case: Case) -> None:
    """Let all the time pass that finding out about two requests may take."""
    before = 0 if case.situation is STALLS else 1
    if case.has_left:
        assert len(case.target.waiting) == before + 1
        return
    until(lambda: len(case.target.waiting) == before + 2)
    case.node.clock.pause()
    case.node.clock.advance(10.0)
    until(lambda: all(one.future.has_discard for one in case.target.waiting[before:]))
    case.node.clock.resume()


NOTE = post("/busy/note", bytes(8 * KIB), SENDER)


def mailbox_refuses(case: Case) -> None:
    assert case.busy.served == 0
    if not case.has_left:
        # What the other client asks may be answered before the node has read all of them.
        until(lambda: case.counted("messages_dropped").total() >= 4)
        dropped = case.counted("messages_dropped")
        assert set(dropped) in ({"mailbox_full"}, {"node_full"})
        assert dropped.total() == 4
        assert case.metrics()["greenproc/refused_bytes"] >= 4 * 8 * KIB


def few_parked(case: Case) -> None:
    assert case.node.statistics()["processes"]["parked_greenlets"] <= 1


def many_connections(case: Case) -> None:
    """Open two more connections, of which the last is one too many."""
    before = len(case.target.waiting)
    case.connect().send(get("/target/wait"))
    until(lambda: len(case.target.waiting) > before)
    assert case.node.statistics()["inbound"]["connections"] == 3 - case.has_left
    last = case.connect()
    if case.situation is not WAITS:
        assert last.get("/target/hello").code == 200
    else:
        assert last.read_answer().code == 503
    assert case.node.statistics()["inbound"]["connections"] == 3


def many_of_address(case: Case) -> None:
    """Open two more connections, of which the last is one too many unless one has gone."""
    assert case.connect().get("/target/hello").code == 200
    last = case.connect()
    if case.has_left:
        assert last.get("/target/hello").code == 200
    else:
        assert last.read_answer().code == 503


def claimed_senders(case: Case) -> None:
    """Have messages sent to many addresses, where nothing is answered."""
    with Acceptor() as acceptor:
        for port in (acceptor.address.port, *range(1, 12)):
            sender = b"Libprocess-From: spoofed@127.0.0.1:%d\r\n" % port
            case.honest.send(post("/target/ask", b"", sender))
            assert case.honest.read_answer().code == 202
        until(lambda: case.node.statistics()["outbound"]["dropped"] == 3)
        told = case.node.statistics()["outbound"]
        assert (told["connections"], told["waiting"]) == (9, 8)
        assert case.counted("messages_dropped") == {"not_sent": 3}
        acceptor.accept().reset()
    # The others are refused one after the other.
    until(lambda: case.node.statistics()["outbound"]["connections"] == 0)


SLOW_HEAD = get("/target/hello")[:-2]
TABLE = [
    Bound(
        name="max_header_bytes",
        settings={"max_header_bytes": 200},
        data=get("/target/hello")[:-2] + b"X: " + b"x" * 300,
        answers=[431],
    ),
    Bound(
        name="max_headers",
        settings={"max_headers": 3},
        data=get("/target/hello")[:-2] + b"X: y\r\n" * 3 + b"\r\n",
        answers=[431],
    ),
    Bound(
        name="head_timeout",
        settings={"head_timeout": 10.0},
        data=get("/target/hello")[:-2],
        then=late,
        answers=[408],
        refused=("head too slow",),
    ),
    Bound(
        name="max_body_bytes",
        settings={"max_body_bytes": 100},
        data=post("/target/hello", bytes(101)),
        answers=[413],
    ),
    Bound(
        name="body_timeout",
        settings={"body_timeout": 10.0},
        data=post("/target/hello", bytes(100))[:-1],
        then=late,
        answers=[408],
        refused=("body too slow",),
    ),
    Bound(
        name="min_bytes_per_second",
        settings={"body_timeout": 1500.0, "min_bytes_per_second": 10},
        data=post("/target/hello", bytes(100))[:-50],
        then=dripping,
        answers=[408],
        refused=("body too slow",),
    ),
    Bound(
        name="idle_timeout",
        settings={"idle_timeout": 10.0},
        data=get("/target/hello"),
        then=idle,
        answers=[],
        answers_waiting=[200],
    ),
    Bound(
        name="answer_timeout",
        settings={"answer_timeout": 0.02},
        data=get("/target/large") * 32,
        then=not_read,
        refused=("answers not read",),
        refused_waiting=(),
    ),
    Bound(
        name="max_pipelined_requests",
        settings={"max_pipelined_requests": 4},
        data=get("/target/wait") * 10,
        held=not_released(4),
        answers=[200] * 10,
    ),
    Bound(
        name="max_answer_bytes",
        settings={"max_answer_bytes": 2 * MIB},
        data=get("/target/large") * 64,
        held=few_large,
        answers=[200] * 64,
    ),
    Bound(
        name="streamed response",
        settings={"answer_timeout": 0.05},
        data=get("/target/flood"),
        held=little_streamed,
        then=not_read,
        refused=("answers not read",),
        refused_waiting=(),
    ),
    Bound(
        name="streamed request",
        settings={},
        data=post("/target/take", bytes(8 * MIB)),
        held=little_taken,
    ),
    Bound(
        name="max_mailbox_bytes",
        settings={"max_mailbox_bytes": 20 * KIB},
        data=NOTE * 6,
        held=mailbox_refuses,
        answers=[202, 202, 503, 503, 503, 503],
    ),
    Bound(
        name="max_mailbox_events",
        settings={"max_mailbox_events": 2},
        data=NOTE * 6,
        held=mailbox_refuses,
        answers=[202, 202, 503, 503, 503, 503],
    ),
    Bound(
        name="max_queued_bytes",
        settings={"max_queued_bytes": 20 * KIB},
        data=NOTE * 6,
        held=mailbox_refuses,
        answers=[202, 202, 503, 503, 503, 503],
    ),
    Bound(
        name="events a turn",
        settings={},
        limits={"events": 2, "turns": 1},
        data=NOTE * 50,
        answers=[202] * 50,
    ),
    Bound(
        name="authentication_timeout of an authenticator",
        settings={"authentication_timeout": 10.0},
        data=get("/target/private") * 2,
        then=never_told,
        answers=[503, 503],
        honest="/metrics/snapshot",  # later requests to the process keep their order
    ),
    Bound(
        name="authentication_timeout of a callback",
        settings={"authentication_timeout": 10.0},
        data=get("/target/guarded") * 2,
        then=never_told,
        answers=[503, 503],
        honest="/metrics/snapshot",  # later requests to the process keep their order
    ),
    Bound(
        name="max_parked_greenlets",
        settings={"max_parked_greenlets": 1},
        data=NOTE * 50,
        held=few_parked,
        answers=[202] * 50,
    ),
    Bound(
        name="max_connections",
        settings={"max_connections": 3},
        then=many_connections,
        refused=("closed to make room",),
        refused_waiting=("too many connections",),
    ),
    Bound(
        name="max_connections_per_address",
        settings={"max_connections_per_address": 2},
        then=many_of_address,
        refused=("too many connections from one address",),
    ),
    Bound(
        name="max_temporary_connections",
        settings={"max_temporary_connections": 1},
        then=claimed_senders,
    ),
]


class Refusals:
    """Notes why clients are turned away, as the signal says."""

    def __init__(self, node: Runtime) -> None:
        self.reasons: Queue[str] = Queue()
        node.signals.client_refused.connect(self._note)

    def _note(self, sender: Runtime, *, client: Address | None, reason: str) -> None:
        self.reasons.put(reason)


@pytest.fixture
def make_case(
    make_runtime: RuntimeMaker, time: Time, limit_turns: Callable[..., None]
) -> Iterator[Callable[[Bound, Situation], Case]]:
    """Return a function that starts a node within a bound, with two clients."""
    cases: list[Case] = []

    def make(bound: Bound, situation: Situation) -> Case:
        if bound.limits:
            limit_turns(**bound.limits)
        settings = {"metrics_snapshot_endpoint_rate_limit": "", **bound.settings}
        node = make_runtime(Settings(ip="127.0.0.1", **settings))
        target = Target()
        busy = Busy(target.gate)
        node.spawn(target)
        node.spawn(busy)
        asked = Asked(target)
        node.set_authenticator("realm", asked)
        node.authorization.set_callbacks({"/target/guarded": asked.allow})
        honest = Peer(connect_from("127.0.0.2", node.address))
        client = Peer.connect(node.address)
        refusals = Refusals(node).reasons
        cases.append(Case(node, target, busy, client, honest, situation, time.pass_by, refusals))
        return cases[-1]

    yield make
    for case in cases:
        case.close()


def connect_from(ip: str, address: Address) -> socket.socket:
    """Return a connection whose client has an address of its own."""
    connected = socket.socket()
    connected.bind((ip, 0))
    connected.connect((address.ip, address.port))
    return connected


@pytest.mark.parametrize("situation", Situation, ids=lambda situation: situation.value)
@pytest.mark.parametrize("bound", TABLE, ids=lambda bound: bound.name)
def test_a_bound_holds(
    bound: Bound, situation: Situation, make_case: Callable[[Bound, Situation], Case]
) -> None:
    case = make_case(bound, situation)
    # A node that links is never idle.
    assert case.honest.ask(post("/target/hello", b"", SENDER)).code == 202

    cross(bound, case)

    assert case.honest.get(bound.honest).code == 200
    bound.held(case)
    bound.then(case)
    assert case.honest.get(bound.honest).code == 200
    case.target.release()
    answers = [] if case.has_left else case.statuses(case.client)
    assert_answered(bound, case, answers)
    assert case.counted("clients_refused") == {
        reason.replace(" ", "_"): count for reason, count in bound.expected(situation).items()
    }
    case.close()
    until(case.is_released)


def cross(bound: Bound, case: Case) -> None:
    """Send what crosses the bound, or half of it."""
    if case.situation is not STALLS:
        case.client.send(get("/target/wait"))
        until(lambda: len(case.target.waiting) == 1)
    if case.situation is not LEAVES:
        case.send(bound.data)
        return
    case.send(bound.data[: len(bound.data) // 2])
    case.client.reset()
    case.pass_by()
    assert case.node.statistics()["inbound"]["connections"] == 1
    assert all(promise.future.has_discard for promise in case.target.waiting)


def assert_answered(bound: Bound, case: Case, answers: list[int]) -> None:
    """Check what the client was sent, behind the response that the handler kept it waiting for."""
    expected = bound.answers
    if case.situation is WAITS:
        assert answers[:1] == [200]
        del answers[0]
        expected = expected if bound.answers_waiting is None else bound.answers_waiting
    if expected is not None and not case.has_left:
        assert answers == expected
