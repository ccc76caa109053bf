"""Opening sockets: which address is taken, and what happens when nobody wants the socket any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent.event import Event

from greenproc.errors import Broken
from greenproc.testing import await_discarded, await_failed, await_ready
from greenproc.web import dial as dial_module
from greenproc.web.dial import dial, open_socket
from greenproc.web.origin import Origin
from tests.peer import LIMIT, Acceptor, closed_address

Lookup = Callable[..., list[tuple[Any, ...]]]


def origin_at(server: Acceptor, host: str | None = None) -> Origin:
    return Origin("http", host or server.address.ip, server.address.port)


def found(*addresses: tuple[str, int]) -> Lookup:
    """Return a look-up that finds these addresses for every host."""
    return lambda *_args, **_options: [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses
    ]


def test_a_socket_waits_for_nobody_to_acknowledge(server: Acceptor) -> None:
    with open_socket(origin_at(server)) as opened:
        assert opened.getpeername() == (server.address.ip, server.address.port)
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_an_address_is_not_looked_up(server: Acceptor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial_module.socket, "getaddrinfo", lambda *_: pytest.fail("looked up"))

    open_socket(origin_at(server)).close()


def test_every_address_of_a_host_is_tried(
    server: Acceptor, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = closed_address()
    addresses = ((dead.ip, dead.port), (server.address.ip, server.address.port))
    monkeypatch.setattr(dial_module.socket, "getaddrinfo", found(*addresses))

    with open_socket(origin_at(server, "two.example")) as opened:
        assert opened.getpeername() == addresses[1]


def test_the_last_refusal_is_told_when_none_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    dead = closed_address()
    monkeypatch.setattr(dial_module.socket, "getaddrinfo", found((dead.ip, dead.port)))

    with pytest.raises(Broken, match=r"cannot connect to two\.example:80: .*refused") as caught:
        open_socket(Origin("http", "two.example", 80))
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)


def test_a_socket_is_not_connected_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    # As the system does when it picks the port that is connected to as the source port.
    connect = socket.socket.connect

    def bind_and_connect(self: socket.socket, address: tuple[str, int]) -> None:
        self.bind(address)
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", bind_and_connect)
    address = closed_address()

    with pytest.raises(Broken, match="nothing listens there"):
        open_socket(Origin("http", address.ip, address.port))


@pytest.fixture
def slow(server: Acceptor, monkeypatch: pytest.MonkeyPatch) -> tuple[Event, Event]:
    """Let connecting wait: it tells when it has begun, and is done when it is told to."""
    begun, done = Event(), Event()
    real = dial_module.open_socket

    def open_and_wait(origin: Origin) -> socket.socket:
        opened = real(origin)
        begun.set()
        try:
            done.wait()
        except gevent.GreenletExit:
            opened.close()
            raise
        return opened

    monkeypatch.setattr(dial_module, "open_socket", open_and_wait)
    return begun, done


def test_a_discard_request_ends_the_attempt(server: Acceptor, slow: tuple[Event, Event]) -> None:
    future = dial(origin_at(server), None)
    assert slow[0].wait(LIMIT)

    future.discard()

    await_discarded(future)


def test_a_socket_that_comes_at_the_moment_of_a_discard_request_is_closed(
    server: Acceptor, slow: tuple[Event, Event]
) -> None:
    future = dial(origin_at(server), None)
    assert slow[0].wait(LIMIT)
    slow[1].set()
    future.discard()

    with server.accept() as peer:
        assert peer.read_to_end() == b""
    await_discarded(future)


def test_a_socket_is_the_value(server: Acceptor) -> None:
    opened = await_ready(dial(origin_at(server), 5.0))
    with opened, server.accept() as peer:
        opened.sendall(b"hello")
        assert peer.read(5) == b"hello"


def test_a_refusal_is_the_failure() -> None:
    address = closed_address()

    assert isinstance(await_failed(dial(Origin("http", address.ip, address.port), 5.0)), Broken)
