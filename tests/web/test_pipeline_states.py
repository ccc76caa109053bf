"""The state machine of a client connection: each cell of the table in its documentation is walked."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent import socket

from greenproc.errors import Discarded
from greenproc.future import Promise
from greenproc.http.request import Request
from greenproc.http.response import Response
from greenproc.http.url import URL
from greenproc.web import pipeline
from greenproc.web.exchange import Exchange
from greenproc.web.options import ClientLimits
from greenproc.web.origin import Origin
from greenproc.web.pipeline import Pipeline
from tests.peer import LIMIT
from tests.state_table import cells_of, read_table

TABLE = read_table(pipeline)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"
CLOSING_HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n"


class Machine:
    """A client connection whose server is the test."""

    def __init__(self) -> None:
        near, self.server = socket.socketpair()
        self.origin = Origin("http", "server", 80)
        self.pipeline = Pipeline(near, self.origin, ClientLimits())
        self.responses: list[Promise[Response]] = []
        self.reading = gevent.spawn(self.pipeline.run)

    def request(self, *, keep_alive: bool = True) -> None:
        promise: Promise[Response] = Promise()
        self.responses.append(promise)
        request = Request("GET", URL("/"), keep_alive=keep_alive)
        self.pipeline.submit(Exchange(request, self.origin, promise, streamed=False))
        gevent.idle()

    def receive(self, data: bytes) -> None:
        self.server.sendall(data)
        gevent.idle()

    def close_server(self) -> None:
        self.server.close()
        gevent.idle()

    def end(self) -> None:
        self.pipeline.end(Discarded())
        gevent.idle()

    def stop(self) -> None:
        self.pipeline.end(None)
        self.server.close()
        self.reading.join(LIMIT)
        assert self.reading.dead


@pytest.fixture
def machine() -> Iterator[Machine]:
    machine = Machine()
    yield machine
    machine.stop()


def bring(machine: Machine, state: str) -> None:
    """Bring *machine* into *state*, with a response still to come where there can be one."""
    machine.request()
    if state == "CLOSING":
        machine.request(keep_alive=False)
    elif state == "CLOSED":
        machine.end()
    assert machine.pipeline.state == state


def last_response(machine: Machine) -> None:
    machine.receive(OK * machine.pipeline.unanswered)


EVENTS: dict[str, Callable[[Machine], None]] = {
    "request": Machine.request,
    "last request": lambda machine: machine.request(keep_alive=False),
    "response": lambda machine: machine.receive(OK),
    "closing head": lambda machine: machine.receive(CLOSING_HEAD),
    "closing body": lambda machine: machine.receive(CLOSING_HEAD + b"x"),
    "all responses": last_response,
    "eof": Machine.close_server,
    "end": Machine.end,
}


def test_the_table_has_a_row_for_each_state_and_a_column_for_each_event() -> None:
    assert list(TABLE) == ["OPEN", "CLOSING", "CLOSED"]
    assert all(list(row) == list(EVENTS) for row in TABLE.values())


@pytest.mark.parametrize(("state", "event"), cells_of(TABLE))
def test_a_client_connection_moves_as_the_table_says(
    machine: Machine, state: str, event: str
) -> None:
    bring(machine, state)
    after = TABLE[state][event]

    try:
        EVENTS[event](machine)
    except BrokenPipeError:
        assert state == "CLOSED"  # nothing arrives over a socket that is closed

    assert machine.pipeline.state == (state if after == "-" else after)


def test_a_closing_connection_refuses_requests(machine: Machine) -> None:
    bring(machine, "CLOSING")

    machine.request()

    assert str(machine.responses[-1].future.exception) == (
        "Cannot pipeline after 'Connection: close'"
    )
