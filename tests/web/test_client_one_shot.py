"""One request over a connection of its own, at the moments when it is given up."""

from __future__ import annotations

from typing import Any

import gevent
import pytest
from gevent import Greenlet, socket

from greenproc.errors import Closed
from greenproc.future import Promise
from greenproc.http.request import Request
from greenproc.http.url import URL
from greenproc.testing import await_discarded
from greenproc.web import client
from greenproc.web.client import send_once
from greenproc.web.dial import open_socket
from greenproc.web.options import RequestOptions
from greenproc.web.origin import Origin
from tests.peer import Acceptor
from tests.web.support import failure_of

Opening = Promise[socket.socket]


@pytest.fixture
def opening(monkeypatch: pytest.MonkeyPatch) -> Opening:
    """The promise of the connection, which the test keeps."""
    promise: Opening = Promise()
    future = promise.future
    monkeypatch.setattr(client, "dial", lambda *_: future)
    return promise


def asked(server: Acceptor) -> Request:
    return Request("GET", URL.absolute(f"http://{server.address}/"))


def opened(server: Acceptor) -> socket.socket:
    return open_socket(Origin("http", server.address.ip, server.address.port))


def test_a_discard_request_at_the_moment_of_the_connection_sends_nothing(
    server: Acceptor, opening: Opening
) -> None:
    future = send_once(asked(server), RequestOptions())
    gevent.idle()
    opening.set(opened(server))
    future.discard()

    with server.accept() as peer:
        assert peer.read_to_end() == b""
    await_discarded(future)


def test_a_greenlet_killed_at_the_moment_of_the_connection_closes_it(
    server: Acceptor, opening: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Greenlet[..., Any]] = []

    def spawn(function: Any) -> Greenlet[..., Any]:
        started.append(gevent.spawn(function))
        return started[0]

    monkeypatch.setattr(client, "spawn", spawn)
    future = send_once(asked(server), RequestOptions())
    gevent.idle()
    connected = opened(server)
    started[0].kill(block=False)
    opening.set(connected)

    with server.accept() as peer:
        assert peer.read_to_end() == b""
    assert "was killed" in failure_of(future, Closed)
    assert connected.fileno() < 0
