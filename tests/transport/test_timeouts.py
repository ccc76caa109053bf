"""Clients that take too long, and those that may."""

from __future__ import annotations

from collections.abc import Callable

import gevent
import pytest

from greenproc.address import Address
from greenproc.future import Future, Promise
from greenproc.http.request import Request
from greenproc.http.response import OK, Response
from greenproc.process.ports import Delivery
from greenproc.settings import Settings
from greenproc.sync.pipe import Pipe
from greenproc.transport.timeouts import ConnectionPhase, IdleMonitor
from tests.transport.conftest import LIMIT, Node, Peer, Time

Listen = Callable[..., Address]
Connect = Callable[[Address], Peer]

HELLO = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
MESSAGE = (
    b"POST /sink/data HTTP/1.1\r\nUser-Agent: libprocess/x@127.0.0.1:1234\r\n"
    b"Content-Length: 0\r\nHost: 127.0.0.1:36069\r\n\r\n"
)
ANSWER_BYTES = 81  # of the answer to a message, recorded from libprocess
HELLO_BYTES = 121  # of what HELLO is answered


@pytest.fixture(autouse=True)
def _hello(node: Node) -> None:
    node.answer = lambda request: Future(OK("hello"))


def is_open(peer: Peer) -> bool:
    """Whether a message is answered."""
    peer.send(MESSAGE)
    return peer.receive(ANSWER_BYTES).startswith(b"HTTP/1.1 202")


def test_a_head_that_takes_too_long_is_refused(
    node: Node, listen: Listen, connect: Connect, time: Time
) -> None:
    peer = connect(listen())
    peer.send(HELLO[:10])
    time.pass_by()

    answer = peer.receive_to_end()

    assert answer.startswith(b"HTTP/1.1 408 Request Time-out\r\n")
    assert b"\r\nConnection: close\r\n" in answer
    assert node.requests.empty()


def test_a_head_that_comes_byte_by_byte_is_refused_too(
    node: Node, listen: Listen, connect: Connect, time: Time
) -> None:
    peer = connect(listen())

    peer.send(HELLO[:-2])
    for _ in range(3):
        peer.send(b"X: y\r\n")
        time.pass_by(1)

    assert b" 408 " in peer.receive_to_end()


def test_a_head_behind_answers_is_refused_in_its_turn(
    node: Node, listen: Listen, connect: Connect, time: Time
) -> None:
    peer = connect(listen())
    peer.send(HELLO + HELLO[:10])
    time.pass_by()

    first, _, second = peer.receive_to_end().partition(b"hello")

    assert first.startswith(b"HTTP/1.1 200")
    assert second.startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    "begin",
    [
        b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf",
        b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ],
)
def test_a_body_that_stands_still_is_refused(
    node: Node, listen: Listen, connect: Connect, time: Time, begin: bytes
) -> None:
    peer = connect(listen())
    peer.send(begin)
    time.pass_by()

    assert peer.receive_to_end().startswith(b"HTTP/1.1 408 Request Time-out\r\n")


EXPECTING = b"POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n"


def test_a_body_that_is_waited_for_in_vain_has_one_last_answer(
    node: Node, listen: Listen, connect: Connect, time: Time
) -> None:
    peer = connect(listen())
    peer.send(EXPECTING)
    time.pass_by()

    assert statuses(peer.receive_to_end()) == [b"100", b"408"]


@pytest.mark.parametrize("is_late", [True, False])
def test_a_streamed_body_that_is_waited_for_in_vain_has_one_last_answer(
    node: Node, listen: Listen, connect: Connect, time: Time, *, is_late: bool
) -> None:
    object.__setattr__(node.hooks, "streams", lambda path: True)
    if is_late:
        node.answer = lambda request: request.reader.read_all().then(OK)
    peer = connect(listen())
    peer.send(EXPECTING)
    time.pass_by()

    answers = peer.receive_to_end()

    assert statuses(answers) == [b"100", b"408" if is_late else b"200"]
    assert answers.endswith(b"failed to decode body" if is_late else b"hello")


def statuses(answers: bytes) -> list[bytes]:
    return [part[:3] for part in answers.split(b"HTTP/1.1 ")[1:]]


