"""The listening socket, and the connections that were accepted from it."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gevent import Greenlet, joinall, killall, socket
from gevent.server import StreamServer

from greenproc.address import Address
from greenproc.errors import BindError, StateError
from greenproc.http.head_cache import HeadCache
from greenproc.http.limits import ParserLimits
from greenproc.settings import Settings
from greenproc.transport.context import Counters, InboundContext
from greenproc.transport.hooks import TransportHooks
from greenproc.transport.inbound import Inbound
from greenproc.transport.postponed import Postponed
from greenproc.wire.framing import MessageDecoder

BACKLOG = 500_000  # libprocess' LISTEN_BACKLOG; the kernel cuts it to net.core.somaxconn
KILL_SECONDS = 1.0  # how long a killed greenlet may take to end
MIN_BACK_OFF = 0.01  # seconds; doubled with each failure in a row
MAX_BACK_OFF = 1.0

log = logging.getLogger("greenproc.transport")


class Listener:
    """Accepts connections on the address of the settings and serves them.

    The port is bound by `bind`, so that a node knows its address before it is reached; clients
    that connect before `start` wait in the backlog.

    Source: libprocess src/process.cpp, initialize and on_accept.
    Differs: a failing accept is retried after a pause; there it is retried at once.
    """

    def __init__(self, settings: Settings, hooks: TransportHooks) -> None:
        self._settings = settings
        self._hooks = hooks
        self._counters = Counters()
        self._connections: set[Inbound] = set()
        self._greenlets: set[Greenlet[..., Any]] = set()
        self._socket: socket.socket | None = None
        self._acceptor: Acceptor | None = None
        self._context: InboundContext | None = None
        self.address: Address | None = None

    def __repr__(self) -> str:
        state = "ACCEPTING" if self._acceptor is not None else "IDLE"
        return f"<Listener {self.address} {state}, {len(self._connections)} connections>"

    def bind(self) -> Address:
        """Bind and listen, and return the address that was bound.

        Raises:
            BindError: the address cannot be had.
        """
        ip, port = self._settings.ip, self._settings.port
        family = socket.AF_INET6 if ":" in ip else socket.AF_INET
        listening = None
        try:
            listening = socket.socket(family, socket.SOCK_STREAM)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((ip, port))
            listening.listen(BACKLOG)
        except OSError as error:
            if listening is not None:
                listening.close()
            where = f"[{ip}]:{port}" if family == socket.AF_INET6 else f"{ip}:{port}"
            raise BindError(f"cannot listen on {where}: {error.strerror or error}") from error
        self._socket = listening
        self.address = peer_address(listening.getsockname())
        return self.address

    def start(self, local: Address | None = None) -> None:
        """Begin to accept.

        Args:
            local: what the node tells others to be its address, to which the messages that come
                in are addressed; None means the address that is bound.

        Raises:
            StateError: there is no bound address.
        """
        if self._socket is None or self.address is None:
            raise StateError("nothing to accept from: call bind() first")
        settings = self._settings
        limits = ParserLimits(
            max_header_bytes=settings.max_header_bytes,
            max_headers=settings.max_headers,
            max_body_bytes=settings.max_body_bytes,
        )
        decoder = MessageDecoder(
            self.address if local is None else local, max_body_bytes=settings.max_body_bytes
        )
        self._context = InboundContext(
            settings=settings,
            hooks=replace(self._hooks, spawn=self._spawn),
            decode=decoder.decode,
            heads=HeadCache(limits),
            postponed=Postponed(),
            closed=self._connections.discard,
            counters=self._counters,
        )
        self._acceptor = Acceptor(self._socket, self._accept)
        self._acceptor.start()

    def stop_accepting(self) -> None:
        """Close the listening socket; connections that stand go on."""
        if self._acceptor is not None:
            self._acceptor.stop()
            self._acceptor = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def stop(self, timeout: float) -> int:
        """Stop accepting and close all connections.

        Returns how many greenlets did not end within *timeout* seconds and were killed.
        """
        self.stop_accepting()
        for connection in list(self._connections):
            connection.close()
        if self._context is not None:
            self._context.postponed.close()
        joinall(list(self._greenlets), timeout=timeout)
        stuck = list(self._greenlets)
        killall(stuck, timeout=KILL_SECONDS)
        return len(stuck)

    def statistics(self) -> dict[str, int]:
        """Count connections that are open, and connections and requests since the start."""
        return {
            "connections": len(self._connections),
            "accepted": self._counters.connections,
            "requests": self._counters.requests,
        }

    def _accept(self, accepted: socket.socket, name: tuple[Any, ...]) -> None:
        """Serve a new connection; called in the hub."""
        assert self._context is not None
        try:
            accepted.settimeout(None)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            log.debug("connection from %s lost: %s", name, error)
            accepted.close()
            return
        connection = Inbound(accepted, peer_address(name), self._context)
        self._counters.connections += 1
        self._connections.add(connection)
        self._spawn(connection.run)

    def _spawn(self, function: Callable[..., object], /, *args: object) -> Greenlet[..., Any]:
        greenlet = self._hooks.spawn(function, *args)
        self._greenlets.add(greenlet)
        greenlet.rawlink(self._greenlets.discard)
        return greenlet


class Acceptor(StreamServer):
    """gevent's accept loop, with our greenlets, and quiet about failures that last."""

    def __init__(
        self,
        listening: socket.socket,
        accepted: Callable[[socket.socket, tuple[Any, ...]], None],
    ) -> None:
        super().__init__(listening, accepted, spawn=None)
        self._accepted = accepted
        self._back_off = MIN_BACK_OFF
        self._retry: Any = None

    def do_handle(self, *args: Any) -> None:
        """Hand over a connection without waiting for it to be served."""
        self._accepted(*args)

    def do_read(self) -> Any:
        """Accept a connection, or none for a while if the system has no descriptor to give."""
        try:
            accepted = super().do_read()
        except OSError as error:
            if self.is_fatal_error(error):
                raise
            if error.errno != errno.ECONNABORTED:
                self._pause(error)
            return None
        if accepted:
            self._back_off = MIN_BACK_OFF
        return accepted

    def stop_accepting(self) -> None:
        """Stop watching the listening socket."""
        super().stop_accepting()
        if self._retry is not None:
            self._retry.close()
            self._retry = None

    def _pause(self, error: OSError) -> None:
        if self._back_off == MIN_BACK_OFF:
            log.error("cannot accept connections, and will go on trying: %s", error)
        self.stop_accepting()
        self._retry = self.loop.timer(self._back_off)
        self._retry.start(self.start_accepting)
        self._back_off = min(self._back_off * 2, MAX_BACK_OFF)


def peer_address(name: tuple[Any, ...]) -> Address:
    """Return the address that a socket's *name* means.

    An IPv6 zone is left out, and an IPv4 address that came over an IPv6 socket is shown as what
    it is, so that it compares equal to what the peer calls itself.
    """
    ip = str(name[0]).partition("%")[0]
    if ip.startswith("::ffff:") and "." in ip:
        ip = ip.removeprefix("::ffff:")
    return Address(ip, int(name[1]))
