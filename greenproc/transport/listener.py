"""`Listener`: a socket that listens, and the connections that were accepted from it."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from typing import Any

from gevent import Greenlet, joinall, socket
from gevent.server import StreamServer

from greenproc.address import ADDRESS_EMPTY, Address
from greenproc.errors import StateError
from greenproc.http.head_cache import HeadCache
from greenproc.http.hosts import AllowedHosts
from greenproc.http.limits import ParserLimits
from greenproc.http.raw_message import RawRequest
from greenproc.http.response import ServiceUnavailable
from greenproc.http.writer import encode_response
from greenproc.hub.fork import close_copy, silence, watch_fork
from greenproc.hub.iteration_budget import yield_if_spent
from greenproc.hub.lifetime import kill_within
from greenproc.settings import Settings
from greenproc.transport.buffered_writer import UnsentBytes, write_some
from greenproc.transport.connection_limit import ConnectionLimit
from greenproc.transport.delayed_acks import DelayedAcks
from greenproc.transport.hooks import ListenerContext, TransportHooks
from greenproc.transport.listen_socket import address_of, listen_on, path_of, remove_path
from greenproc.transport.server_connection import ServerConnection
from greenproc.transport.timeouts import IdleMonitor, notice_loss
from greenproc.wire.framing import MessageDecoder, is_message

REFUSAL = encode_response(ServiceUnavailable(headers={"Connection": "close"}))
FLUSH_SECONDS = 2.0  # for clients to read what is being sent when the listener stops
# Connections that are accepted between two polls of the descriptors. Each costs some 300 us, with
# its greenlet and its first read, so that open connections wait 2.4 ms at most.
MAX_ACCEPTED = 8

KILL_SECONDS = 1.0  # for killed greenlets to end; a `finally` of users' code may wait
MIN_BACK_OFF = 0.01  # seconds; doubled after each failure in a row, which may last for hours
MAX_BACK_OFF = 1.0
LOG_SECONDS = 60.0  # between two log lines about accepts that fail

log = logging.getLogger("greenproc.transport")


def no_message(_request: RawRequest) -> None:
    """Decode no request into a message."""


class Listener:
    """Accepts connections on the address of the settings and serves them.

    `bind` takes the port, so that a node knows its address before it serves; clients that connect
    before `start` wait in the backlog.

    Args:
        settings: the address, and the limits.
        hooks: the runtime.

    Raises:
        InvalidSettings: TLS is enabled, which is not implemented.

    Source: libprocess src/process.cpp, initialize and on_accept.
    Differs: an accept that failed is retried after a pause; libprocess retries at once.
    """

    def __init__(self, settings: Settings, hooks: TransportHooks) -> None:
        settings.check_encryption()
        self._settings = settings
        self._hooks = hooks
        self._accepted = self._requests = 0  # the latter of connections that are closed
        self._connections: dict[ServerConnection, None] = {}  # the oldest first
        self._greenlets: set[Greenlet[..., Any]] = set()
        self._monitor = IdleMonitor(settings, self._connections)
        self._limit = ConnectionLimit(settings, self._connections, hooks.refused)
        self._monitoring: Greenlet[..., Any] | None = None
        self._socket: socket.socket | None = None
        self._path: str | None = None
        self._acceptor: Acceptor | None = None
        self._context: ListenerContext | None = None
        self.address: Address | None = None
        self._kept: object = None
        watch_fork(self)

    def keep(self, server: object) -> None:
        """Hold a reference to *server*, so that it lives as long as this listener; None drops it."""
        self._kept = server

    def __repr__(self) -> str:
        state = "ACCEPTING" if self._acceptor is not None else "IDLE"
        return f"<Listener {self.address or self._path} {state}, {len(self._connections)} connections>"

    def bind(self) -> Address:
        """Bind and listen, and return the address that was bound.

        Raises:
            BindError: the system refuses the address.
        """
        self.use_socket(listen_on(Address(self._settings.ip, self._settings.port)))
        assert self.address is not None
        return self.address

    def use_socket(self, listening: socket.socket) -> None:
        """Accept from a socket that listens already. Instead of `bind`."""
        self._socket = listening
        self._path = path_of(listening)
        self.address = address_of(listening.getsockname())

    def start(self, local: Address | None = None, *, carries_messages: bool = True) -> None:
        """Begin to accept.

        Args:
            local: the address that the node advertises, which becomes the receiver's address of
                the messages that arrive; None means the address that is bound.
            carries_messages: whether requests may be messages. If not, each is served.

        Raises:
            StateError: there is nothing to accept from.
        """
        if self._socket is None:
            raise StateError("nothing to accept from: call bind() first")
        self._context = self._new_context(local or self.address, carries_messages=carries_messages)
        self._acceptor = Acceptor(self._socket, self._accept, self._limit.make_room)
        self._acceptor.start()

    def _new_context(self, local: Address | None, *, carries_messages: bool) -> ListenerContext:
        settings = self._settings
        limits = ParserLimits(
            max_header_bytes=settings.max_header_bytes,
            max_headers=settings.max_headers,
            max_body_bytes=settings.max_body_bytes,
            hosts=self._allowed_hosts(local),
        )
        decoder = MessageDecoder(
            local or ADDRESS_EMPTY,
            max_body_bytes=settings.max_body_bytes,
            pause=yield_if_spent,
        )
        return ListenerContext(
            settings=settings,
            hooks=replace(self._hooks, spawn=self.spawn),
            carries_messages=carries_messages,
            decode=decoder.decode if carries_messages else no_message,
            is_message=is_message if carries_messages else no_message,
            heads=HeadCache(limits),
            unsent=UnsentBytes(settings.max_unsent_bytes),
            delayed_acks=DelayedAcks(),
            closed=self._forget,
        )

    def _allowed_hosts(self, local: Address | None) -> AllowedHosts | None:
        """Return the hosts that requests may name, None for any."""
        settings = self._settings
        names = settings.allowed_hosts
        if not names or "*" in names:
            return None
        addresses = [one for one in (self.address, local) if one is not None]
        ips = [one.ip for one in addresses]
        if settings.ip6 is not None:
            ips.append(settings.ip6)
        return AllowedHosts(names, ips, any_ip=any(one.is_any for one in addresses))

    def stop_accepting(self) -> None:
        """Close the listening socket; open connections go on."""
        if self._acceptor is not None:
            self._acceptor.stop()
            self._acceptor = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            if self._path is not None:
                remove_path(self._path)

    def disown(self) -> None:
        """Close the descriptors, in a forked child; the connections are the parent's.

        The path of a Unix socket stays where it is.
        """
        if self._acceptor is not None:
            self._acceptor.stop_accepting()
        if self._socket is not None:
            close_copy(self._socket)
        for connection in self._connections:
            connection.disown()
        if self._context is not None:
            self._context.delayed_acks.disown()
        silence((*self._greenlets, self._monitoring))

    def drain_http(self) -> None:
        """Stop accepting, and let each connection close after the responses that it owes.

        Connections that carry messages stay open.
        """
        self.stop_accepting()
        for connection in list(self._connections):
            connection.drain_http()

    def drain(self, timeout: float) -> None:
        """Stop accepting, and wait until all connections are closed.

        A connection closes when all its requests have their responses.

        Args:
            timeout: seconds; connections that are not closed then stay open.
        """
        self.stop_accepting()
        deadline = monotonic() + timeout
        for connection in list(self._connections):
            connection.drain()
        while self._greenlets and (left := deadline - monotonic()) > 0:
            joinall(list(self._greenlets), timeout=left)

    def stop(self, timeout: float) -> int:
        """Stop accepting and close all connections, after what is being sent.

        Args:
            timeout: seconds for clients to read, and for the handlers to end.

        Returns how many greenlets did not end in that time and were killed.
        """
        self.stop_accepting()
        if self._context is not None:
            # Messages of the last milliseconds are acknowledged, too.
            self._context.delayed_acks.close()
        deadline = monotonic() + min(timeout, FLUSH_SECONDS)
        for connection in list(self._connections):
            connection.wait_written(max(deadline - monotonic(), 0.0))
        for connection in list(self._connections):
            connection.close()
        # It ends by itself without connections, but only after its interval.
        self._stop_monitoring()
        joinall(list(self._greenlets), timeout=timeout)
        stuck = list(self._greenlets)
        kill_within(KILL_SECONDS, stuck)
        return len(stuck)

    def statistics(self) -> dict[str, int]:
        """Count open connections, and connections and requests since the start.

        *max_connections* is the limit of open ones, *evicted* counts those that were closed to
        make room, and *refused* those that were closed as soon as they were accepted.
        """
        return {
            "connections": len(self._connections),
            "max_connections": self._limit.limit,
            "accepted": self._accepted,
            "evicted": self._limit.evicted,
            "refused": self._limit.refused,
            "requests": self._requests + sum(one.requests for one in self._connections),
        }

    def serve(self, connected: socket.socket) -> tuple[ServerConnection, Greenlet[..., Any]]:
        """Serve a connection that was accepted elsewhere, and carries no messages.

        Returns it with the greenlet that serves it.

        Raises:
            OSError: it is lost already.
        """
        if self._context is None:
            self._context = self._new_context(None, carries_messages=False)
        return self._serve(connected, address_of(connected.getpeername()))

    def _accept(self, accepted: socket.socket, name: Any) -> None:
        """Serve a new connection; called in the hub."""
        client = address_of(name)
        try:
            if self._limit.reason_to_refuse(client) is not None:
                # As much of the 503 as fits: the hub must not wait for a client that is refused.
                write_some(accepted, REFUSAL)
                accepted.close()
                return
            self._serve(accepted, client)
        except OSError as error:
            log.debug("connection from %s lost: %s", name, error)
            accepted.close()

    def _serve(
        self, accepted: socket.socket, client: Address | None
    ) -> tuple[ServerConnection, Greenlet[..., Any]]:
        assert self._context is not None
        accepted.settimeout(None)
        if client is not None:
            # With Nagle's algorithm a response could wait 40 ms for the client's delayed ACK.
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            settings = self._settings
            notice_loss(accepted, settings.link_timeout, stall=settings.answer_timeout)
        connection = ServerConnection(accepted, client, self._context)
        self._accepted += 1
        self._connections[connection] = None
        self._limit.add(client)
        if self._monitoring is None and self._monitor.is_needed:
            self._monitoring = self._hooks.spawn(self._monitor.run)
            self._monitoring.rawlink(self._end_monitoring)
        return connection, self.spawn(connection.run)

    def _forget(self, connection: ServerConnection) -> None:
        if connection in self._connections:
            del self._connections[connection]
            self._limit.remove(connection.client)
        self._requests += connection.requests
        if self._acceptor is None and not self._connections:
            self._stop_monitoring()

    def _stop_monitoring(self) -> None:
        if self._monitoring is not None:
            self._monitoring.kill(block=False)

    def _end_monitoring(self, _greenlet: object) -> None:
        self._monitoring = None

    def spawn(self, function: Callable[..., object], /, *args: object) -> Greenlet[..., Any]:
        """Start a greenlet that `stop` waits for."""
        greenlet = self._hooks.spawn(function, *args)
        self._greenlets.add(greenlet)
        greenlet.rawlink(self._greenlets.discard)
        return greenlet


class Acceptor(StreamServer):
    """gevent's accept loop, without its greenlets, and with back-off and a rare log line."""

    max_accept = MAX_ACCEPTED

    def __init__(
        self,
        listening: socket.socket,
        accepted: Callable[[socket.socket, Any], None],
        make_room: Callable[[], bool],
    ) -> None:
        # No greenlets of gevent: the connection starts one in the context of the runtime.
        super().__init__(listening, accepted, spawn=None)
        self._accepted = accepted
        self._make_room = make_room
        self._back_off = MIN_BACK_OFF
        self._log_due = 0.0
        self._retry: Any = None

    def do_handle(self, *args: Any) -> None:
        """Pass a connection on without waiting for its greenlet."""
        self._accepted(*args)

    def do_read(self) -> Any:
        """Accept a connection; pause if the system has no descriptor for it."""
        try:
            accepted = super().do_read()
        except OSError as error:
            if self.is_fatal_error(error):
                raise
            # ECONNABORTED: the client has left the backlog, which says nothing about the next one.
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
        has_room = error.errno in (errno.EMFILE, errno.ENFILE) and self._make_room()
        now = monotonic()
        if self._back_off == MIN_BACK_OFF and now >= self._log_due:
            self._log_due = now + LOG_SECONDS
            log.error("cannot accept connections, and will go on trying: %s", error)
        # The connection stays in the backlog: without a pause the hub would try for ever.
        self.stop_accepting()
        self._retry = self.loop.timer(0.0 if has_room else self._back_off)
        self._retry.start(self.start_accepting)
        if not has_room:
            self._back_off = min(self._back_off * 2, MAX_BACK_OFF)