def test_the_reader_of_a_body_that_stands_still_is_told(
    node: Node, listen: Listen, connect: Connect, time: Time
) -> None:
    answer: Promise[Response] = Promise()
    object.__setattr__(node.hooks, "streams", lambda path: True)
    node.answer = lambda request: answer.future
    peer = connect(listen())
    peer.send(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
    request: Request = node.requests.get(timeout=LIMIT)

    time.pass_by()

    reading = request.reader.read_all()
    reading.wait(timeout=LIMIT)
    assert reading.failure() == "failed to decode body"
    answer.set(OK("too slow"))
    answers = peer.receive_to_end()
    assert answers.count(b"HTTP/1.1 ") == 1
    assert answers.endswith(b"too slow")


def test_a_body_that_waits_for_its_reader_is_waited_for(
    node: Node, listen: Listen, connect: Connect, time: Time
) -> None:
    answer: Promise[Response] = Promise()
    object.__setattr__(node.hooks, "streams", lambda path: True)
    node.answer = lambda request: answer.future
    size = 8 * 1024 * 1024
    peer = connect(listen())
    peer.send(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
    request: Request = node.requests.get(timeout=LIMIT)
    sending = gevent.spawn(peer.send, b"x" * size)

    time.pass_by()

    assert sum(len(piece) for piece in request.reader) == size
    answer.set(OK("done"))
    sending.get(timeout=LIMIT)
    peer.end_sending()
    assert peer.receive_to_end().endswith(b"done")


def test_a_connection_that_is_idle_after_a_request_is_closed(
    node: Node, listen: Listen, connect: Connect, time: Time
) -> None:
    peer = connect(listen())
    peer.send(HELLO)
    time.pass_by()

    assert peer.receive_to_end().endswith(b"hello")


def test_a_connection_that_waits_for_its_response_is_not_idle(
    node: Node, listen: Listen, connect: Connect, time: Time
) -> None:
    answer: Promise[Response] = Promise()
    node.answer = lambda request: answer.future
    peer = connect(listen())
    peer.send(HELLO)

    time.pass_by()

    answer.set(OK("at last"))
    time.pass_by()
    assert peer.receive_to_end().endswith(b"at last")


def test_a_quiet_stream_is_not_idle(
    node: Node, listen: Listen, connect: Connect, time: Time
) -> None:
    pipe = Pipe()
    node.answer = lambda request: Future(Response(reader=pipe.reader))
    peer = connect(listen())
    peer.send(HELLO)
    peer.receive(20)

    time.pass_by()

    pipe.writer.close()
    time.pass_by()
    assert peer.receive_to_end().endswith(b"0\r\n\r\n")


def test_a_head_behind_a_stream_may_come_late(
    node: Node, listen: Listen, connect: Connect, time: Time
) -> None:
    pipe = Pipe()
    answers = iter([Response(reader=pipe.reader), OK("hello")])
    node.answer = lambda request: Future(next(answers))
    peer = connect(listen())
    peer.send(HELLO + HELLO[:10])
    peer.receive(20)

    time.pass_by()

    pipe.writer.close()
    peer.send(HELLO[10:])
    peer.end_sending()
    assert peer.receive_to_end().endswith(b"hello")


@pytest.mark.parametrize("begin", [b"", MESSAGE, HELLO + MESSAGE])
def test_a_connection_that_may_be_a_link_is_kept(
    node: Node, listen: Listen, connect: Connect, time: Time, begin: bytes
) -> None:
    peer = connect(listen())
    peer.send(begin)
    gevent.idle()

    time.pass_by()

    peer.send(MESSAGE)
    peer.end_sending()
    count = begin.count(b"HTTP/1.1") + 1
    assert peer.receive_to_end().count(b"HTTP/1.1 20") == count


@pytest.mark.parametrize("begin", [b"", HELLO])
def test_a_connection_that_cannot_be_a_link_is_closed_also_if_it_never_said_anything(
    node: Node, listen: Listen, connect: Connect, time: Time, begin: bytes
) -> None:
    peer = connect(listen(carries_messages=False))
    peer.send(begin)
    gevent.idle()

    time.pass_by()

    assert peer.receive_to_end().count(b"HTTP/1.1 200") == bool(begin)


@pytest.mark.parametrize("lines", [b"\r\n", b"\r\n\r\n", HELLO + b"\r\n"])
def test_a_connection_on_which_only_blank_lines_came_is_no_link(
    node: Node, listen: Listen, connect: Connect, time: Time, lines: bytes
) -> None:
    peer = connect(listen())
    for _ in range(3):
        peer.send(lines)
        time.pass_by(1)
        lines = b"\r\n"

    assert statuses(peer.receive_to_end()) in ([], [b"200"])


def test_a_link_may_begin_with_blank_lines(
    node: Node, listen: Listen, connect: Connect, time: Time
) -> None:
    peer = connect(listen())
    peer.send(b"\r\n" + MESSAGE)
    gevent.idle()

    time.pass_by()

    peer.receive(ANSWER_BYTES)
    assert is_open(peer)


@pytest.mark.parametrize(
    "rest",
    [MESSAGE.replace(b"Length: 0", b"Length: 5") + b"he", MESSAGE[:30]],
    ids=["body", "head"],
)
def test_a_message_that_stands_still_is_refused_on_a_link_too(
    node: Node, listen: Listen, connect: Connect, time: Time, rest: bytes
) -> None:
    peer = connect(listen())
    peer.send(MESSAGE + rest)
    time.pass_by()

    assert statuses(peer.receive_to_end()) == [b"202", b"408"]


def test_a_message_that_was_not_delivered_makes_no_link(
    node: Node, listen: Listen, connect: Connect, time: Time
) -> None:
    node.delivery = lambda message: Delivery.UNKNOWN
    peer = connect(listen())
    peer.send(MESSAGE)
    assert peer.receive(12) == b"HTTP/1.1 404"
    time.pass_by()

    assert b"HTTP" not in peer.receive_to_end()


def test_a_client_that_was_too_slow_is_reported(
    node: Node, listen: Listen, connect: Connect, time: Time
) -> None:
    peer = connect(listen())
    peer.send(HELLO[:10])
    time.pass_by()
    peer.receive_to_end()

    client, reason = node.refused.get(timeout=LIMIT)
    assert client == Address(*peer.socket.getsockname())
    assert reason == "head too slow"


def test_no_limits_are_none(node: Node, listen: Listen, connect: Connect, time: Time) -> None:
    limits = ("idle_timeout", "head_timeout", "body_timeout", "answer_timeout")
    peer = connect(listen(**dict.fromkeys(limits, 0.0)))
    peer.send(HELLO)
    peer.receive(HELLO_BYTES)

    time.pass_by()

    assert is_open(peer)
    assert listen.listeners[0]._monitoring is None  # type: ignore[attr-defined]


class Client:
    """A connection whose phase a test sets."""

    def __init__(self, *phases: tuple[ConnectionPhase, int, int]) -> None:
        self.phases = list(phases)
        self.ended: ConnectionPhase | None = None

    def phase(self) -> tuple[ConnectionPhase, int, int]:
        return self.phases.pop(0) if len(self.phases) > 1 else self.phases[0]

    def time_out(self, phase: ConnectionPhase) -> None:
        self.ended = phase


def test_a_limit_is_counted_from_the_last_change(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("greenproc.transport.timeouts.monotonic", lambda: now[0])
    changing = Client(
        (ConnectionPhase.BODY, 0, 1), (ConnectionPhase.BODY, 0, 2), (ConnectionPhase.BODY, 0, 3)
    )
    standing = Client((ConnectionPhase.BODY, 0, 1))
    coming = Client((ConnectionPhase.UNTIMED, 0, 0), (ConnectionPhase.BODY, 0, 1))
    connections = {changing, standing, coming}
    monitor = IdleMonitor(Settings(body_timeout=10.0, min_bytes_per_second=0), connections)
    ended = []

    def turn(seconds: float) -> None:
        now[0] += 6.0
        ended.append([client.ended for client in (changing, standing, coming)])
        if len(ended) == 4:
            connections.clear()

    monkeypatch.setattr("greenproc.transport.timeouts.sleep", turn)
    monitor.run()

    body = ConnectionPhase.BODY
    assert ended == [
        [None, None, None],
        [None, None, None],
        [None, None, None],
        [None, body, None],
    ]


def rounds(monkeypatch: pytest.MonkeyPatch, client: Client, settings: Settings) -> list[bool]:
    """Return after which round of ten seconds the monitor has ended *client*."""
    now = [0.0]
    monkeypatch.setattr("greenproc.transport.timeouts.monotonic", lambda: now[0])
    connections = {client}
    ended: list[bool] = []

    def turn(seconds: float) -> None:
        now[0] += 10.0
        ended.append(client.ended is not None)
        if len(ended) == 5:
            connections.clear()

    monkeypatch.setattr("greenproc.transport.timeouts.sleep", turn)
    IdleMonitor(settings, connections).run()
    return ended


@pytest.mark.parametrize(
    ("bytes_a_round", "ended"),
    [(700, [False, False, False, False, True]), (1100, [False] * 5)],
)
def test_a_body_that_comes_too_slowly_is_refused(
    monkeypatch: pytest.MonkeyPatch, bytes_a_round: int, ended: list[bool]
) -> None:
    client = Client(*((ConnectionPhase.BODY, 1, number * bytes_a_round) for number in range(10)))
    settings = Settings(body_timeout=15.0, min_bytes_per_second=150)

    assert rounds(monkeypatch, client, settings) == ended


def test_each_body_has_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(*((ConnectionPhase.BODY, number, 1) for number in range(10)))

    assert not any(rounds(monkeypatch, client, Settings(body_timeout=15.0)))


def test_a_rate_of_none_lets_a_body_drip(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(*((ConnectionPhase.BODY, 1, number) for number in range(10)))
    settings = Settings(body_timeout=15.0, min_bytes_per_second=0)

    assert not any(rounds(monkeypatch, client, settings))


def test_the_idle_monitor_ends_when_there_are_no_connections(
    node: Node, listen: Listen, connect: Connect, time: Time
) -> None:
    address = listen()
    for _ in range(2):
        peer = connect(address)
        peer.send(HELLO)
        time.pass_by()
        assert peer.receive_to_end().endswith(b"hello")
        time.pass_by()
        assert listen.listeners[0]._monitoring is None  # type: ignore[attr-defined]
