"""The states of a connection that a client opened, walked through their table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import gevent
import pytest
from gevent.event import Event

from greenproc.address import Address
from greenproc.future import Future, Promise
from greenproc.http.request import Request
from greenproc.http.response import OK, Response
from greenproc.http.upgrade import UpgradedConnection, UpgradeResponse
from greenproc.transport import server_connection
from greenproc.transport.server_connection import ServerConnectionState
from greenproc.transport.timeouts import ConnectionPhase
from tests.state_table import cells_of, read_table
from tests.transport.conftest import LIMIT, Node, Peer

Listen = Callable[..., Address]
Connect = Callable[[Address], Peer]

TABLE = read_table(server_connection)

REQUEST = b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"
LAST_REQUEST = b"GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
HANDSHAKE = (
    b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Echo:
    """A protocol that reads to the end."""

    def __init__(self) -> None:
        self.closed = Event()

    def run(self, connection: UpgradedConnection) -> None:
        while connection.read():
            pass

    def close(self) -> None:
        self.closed.set()

    def drain(self) -> None:
        self.close()

    def wait_closed(self, seconds: float) -> None:
        self.closed.wait(seconds)


class Case:
    """A connection that was brought to a state, with what has to be owed for an event."""

    def __init__(self, node: Node, listen: Listen, connect: Connect) -> None:
        self.responses: list[Promise[Response]] = []
        node.hooks = replace(node.hooks, upgrades=lambda path: True)
        node.answer = self._serve
        address = listen()
        self.peer = connect(address)
        self.settle()
        (self.connection,) = listen.listeners[0]._connections  # type: ignore[attr-defined]

    def _serve(self, request: Request) -> Future[Response]:
        self.responses.append(Promise())
        return self.responses[-1].future

    @property
    def state(self) -> str:
        name: str = self.connection.state.name
        return name

    def settle(self) -> None:
        for _ in range(4):
            gevent.idle()

    def send(self, data: bytes) -> None:
        """Send, unless the connection is lost: whatever is sent then changes nothing."""
        try:
            self.peer.send(data)
        except OSError:
            pass

    def bring_to(self, state: str, event: str) -> None:
        is_handshake = state == "UPGRADED" or event == "101"
        if state == "OPEN":
            if event not in ("idle", "101"):
                self.send(REQUEST)
        elif state == "CLOSED":
            self.connection.close()
        else:
            self.send(HANDSHAKE if is_handshake else LAST_REQUEST)
        self.settle()
        if state == "LINGERING":
            self.responses[-1].set(OK())
        elif state == "UPGRADED":
            self.responses[-1].set(UpgradeResponse(Echo(), ()))
        self.settle()
        assert self.state == state

    def happen(self, event: str) -> None:
        if event == "request":
            self.send(REQUEST)
        elif event == "last request":
            self.send(LAST_REQUEST)
        elif event == "bad request":
            self.send(b"not HTTP\r\n\r\n")
        elif event in ("last response", "101"):
            self.respond(event)
        elif event in ("idle", "slow"):
            self.pass_time(event)
        elif event == "close":
            self.connection.close()
        else:
            self.end_of_client(event)
        self.settle()

    def respond(self, event: str) -> None:
        if self.responses and not self.responses[-1].future.ready():
            last = OK(headers={"Connection": "close"})
            self.responses[-1].set(last if event != "101" else UpgradeResponse(Echo(), ()))

    def pass_time(self, event: str) -> None:
        """Let the limit be over that the phase of the connection has."""
        if event == "slow":
            self.send(b"GET /slow HT")
        elif self.state == "OPEN":  # one that sent nothing may be a link
            self.send(REQUEST)
            self.settle()
            self.responses[-1].set(OK())
        self.settle()
        phase, _, _ = self.connection.phase()
        if phase is not ConnectionPhase.UNTIMED:
            self.connection.time_out(phase)

    def end_of_client(self, event: str) -> None:
        try:
            self.peer.end_sending() if event == "eof" else self.peer.reset()
        except OSError:
            pass  # the connection is closed already


@pytest.mark.parametrize(("state", "event"), cells_of(TABLE))
def test_an_event_leads_to_the_state_that_the_table_tells(
    node: Node, listen: Listen, connect: Connect, state: str, event: str
) -> None:
    case = Case(node, listen, connect)
    case.bring_to(state, event)
    following = state if TABLE[state][event] == "-" else TABLE[state][event]

    case.happen(event)

    with gevent.Timeout(LIMIT):
        while case.state != following:
            gevent.idle()
    case.settle()
    assert case.state == following


def test_the_table_has_all_states() -> None:
    assert list(TABLE) == [state.name for state in ServerConnectionState]


def test_the_last_response_closes_the_connection_of_a_client_that_ended(
    node: Node, listen: Listen, connect: Connect
) -> None:
    case = Case(node, listen, connect)
    case.bring_to("OPEN", "eof")
    case.happen("eof")
    assert case.state == "FINISHING"

    case.happen("last response")

    assert case.state == "CLOSED"
