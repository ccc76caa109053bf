"""Servers written by hand, for the tests of the client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import gevent

from greenproc.errors import GreenprocError
from greenproc.future import Future
from greenproc.http.request import Request
from greenproc.http.response import Response
from greenproc.http.url import URL
from greenproc.testing import await_failed, await_ready
from greenproc.web import Connection, connect
from tests.peer import LIMIT, Acceptor, Peer

E = TypeVar("E", bound=BaseException)

HEAD_END = b"\r\n\r\n"
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def failure_of(future: Future[Any], kind: type[E]) -> str:
    """Wait until *future* has failed with that *kind* of error, exactly, and return its text."""
    error = await_failed(future)
    assert type(error) is kind, repr(error)
    return str(error)


def a_get(path: str = "/", **options: Any) -> Request:
    """Return a request that leaves its connection open."""
    return Request("GET", URL.parse(path), keep_alive=True, **options)


@contextmanager
def connected(server: Acceptor, **limits: Any) -> Iterator[tuple[Connection, Peer]]:
    """Give both ends of a connection.

    The peer reads before it answers: a response that overtakes its request is an error, so a test
    that lets it happen fails on a busy machine only.
    """
    opening = connect(server.address, **limits)
    with server.accept() as peer, await_ready(opening) as connection:
        peer.reads_first = True
        yield connection, peer


@contextmanager
def served(server: Acceptor, script: Callable[[Peer], object]) -> Iterator[None]:
    """Let *script* serve the connections that come within the block, one after the other."""

    def serve() -> None:
        while True:
            with server.accept() as peer:
                script(peer)

    serving = gevent.spawn(serve)
    try:
        yield
    finally:
        serving.kill(timeout=LIMIT)


def answering(*answers: bytes) -> Callable[[Peer], None]:
    """Return a script: one of *answers* to each connection, whose request is read first."""
    left = list(answers)

    def script(peer: Peer) -> None:
        peer.read_until(HEAD_END)
        peer.send(left.pop(0))

    return script


def outcome_of(future: Future[Response]) -> str:
    """Wait until *future* is over and tell how, in a line."""
    try:
        response = future.get(timeout=LIMIT)
        body = response.body
        if response.reader is not None:
            body = response.reader.read_all().get(timeout=LIMIT)
    except GreenprocError as error:
        return f"{type(error).__name__}: {error}"
    return f"{response.status} {body.decode()}"
