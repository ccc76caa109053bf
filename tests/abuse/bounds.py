"""Attacks on what is bounded in bytes, in connections and in time, with small bounds."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from time import monotonic

from tests.abuse.attacks import SENDER, post
from tests.abuse.harness import LIMIT, MIB, Abuse, Target


class Answers:
    """The responses that come over one connection."""

    def __init__(self, connected: socket.socket) -> None:
        self._connected = connected
        self._rest = b""

    def status(self) -> int:
        """Read a response and return its status; 0 at the end."""
        while b"\r\n\r\n" not in self._rest:
            if not self._receive():
                return 0
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        size = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0] or 0)
        while len(self._rest) < size:
            self._receive()
        self._rest = self._rest[size:]
        return int(head.split(b" ", 2)[1])

    def statuses(self, count: int) -> list[int]:
        """Read so many responses."""
        return [self.status() for _ in range(count)]

    def _receive(self) -> bool:
        piece = self._connected.recv(MIB)
        self._rest += piece
        return bool(piece)


HELLO = b"GET /target/ HTTP/1.1\r\nHost: enemy\r\n\r\n"


# Bytes


def bodies_to_a_busy_process(target: Target) -> None:
    """Send large messages to a process that takes none."""
    connected = target.connect()
    for _ in range(20):
        connected.sendall(post(b"/busy/note", bytes(8 * MIB), SENDER))
    assert Answers(connected).statuses(20).count(503) >= 15


def requests_to_a_busy_process(target: Target) -> None:
    """Send large requests to a process that takes none, over many connections."""
    assert target.ask(post(b"/busy/note", b"", SENDER)) == 202
    waiting = [target.connect() for _ in range(20)]
    for connected in waiting:
        connected.sendall(post(b"/busy/", bytes(8 * MIB)))
    refused = 0
    for connected in waiting:
        connected.settimeout(0.2)
        with suppress(TimeoutError):
            refused += target.status(connected) == 503
    assert refused >= 15


def long_names_to_a_busy_process(target: Target) -> None:
    """Send messages without bodies, but with names as long as they may be."""
    assert target.ask(post(b"/busy/note", b"", SENDER)) == 202
    note = post(b"/busy/" + b"n" * 70_000, b"", SENDER)
    connected = target.connect()
    answers = Answers(connected)
    for _ in range(20):
        connected.sendall(note * 100)
        answers.statuses(100)


def answers_that_are_not_read(target: Target) -> None:
    """Ask for very much, and read nothing of it."""
    connected = target.connect()
    connected.settimeout(3.0)
    request = b"GET /target/large?size=1048576 HTTP/1.1\r\nHost: enemy\r\n\r\n"
    with suppress(OSError):
        connected.sendall(request * 5000)
    deadline = monotonic() + LIMIT
    with suppress(ConnectionError):
        while monotonic() < deadline:  # until the node closes, since nothing is read
            connected.send(b"x")


def reply_heads(target: Target) -> None:
    """Have replies sent to very many long ids at one address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        connected = target.connect()
        answers = Answers(connected)
        for number in range(0, 4000, 100):
            connected.sendall(
                b"".join(
                    ask(b"%d" % one + b"i" * 3900, port) for one in range(number, number + 100)
                )
            )
            assert answers.statuses(100) == [202] * 100
        accepted, _ = server.accept()
        accepted.settimeout(LIMIT)
        read = 0
        while read < 4000 * 3900:
            read += len(accepted.recv(MIB))
        accepted.close()


def ask(id: bytes, port: int, ip: bytes = b"127.0.0.1") -> bytes:
    """Return a message that is answered to a sender of *id*."""
    return post(b"/echo/ask", b"", b"Libprocess-From: %b@%b:%d\r\n" % (id, ip, port))


def help_of_many_slashes(target: Target) -> None:
    """Ask for help below a path of slashes only, as a browser does."""
    for _ in range(10):
        lines = b"Host: enemy\r\nAccept: text/html\r\nConnection: close\r\n"
        target.exchange(b"GET /help%b HTTP/1.1\r\n%b\r\n" % (b"/" * 70_000, lines))


