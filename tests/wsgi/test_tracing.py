"""Trace contexts of requests to WSGI apps of a node, and to processes below another server."""

from __future__ import annotations

from typing import Any

import pytest

from greenproc import Process, Runtime, route
from greenproc.http import Request
from greenproc.tracing import TraceContext, current_trace
from greenproc.wsgi import Middleware
from tests.wsgi.apps import TEXT
from tests.wsgi.conftest import Serve

pytestmark = pytest.mark.usefixtures("untraced")

ONE = TraceContext("1" * 32, "a" * 16, 1)
TWO = TraceContext("2" * 32, "b" * 16, 0, "vendor=value")


def lines(trace: TraceContext | None) -> list[str]:
    return [] if trace is None else [f"{name}: {value}" for name, value in trace.headers.items()]


def test_an_app_has_the_context_of_each_request(serve: Serve) -> None:
    seen: list[TraceContext | None] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.append(current_trace())
        start_response("200 OK", TEXT)
        return [b"ok"]

    site = serve(app)
    traces = [None, ONE, None, TWO, ONE, None]
    for trace in traces:
        assert site.get("/", *lines(trace)).body == b"ok"
        site.settle()  # so that the same greenlet serves the next one

    assert seen == traces


class Home(Process):
    def __init__(self) -> None:
        super().__init__("home")
        self.seen: list[TraceContext | None] = []

    @route("/trace")
    def on_trace(self, request: Request) -> str:
        self.seen.append(current_trace())
        return "ok"


def test_a_process_below_another_server_has_the_context(runtime: Runtime) -> None:
    home = Home()
    runtime.spawn(home)
    middleware = Middleware(lambda environ, start_response: [], runtime=runtime)
    for headers in (
        {},
        {"HTTP_TRACEPARENT": ONE.traceparent},
        {"HTTP_TRACEPARENT": TWO.traceparent, "HTTP_TRACESTATE": TWO.state},
        {"HTTP_TRACEPARENT": f"{ONE.traceparent},{ONE.traceparent}"},
        {"HTTP_TRACEPARENT": "x", "HTTP_TRACESTATE": "a=1"},
    ):
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": "/home/trace",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "h",
            **headers,
        }
        assert b"".join(middleware(environ, lambda *_: None)) == b"ok"

    assert home.seen == [None, ONE, TWO, None, None]
