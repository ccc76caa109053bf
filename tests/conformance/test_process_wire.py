"""Twins of libprocess' process_tests.cpp: messages and HTTP over sockets, and the firewall."""

from __future__ import annotations

import json

import pytest

from greenproc.http.request import Request
from greenproc.http.response import OK, Response
from greenproc.message import Message
from greenproc.pid import UPID
from greenproc.process import DispatchEvent, Process, TerminateEvent, install, route
from greenproc.runtime import Runtime
from greenproc.testing import await_ready, future_dispatch, future_message
from greenproc.web import DisabledEndpointsFirewallRule
from tests.peer import Acceptor, Peer


class Handler(Process):
    @install("handler")
    def on_handler(self, sender: UPID, body: bytes) -> None: ...

    @route("/handler1")
    def on_handler1(self, request: Request) -> Response:
        return OK()

    @route("/handler2")
    def on_handler2(self, request: Request) -> Response:
        return OK()

    @route("/handler3")
    def on_handler3(self, request: Request) -> Response:
        return OK()


def test_remote(runtime: Runtime) -> None:
    """ProcessTest.Remote, with the bytes of the encoder written down."""
    pid = runtime.spawn(Handler("h"))
    message = future_message("handler", to=pid)
    with Peer.connect(runtime.address) as peer:
        sender = f"sender@{peer.address}"
        peer.send(
            f"POST /h/handler HTTP/1.1\r\nUser-Agent: libprocess/{sender}\r\n"
            f"Libprocess-From: {sender}\r\nConnection: Keep-Alive\r\nHost: {runtime.address}\r\n"
            "Transfer-Encoding: chunked\r\n\r\n4\r\nhola\r\n0\r\n\r\n".encode()
        )
        assert await_ready(message) == Message("handler", UPID.parse(sender), pid, b"hola")


def test_http1(runtime: Runtime) -> None:
    """ProcessTest.Http1."""
    pid = runtime.spawn(Handler("h"))
    message = future_message("handler", to=pid)
    with Peer.connect(runtime.address) as peer:
        answer = peer.ask(
            f"POST /h/handler HTTP/1.1\r\nHost: {runtime.address}\r\n"
            f"User-Agent: libprocess/http@{peer.address}\r\n"
            "Content-Length: 4\r\n\r\nhola".encode()
        )
        assert answer.code == 202
        sender = UPID("http", peer.address)
        assert await_ready(message) == Message("handler", sender, pid, b"hola")


def test_http2(runtime: Runtime) -> None:
    """ProcessTest.Http2."""
    pid = runtime.spawn(Handler("h"))
    message = future_message("handler", to=pid)
    with Acceptor() as acceptor:
        sender = UPID("", acceptor.address)
        with Peer.connect(runtime.address) as peer:
            answer = peer.ask(
                f"POST /h/handler HTTP/1.1\r\nHost: {runtime.address}\r\n"
                f"Libprocess-From: {sender}\r\nContent-Length: 4\r\n\r\nhola".encode()
            )
        assert answer.code == 202
        assert await_ready(message) == Message("handler", sender, pid, b"hola")

        runtime.post(sender, "reply", b"ok", sender=pid)

        with acceptor.accept() as reply:
            assert reply.read_until(b"\r\n") == b"POST /reply HTTP/1.1\r\n"


@pytest.mark.parametrize("path", ["/id(42)", "/id%2842%29", "/%69%64%2842%29"])
def test_percent_encoded_urls(runtime: Runtime, path: str) -> None:
    """ProcessTest.PercentEncodedURLs, and with the parentheses encoded, too."""
    pid = runtime.spawn(Handler("id(42)"))
    message = future_message("handler", to=pid)
    with Peer.connect(runtime.address) as peer:
        answer = peer.ask(
            f"POST {path}/handler HTTP/1.1\r\nHost: test\r\n"
            f"User-Agent: libprocess/@{peer.address}\r\nContent-Length: 0\r\n\r\n".encode()
        )
        assert answer.code == 202
        await_ready(message)
        assert peer.get(f"{path}/handler1").code == 200


def disable(runtime: Runtime, *paths: str) -> None:
    rule = DisabledEndpointsFirewallRule(paths, runtime.absolute_path, and_below=False)
    runtime.firewall.install([rule])


def test_firewall_disable_paths(runtime: Runtime) -> None:
    """ProcessTest.FirewallDisablePaths."""
    runtime.spawn(Handler("p"))
    disable(runtime, "/p/handler1", "/p/handler2/nested", "/p/handler3/*")
    with Peer.connect(runtime.address) as peer:
        refused = peer.get("/p/handler1")
        assert refused.status == "HTTP/1.1 403 Forbidden"
        assert refused.body == b"Endpoint '/p/handler1' is disabled"
        assert peer.get("/p/handler2").code == 200
        assert peer.get("/p/handler2/nested").code == 403
        assert peer.get("/p/handler2/nested/path").code == 200
        assert peer.get("/p/handler3").code == 200
        assert peer.get("/p/handler3/nested").code == 200


def test_firewall_uninstall(runtime: Runtime) -> None:
    """ProcessTest.FirewallUninstall."""
    runtime.spawn(Handler("p"))
    disable(runtime, "/p/handler1", "/p/handler2")
    with Peer.connect(runtime.address) as peer:
        assert [peer.get(f"/p/handler{number}").code for number in (1, 2)] == [403, 403]
        runtime.firewall.install([])
        assert [peer.get(f"/p/handler{number}").code for number in (1, 2)] == [200, 200]


def test_processes_endpoint_no_hang(runtime: Runtime) -> None:
    """ProcessTest.ProcessesEndpointNoHang."""

    class Busy(Process):
        def stay(self) -> tuple[int, int]:
            asked.get()  # by now the endpoint's dispatch is queued behind this one
            self.runtime.terminate(self.pid)
            return self.event_count(TerminateEvent), self.event_count(DispatchEvent)

    process = Busy("busy")
    pid = runtime.spawn(process)
    other = runtime.spawn(Process("other"))
    # The endpoint asks the processes in one go, so that the other one is asked, too.
    asked = future_dispatch(other)
    counts = runtime.dispatch(pid, Busy.stay)

    with Peer.connect(runtime.address) as peer:
        answer = peer.get("/__processes__")

    assert answer.code == 200
    assert await_ready(counts) == (1, 1)
    ids = {listed["id"] for listed in json.loads(answer.body)}
    assert "other" in ids
    assert "busy" not in ids
