"""Trace contexts between two OS processes, and between a node and a socket that speaks libprocess."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import pytest
from gevent.queue import Queue

from greenproc import UPID, Process, Runtime, Settings, install
from greenproc.testing import RuntimeMaker, await_ready
from greenproc.tracing import TRACING, TraceContext, current_trace, use_trace
from greenproc.web import get
from tests.integration.test_bounds_at_one import BOUNDS
from tests.integration.traced_peer import TracedPeer
from tests.peer import Acceptor, Peer
from tests.shell import GREENPROC, Program

HERE = Path(__file__).parent
LIMIT = 20.0  # seconds until something that must happen counts as missing

ONE = TraceContext("1" * 32, "a" * 16, 1)
TWO = TraceContext("2" * 32, "b" * 16, 0, "vendor=value,other=1")

pytestmark = pytest.mark.usefixtures("untraced")


def spelled(trace: TraceContext | None) -> str:
    return "none" if trace is None else f"{trace.traceparent} {trace.state}"


@contextmanager
def other_node() -> Iterator[UPID]:
    command = (*GREENPROC, "run", "traced_peer:TracedPeer", "--ip", "127.0.0.1", "--port", "0")
    with Program(*command, cwd=HERE) as program:
        yield UPID.parse(program.line("peer@[0-9.:]+")[0])


class Client(Process):
    """Notes what it is told, and in which trace context."""

    def __init__(self, id: str = "client") -> None:
        super().__init__(id)
        self.told: Queue[tuple[str, TraceContext | None]] = Queue()

    @install("told")
    def on_told(self, sender: UPID, body: bytes) -> None:
        self.told.put((body.decode(), current_trace()))

    def begin(self, to: UPID, name: str, linked: bool) -> None:
        if linked:
            self.link(to)
        self.send(to, name)


@pytest.fixture
def server() -> Iterator[Acceptor]:
    with Acceptor() as acceptor:
        yield acceptor


def exchange(runtime: Runtime, to: UPID, *, linked: bool) -> None:
    """Check each way of asking *to* for its trace context, with and without one."""
    client = Client()
    runtime.spawn(client)
    for trace in (None, ONE, None, TWO, ONE, None):
        for name in ("tell", "tell-later"):
            with use_trace(trace):
                runtime.dispatch(client.pid, Client.begin, to, name, linked).get()
            assert client.told.get(timeout=LIMIT) == (spelled(trace), trace)
        with use_trace(trace):
            asked = runtime.ask(to, "question", returns=str)
            fetched = get((to, "/trace"))
        assert await_ready(asked) == spelled(trace)
        assert await_ready(fetched).body.decode() == spelled(trace)


@pytest.mark.parametrize("linked", [False, True])
def test_a_context_goes_to_another_os_process_and_comes_back(
    runtime: Runtime, linked: bool
) -> None:
    with other_node() as pid:
        exchange(runtime, pid, linked=linked)


@pytest.mark.parametrize("bound", [*BOUNDS, "all"])
def test_a_context_goes_to_another_node_with_bounds_of_one(
    make_runtime: RuntimeMaker, bound: str
) -> None:
    ones = BOUNDS if bound == "all" else (bound,)
    assert set(ones) <= {field.name for field in fields(Settings)}
    settings = Settings(ip="127.0.0.1", **dict.fromkeys(ones, 1))
    here, there = make_runtime(settings), make_runtime(settings)
    client = Client()
    here.spawn(client)
    peer = there.spawn(TracedPeer())
    for trace in (ONE, None, TWO):
        with use_trace(trace):
            here.dispatch(client.pid, Client.begin, peer, "tell", False).get()
        assert client.told.get(timeout=LIMIT) == (spelled(trace), trace)


# A socket that speaks libprocess


def message(name: str, to: UPID, sender: UPID, lines: bytes = b"") -> bytes:
    """Return a message as libprocess sends it, with more lines of the header."""
    return (
        f"POST /{to.id}/{name} HTTP/1.1\r\n"
        f"User-Agent: libprocess/{sender}\r\n"
        f"Libprocess-From: {sender}\r\n"
        "Connection: Keep-Alive\r\n"
        f"Host: {to.address}\r\n"
    ).encode() + lines


def test_a_peer_sees_the_lines_behind_those_of_libprocess(
    runtime: Runtime, server: Acceptor
) -> None:
    client, to = Client(), UPID("rcv", server.address)
    runtime.spawn(client)
    expected = b""
    for trace in (None, ONE, None, TWO):
        with use_trace(trace):
            runtime.dispatch(client.pid, Client.begin, to, "ping", True).get()
        lines = b"" if trace is None else trace.lines
        expected += message("ping", to, client.pid, lines) + b"\r\n"
    with server.accept() as peer:
        assert peer.read(len(expected)) == expected


def test_a_peer_may_send_them(runtime: Runtime) -> None:
    client = Client()
    runtime.spawn(client)
    cases: list[tuple[bytes, TraceContext | None]] = [
        (b"", None),
        (ONE.lines, ONE),
        (b"", None),
        (TWO.lines, TWO),
        (ONE.lines + ONE.lines, None),
        (ONE.lines.upper(), None),
        (b"traceparent: 00-%b\r\n" % (b"0" * 5000), None),
        (ONE.lines + b"tracestate: " + b"a=1," * 10_000 + b"\r\n", ONE),
        (b"tracestate: a=1\r\n", None),
    ] * 2
    with Peer.connect(runtime.address) as peer:
        sender = UPID("mesos", peer.address)
        for lines, expected in cases:
            peer.send(message("told", client.pid, sender, lines) + b"\r\n")
            assert client.told.get(timeout=LIMIT) == ("", expected)


def test_messages_that_come_together_keep_their_contexts(runtime: Runtime) -> None:
    client = Client()
    runtime.spawn(client)
    traces = [TraceContext(f"{number:032x}", "a" * 16) for number in range(1, 200)]
    expected = [one for trace in traces for one in (None, trace, None)]
    with Peer.connect(runtime.address) as peer:
        sender = UPID("mesos", peer.address)
        body = b"Transfer-Encoding: chunked\r\n"
        chunk = b"\r\n1\r\na\r\n0\r\n\r\n"
        peer.send(
            b"".join(
                message("told", client.pid, sender, body + (trace.lines if trace else b"")) + chunk
                for trace in expected
            )
        )
        told = [client.told.get(timeout=LIMIT) for _ in expected]

    assert told == [("a", trace) for trace in expected]


def test_nothing_is_written_until_there_is_a_context(runtime: Runtime, server: Acceptor) -> None:
    to = UPID("rcv", server.address)
    runtime.post(to, "ping")
    with server.accept() as peer:
        assert b"trace" not in peer.read_until(b"\r\n\r\n")

    assert not TRACING.is_active
