"""`SocketManager`: the connections from this node to others, at most one to each address."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from gevent import Greenlet, get_hub, joinall
from gevent.event import Event

from greenproc.address import Address
from greenproc.errors import Broken
from greenproc.hub.fork import silence
from greenproc.hub.lifetime import kill_within
from greenproc.message import Message
from greenproc.process.ports import RemoteConnection
from greenproc.settings import Settings
from greenproc.transport.buffered_writer import UnsentBytes
from greenproc.transport.connection_limit import TEMPORARY_SHARE, Slots, share_of_descriptors
from greenproc.transport.hooks import TransportHooks
from greenproc.transport.peer_connection import PeerConnection, PeerHooks
from greenproc.transport.retries import IsAnswered, RetriedMessage, Retries
from greenproc.wire.framing import MessageEncoder

KILL_SECONDS = 1.0  # how long greenlets may take to end once their sockets are closed

log = logging.getLogger("greenproc.transport")


class SocketManager:
    """Carries messages to other nodes.

    There is at most one connection to an address. A message goes over it, or opens a temporary
    one; a link promotes that one, so that messages to one address keep their order. The loss of
    a linked connection is reported once, and the next message or link opens another one.

    Args:
        settings: the limits, and the time limits.
        hooks: the runtime.
        local: the address of this node, the sender of its messages.

    Source: libprocess src/socket_manager.hpp and SocketManager in src/process.cpp.
    Differs: a temporary connection is kept until its responses are in and it is idle; libprocess
    shuts it down after the last byte and loses what the peer has not read.
    """

    def __init__(self, settings: Settings, hooks: TransportHooks, local: Address) -> None:
        self._settings = settings
        self._hooks = hooks
        self._local = local
        self._connections: dict[Address, PeerConnection] = {}
        # The entry that was used last, since messages come in runs: it spares them a look-up by
        # an address. Cleared when the table changes.
        self._recent_address: Address | None = None
        self._recent: PeerConnection | None = None
        # Connections that get no more messages: idle, or replaced by RECONNECT.
        self._leaving: set[PeerConnection] = set()
        self._greenlets: set[Greenlet[..., Any]] = set()
        self._none_left = Event()
        self._none_left.set()
        self._running = True
        self._dropped = 0
        self._sent_before = 0  # by connections that are closed
        self._slots = Slots(
            settings.max_temporary_connections or share_of_descriptors(TEMPORARY_SHARE)
        )
        self._retries = Retries(
            get_hub(),
            timeout=settings.refusal_timeout,
            max_bytes=settings.max_outgoing_bytes,
            send=self.send,
            mark=self._mark,
            drop=self._drop,
        )
        self._peer_hooks = PeerHooks(
            spawn=self._spawn,
            opened=self._opened,
            ended=self._ended,
            dropped=self._drop,
            answered=self._answered,
            not_found=self._not_found,
            is_retrying=self._retries.is_retrying,
            idle=self._leave_idle,
            slots=self._slots,
            unsent=UnsentBytes(settings.max_unsent_bytes),
        )

    def __repr__(self) -> str:
        now = self.statistics()
        return f"<SocketManager {self._local}, {now['connections']} open, {now['linked']} linked>"

    def start(self) -> None:
        """Accept messages; connections are opened as they are needed."""
        self._running = True

    def send(self, message: Message) -> None:
        """Queue *message* for its address. Never waits, never raises."""
        address = message.to.address
        connection = self._recent
        if connection is None or address is not self._recent_address:
            if self._retries.takes(message):
                return
            connection = self._connections.get(address)
            if connection is None:
                if not self._running:
                    self._drop(message, "the node is stopping")
                    return
                if self._slots.is_crowded:
                    self._drop(message, "too many connections without a link are being opened")
                    return
                try:
                    connection = self._open(address, linked=False, needs_slot=True)
                except Broken as error:
                    self._drop(message, str(error))
                    return
            if not self._retries.receivers:  # else each message has to be checked against them
                self._recent_address, self._recent = address, connection
        connection.send(message)

    def link(self, address: Address, mode: RemoteConnection, *, is_claimed: bool = False) -> None:
        """Keep a connection to *address*, and report its loss through the hook *lost*.

        Args:
            mode: REUSE promotes the connection that exists. RECONNECT makes a new one, which
                takes over what is queued; the old one finishes the batch it is writing, and its
                end is not reported.
            is_claimed: only the sender of a message has named the address, so it may be false.

        Raises:
            Broken: no socket could be made, or the address *is_claimed* and too many of those
                wait to be connected to; existing connections are untouched.

        Source: libprocess SocketManager::link and swap_implementing_socket, src/process.cpp.
        Differs: links to claimed addresses share a bounded number of slots; libprocess opens any
        number of connections to nowhere.
        """
        if not self._running:
            raise Broken(f"cannot connect to {address}: the node is stopping")
        current = self._connections.get(address)
        if current is None:
            if is_claimed and self._slots.is_crowded:
                raise Broken(f"cannot connect to {address}: too many connections are being opened")
            self._open(address, linked=True, needs_slot=is_claimed)
        elif mode is RemoteConnection.REUSE:
            current.promote_to_link(is_claimed=is_claimed)
        else:
            # A connection that was open has shown that the address is right.
            needs_slot = is_claimed and not current.was_open
            fresh = self._open(
                address, linked=True, needs_slot=needs_slot, encoder=current.encoder
            )
            # Batches that were taken cannot move: how much of them the peer has is not known.
            self._leaving.add(current)
            current.move_unsent(fresh)
            current.leave()

    def statistics(self) -> dict[str, int]:
        """Count connections and what they hold.

        *waiting* counts connections that wait for a slot, *leaving* those that get no more
        messages and wait for the peer to close. *unanswered* counts the messages that were sent
        and have no response yet, *sent* and *dropped* all that were written, and all that were
        reported as dropped, so far, and *refused* those that got a 503 and wait to be sent again.
        """
        everyone = [*self._connections.values(), *self._leaving]
        return {
            "connections": len(self._connections),
            "linked": sum(one.linked for one in self._connections.values()),
            "waiting": self._slots.waiting,
            "leaving": len(self._leaving),
            "queued_messages": sum(len(one.queue) for one in everyone),
            "queued_bytes": sum(one.queue.queued_bytes for one in everyone),
            "unanswered": sum(one.queue.unanswered for one in everyone),
            "sent": self._sent_before + sum(one.queue.taken for one in everyone),
            "dropped": self._dropped,
            "refused": len(self._retries),
        }

    def stop(self, timeout: float) -> int:
        """Write what is queued and close every connection. Lost links are not reported.

        Args:
            timeout: seconds; messages that could not be written in it are reported as dropped.

        Returns how many greenlets had to be killed.
        """
        self._running = False
        self._retries.close("the node stopped")
        leaving = list(self._connections.values())
        # First of all: a message that is sent meanwhile is dropped, and opens no connection.
        self._connections.clear()
        self._recent = None
        self._leaving.update(leaving)
        for connection in leaving:
            connection.leave()
        self._none_left.wait(timeout)
        # The peers of these take nothing: what they have not read is lost.
        stopped = Broken("the node stopped")
        for connection in list(self._leaving):
            connection.end(stopped)
        joinall(list(self._greenlets), timeout=KILL_SECONDS)
        stuck = list(self._greenlets)
        kill_within(KILL_SECONDS, stuck)
        return len(stuck)

    def disown(self) -> None:
        """Close the descriptors, in a forked child; the connections are the parent's."""
        self._running = False
        self._retries.disown()
        for connection in (*self._connections.values(), *self._leaving):
            connection.disown()
        silence(self._greenlets)

    def _open(
        self,
        address: Address,
        *,
        linked: bool,
        needs_slot: bool,
        encoder: MessageEncoder | None = None,
    ) -> PeerConnection:
        """Open a connection, and make it the one to *address*."""
        if encoder is None:
            encoder = MessageEncoder(self._local)
        try:
            connection = PeerConnection(
                address,
                encoder,
                self._settings,
                self._peer_hooks,
                linked=linked,
                needs_slot=needs_slot,
            )
        except OSError as error:
            raise Broken(f"cannot connect to {address}: {error}") from error
        self._connections[address] = connection
        self._recent = None
        self._none_left.clear()
        connection.start()
        return connection

    def _leave_idle(self, connection: PeerConnection) -> None:
        """Let an idle connection leave; called in the hub."""
        if self._connections.get(connection.address) is connection:
            del self._connections[connection.address]
            self._recent = None
            self._leaving.add(connection)
            connection.leave()

    def _opened(self, connection: PeerConnection) -> None:
        log.debug("connected to %s", connection.address)
        self._hooks.connected(connection.address)

    def _ended(self, connection: PeerConnection, error: Broken | None) -> None:
        """Remove a closed connection from the tables, then report its loss and its messages."""
        # The tables come first: a hook may send, which opens another connection.
        address = connection.address
        self._sent_before += connection.queue.taken
        was_current = self._connections.get(address) is connection
        if was_current:
            del self._connections[address]
            self._recent = None
        self._leaving.discard(connection)
        if not self._connections and not self._leaving:
            self._none_left.set()
        log.debug("disconnected from %s: %s", address, error or "closed")
        if was_current and connection.linked:
            self._hooks.lost(address, error)
        self._report_dropped(connection, error)
        if connection.was_open:
            self._hooks.disconnected(address)

    def _report_dropped(self, connection: PeerConnection, error: Broken | None) -> None:
        reason = str(error) if error else f"connection to {connection.address} was closed"
        for message in connection.queue.drain_sent():
            self._drop(message, f"{reason}; it may have arrived")
        for message in connection.queue.drain_unsent():
            self._drop(message, reason)

    def _mark(self, address: Address) -> IsAnswered:
        """Return a function: whether all messages to *address* so far have their responses."""
        connection = self._connections.get(address)
        return _nothing_sent if connection is None else connection.mark()

    def _answered(self, messages: Sequence[Message], refused: Sequence[Message]) -> None:
        """Retry messages that got a 503, unless the node stops."""
        if self._running:
            self._recent = None
            self._retries.note_answers(messages, refused)
            return
        for message in refused:
            self._drop(message, f"{message.to} was answered 503, and the node is stopping")

    def _not_found(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._hooks.not_found(message)

    def _drop(self, message: Message, reason: str) -> None:
        if isinstance(message, RetriedMessage):
            message = message.as_it_was()
        self._dropped += 1
        self._hooks.dropped(message, reason)

    def _spawn(self, function: Any, /, *args: Any) -> Greenlet[..., Any]:
        greenlet = self._hooks.spawn(function, *args)
        self._greenlets.add(greenlet)
        greenlet.rawlink(self._greenlets.discard)
        return greenlet


def _nothing_sent() -> bool:
    return True
