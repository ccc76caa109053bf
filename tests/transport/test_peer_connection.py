"""The states of a connection to another node."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import gevent
import pytest
from gevent import socket
from gevent.event import Event

from greenproc.errors import Broken
from greenproc.process.ports import RemoteConnection
from greenproc.transport import peer_connection
from greenproc.transport.peer_connection import PeerConnection, PeerState
from greenproc.transport.peers import SocketManager
from tests.state_table import cells_of, read_table
from tests.transport.conftest import LIMIT, RawServer, message
from tests.transport.test_peers import unused_address


class SlowSocket(socket.socket):
    """A socket whose connection is accepted when the test says so."""

    accepted: ClassVar[Event]

    def connect(self, address: tuple[str, int]) -> None:
        self.accepted.wait()
        super().connect(address)


Manager = Callable[..., SocketManager]

TABLE = read_table(peer_connection)


@pytest.fixture(autouse=True)
def accepted(monkeypatch: pytest.MonkeyPatch) -> Event:
    SlowSocket.accepted = Event()
    monkeypatch.setattr(peer_connection.socket, "socket", SlowSocket)
    return SlowSocket.accepted


class Case:
    """A connection that was brought to a state, with a message in its queue if it must have one."""

    def __init__(self, sockets: SocketManager, server: RawServer, state: str, event: str) -> None:
        self.server = server
        is_refused = (state, event) == ("CONNECTING", "error")
        self.address = unused_address() if is_refused else server.address
        if event == "time limit":
            sockets.send(message("ping", to=self.address))
        else:
            sockets.link(self.address, RemoteConnection.REUSE)
        self.connection: PeerConnection = sockets._connections[self.address]
        if state != "CONNECTING":
            self.connect()
        if state == "LEAVING":
            self.connection.leave()
        elif state == "CLOSED":
            self.connection.end(Broken("by the test"))
        if event == "leave":
            sockets.send(message("ping", to=self.address))
        assert self.state == state

    @property
    def state(self) -> str:
        return self.connection.state.name

    def connect(self) -> None:
        SlowSocket.accepted.set()
        self.server.accept()
        self.wait_until(lambda: self.connection.was_open)

    def wait_until(self, satisfied: Callable[[], bool]) -> None:
        with gevent.Timeout(LIMIT):
            while not satisfied():
                gevent.idle()

    def happen(self, event: str, following: str) -> None:
        if event == "connected" and self.state == "CONNECTING":
            self.connect()
        elif event in ("leave", "leave empty"):
            self.connection.leave()
        elif event == "eof" and self.server.peers:
            self.server.peers[-1].end_sending()
        elif event == "error" and self.server.peers:
            self.server.peers[-1].reset()
        elif event == "error":
            SlowSocket.accepted.set()
        elif event == "time limit":
            self.pass_time()
        for _ in range(3):
            gevent.idle()
        self.wait_until(lambda: self.state == following)

    def pass_time(self) -> None:
        """Let the limit be over, without the time that it takes."""
        connection = self.connection
        if self.state == "CONNECTING":
            return  # its limit is that of the settings
        connection.queue.answer(1)
        connection._last_used -= 1000.0
        if self.state != "CLOSED":
            connection._check_time()


@pytest.mark.parametrize(("state", "event"), cells_of(TABLE))
def test_an_event_leads_to_the_state_that_the_table_tells(
    manager: Manager, server: RawServer, state: str, event: str
) -> None:
    limit = 0.001 if (state, event) == ("CONNECTING", "time limit") else LIMIT
    case = Case(manager(connect_timeout=limit), server, state, event)
    following = TABLE[state][event]

    case.happen(event, state if following == "-" else following)

    assert case.state == (state if following == "-" else following)
    SlowSocket.accepted.set()


def test_the_table_has_all_states() -> None:
    assert list(TABLE) == [state.name for state in PeerState]


def test_a_connection_that_left_before_it_was_open_leaves_when_it_is(
    manager: Manager, server: RawServer
) -> None:
    case = Case(manager(), server, "CONNECTING", "leave")
    case.connection.leave()
    assert case.state == "CONNECTING"

    case.connect()

    assert case.state == "LEAVING"
    assert b"POST /rcv/ping" in server.peers[-1].receive_to_end()
