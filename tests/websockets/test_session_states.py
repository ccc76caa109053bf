"""The state machine of a WebSocket: each cell of the table in its documentation is walked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

import gevent
import pytest
from gevent import socket
from gevent.event import Event

from greenproc import Process, Runtime
from greenproc.http.headers import Headers
from greenproc.http.request import Request
from greenproc.http.upgrade import UpgradedConnection
from greenproc.http.url import URL
from greenproc.websockets import WebSocket, session
from greenproc.websockets.options import WebSocketOptions
from greenproc.websockets.session import Session
from tests.peer import LIMIT
from tests.state_table import cells_of, read_table
from tests.websockets.client import TEXT, close, frame

TABLE = read_table(session)


class Busy(Process):
    """Serves nothing until it is released, so that the end of a connection is not served either."""

    def __init__(self) -> None:
        super().__init__("busy")
        self.gate = Event()

    def initialize(self) -> None:
        self.gate.wait()


class Machine:
    """A session between a process that is busy and a client that the test plays."""

    def __init__(self, runtime: Runtime) -> None:
        self.process = Busy()
        runtime.spawn(self.process)
        near, self.client = socket.socketpair()
        self.socket = near
        self.session = Session(self.process, WebSocketOptions(), None, runtime.websockets)
        request = Request("GET", URL("/ws"), Headers())
        self.session.bind(WebSocket(request, None, self.session))
        self.connection = UpgradedConnection(near, lambda: bytes(near.recv(4096)))
        self.serving: gevent.Greenlet[..., None] | None = None

    @property
    def state(self) -> str:
        return repr(self.session).removeprefix("<Session ").partition(",")[0]

    def run(self) -> None:
        if self.serving is None:
            self.serving = gevent.spawn(self._run)
        gevent.idle()

    def _run(self) -> None:
        with suppress(OSError):  # as a server takes it: the connection is lost
            self.session.run(self.connection)

    def send(self, data: bytes) -> None:
        self.client.sendall(data)
        gevent.idle()

    def serve(self) -> None:
        self.process.gate.set()
        gevent.idle()

    def close(self) -> None:
        self.session.end(1000, "")
        gevent.idle()

    def abort(self) -> None:
        self.session.close()
        gevent.idle()

    def lose(self) -> None:
        self.client.close()
        gevent.idle()

    def stop(self) -> None:
        self.abort()
        self.process.gate.set()
        if self.serving is not None:
            self.serving.join(LIMIT)
            assert self.serving.dead
        self.client.close()
        self.socket.close()


@pytest.fixture
def machine(runtime: Runtime) -> Iterator[Machine]:
    machine = Machine(runtime)
    yield machine
    machine.stop()


EVENTS: dict[str, Callable[[Machine], None]] = {
    "run": Machine.run,
    "message": lambda machine: machine.send(frame(TEXT, b"x")),
    "Close": lambda machine: machine.send(close(1000)),
    "fault": lambda machine: machine.send(frame(TEXT, b"x", mask=None)),
    "served": Machine.serve,
    "close()": Machine.close,
    "eof": Machine.lose,
    "abort": Machine.abort,
}

ROUTES = {
    "CONNECTING": [],
    "OPEN": ["run"],
    "REMOTE_CLOSING": ["run", "Close"],
    "LOCAL_CLOSING": ["run", "close()"],
    "CLOSED": ["run", "abort"],
}

# A session that does not run reads nothing, so these have no effect before it does.
READ = ("message", "Close", "fault", "eof")


def test_the_table_has_a_row_for_each_state_and_a_column_for_each_event() -> None:
    assert list(TABLE) == [state.name for state in session.SessionState] == list(ROUTES)
    assert all(list(row) == list(EVENTS) for row in TABLE.values())


@pytest.mark.parametrize(("state", "event"), cells_of(TABLE))
def test_a_session_moves_as_the_table_says(machine: Machine, state: str, event: str) -> None:
    for step in ROUTES[state]:
        EVENTS[step](machine)
    assert machine.state == state
    after = TABLE[state][event]

    try:
        EVENTS[event](machine)
    except BrokenPipeError:
        assert state == "CLOSED"  # nothing arrives over a socket that is shut down

    assert machine.state == (state if after == "-" else after)


@pytest.mark.parametrize("event", [*READ, "served"])
def test_what_happens_before_the_session_runs_is_taken_when_it_does(
    machine: Machine, event: str
) -> None:
    EVENTS[event](machine)

    EVENTS["run"](machine)

    after = TABLE["OPEN"][event]
    assert machine.state == ("OPEN" if after == "-" else after)
