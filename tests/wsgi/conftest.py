"""A node whose delegate is a WSGI app, and clients of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest

from greenproc import Runtime, Settings
from greenproc.testing import RuntimeMaker
from greenproc.wsgi import WSGIProcess
from tests.peer import LIMIT, Peer

APP = "app"


class Site:
    """A node that serves an app at its root, and what connects to it."""

    def __init__(self, runtime: Runtime, process: WSGIProcess) -> None:
        self.runtime = runtime
        self.process = process
        self.peers: list[Peer] = []

    def connect(self) -> Peer:
        self.peers.append(Peer.connect(self.runtime.address))
        return self.peers[-1]

    def get(self, target: str = "/", *lines: str) -> Any:
        """Return the response to a GET on a connection of its own."""
        return self.connect().ask(get(target, *lines))

    def raw(self, data: bytes) -> bytes:
        """Send *data*, and return all bytes until the node closes; *data* must make it do so."""
        peer = self.connect()
        peer.send(data)
        return peer.read_to_end()

    def settle(self) -> None:
        """Wait until no call of the app runs, and so each was closed."""
        with gevent.Timeout(LIMIT):
            while len(self.process._calls):
                gevent.idle()


Serve = Callable[..., Site]


def get(target: str = "/", *lines: str, version: str = "1.1") -> bytes:
    more = "".join(f"{line}\r\n" for line in lines)
    return f"GET {target} HTTP/{version}\r\nHost: h\r\n{more}\r\n".encode("latin-1")


def post(body: bytes, *lines: str, target: str = "/") -> bytes:
    more = "".join(f"{line}\r\n" for line in (f"Content-Length: {len(body)}", *lines))
    return f"POST {target} HTTP/1.1\r\nHost: h\r\n{more}\r\n".encode() + body


@pytest.fixture
def serve(make_runtime: RuntimeMaker) -> Iterator[Serve]:
    """Return a function that serves an app as the delegate of a node."""
    sites: list[Site] = []

    def serve(app: Any, *, settings: Settings | None = None, **options: Any) -> Site:
        runtime = make_runtime(settings or Settings(stop_timeout=5.0), delegate=APP)
        process = WSGIProcess(APP, app, **options)
        runtime.spawn(process)
        sites.append(Site(runtime, process))
        return sites[-1]

    yield serve
    for site in sites:
        for peer in site.peers:
            peer.close()
