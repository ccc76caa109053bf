"""A peer that vanishes without FIN or RST is lost after a while: a black hole between two hosts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent import socket
from gevent.event import Event
from gevent.queue import Queue

from greenproc.address import Address
from greenproc.pid import UPID
from greenproc.process import Process
from greenproc.process.ports import RemoteConnection
from greenproc.settings import Settings
from greenproc.testing import RuntimeMaker
from greenproc.transport.listener import Listener
from greenproc.transport.peers import SocketManager
from greenproc.transport.timeouts import notice_loss
from tests.transport.conftest import LIMIT, Node, message

SECONDS = 1.0

LISTEN = """
import socket
s = socket.socket()
s.bind(("{ip}", 0))
s.listen()
print(s.getsockname()[1], flush=True)
held = [s.accept() for _ in range(2)]
"""
CONNECT = """
import socket, sys
s = socket.create_connection(("{ip}", {port}))
s.sendall(b"POST /sink/data HTTP/1.1\\r\\nUser-Agent: libprocess/x@{ip}:1\\r\\n"
          b"Content-Length: 0\\r\\nHost: x\\r\\n\\r\\n")
print(s.recv(100), flush=True)
sys.stdin.read()
"""


class OtherHost:
    """A network namespace: what runs there is on another host, whose cable can be pulled."""

    def __init__(self) -> None:
        number = os.getpid() % 16384
        self.name = f"greenproc{number}"
        self.here, self.there = f"gph{number}", f"gpt{number}"
        third, fourth = divmod(number * 4, 256)
        self.ip_here = f"198.18.{third % 256}.{fourth + 1}"  # for benchmarks, RFC 2544
        self.ip_there = f"198.18.{third % 256}.{fourth + 2}"
        self.running: list[subprocess.Popen[str]] = []

    def make(self) -> None:
        ip("netns", "add", self.name)
        ip("link", "add", self.here, "type", "veth", "peer", "name", self.there)
        ip("link", "set", self.there, "netns", self.name)
        ip("addr", "add", f"{self.ip_here}/30", "dev", self.here)
        ip("link", "set", self.here, "up")
        ip("-n", self.name, "addr", "add", f"{self.ip_there}/30", "dev", self.there)
        ip("-n", self.name, "link", "set", self.there, "up")

    def run(self, program: str) -> str:
        """Run a program there, and return the first line that it prints."""
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.name, sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.running.append(process)
        assert process.stdout is not None
        return gevent.get_hub().threadpool.apply(process.stdout.readline)

    def pull_cable(self) -> None:
        """From now on whatever is sent to it vanishes."""
        ip("-n", self.name, "link", "set", self.there, "down")

    def remove(self) -> None:
        for process in self.running:
            process.kill()
            process.communicate()
        subprocess.run(["ip", "link", "del", self.here], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "del", self.name], check=False, capture_output=True)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=LIMIT)


@pytest.fixture
def other_host() -> Iterator[OtherHost]:
    if shutil.which("ip") is None:
        pytest.skip("needs ip of iproute2")
    host = OtherHost()
    try:
        host.make()
    except subprocess.CalledProcessError as error:
        host.remove()
        pytest.skip(f"cannot make a network namespace: {error.stderr!r}")
    yield host
    host.remove()


@pytest.mark.parametrize("is_busy", [False, True], ids=["idle", "unacknowledged"])
def test_a_linked_peer_that_vanishes_is_lost(
    node: Node,
    manager: Callable[..., SocketManager],
    other_host: OtherHost,
    *,
    is_busy: bool,
) -> None:
    port = int(other_host.run(LISTEN.format(ip=other_host.ip_there)))
    address = Address(other_host.ip_there, port)
    sockets = manager(link_timeout=SECONDS)
    if is_busy:
        sockets.send(message("first", to=address))  # which makes a connection that is adopted
        node.connected.get(timeout=LIMIT)
    sockets.link(address, RemoteConnection.REUSE)
    if not is_busy:
        node.connected.get(timeout=LIMIT)

    other_host.pull_cable()
    if is_busy:
        sockets.send(message("ping", to=address))

    lost, error = node.lost.get(timeout=LIMIT)
    assert lost == address
    assert error is not None


def test_a_peer_that_linked_and_vanishes_is_forgotten(node: Node, other_host: OtherHost) -> None:
    settings = Settings(ip=other_host.ip_here, link_timeout=SECONDS, answer_timeout=SECONDS)
    listener = Listener(settings, node.hooks)
    address = listener.bind()
    listener.start()
    told = other_host.run(CONNECT.format(ip=address.ip, port=address.port))
    assert "202 Accepted" in told
    (connection,) = listener._connections

    other_host.pull_cable()

    gevent.joinall(
        [one for one in node.greenlets if one is not listener._monitoring], timeout=LIMIT
    )
    assert listener.statistics()["connections"] == 0
    assert repr(connection).endswith("CLOSED, 0 unanswered>")
    assert listener.stop(LIMIT) == 0


class Linker(Process):
    """Links to a process of another host, and waits in a handler until it is let go on."""

    def __init__(self, id: str, to: UPID) -> None:
        super().__init__(id)
        self.to = to
        self.gate = Event()
        self.exits: Queue[UPID] = Queue()

    def initialize(self) -> None:
        self.link(self.to)

    def wait(self) -> None:
        self.gate.wait()

    def exited(self, pid: UPID) -> None:
        self.exits.put(pid)


def test_the_loss_is_told_while_one_handler_waits_and_one_process_dies(
    make_runtime: RuntimeMaker, other_host: OtherHost
) -> None:
    port = int(other_host.run(LISTEN.format(ip=other_host.ip_there)))
    runtime = make_runtime(Settings(ip=other_host.ip_here, link_timeout=SECONDS))
    to = UPID("sink", Address(other_host.ip_there, port))
    waiting, dying, idle = linkers = [Linker(id, to) for id in ("waiting", "dying", "idle")]
    for linker in linkers:
        runtime.spawn(linker)
    runtime.settle()
    runtime.dispatch(waiting, waiting.wait)

    other_host.pull_cable()
    runtime.terminate(dying)
    runtime.wait(dying)

    assert idle.exits.get(timeout=LIMIT) == to
    assert waiting.exits.empty()
    waiting.gate.set()
    assert waiting.exits.get(timeout=LIMIT) == to
    runtime.settle()
    assert all(linker.exits.empty() for linker in linkers)
    assert runtime.statistics()["processes"]["links"] == 0
    assert runtime.statistics()["outbound"]["connections"] == 0


@pytest.mark.parametrize(
    ("seconds", "stall", "expected"),
    [
        (30.0, 0.0, (1, 15, 5, 3, 30_000)),
        (30.0, 60.0, (1, 15, 5, 3, 60_000)),
        (1.0, 0.0, (1, 1, 1, 1, 1_000)),
        (0.2, 0.0, (1, 1, 1, 1, 1_000)),
        (2.0, 0.0, (1, 1, 1, 1, 2_000)),
    ],
)
def test_the_probes_take_as_long_as_is_allowed(
    seconds: float, stall: float, expected: tuple[int, ...]
) -> None:
    with socket.socket() as made:
        notice_loss(made, seconds, stall=stall)

        options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        found = [made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)]
        found += [made.getsockopt(socket.IPPROTO_TCP, option) for option in options]
        found.append(made.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))
    assert tuple(found) == expected


def test_no_limit_leaves_the_socket_as_it_is() -> None:
    with socket.socket() as made:
        notice_loss(made, 0.0, stall=10.0)

        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
