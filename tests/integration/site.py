"""A process that behaves like a small site, for programs that others wrote to visit."""

from __future__ import annotations

from collections.abc import Iterator

from greenproc import UPID, Process, install, route
from greenproc.http import Created, Request, Response

PAGE = """<!DOCTYPE html>
<meta charset="utf-8">
<title>waiting</title>
<link rel="icon" href="data:,">
<script type="module">
const number = await (await fetch("number")).json();
const echo = await (await fetch("echo", {method: "POST", body: "\u00e9cho"})).text();
let pieces = "";
const stream = (await fetch("stream")).body.pipeThrough(new TextDecoderStream());
for await (const piece of stream) pieces += piece;
const lost = (await fetch("lost")).status;
document.title = [number.number, echo, pieces.length, lost].join(" ");
</script>
"""


class Site(Process):
    """Has a route for each way to ask and to answer."""

    def __init__(self) -> None:
        super().__init__("site")
        self.notes: list[tuple[UPID, bytes]] = []

    @route("/page")
    def on_page(self, request: Request) -> Response:
        return Response(body=PAGE, headers={"Content-Type": "text/html"})

    @route("/number")
    def on_number(self, request: Request) -> dict[str, int]:
        return {"number": 42}

    @route("/echo")
    def on_echo(self, request: Request) -> bytes:
        return request.body

    @route("/asked")
    def on_asked(self, request: Request) -> Response:
        return Created(f"{request.method} {request.url.query} {request.version}")

    @route("/long")
    def on_long(self, request: Request) -> str:
        return "line\n" * 1000

    @route("/stream")
    def on_stream(self, request: Request) -> Iterator[bytes]:
        for number in range(100):
            yield b"%d\n" % number * 100

    @route("/back", streaming=True)
    def on_back(self, request: Request) -> Iterator[bytes]:
        yield from request.reader

    @install("note")
    def on_note(self, sender: UPID, body: bytes) -> None:
        self.notes.append((sender, body))
