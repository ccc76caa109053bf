"""The functions that docs/concepts/paths.md names run, in the order in which it names them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import greenlet
import pytest
from gevent import socket
from gevent.event import Event

import greenproc
from greenproc import UPID, Process, Runtime, install, route
from greenproc.http import OK, Request, Response
from greenproc.testing import RuntimeMaker

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "concepts" / "paths.md").read_text("utf-8")
PACKAGE = f"{Path(greenproc.__file__).parent}/"  # in the checkout, or installed
SECONDS = 10.0

Hop = tuple[str, str]


def hops(title: str) -> list[Hop]:
    """Return the files and functions of a section, but for the alternatives behind ``or``."""
    section = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    section = re.sub(r", or `[^`]+` `[^`]+` in a handler", "", section)
    return re.findall(r"`([\w/]+\.py)` `([\w.]+)`", section)


@contextmanager
def recorded() -> Iterator[list[Hop]]:
    """Record which functions of greenproc are called, in all greenlets of this thread."""
    calls: list[Hop] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(PACKAGE):
            calls.append((code.co_filename.removeprefix(PACKAGE), code.co_qualname))

    # Each greenlet has a profile function of its own.
    before = greenlet.settrace(lambda *_: sys.setprofile(note))
    sys.setprofile(note)
    try:
        yield calls
    finally:
        greenlet.settrace(before)
        sys.setprofile(None)


def assert_in_order(expected: list[Hop], calls: list[Hop]) -> None:
    rest = iter(calls)
    missing = [hop for hop in expected if hop not in rest]
    assert len(expected) >= 10
    assert not missing, f"not called, or not in this order: {missing}"


class Follower(Process):
    def __init__(self) -> None:
        super().__init__("follower")
        self.done = Event()

    @install("hello")
    def on_hello(self, sender: UPID, body: bytes) -> None:
        self.done.set()

    @route("/page")
    def on_page(self, request: Request) -> Response:
        return OK(b"content")

    def ring(self) -> None:
        self.done.set()


@pytest.fixture
def follower(runtime: Runtime) -> Follower:
    process = Follower()
    runtime.spawn(process)
    return process


def run(process: Follower, begin: Callable[[], object]) -> None:
    process.done.clear()
    begin()
    assert process.done.wait(SECONDS)


def test_a_message_takes_the_path_of_the_page(
    follower: Follower, make_runtime: RuntimeMaker
) -> None:
    other = make_runtime()
    to = UPID("follower", follower.pid.address)
    run(follower, lambda: other.post(to, "hello"))  # opens the connection

    with recorded() as calls:
        run(follower, lambda: other.post(to, "hello", b"body"))

    assert_in_order(hops("A message to another node"), calls)


def test_a_request_takes_the_path_of_the_page(follower: Follower) -> None:
    address = follower.pid.address
    with socket.create_connection((address.ip, address.port)) as client, recorded() as calls:
        client.sendall(b"GET /follower/page HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")

    assert_in_order(hops("A request to a route"), calls)


def test_a_timer_takes_the_path_of_the_page(runtime: Runtime, follower: Follower) -> None:
    with recorded() as calls:
        run(follower, lambda: runtime.delay(0.001, follower.pid, Follower.ring))

    assert_in_order(hops("A timer"), calls)
