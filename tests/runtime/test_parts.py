"""The order in which a runtime starts and stops, and which address it tells."""

from __future__ import annotations

import pytest
from gevent import socket

from greenproc.address import Address
from greenproc.errors import BindError
from greenproc.process import Process
from greenproc.runtime import Runtime
from greenproc.runtime.parts import advertised_address
from greenproc.settings import Settings
from greenproc.testing import RuntimeMaker, await_ready, future_message
from tests.peer import Peer, closed_address


def test_stages_stand_in_their_order(runtime: Runtime) -> None:
    assert [stage.name for stage in runtime._parts().lifecycle.stages] == [
        "interrupts",
        "clock",
        "hub watch",
        "reaper",
        "listener",
        "sockets",
        "processes",
        "built-ins",
        "accept",
    ]


BOUND = Address("127.0.0.1", 4000)


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        (Settings(), "127.0.0.1:4000"),
        (Settings(advertise_ip="10.1.2.3"), "10.1.2.3:4000"),
        (Settings(advertise_port=80), "127.0.0.1:80"),
        (Settings(advertise_ip="10.1.2.3", advertise_port=80), "10.1.2.3:80"),
    ],
)
def test_advertised_address_replaces_the_bound_one(settings: Settings, address: str) -> None:
    assert str(advertised_address(settings, BOUND)) == address


def test_any_address_is_told_as_that_of_the_hosts_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(name: str, *_: object) -> list[tuple[object, ...]]:
        assert name == "this-host"
        return [(2, 1, 6, "", ("10.9.8.7", 0)), (2, 1, 6, "", ("10.9.8.6", 0))]

    monkeypatch.setattr(socket, "gethostname", lambda: "this-host")
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    bound = Address("0.0.0.0", 4000)
    assert str(advertised_address(Settings(), bound)) == "10.9.8.7:4000"
    assert str(advertised_address(Settings(advertise_ip="10.1.2.3"), bound)) == "10.1.2.3:4000"


def test_host_without_an_address_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: object) -> None:
        raise socket.gaierror("no such host")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(BindError, match=r"set Settings\.advertise_ip or LIBPROCESS_ADVERTISE_IP"):
        advertised_address(Settings(), Address("0.0.0.0", 4000))


def test_node_listens_where_it_is_bound_and_tells_what_is_advertised(
    make_runtime: RuntimeMaker,
) -> None:
    bound = closed_address()
    node = make_runtime(
        Settings(ip="127.0.0.1", port=bound.port, advertise_ip="10.1.2.3", advertise_port=80)
    )
    assert str(node.address) == "10.1.2.3:80"
    pid = node.spawn(Process("a"))
    assert str(pid) == "a@10.1.2.3:80"
    with node.selected():
        message = future_message("m", to=pid)
    with Peer.connect(bound) as peer:
        answer = peer.ask(
            b"POST /a/m HTTP/1.1\r\nHost: x\r\nLibprocess-From: @1.2.3.4:9\r\n"
            b"Content-Length: 0\r\n\r\n"
        )
    assert answer.code == 202
    assert await_ready(message).to == pid
