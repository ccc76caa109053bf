"""What a route of a process costs, asked for by other OS processes."""

from __future__ import annotations

from typing import Any

from httptools import HttpRequestParser

from benchmarks.children import serving
from benchmarks.harness import Goal, Row, Sample
from benchmarks.load import alternating, pipelined
from benchmarks.nodes import running, say, wait_for_end_of_input
from benchmarks.others.wsgi_servers import wsgi_servers
from benchmarks.rows.http_client import RESPONSE, answer_always_the_same
from benchmarks.wire import READ_BYTES, ReadingCounter, serve
from greenproc import Process, route
from greenproc.http import OK, Request, Response

PATH = "/greeter/hello"
WINDOW = 1000


class Greeter(Process):
    """Answers with a short text."""

    def __init__(self) -> None:
        super().__init__("greeter")

    @route("/hello")
    def on_hello(self, request: Request) -> Response:
        return OK("hello")


def serve_greeter() -> None:
    """Run a node with the process for the parent."""
    with running() as runtime:
        runtime.spawn(Greeter())
        say(runtime.address)
        wait_for_end_of_input()


def read_and_answer_the_same() -> None:
    """Let httptools read the requests of each connection, and answer the same to each."""

    def handle(connection: Any, _client: object) -> None:
        counter = ReadingCounter()
        parser = HttpRequestParser(counter)
        while data := connection.recv(READ_BYTES):
            before = counter.count
            parser.feed_data(data)
            connection.sendall(RESPONSE * (counter.count - before))
        connection.close()

    serve(handle)


def kept(count: int) -> Sample:
    """Ask over 32 connections."""
    with serving(serve_greeter) as address:
        return alternating(address, PATH, count)


def kept_baseline(count: int) -> Sample:
    with serving(answer_always_the_same) as address:
        return alternating(address, PATH, count)


def piped(count: int) -> Sample:
    """Ask 1000 times at once."""
    with serving(serve_greeter) as address:
        return pipelined(address, PATH, count, WINDOW)


def piped_baseline(count: int) -> Sample:
    with serving(read_and_answer_the_same) as address:
        return pipelined(address, PATH, count, WINDOW)


KEPT = Row(
    name="http-route",
    title="HTTP requests to a route, over 32 connections that are kept",
    against="a StreamServer that always answers the same",
    subject=kept,
    baseline=kept_baseline,
    goal=Goal(0.5),
    count=50_000,
    quick_count=500,
    others=wsgi_servers(10_000),
)

PIPELINED = Row(
    name="http-route-pipelined",
    title="HTTP requests to a route, 1000 at once over one connection",
    against="a StreamServer where httptools reads them; all get the same answer",
    subject=piped,
    baseline=piped_baseline,
    goal=Goal(0.05),
    count=50_000,
    quick_count=1_000,
)
