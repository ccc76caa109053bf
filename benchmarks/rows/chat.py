"""The chat of the examples: 1,000 browsers in 20 rooms, and how long a message is on its way."""

from __future__ import annotations

import json
import re
import resource
import select
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import quantiles
from time import perf_counter, sleep

from benchmarks.children import ROOT, serving
from benchmarks.harness import Goal, Row, Sample
from benchmarks.load import HEAD_END, READ_BYTES, connected
from benchmarks.nodes import LIMIT_SECONDS, running, say, wait_for_end_of_input
from benchmarks.rows.http_idle import Memory, taken

ROOMS = 20
BROWSERS = 1_000
MESSAGES_PER_SECOND = 100.0  # of all rooms together; 50 times as many reach browsers
MASK = bytes(4)
HANDSHAKE = (
    b"GET /chat/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
SENT_AT = re.compile(rb'"text":"at ([0-9.]+)"')


def serve_chat() -> None:
    """Run a node with the chat for the parent."""
    sys.path.insert(0, str(ROOT / "examples"))
    from chat import open_chat

    with tempfile.TemporaryDirectory() as folder, running() as runtime:
        open_chat(runtime, database=Path(folder) / "chat.sqlite")
        runtime.spawn(Memory())
        say(runtime.address)
        wait_for_end_of_input()


class Browser:
    """A WebSocket in a room, which counts what it is told."""

    def __init__(self, address: str, number: int, stack: ExitStack) -> None:
        self.room = f"room-{number % ROOMS}"
        self.socket = stack.enter_context(connected(address))
        self._rest = b""
        self._sent = 0
        self._number = number
        self.socket.sendall(HANDSHAKE)
        head = b""
        while not head.endswith(HEAD_END):
            head += self.socket.recv(1)
        if not head.startswith(b"HTTP/1.1 101 "):
            raise RuntimeError(f"expected 101, got {head!r}")
        self._command(do="hello", key=f"browser-{number}", name=f"browser {number}")
        self._command(do="join", room=self.room)
        while b'"do":"joined"' not in b"".join(self.take()):
            pass

    def say_the_time(self) -> None:
        """Send a message with the time."""
        self._sent += 1
        token = f"{self._number}-{self._sent}"
        self._command(do="say", room=self.room, token=token, text=f"at {perf_counter():.6f}")

    def take(self) -> Iterator[bytes]:
        """Read once, and yield the messages that are complete."""
        data = self._rest + self.socket.recv(READ_BYTES)
        at = 0
        while (end := _end_of_frame(data, at)) is not None and end <= len(data):
            yield data[at:end]
            at = end
        self._rest = data[at:]

    def _command(self, **fields: object) -> None:
        text = json.dumps(fields).encode()
        size = len(text)
        length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
        self.socket.sendall(b"\x81" + length + MASK + text)


def _end_of_frame(data: bytes, at: int) -> int | None:
    if len(data) < at + 10:
        return None if len(data) < at + 2 or data[at + 1] > 125 else at + 2 + data[at + 1]
    size = data[at + 1]
    if size == 126:
        return at + 4 + int.from_bytes(data[at + 2 : at + 4], "big")
    if size == 127:
        return at + 10 + int.from_bytes(data[at + 2 : at + 10], "big")
    return at + 2 + size


def deliver(count: int) -> Sample:
    """Let so many messages reach browsers, and return how long 99 of 100 take at most."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    members = BROWSERS // ROOMS
    with serving(serve_chat) as address, ExitStack() as stack:
        memory = stack.enter_context(connected(address))
        before = taken(memory)
        browsers = [Browser(address, number, stack) for number in range(BROWSERS)]
        delays = _talk(browsers, max(count // members, 1), members)
        mebibytes = (taken(memory) - before) / 2**20
    cuts = quantiles(delays, n=100)
    return Sample(
        cuts[98] * 1e3,
        lost=max(count // members, 1) * members - len(delays),
        note=f"half in {cuts[49] * 1e3:.1f} ms, 95 of 100 in {cuts[94] * 1e3:.1f} ms, "
        f"{mebibytes:.0f} MiB for the browsers",
    )


def _talk(browsers: list[Browser], messages: int, members: int) -> list[float]:
    """Send so many messages at a steady rate, and return how long each was on its way to each."""
    delays: list[float] = []
    by_number = {browser.socket.fileno(): browser for browser in browsers}
    with select.epoll() as poll:
        for number in by_number:
            poll.register(number, select.EPOLLIN)
        sleep(1.0)  # until all know who came
        start, sent = perf_counter(), 0
        while len(delays) < messages * members:
            now = perf_counter()
            if now - start > messages / MESSAGES_PER_SECOND + LIMIT_SECONDS:
                break
            if sent < messages and now >= start + sent / MESSAGES_PER_SECOND:
                browsers[sent * 7 % len(browsers)].say_the_time()
                sent += 1
            for number, _ in poll.poll(0.002):
                for frame in by_number[number].take():
                    found = SENT_AT.search(frame)
                    if found:
                        delays.append(perf_counter() - float(found[1]))
    return delays


ROW = Row(
    name="chat",
    title="ms for 99 of 100 messages to reach a browser, of 1,000 in 20 rooms",
    subject=deliver,
    goal=Goal(100.0, at_most=True),
    count=25_000,
    quick_count=2_500,
    unit="ms",
    needs=("wsproto",),
)
