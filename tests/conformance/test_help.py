"""The tests of help in libprocess' http_tests.cpp, and what a C++ node answered."""

from __future__ import annotations

import json

from greenproc.http.request import Request
from greenproc.process import Process
from greenproc.runtime import Runtime
from tests.peer import Peer


class Http(Process):
    """Has the routes of the original test that are asked for help."""

    def __init__(self, id: str = "http") -> None:
        super().__init__(id)

    def initialize(self) -> None:
        self.route("/body", self.on_request)
        self.route("/a/b/c", self.on_request)
        self.route("/bogus", self.on_request, help="bogus")

    def on_request(self, request: Request) -> str:
        return ""


def test_endpoints_help(runtime: Runtime) -> None:
    """HTTPTest.EndpointsHelp."""
    runtime.spawn(Http())
    with Peer.connect(runtime.address) as peer:
        assert peer.get("/help").code == 200
        answer = peer.get("/help?format=json")
        assert answer.code == 200
        assert isinstance(json.loads(answer.body), dict)
        assert peer.get("/help/http/body").code == 200
        assert peer.get("/help/http/a/b/c").code == 200


def test_endpoints_help_removal(runtime: Runtime) -> None:
    """HTTPTest.EndpointsHelpRemoval."""
    process = Http()
    runtime.spawn(process)
    with Peer.connect(runtime.address) as peer:
        assert peer.get("/help/http/bogus").code == 200
        runtime.terminate(process)
        runtime.wait(process)
        assert peer.get("/help/http/bogus").code == 400


def test_process_that_has_ended_is_answered_as_libprocess_did(runtime: Runtime) -> None:
    process = Http("echo")
    runtime.spawn(process)
    runtime.terminate(process)
    runtime.wait(process)
    with Peer.connect(runtime.address) as peer:
        answer = peer.ask(b"GET /help/echo HTTP/1.1\r\nHost: 127.0.0.1:36069\r\n\r\n")
    assert answer.status == "HTTP/1.1 400 Bad Request"
    assert answer.header("Content-Type") == "text/plain; charset=utf-8"
    assert answer.header("Content-Length") == "31"
    assert answer.body == b"No help available for '/echo'.\n"
