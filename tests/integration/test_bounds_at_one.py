"""Every bound may be 1: a node then does one thing after the other, and nothing is stuck."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gevent.queue import Queue

from greenproc.errors import TooManyAsks
from greenproc.http import OK, Request, Response
from greenproc.pid import UPID
from greenproc.process import Process, install, route
from greenproc.runtime import Runtime
from greenproc.settings import Settings
from greenproc.testing import await_ready
from tests.peer import Peer

LIMIT = 20.0  # seconds until something that must happen counts as missing

BOUNDS = (
    "max_mailbox_events",
    "max_mailbox_bytes",
    "max_queued_bytes",
    "max_answer_bytes",
    "max_pipelined_requests",
    "max_connections",
    "max_connections_per_address",
    "max_temporary_connections",
    "max_parked_greenlets",
    "max_outgoing_bytes",
    "max_unsent_bytes",
    "max_dead_letters",
    "max_open_asks",
    "min_bytes_per_second",
)
CASES = [*((one,) for one in BOUNDS), BOUNDS]

Nodes = tuple[Runtime, Runtime]


class Echo(Process):
    """Sends back what it gets, and answers requests with as many bytes as the body had."""

    def __init__(self) -> None:
        super().__init__("echo")

    @install("ping")
    def on_ping(self, sender: UPID, body: bytes) -> None:
        self.send(sender, "pong", body)

    @install("question")
    def on_question(self, sender: UPID, body: bytes) -> None:
        self.reply(body)

    @route("/size")
    def on_size(self, request: Request) -> Response:
        return OK(bytes(100_000 + len(request.body)))


class Asker(Process):
    """Sends pings, and notes what comes back and what ends."""

    def __init__(self) -> None:
        super().__init__("asker")
        self.got: Queue[bytes] = Queue()
        self.ended: Queue[UPID] = Queue()

    @install("pong")
    def on_pong(self, sender: UPID, body: bytes) -> None:
        self.got.put(body)

    def ping(self, to: UPID, body: bytes) -> None:
        self.send(to, "ping", body)

    def watch(self, to: UPID) -> None:
        self.link(to)

    def exited(self, pid: UPID) -> None:
        self.ended.put(pid)


@pytest.fixture(params=CASES, ids=lambda case: "all" if len(case) > 1 else case[0])
def nodes(request: pytest.FixtureRequest) -> Iterator[Nodes]:
    settings = Settings(ip="127.0.0.1", **dict.fromkeys(request.param, 1))
    with Runtime(settings) as here, Runtime(settings) as there:
        yield here, there


@pytest.mark.parametrize("is_linked", [False, True], ids=["unlinked", "linked"])
def test_messages_go_there_and_back(nodes: Nodes, *, is_linked: bool) -> None:
    here, there = nodes
    asker, echo = Asker(), Echo()
    here.spawn(asker)
    to = there.spawn(echo)
    if is_linked:
        await_ready(here.dispatch(asker, Asker.watch, to))

    for number in range(10):
        body = b"x" * (number * 20_000)
        await_ready(here.dispatch(asker, Asker.ping, to, body))
        assert asker.got.get(timeout=LIMIT) == body

    there.stop()
    if is_linked:
        assert asker.ended.get(timeout=LIMIT) == to


@pytest.mark.parametrize("is_remote", [False, True], ids=["local", "remote"])
def test_asks_are_answered_one_by_one(nodes: Nodes, *, is_remote: bool) -> None:
    here, there = nodes
    to = (there if is_remote else here).spawn(Echo())

    for number in range(10):
        body = b"x" * (number * 20_000)
        assert here.ask(to, "question", body).get(timeout=LIMIT) == body


@pytest.mark.parametrize("is_remote", [False, True], ids=["local", "remote"])
def test_asks_at_once_end_all_and_what_was_refused_is_told(
    nodes: Nodes, *, is_remote: bool
) -> None:
    here, there = nodes
    to = (there if is_remote else here).spawn(Echo())
    futures = [here.ask(to, "question", b"x") for _ in range(10)]

    for future in futures:
        future.wait(LIMIT)
    assert futures[0].get(timeout=LIMIT) == b"x"
    refusals = [future.exception for future in futures if future.is_failed]
    assert all(isinstance(refusal, TooManyAsks) for refusal in refusals)
    assert all(future.is_ready or future.is_failed or future.is_abandoned for future in futures)
    assert here.statistics()["processes"]["asks"] == 0


def test_requests_are_answered_one_by_one_and_all_at_once(nodes: Nodes) -> None:
    _, there = nodes
    there.spawn(Echo())
    request = b"POST /echo/size HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n" + bytes(
        50_000
    )

    with Peer.connect(there.address) as peer:
        for _ in range(3):
            peer.send(request)
            assert len(peer.read_answer().body) == 150_000
        peer.send(request * 5)
        statuses = [peer.read_answer().status.split()[1] for _ in range(5)]
        peer.send(request)
        assert len(peer.read_answer().body) == 150_000

    assert statuses[0] == "200"
    assert set(statuses) <= {"200", "503"}  # a full mailbox takes no more
