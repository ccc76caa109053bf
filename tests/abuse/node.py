"""The node that is abused: ``python -m tests.abuse.node '{"settings": {...}, "max_as_bytes": ...}'``.

Prints its address, and ends when its standard input does.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Iterator

from gevent.event import Event
from gevent.os import make_nonblocking, nb_read

from greenproc import UPID, Process, Runtime, Settings, install, route
from greenproc.http import OK, Request, Response


class Target(Process):
    """What attacks aim at: takes messages and requests, whole and streamed."""

    def __init__(self) -> None:
        super().__init__("target")

    @route("/")
    def on_request(self, request: Request) -> Response:
        """Answer how long the body is."""
        return OK(str(len(request.body)))

    @route("/stream", streaming=True)
    def on_stream(self, request: Request) -> str:
        """Read the body as it comes, and answer how long it is."""
        return str(sum(len(piece) for piece in request.reader))

    @route("/large")
    def on_large(self, request: Request) -> Response:
        """Answer with as many bytes as the query asks for."""
        return OK(bytes(int(request.url.query.get("size", "1"))))

    @route("/pieces")
    def on_pieces(self, request: Request) -> Iterator[str]:
        """Answer in very many pieces of one byte, without ever waiting."""
        return ("x" for _ in range(100_000))

    @install("note")
    def on_note(self, sender: UPID, body: bytes) -> None:
        """Take a message."""


class Echo(Process):
    """Answers messages, wherever their senders say that they are."""

    def __init__(self) -> None:
        super().__init__("echo")

    @install("ask")
    def on_ask(self, sender: UPID, body: bytes) -> None:
        """Answer a message."""
        self.send(sender, "answer")


class Linker(Process):
    """Links whatever sends it a message, wherever that says that it is."""

    def __init__(self) -> None:
        super().__init__("linker")

    @install("watch")
    def on_watch(self, sender: UPID, body: bytes) -> None:
        """Link the sender."""
        self.link(sender)


class Busy(Process):
    """A process whose first event lasts for ever, so that its mailbox fills."""

    def __init__(self) -> None:
        super().__init__("busy")

    @install("note")
    def on_note(self, sender: UPID, body: bytes) -> None:
        """Take a message, and never come back."""
        Event().wait()

    @route("/")
    def on_request(self, request: Request) -> Response:
        """Take a request, and never come back."""
        Event().wait()
        return OK()

    @route("/stream", streaming=True)
    def on_stream(self, request: Request) -> Response:
        """Take a request with its body, read none of it, and never come back."""
        Event().wait()
        return OK()


class Honest(Process):
    """What the honest client asks."""

    def __init__(self) -> None:
        super().__init__("honest")

    @route("/")
    def on_request(self, request: Request) -> Response:
        """Answer at once."""
        return OK("here")


def main() -> None:
    """Serve until the standard input ends."""
    asked = json.loads(sys.argv[1])
    for limit, value in asked["limits"].items():
        number = getattr(resource, limit)
        resource.setrlimit(number, (value, value))
    with Runtime(Settings(ip="127.0.0.1", stop_timeout=1.0, **asked["settings"])) as runtime:
        for process in (Target(), Echo(), Linker(), Busy(), Honest()):
            runtime.spawn(process)
        print(runtime.address, flush=True)  # noqa: T201 -- the harness reads it
        make_nonblocking(sys.stdin.fileno())
        while nb_read(sys.stdin.fileno(), 1):
            pass


if __name__ == "__main__":
    main()
