"""A node in an OS process of its own, what attacks cost it, and an honest client meanwhile.

Everything on this side is plain and blocking, in native threads: an attack must not hold up the
client whose answers are counted.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from tests.shell import PACKAGE_FOLDER, environment

LIMIT = 60.0  # seconds, the last limit of everything here; nothing takes as long
MIB = 1024 * 1024
MAX_AS_BYTES = 4096 * MIB  # so that a node without bounds ends before the machine does

HONEST = b"GET /honest/ HTTP/1.1\r\nHost: honest\r\n\r\n"


@dataclass(frozen=True, kw_only=True)
class Abuse:
    """A row of the table: one attack, and what it may cost the node."""

    name: str
    attack: Callable[[Target], None]
    """Returns when the node is done with it, so that everything is measured until then."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of the node, beside its address."""
    max_files: int | None = None
    """How many descriptors the node may have; what the tests have when None."""
    max_grown_bytes: int = 64 * MIB
    """How much more memory the node may take at any time than it did before."""
    max_descriptors: int = 40
    """How many more descriptors it may have at any time than it had before."""
    least_answers: int = 5
    """How many answers the honest client gets at least while the attack lasts.

    A count and no time: an attack has to be large enough to be worth some ten times as many turns
    of the node's loop, and a node that is blocked by it gives one answer or two.
    """


@dataclass
class Measured:
    """What an attack did."""

    answers: int = 0
    latencies: list[float] = field(default_factory=list)
    grown_bytes: int = 0
    descriptors: int = 0

    def percentile(self, share: float) -> float:
        """Return the latency, in seconds, that *share* of the answers did not exceed."""
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


class Target:
    """The node, as an attack sees it."""

    def __init__(self, address: tuple[str, int], pid: int, stack: ExitStack) -> None:
        self.address = address
        self.pid = pid
        self._stack = stack

    def connect(self) -> socket.socket:
        """Return a new connection, which is closed after the attack."""
        return self._stack.enter_context(socket.create_connection(self.address, LIMIT))

    def ask(self, data: bytes) -> int:
        """Send *data* over a new connection, and return the status of the first response."""
        connected = self.connect()
        connected.sendall(data)
        return self.status(connected)

    def status(self, connected: socket.socket) -> int:
        """Return the status of the next response, whose body is left unread; 0 at the end."""
        head = b""
        while b"\r\n\r\n" not in head:
            byte = connected.recv(1)
            if not byte:
                return 0
            head += byte
        return int(head.split(b" ", 2)[1])

    def exchange(self, data: bytes) -> bytes:
        """Send *data* over a new connection while reading; return what came until the end."""
        connected = self.connect()
        sender = threading.Thread(target=_send, args=(connected, data), daemon=True)
        sender.start()
        answers = self.drain(connected)
        sender.join(LIMIT)
        return answers

    def drain(self, connected: socket.socket) -> bytes:
        """Read until the node closes, or breaks the connection."""
        pieces = []
        try:
            while piece := connected.recv(MIB):
                pieces.append(piece)
        except ConnectionError:
            pass
        return b"".join(pieces)

    def resident_bytes(self, *, peak: bool = False) -> int:
        """Return how much memory the node has, or had at most since `forget_peak`."""
        name = "VmHWM:" if peak else "VmRSS:"
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
        raise AssertionError("the node has ended")

    def forget_peak(self) -> None:
        """Begin anew with the peak of `resident_bytes`."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def descriptors(self) -> int:
        """Return how many descriptors the node has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))


class HonestClient(threading.Thread):
    """Asks over one connection of its own, one request after the other, until it is told to end."""

    def __init__(self, target: Target, measured: Measured) -> None:
        super().__init__(daemon=True)
        self._target = target
        self._measured = measured
        self._socket = socket.create_connection(target.address, LIMIT)
        self._is_over = False
        self.error: Exception | None = None
        self.ask()  # so that everything is warm

    def ask(self) -> None:
        """Ask once."""
        self._socket.sendall(HONEST)
        answer = b""
        while not answer.endswith(b"\r\n\r\nhere"):
            piece = self._socket.recv(4096)
            if not piece:
                raise ConnectionError(f"the node closed after {answer!r}")
            answer += piece
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise ConnectionError(f"the node answered {answer!r}")

    def run(self) -> None:
        """Ask until the end, and note how long each answer took."""
        measured = self._measured
        try:
            while not self._is_over:
                begin = perf_counter()
                self.ask()
                measured.latencies.append(perf_counter() - begin)
                measured.descriptors = max(measured.descriptors, self._target.descriptors())
        except Exception as error:
            self.error = error

    def finish(self) -> None:
        """End, and raise what went wrong."""
        self._is_over = True
        self.join(LIMIT)
        self._socket.close()
        assert not self.is_alive(), "the honest client still waits for an answer"
        if self.error is not None:
            raise AssertionError("the honest client was not served") from self.error


def _send(connected: socket.socket, data: bytes) -> None:
    try:
        connected.sendall(data)
    except OSError:
        pass  # the node has closed, which is its right


@contextmanager
def abused_node(abuse: Abuse) -> Iterator[Target]:
    """Run a node in an OS process of its own."""
    limits = {"RLIMIT_AS": MAX_AS_BYTES}
    if abuse.max_files is not None:
        limits["RLIMIT_NOFILE"] = abuse.max_files
    asked = json.dumps({"settings": dict(abuse.settings), "limits": limits})
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.abuse.node", asked],
        cwd=PACKAGE_FOLDER,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None and process.stdout is not None
    with process, ExitStack() as stack:
        stack.callback(process.kill)
        ip, _, port = process.stdout.readline().decode().strip().rpartition(":")
        yield Target((ip, int(port)), process.pid, stack)


def perform(abuse: Abuse) -> Measured:
    """Attack a new node, and return what that did to it."""
    measured = Measured()
    with abused_node(abuse) as target:
        client = HonestClient(target, measured)
        before = target.descriptors()
        target.forget_peak()
        resident = target.resident_bytes()
        client.start()
        try:
            abuse.attack(target)
            measured.answers = len(measured.latencies)
        finally:
            client.finish()
        measured.grown_bytes = target.resident_bytes(peak=True) - resident
        measured.descriptors -= before
        # The node still serves strangers.
        assert target.ask(HONEST) == 200
    return measured
