"""The process that a C++ libprocess ran while its answers were recorded, rebuilt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from greenproc.auth import Principal
from greenproc.future import Failure, Future, Promise
from greenproc.http.request import Request
from greenproc.http.response import OK, Response
from greenproc.process import MessageEvent, Process, route
from greenproc.web import Pipe

REALM = "peer-realm"


class Echo(Process):
    """Answers each message with a ``pong`` of the same body, and HTTP in many ways.

    Args:
        folder: what is given away at ``static``.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__("echo")
        self.provide("static", folder)

    def consume_message(self, event: MessageEvent) -> None:
        if event.message.name == "die":
            self.terminate()
        else:
            self.send(event.message.sender, "pong", event.message.body)

    @route("/")
    def on_root(self, request: Request) -> str:
        return f"root:{request.url.path}"

    @route("/hello", help="Says hello.")
    def on_hello(self, request: Request) -> str:
        return "hello"

    @route("/stream")
    def on_stream(self, request: Request) -> Iterator[str]:
        yield from ("one\n", "two\n", "three\n")

    @route("/stream-fail")
    def on_stream_fail(self, request: Request) -> Response:
        pipe = Pipe()
        pipe.writer.write(b"one\n")
        pipe.writer.fail("failed on purpose")
        return Response(reader=pipe.reader)

    @route("/echo-body")
    def on_echo_body(self, request: Request) -> bytes:
        return request.body

    @route("/count-body", streaming=True)
    def on_count_body(self, request: Request) -> str:
        return str(sum(len(piece) for piece in request.reader))

    @route("/json")
    def on_json(self, request: Request) -> Response:
        return OK(json={"a": 1, "b": "text"}, jsonp=request.url.query.get("jsonp"))

    @route("/big")
    def on_big(self, request: Request) -> str:
        return "x" * int(request.url.query["n"])

    @route("/fail")
    def on_fail(self, request: Request) -> Failure:
        return Failure("failed on purpose")

    @route("/discard")
    def on_discard(self, request: Request) -> Future[Any]:
        promise: Promise[Any] = Promise()
        promise.discard()
        return promise.future

    @route("/abandon")
    def on_abandon(self, request: Request) -> Future[Any]:
        promise: Promise[Any] = Promise()
        promise.abandon()
        return promise.future

    @route("/status")
    def on_status(self, request: Request) -> Response:
        return Response(int(request.url.query["code"]), "status\n")

    @route("/private", realm=REALM)
    def on_private(self, request: Request, principal: Principal | None) -> str:
        return str(principal and principal.value)

    @route("/delay")
    def on_delay(self, request: Request) -> Future[str]:
        promise: Promise[str] = Promise()
        seconds = float(request.url.query["secs"])
        self.runtime.clock.timer(seconds, lambda: promise.set("delayed"))
        return promise.future
