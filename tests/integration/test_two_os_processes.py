"""Two nodes in two OS processes: bursts, the death of the peer, and its return."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from greenproc import UPID, Process, Promise, RemoteConnection, Router, Runtime, Topic, install
from greenproc.testing import await_ready
from greenproc.typed import codec_of
from tests.integration.peer import Peer, Record
from tests.shell import GREENPROC, Program

HERE = Path(__file__).parent


@contextmanager
def peer(port: int = 0) -> Iterator[tuple[Program, UPID]]:
    """Run `Peer` in another OS process, and tell its address."""
    command = (*GREENPROC, "run", "peer:Peer", "--ip", "127.0.0.1", "--port", str(port))
    with Program(*command, cwd=HERE) as program:
        yield program, UPID.parse(program.line("peer@[0-9.:]+")[0])


class Client(Process):
    """Collects what it is told."""

    def __init__(self) -> None:
        super().__init__("client")
        self.exits: list[UPID] = []
        self.exited_once: Promise[UPID] = Promise()
        self.replies: dict[str, Promise[bytes]] = {"echoed": Promise(), "reported": Promise()}

    def exited(self, pid: UPID) -> None:
        self.exits.append(pid)
        self.exited_once.set(pid)

    @install("echoed")
    def on_echoed(self, sender: UPID, body: bytes) -> None:
        self.replies["echoed"].set(body)

    @install("reported")
    def on_reported(self, sender: UPID, body: bytes) -> None:
        self.replies["reported"].set(body)

    def burst(self, to: UPID, count: int) -> None:
        for number in range(count):
            self.send(to, "data", b"%d" % number)
        self.send(to, "report")


@pytest.fixture
def client(runtime: Runtime) -> Client:
    client = Client()
    runtime.spawn(client)
    return client


def echo(runtime: Runtime, client: Client, to: UPID, body: bytes) -> Any:
    """Send *body* to the peer and await its coming back."""
    client.replies["echoed"] = Promise()
    future = client.replies["echoed"].future
    runtime.dispatch(client, client.send, to, "echo", body).get()
    return await_ready(future)


def test_a_value_comes_back_from_another_os_process(runtime: Runtime, client: Client) -> None:
    record = Record(client.pid, 2**80, datetime(2026, 11, 24, 1, 2, 3, 4, UTC))
    with peer() as (_, pid):
        runtime.dispatch(client, client.send, pid, "Record", {"number": "none"}).get()
        runtime.dispatch(client, client.send, pid, record).get()
        body = await_ready(client.replies["echoed"].future)

    assert codec_of(Record).decode(body) == Record(record.pid, 2**80 + 1, record.at)


@pytest.mark.parametrize("linked", [True, False])
def test_a_burst_arrives_whole_and_in_order(
    runtime: Runtime, client: Client, linked: bool
) -> None:
    with peer() as (_, pid):
        if linked:
            runtime.dispatch(client, client.link, pid).get()
        runtime.dispatch(client, Client.burst, pid, 200_000)

        assert await_ready(client.replies["reported"].future, timeout=60.0) == b"200000 True"


def test_a_killed_peer_exits_and_its_successor_is_reached(
    runtime: Runtime, client: Client
) -> None:
    with peer() as (program, pid):
        runtime.dispatch(client, client.link, pid).get()
        assert echo(runtime, client, pid, b"first") == b"first"
        program.signal(signal.SIGKILL)
        assert await_ready(client.exited_once.future) == pid

    with peer(pid.address.port) as (_, successor):
        assert successor == pid
        assert echo(runtime, client, pid, b"second") == b"second"
    assert client.exits == [pid]


def test_a_router_and_a_topic_lose_a_peer_that_is_killed(runtime: Runtime, client: Client) -> None:
    local = runtime.spawn(Peer())
    with peer() as (program, pid):
        router = runtime.spawn(Router([pid, local]))
        topic = runtime.spawn(Topic())
        runtime.dispatch(topic, Topic.subscribe, pid).get()
        runtime.dispatch(client, client.link, pid).get()
        answers = [runtime.ask(router, "echo", b"%d" % number) for number in range(4)]
        assert [await_ready(answer) for answer in answers] == [b"0", b"1", b"2", b"3"]
        program.signal(signal.SIGKILL)
        assert await_ready(client.exited_once.future) == pid
    runtime.settle()

    assert runtime.dispatch(router, Router.workers).get() == (local,)
    assert runtime.dispatch(topic, Topic.subscribers).get() == ()
    assert [await_ready(runtime.ask(router, "echo", body)) for body in (b"a", b"b")] == [
        b"a",
        b"b",
    ]
    assert runtime.dispatch(topic, Topic.publish, "news").get() == 0


def test_a_peer_that_stops_in_order_exits_for_each_linked_id(
    runtime: Runtime, client: Client
) -> None:
    with peer() as (program, pid):
        other = UPID("nobody", pid.address)
        runtime.dispatch(client, client.link, pid).get()
        runtime.dispatch(client, client.link, other).get()
        assert echo(runtime, client, pid, b"linked") == b"linked"
        program.signal(signal.SIGTERM)

        await_ready(client.exited_once.future)
        runtime.settle()
    assert sorted(client.exits) == sorted([pid, other])


def test_relinking_moves_to_a_new_connection_without_an_exit(
    runtime: Runtime, client: Client
) -> None:
    with peer() as (_, pid):
        runtime.dispatch(client, client.link, pid).get()
        assert echo(runtime, client, pid, b"old") == b"old"
        runtime.dispatch(client, client.link, pid, RemoteConnection.RECONNECT).get()

        assert echo(runtime, client, pid, b"new") == b"new"
        assert client.exits == []
        assert runtime.transport.statistics()["linked"] == 1