def surveys(target: Target) -> None:
    """Ask again and again for what waits in mailboxes, where much does."""
    connected = target.connect()
    answers = Answers(connected)
    for _ in range(20):
        connected.sendall(post(b"/busy/note", bytes(MIB // 4), SENDER) * 10)
        answers.statuses(10)
    last = b"GET /target/ HTTP/1.1\r\nHost: enemy\r\nConnection: close\r\n\r\n"
    target.exchange(b"GET /__processes__ HTTP/1.1\r\nHost: enemy\r\n\r\n" * 3 + last)


# Time and connections


@contextmanager
def many_connections(target: Target, count: int) -> Iterator[list[socket.socket]]:
    """Open connections, of which the node may close some at once."""
    opened: list[socket.socket] = []
    try:
        opened.extend(socket.create_connection(target.address, LIMIT) for _ in range(count))
        yield opened
    finally:
        for one in opened:
            one.close()


def silent_connections(target: Target) -> None:
    """Open very many connections and say nothing."""
    with many_connections(target, 300):
        assert [target.ask(HELLO) for _ in range(20)] == [200] * 20


def slow_heads(target: Target) -> None:
    """Open very many connections and begin a request on each."""
    with many_connections(target, 300) as opened:
        for one in opened:
            with suppress(ConnectionError):
                one.sendall(HELLO[:20])
        assert target.ask(HELLO) in (200, 503)  # it may come with the last of them
        assert [target.ask(HELLO) for _ in range(20)] == [200] * 20


def slow_head_behind_a_message(target: Target) -> None:
    """Deliver a message, as a node does that links, and begin another one."""
    connected = target.connect()
    connected.sendall(post(b"/target/note", b"", SENDER) + HELLO[:20])
    assert Answers(connected).statuses(3) == [202, 408, 0]


def slow_bodies(target: Target) -> None:
    """Send bodies that never stand still, and never come to an end."""
    opened = [target.connect() for _ in range(10)]
    for one in opened:
        one.sendall(post(b"/target/note", b"", SENDER))
        one.sendall(post(b"/target/", bytes(MIB))[: -MIB + 1])
        one.settimeout(0.01)
    left = set(opened)
    deadline = monotonic() + LIMIT
    while left and monotonic() < deadline:
        for one in list(left):
            try:
                one.sendall(b"x")
                if b" 408 " in one.recv(4096):
                    left.discard(one)
            except TimeoutError:
                pass
            except ConnectionError:
                left.discard(one)
    assert not left


def spoofed_senders(target: Target) -> None:
    """Have replies sent to very many addresses that take them and answer nothing."""
    with socket.create_server(("0.0.0.0", 0), backlog=4096) as server:
        port = server.getsockname()[1]
        connected = target.connect()
        for number in range(2000):
            ip = b"127.1.%d.%d" % divmod(number, 250)
            connected.sendall(ask(b"spoofed", port, ip))
        assert set(Answers(connected).statuses(2000)) == {202}
        assert [target.ask(HELLO) for _ in range(20)] == [200] * 20


def spoofed_links(target: Target) -> None:
    """Have links made to very many addresses that never answer."""
    with socket.create_server(("0.0.0.0", 0), backlog=0) as server, ExitStack() as full:
        port = server.getsockname()[1]
        for _ in range(4):  # more than the system queues, so that what comes then is dropped
            one = full.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        connected = target.connect()
        for number in range(2000):
            ip = b"127.1.%d.%d" % divmod(number, 250)
            sender = b"Libprocess-From: spoofed@%b:%d\r\n" % (ip, port)
            connected.sendall(post(b"/linker/watch", b"", sender))
        assert set(Answers(connected).statuses(2000)) == {202}
        assert [target.ask(HELLO) for _ in range(20)] == [200] * 20


SMALL = {"max_mailbox_bytes": 16 * MIB, "max_queued_bytes": 32 * MIB}
IN_A_HURRY = {"head_timeout": 0.3, "body_timeout": 0.3, "answer_timeout": 1.0}
FEW = {"max_connections": 50}  # and up to 100 accepted at once, before the old ones are closed

BOUNDS: tuple[Abuse, ...] = (
    Abuse(
        name="bodies to a busy process",
        attack=bodies_to_a_busy_process,
        settings=SMALL,
        max_grown_bytes=80 * MIB,
    ),
    Abuse(
        name="requests to a busy process",
        attack=requests_to_a_busy_process,
        settings=SMALL,
        max_grown_bytes=200 * MIB,
    ),
    Abuse(
        name="long names to a busy process", attack=long_names_to_a_busy_process, settings=SMALL
    ),
    Abuse(
        name="answers that are not read",
        attack=answers_that_are_not_read,
        settings={"max_answer_bytes": 4 * MIB, **IN_A_HURRY},
        max_grown_bytes=96 * MIB,
    ),
    Abuse(name="reply heads", attack=reply_heads, max_grown_bytes=48 * MIB),
    Abuse(name="help of many slashes", attack=help_of_many_slashes),
    Abuse(name="surveys", attack=surveys, settings=SMALL),
    Abuse(name="silent connections", attack=silent_connections, settings=FEW, max_descriptors=160),
    Abuse(name="slow heads", attack=slow_heads, settings=FEW, max_descriptors=160),
    Abuse(
        name="descriptors run out",
        attack=silent_connections,
        settings={"max_connections": 5000},
        max_files=100,
        max_descriptors=100,
    ),
    Abuse(
        name="slow head behind a message",
        attack=slow_head_behind_a_message,
        settings=IN_A_HURRY,
    ),
    Abuse(name="slow bodies", attack=slow_bodies, settings=IN_A_HURRY),
    Abuse(
        name="spoofed senders",
        attack=spoofed_senders,
        settings={"max_temporary_connections": 10, "connect_timeout": 1.0},
        max_files=200,
    ),
    Abuse(
        name="spoofed links",
        attack=spoofed_links,
        settings={"max_temporary_connections": 10},
        max_files=200,
    ),
)
