"""A process that tells what it is asked, for tests of what reaches a handler."""

from __future__ import annotations

from greenproc import UPID, Process, install, route
from greenproc.http import OK, Request, Response


class Probe(Process):
    """Answers with what it sees, and keeps that."""

    def __init__(self) -> None:
        super().__init__("probe")
        self.served: list[str] = []

    @route("/")
    @route("/dump")
    @route("/smuggled")
    def on_request(self, request: Request) -> Response:
        text = f"{request.method} {request.url.path} {len(request.body)}"
        self.served.append(text)
        return OK(text)

    @route("/size", streaming=True)
    def on_stream(self, request: Request) -> str:
        return str(sum(len(piece) for piece in request.reader))

    @install("note")
    def on_note(self, sender: UPID, body: bytes) -> None:
        """Take a message."""
