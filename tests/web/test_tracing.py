"""Trace contexts of HTTP: of requests to routes and servers, and of requests of the client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from greenproc import Process, Promise, Runtime, dispatch, route, spawn
from greenproc.http import OK, URL, Request, Response
from greenproc.http.response import TemporaryRedirect
from greenproc.http.writer import _encode_request_fields
from greenproc.pid import UPID
from greenproc.process.event import HttpEvent, TracedHttpEvent
from greenproc.testing import await_ready
from greenproc.tracing import TRACING, TraceContext, current_trace, use_trace
from greenproc.web import get, post, serve
from tests.peer import Acceptor, Peer
from tests.web.support import EMPTY, HEAD_END, a_get, connected

pytestmark = pytest.mark.usefixtures("untraced")

ONE = TraceContext("1" * 32, "a" * 16, 1)
TWO = TraceContext("2" * 32, "b" * 16, 0, "vendor=value")
LINES = ["traceparent", "tracestate"]


def head(path: str, *traces: TraceContext, lines: str = "") -> bytes:
    carried = b"".join(trace.lines for trace in traces)
    return f"GET {path} HTTP/1.1\r\nHost: h\r\n{lines}".encode("latin-1") + carried + b"\r\n"


def spelled(trace: TraceContext | None) -> str:
    return "none" if trace is None else trace.traceparent


class Site(Process):
    """Answers with the trace context of each request."""

    def __init__(self) -> None:
        super().__init__("site")
        self.later: Promise[Response] = Promise()

    @route("/trace")
    def on_trace(self, request: Request) -> str:
        return spelled(current_trace())

    @route("/stream")
    def on_stream(self, request: Request) -> Iterator[bytes]:
        yield spelled(current_trace()).encode()

    @route("/later")
    def on_later(self, request: Request) -> Any:
        return self.later.future.then(lambda _: spelled(current_trace()))

    @route("/call")
    def on_call(self, request: Request) -> Any:
        other = spawn(Process())
        return dispatch(other, lambda: spelled(current_trace()))

    @route("/fetch")
    def on_fetch(self, request: Request) -> Any:
        return get((self.pid, "/trace"))


@pytest.fixture
def peer(runtime: Runtime) -> Iterator[Peer]:
    runtime.spawn(Site())
    with Peer.connect(runtime.address) as peer:
        yield peer


@pytest.mark.parametrize("path", ["trace", "stream", "call", "fetch"])
def test_a_route_is_served_in_the_context_of_its_request(peer: Peer, path: str) -> None:
    bodies = [
        peer.ask(head(f"/site/{path}", *traces)).body.decode()
        for traces in [(), (ONE,), (), (TWO,), (ONE,), (ONE, TWO), ()]
    ]

    none, one, two = map(spelled, (None, ONE, TWO))
    assert bodies == [none, one, none, two, one, none, none]


def test_requests_that_come_together_keep_their_contexts(peer: Peer) -> None:
    traces = [(), (ONE,), (TWO,), (), (ONE,)] * 5
    peer.send(b"".join(head("/site/trace", *one) for one in traces))
    bodies = [peer.read_answer().body.decode() for _ in traces]

    assert bodies == [spelled(one[0] if one else None) for one in traces]


def test_what_answers_later_has_the_context(runtime: Runtime) -> None:
    site = Site()
    runtime.spawn(site)
    with Peer.connect(runtime.address) as peer:
        peer.send(head("/site/later", ONE))
        runtime.settle()
        with use_trace(TWO):
            site.later.set(OK())
        assert peer.read_answer().body.decode() == spelled(ONE)


HOSTILE = {
    "malformed": "traceparent: 00-xyz\r\n",
    "upper case": f"TRACEPARENT: {ONE.traceparent.upper()}\r\n",
    "twice": f"traceparent: {ONE.traceparent}\r\n" * 2,
    "10,000 characters": f"traceparent: {ONE.traceparent}{'0' * 10_000}\r\n",
    "10,000 members": "traceparent: x\r\ntracestate: " + "a=1," * 10_000 + "\r\n",
    "bytes beyond ASCII": "traceparent: \xff\r\ntracestate: \xff\r\n",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_malformed_context_is_ignored(peer: Peer, case: str) -> None:
    answer = peer.ask(head("/site/trace", lines=HOSTILE[case]))

    assert (answer.code, answer.body) == (200, b"none")
    assert not TRACING.is_active


def test_a_state_of_10000_members_is_dropped_and_the_context_is_not(peer: Peer) -> None:
    lines = "tracestate: " + ",".join(f"a{number}=1" for number in range(5000)) + "\r\n"
    answer = peer.ask(head("/site/trace", ONE, lines=lines))

    assert answer.body.decode() == spelled(ONE)


def test_a_null_byte_is_refused_as_in_every_header(peer: Peer) -> None:
    lines = f"traceparent: {ONE.traceparent}\0\r\n"

    assert peer.ask(head("/site/trace", lines=lines)).code == 400


# Requests that wait for what says who they are of


class Door:
    """A gatekeeper that lets requests wait."""

    def __init__(self, authorizes: bool) -> None:
        self.authorizes = authorizes
        self.waiting: list[Promise[Any]] = []
        self.seen: list[TraceContext | None] = []

    def authenticate(self, request: Request, realm: str) -> Any:
        return self._wait()

    def authorize(self, *args: Any) -> Any:
        return self._wait()

    def _wait(self) -> Any:
        self.seen.append(current_trace())
        self.waiting.append(Promise())
        return self.waiting[-1].future


class House(Process):
    @route("/inside", realm="r")
    def on_inside(self, request: Request, principal: object) -> str:
        return spelled(current_trace())


@pytest.mark.parametrize("authorizes", [False, True])
def test_a_request_that_waited_is_served_in_its_context(
    runtime: Runtime, authorizes: bool
) -> None:
    TRACING.begin()
    runtime.processes.gatekeeper = door = Door(authorizes)
    runtime.spawn(House("house"))
    answers = []
    for trace in (ONE, None, TWO):
        promise: Promise[Response] = Promise()
        answers.append(promise.future)
        request = Request("GET", URL.parse("/house/inside"))
        if trace is None:
            runtime.processes.deliver_http("house", HttpEvent(request, promise))
        else:
            runtime.processes.deliver_http("house", TracedHttpEvent(request, promise, trace))
    runtime.settle()
    for number in (2, 1, 0):
        door.waiting[number].set("principal")
    runtime.settle()
    if authorizes:
        for number in (5, 4, 3):
            door.waiting[number].set(True)

    bodies = [await_ready(answer).body.decode() for answer in answers]
    assert bodies == [spelled(ONE), spelled(None), spelled(TWO)]
    assert door.seen == [ONE, None, TWO] * (2 if authorizes else 1)


# A server without processes


def test_a_handler_of_a_server_has_the_context_of_its_request() -> None:
    def handle(request: Request) -> str:
        return spelled(current_trace())

    with use_trace(TWO):  # of the program that starts it, and of no request
        server = serve(handle)
    with server, Peer.connect(server.address) as peer:
        bodies = [peer.ask(head("/", *one)).body.decode() for one in ((ONE,), (), (TWO,), ())]

    assert bodies == [spelled(trace) for trace in (ONE, None, TWO, None)]


# The client


def sent(server: Acceptor, headers: Any = None, trace: TraceContext | None = None) -> list[str]:
    """Return the lines of a trace context in what the client sends."""
    with use_trace(trace):
        future = get(f"http://{server.address}", headers)
    with server.accept() as peer:
        lines = peer.read_until(HEAD_END).decode().split("\r\n")
        peer.send(EMPTY)
        await_ready(future)
    return [line for line in lines if line.partition(":")[0].lower() in LINES]


def test_a_request_takes_the_context_along(server: Acceptor) -> None:
    assert sent(server) == []
    assert sent(server, trace=ONE) == [f"traceparent: {ONE.traceparent}"]
    assert sent(server, trace=TWO) == [
        f"traceparent: {TWO.traceparent}",
        "tracestate: vendor=value",
    ]
    assert sent(server) == []


def test_a_context_of_the_program_goes_first(server: Acceptor) -> None:
    own = {"TraceParent": ONE.traceparent}

    assert sent(server, own, TWO) == [f"TraceParent: {ONE.traceparent}"]
    assert sent(server, TWO.headers, ONE) == [
        f"traceparent: {TWO.traceparent}",
        "tracestate: vendor=value",
    ]


def test_requests_on_one_connection_have_contexts_of_their_own(server: Acceptor) -> None:
    _encode_request_fields.cache_clear()
    with connected(server) as (connection, peer):
        heads = []
        for trace in (None, ONE, None, TWO):
            with use_trace(trace):
                future = connection.send(a_get("/x"))
            heads.append(peer.read_until(HEAD_END))
            peer.reads_first = False
            peer.send(EMPTY)
            peer.reads_first = True
            await_ready(future)

    plain = heads[0]
    assert heads[2] == plain
    assert heads[1] == plain[:-2] + ONE.lines + b"\r\n"
    assert heads[3] == plain[:-2] + TWO.lines + b"\r\n"
    assert _encode_request_fields.cache_info().currsize == 1


def test_a_redirect_is_followed_in_the_context(runtime: Runtime) -> None:
    class There(Process):
        @route("/old")
        def on_old(self, request: Request) -> Response:
            return TemporaryRedirect("/there/new")

        @route("/new")
        def on_new(self, request: Request) -> str:
            return spelled(current_trace())

    runtime.spawn(There("there"))
    url = f"http://{runtime.address}/there/old"
    with use_trace(ONE):
        followed = get(url, max_redirects=2)
        posted = post(url, body=b"a", max_redirects=2)

    assert await_ready(followed).body.decode() == spelled(ONE)
    assert await_ready(posted).body.decode() == spelled(ONE)


def test_a_request_of_a_process_has_the_context_of_the_handler(runtime: Runtime) -> None:
    class Fetching(Process):
        def fetch(self, to: UPID) -> Any:
            return get((to, "/trace")).then(lambda response: response.body.decode())

    site, fetching = runtime.spawn(Site()), runtime.spawn(Fetching())
    with use_trace(ONE):
        traced = runtime.dispatch(fetching, Fetching.fetch, site)
    plain = runtime.dispatch(fetching, Fetching.fetch, site)

    assert [await_ready(traced), await_ready(plain)] == [spelled(ONE), "none"]
