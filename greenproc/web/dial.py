"""Connecting the sockets of clients, and starting the greenlets that use them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import copy_context
from functools import partial
from typing import Any

import gevent
from gevent import Greenlet, socket

from greenproc.address import Address
from greenproc.current import find_runtime
from greenproc.errors import Broken, InvalidAddress
from greenproc.future import Future, Promise
from greenproc.web.origin import Origin
from greenproc.web.timeouts import with_timeout

SocketAddress = tuple[socket.AddressFamily, Any]
"""An address family, and an address of that family for the socket module."""


def spawn(function: Callable[..., object], *args: Any) -> Greenlet[..., Any]:
    """Start a greenlet. The current runtime, if any, owns it, and ends it when it stops."""
    start: Callable[..., Greenlet[..., Any]]
    start = gevent.spawn if find_runtime() is None else bound_spawn()
    return start(function, *args)


def bound_spawn() -> Callable[..., Greenlet[..., Any]]:
    """Return a `spawn` that keeps the current runtime or context, to be called in the hub."""
    runtime = find_runtime()
    if runtime is not None and runtime.is_here:  # else its greenlets belong to another thread
        start: Callable[..., Greenlet[..., Any]] = runtime.spawn_greenlet
        return start
    context = copy_context()

    def start_in_context(function: Callable[..., object], *args: Any) -> Greenlet[..., Any]:
        greenlet = Greenlet(function, *args)
        greenlet.gr_context = context.copy()
        greenlet.start()
        return greenlet

    return start_in_context


def dial(origin: Origin, timeout: float | None) -> Future[socket.socket]:
    """Return the future of a socket that is connected to *origin*. A discard request aborts.

    Args:
        origin: the server.
        timeout: seconds of the current clock; None leaves it to the operating system.

    Failures of the future are `Broken` and `WaitTimeout`.
    """
    promise: Promise[socket.socket] = Promise()
    future = promise.future
    opener = spawn(_open, origin, promise)
    future.on_discard(partial(opener.kill, block=False))
    opener.rawlink(lambda _: promise.discard())  # for a greenlet that is killed before it starts
    return with_timeout(future, timeout, f"cannot connect to {origin}: no answer")


def open_socket(origin: Origin) -> socket.socket:
    """Connect to the first address of *origin* that accepts, and return the socket.

    Raises:
        Broken: it has no address, or none of them accepts.

    Source: libprocess src/http.cpp, http::connect.
    Differs: libprocess tries the first IPv4 address only.
    """
    refusal: OSError | None = None
    try:
        for address in _find_addresses(origin):
            try:
                return _connect(*address)
            except OSError as error:
                refusal = error
    except (socket.gaierror, UnicodeError) as error:
        raise Broken(f"cannot find the address of {origin.host!r}: {error}") from error
    raise Broken(f"cannot connect to {origin}: {refusal}") from refusal


def _open(origin: Origin, promise: Promise[socket.socket]) -> None:
    opened: socket.socket | None = None
    try:
        opened = open_socket(origin)
    except Broken as error:
        promise.fail(error)
    finally:
        # A socket that nothing waits for any more would stay open until its collection.
        if opened is not None and not promise.future.has_discard:
            promise.set(opened)
        else:
            promise.discard()
            if opened is not None:
                opened.close()


def _find_addresses(origin: Origin) -> Iterator[SocketAddress]:
    if origin.is_unix:
        yield socket.AF_UNIX, origin.host
        return
    try:
        literal = Address(origin.host, origin.port)
    except InvalidAddress:
        pass
    else:
        family = socket.AF_INET6 if literal.is_ipv6 else socket.AF_INET
        yield family, (literal.ip, literal.port)
        return
    # Encoded here: a malformed name would print a traceback in the thread of the resolver.
    host = origin.host.encode("idna").decode()
    kind = socket.SOCK_STREAM
    for found in socket.getaddrinfo(host, origin.port, type=kind):
        yield found[0], found[4]


def _connect(family: socket.AddressFamily, address: Any) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    connected = False
    try:
        opened.settimeout(None)
        opened.connect(address)
        if family != socket.AF_UNIX:
            # Nagle's algorithm and delayed acknowledgements would add 40 ms to two segments.
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # TCP can connect a free local port to itself: the operating system may select it as
            # the source port of the attempt.
            if opened.getsockname() == opened.getpeername():
                raise ConnectionRefusedError("nothing listens there")
        connected = True
        return opened
    finally:
        if not connected:
            opened.close()
