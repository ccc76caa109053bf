"""`ServerConnection`: one accepted connection: requests in, messages delivered, responses out.

It is in one of these states; ``-`` leaves it there. A *last request* carries ``Connection: close``
or a handshake, a *bad request* breaks HTTP; *slow* is the time limit of a head or a body, *idle*
that of a connection that owes nothing::

    state      request  last request  bad request  last response  101       eof        idle    slow       reset   close
    ---------  -------  ------------  -----------  -------------  --------  ---------  ------  ---------  ------  ------
    OPEN       -        FINISHING     FINISHING    LINGERING      -         FINISHING  CLOSED  FINISHING  CLOSED  CLOSED
    FINISHING  -        -             -            LINGERING      UPGRADED  -          -       -          CLOSED  CLOSED
    LINGERING  -        -             -            -              -         CLOSED     -       -          CLOSED  CLOSED
    UPGRADED   -        -             -            -              -         CLOSED     -       -          CLOSED  CLOSED
    CLOSED     -        -             -            -              -         -          -       -          -       -

A connection that is FINISHING takes no request, and sends the responses that it owes. LINGERING
gives the client time to read the last one; without a wait, after the *eof* of the client, the last
response closes the connection. UPGRADED belongs to another protocol, see
`greenproc.http.upgrade`. The time limits of clients are in `greenproc.transport.timeouts`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import Enum
from functools import cached_property
from time import time

from gevent import Timeout, socket

from greenproc.address import Address
from greenproc.errors import RemoteProtocolError
from greenproc.http.head import RequestHead
from greenproc.http.parser import RequestParser
from greenproc.http.raw_message import RawRequest, to_raw_request, to_request
from greenproc.http.request import Request
from greenproc.http.status import Status
from greenproc.http.upgrade import NO_WEBSOCKET, UpgradedConnection, UpgradedProtocol
from greenproc.http.writer import CONTINUE, accepted_response
from greenproc.hub.fork import close_copy
from greenproc.hub.iteration_budget import iteration_budget, yield_if_spent
from greenproc.message import Message
from greenproc.process.ports import Delivery
from greenproc.transport.body_pipe import BodyPipe
from greenproc.transport.hooks import (
    BODY_TOO_SLOW,
    HEAD_TOO_SLOW,
    HOST_NOT_ALLOWED,
    ListenerContext,
)
from greenproc.transport.listen_socket import address_of
from greenproc.transport.response_writer import MAX_DELAYED_ACKS, ResponseHooks, ResponseWriter
from greenproc.transport.responses import refuse_delivery, refuse_request, refuse_sender
from greenproc.transport.socket_reader import SocketReader
from greenproc.transport.timeouts import ConnectionPhase, has_ended

READ_BYTES = 128 * 1024  # 4 % more messages a second than 64 KiB or 256 KiB
YIELD_BYTES = 64 * 1024  # then processes get their turn, while its messages are in the cache

# A client that sends no more at a time goes ahead of those that keep the node busy: a request of
# a browser is below it, a batch of messages is not.
SMALL_BYTES = 4 * 1024

# After so long without a response, a client that sends no more is taken for one that is gone.
# Closing a socket and closing its sending side look the same from here. So a discard of the
# pending responses is requested, but they are sent all the same if they come.
GONE_SECONDS = 1.0

# So many messages are accepted while their sender takes no responses; then reading pauses. Twice
# what may be delayed on purpose, so that a delay alone never pauses a sender.
MAX_UNSENT_ACKS = 2 * MAX_DELAYED_ACKS

# What a client may send in another protocol before it has the 101. The protocol has bounds of its
# own from then on; browsers send nothing before.
AHEAD_BYTES = 64 * 1024

LINGER_SECONDS = 2.0  # how long a client may take to read the last response; as Apache
LINGER_BYTES = 16 * 1024 * 1024  # and how much it may go on sending: the rest of an upload

log = logging.getLogger("greenproc.transport")


class ServerConnectionState(Enum):
    """Where in its life a server connection is."""

    OPEN = "open"
    FINISHING = "finishing"
    LINGERING = "lingering"
    UPGRADED = "upgraded"
    CLOSED = "closed"


class ServerConnection:
    """A connection that a client opened.

    `run` reads in one greenlet. All messages and requests of a read are delivered first, and
    their responses leave in one send. A response that is not known yet is a future; when it
    completes, the hub sends what is ready. See `ResponseWriter`.

    Args:
        accepted: the socket.
        client: the address at the other end; None for a Unix socket.
        context: what the connections of the listener share.

    Source: libprocess src/process.cpp, internal::receive, and src/http_proxy.cpp.
    """

    def __init__(
        self, accepted: socket.socket, client: Address | None, context: ListenerContext
    ) -> None:
        settings = context.settings
        self.client = client
        self._socket = accepted
        self._reader = SocketReader(accepted, READ_BYTES)
        self._context = context
        self._settings = settings
        self._hooks = context.hooks
        self._deliver: Callable[[Message], Delivery | None] = context.hooks.deliver
        if settings.require_peer_address_ip_match:
            self._deliver = self._deliver_from_client
        self._budget = iteration_budget()
        self._is_small = True  # what was read since the last turn of others
        self._parser = RequestParser(
            heads=context.heads, streams=self._open_body, is_spent=self._budget.is_spent
        )
        hooks = ResponseHooks(
            finished=self._finished,
            broken=self.close,
            responded=self._responded,
            upgraded=self._upgraded,
        )
        self._writer = ResponseWriter(accepted, client, context, hooks)
        self._owed = self._writer.owed  # whether it is empty is asked for each read
        # No request is taken any more; the client sends no more; the last response is sent; the
        # socket is closed. Flags, and not one state: the first is read for each read of the socket.
        self._last = self._is_eof = self._is_lingering = self._closed = False
        # The last head, and whether its sender ignores responses.
        self._head: RequestHead | None = None
        self._is_agent = False
        self._has_delivered = False  # a message: the connection may be the link of a node
        self._body: BodyPipe | None = None  # the last one that was streamed
        self._waits_for_room = False  # so that nothing is read
        self._owes_continue = False  # for that body, as soon as its handler reads it
        self._protocol: UpgradedProtocol | None = None  # instead of HTTP
        self._ahead = b""  # bytes of that protocol which came before its 101
        self.requests = self._served = 0  # the latter were no messages

    def __repr__(self) -> str:
        client = self.client or "at a Unix socket"
        return f"<ServerConnection {client} {self.state.name}, {len(self._owed)} unanswered>"

    @property
    def state(self) -> ServerConnectionState:
        """The row of the table above."""
        if self._closed:
            return ServerConnectionState.CLOSED
        if self._protocol is not None:
            return ServerConnectionState.UPGRADED
        if self._is_lingering:
            return ServerConnectionState.LINGERING
        is_finishing = self._last or self._is_eof
        return ServerConnectionState.FINISHING if is_finishing else ServerConnectionState.OPEN

    def run(self) -> None:
        """Serve the client until it closes the connection, breaks HTTP, or has its last response."""
        try:
            self._hooks.accepted(self.client)
            self._read()
            self._finish()
            if self._protocol is not None:
                self._protocol.run(
                    UpgradedConnection(self._socket, self._reader.read, self._ahead)
                )
        except OSError as error:
            log.debug("connection from %s lost: %s", self.client, error)
        finally:
            self.close()
            self._hooks.left(self.client)

    def disown(self) -> None:
        """Close the descriptor, in a forked child; the connection is the parent's."""
        self._closed = True
        self._writer.disown()
        self._reader.disown()
        close_copy(self._socket)

    def close(self) -> None:
        """Close at once; the discard of all responses that are owed is requested."""
        if self._closed:
            return
        self._closed = True
        self._writer.close()
        self._reader.close()
        self._socket.close()
        if self._protocol is not None:
            self._protocol.close()
        self._context.closed(self)
        if self._body is not None:
            self._body.fail("the client is gone")
        self._writer.discard_pending()

    # Reading

    def _read(self) -> None:
        """Take requests until there are no more.

        Before each piece of work, processes and other connections get their turn if the time of
        this iteration of the hub is over. One read can be many pieces of work.
        """
        parser, budget = self._parser, self._budget
        unyielded = 0
        while not self._last:
            # The parser stops in the middle of a read when its budget is spent.
            data = b"" if parser.has_more else self._receive()
            unyielded += len(data)
            self._is_small = unyielded <= SMALL_BYTES and len(data) > 0
            if unyielded >= YIELD_BYTES or budget.is_spent():
                unyielded = 0
                budget.wait(ahead=self._is_small)
            if self._last or not (data or parser.has_more):
                # A handler may have ended the connection in the meantime.
                self._is_eof = not (data or parser.has_more)
                parser.feed_eof()
                self._check_parser()
                return
            self._take(parser.feed(data))
            self._check_parser()

    def _receive(self) -> bytes:
        """Send what is ready, wait for input, and return it."""
        if self._owed and not (self._is_agent and self._writer.delay_acks()):
            self._writer.flush()
        return self._reader.read()

    def _take(self, requests: list[RawRequest]) -> None:
        """Deliver messages and serve requests, and queue their responses."""
        # Local names: the loop below runs once for each message.
        append = self._writer.append
        decode = self._context.decode
        deliver = self._deliver
        accepted_delivery = Delivery.ACCEPTED
        # One 202 serves all messages of a read: its Date counts seconds.
        accepted = accepted_response(int(time()))
        for raw in requests:
            try:
                message = decode(raw)
            except RemoteProtocolError as error:
                # The message is malformed, but where the next one begins is known.
                append(refuse_request(error, last=False))
                continue
            if message is None:
                self._serve(raw)
                if self._last:
                    break
            elif (delivery := deliver(message)) is accepted_delivery:
                append(accepted)
            elif delivery is None:
                append(refuse_sender(message, self.client))
            else:
                append(refuse_delivery(delivery))
        if requests:
            self.requests += len(requests)
            head = requests[-1].head
            if head is not self._head or not self._has_delivered:
                self._note_client(head, accepted)
            if self._writer.is_full:
                self._wait_for_room()

    def _note_client(self, head: RequestHead, accepted: bytes) -> None:
        """Note whether the client delivers messages, and whether it ignores responses.

        libprocess ignores them, and its ``User-Agent`` tells it from clients that do not.
        """
        if not self._has_delivered and self._served != self.requests:
            self._has_delivered = accepted in self._owed
        if head is self._head:
            return
        self._head = head
        self._is_agent = any(
            name.lower() == b"user-agent" and value.startswith(b"libprocess/")
            for name, value in head.headers
        )

    def _deliver_from_client(self, message: Message) -> Delivery | None:
        """Deliver a message, but only if its sender has the IP address of the client."""
        if self.client is None or message.sender.address.ip != self.client.ip:
            return None
        return self._hooks.deliver(message)

    def _serve(self, raw: RawRequest) -> None:
        """Serve an HTTP request, and owe its response."""
        self._served += 1
        if self._writer.is_full:
            self._wait_for_room()
        writer = self._writer
        if writer.is_closed and raw.sink is None:
            return  # the client is gone: the work on what it sent ahead would be in vain
        if raw.head.upgrades and not self._hooks.upgrades(raw.head.path):
            error = RemoteProtocolError(NO_WEBSOCKET, status=Status.NOT_IMPLEMENTED)
            self._refuse(error, has_body=True)
            return
        try:
            request = to_request(
                raw,
                self.client,
                max_body_bytes=self._settings.max_body_bytes,
                pause=yield_if_spent,
                connection=self,
            )
        except RemoteProtocolError as error:
            if not self._hooks.is_raw(raw.head.path):
                self._refuse(error, has_body=raw.method != b"HEAD")
                return
            # A raw route gets the request undecoded, so there is nothing to refuse.
            request = to_raw_request(raw, self.client, connection=self)
        body = None if raw.sink is None else self._attach_body(raw, request)
        future = self._hooks.serve(request)
        writer.append_pending(future, request)
        if body is not None:
            # Only now: it waits for the handler when the pipe is full.
            body.begin()
        if self._budget.is_spent():
            self._budget.wait(ahead=self._is_small)

    def _check_parser(self) -> None:
        parser = self._parser
        if self._last:
            return  # the last response is owed already
        if parser.error is not None:
            if parser.has_failed_sink:
                self._last = True  # the read of the handler fails, and the handler responds
            else:
                self._refuse(parser.error, has_body=not parser.is_head_request)
        # A body that is read whole is wanted at once; a streamed one when its handler reads.
        elif parser.expects_continue and (self._body is None or self._body.is_over):
            self._writer.append(CONTINUE)
        elif parser.is_finished:
            self._last = True

    def _refuse(self, error: RemoteProtocolError, *, has_body: bool) -> None:
        """Respond to a request that breaks HTTP: where the next one begins is not known."""
        log.debug("refused a request from %s: %s", self.client, error)
        if error.status == Status.MISDIRECTED_REQUEST:
            self._hooks.refused(self.client, HOST_NOT_ALLOWED)
        self._writer.append(refuse_request(error, last=True, has_body=has_body))
        self._last = True

    def _wait_for_room(self) -> None:
        """Pause reading while too many requests have no response."""
        writer = self._writer
        if writer.has_pending:
            writer.flush()
            self._waits_for_room = True
            try:
                writer.wait_until(lambda: not writer.is_full, None)
            finally:
                self._waits_for_room = False
        elif len(writer) > MAX_UNSENT_ACKS:
            writer.flush()
            writer.wait_until(lambda: len(writer) <= MAX_UNSENT_ACKS, None)

    # Bodies that a handler reads as they come

    def _open_body(self, raw: RawRequest) -> BodyPipe | None:
        """Return the pipe for the body of a request; None if that is to be read whole."""
        if self._context.is_message(raw):
            return None
        path = raw.head.path
        if not self._hooks.streams(path):
            return None
        is_raw = self._hooks.is_raw(path)
        if not is_raw:
            try:
                raw.head.parse_parts()
            except RemoteProtocolError:
                return None  # the request is refused once it is complete
        is_compressed = raw.head.is_gzip and not is_raw
        return BodyPipe(
            self._stop_taking, blame=self._status_of_fault, is_compressed=is_compressed
        )

    def _status_of_fault(self) -> int:
        error = self._parser.error
        return Status.BAD_REQUEST if error is None else error.status

    def _attach_body(self, raw: RawRequest, request: Request) -> BodyPipe:
        body = raw.sink
        assert isinstance(body, BodyPipe)
        self._body = body
        request.reader = body.reader
        self._owes_continue = raw.head.expects_continue and self._parser.expects_continue
        if self._owes_continue and not self._hooks.is_raw(raw.head.path):
            # Ahead of the response, whose handler would wait for a body that never comes.
            self._owes_continue = False
            self._writer.append(CONTINUE)
        return body

    @cached_property
    def local(self) -> Address | None:
        """See `ClientConnection`."""
        return address_of(self._socket.getsockname())

    def proceed(self) -> None:
        """See `ClientConnection`. Waits for the client if it does not read."""
        if self._owes_continue:
            self._owes_continue = False
            if self._parser.expects_continue and self._writer.has_pending:
                # The last request of the queue is the one that waits for it.
                self._writer.insert_continue(CONTINUE)

    def _responded(self, request: Request) -> None:
        """Skip the rest of the body of a request whose response is sent."""
        if self._body is not None and self._body.reader is request.reader:
            self._body.skip()

    def _upgraded(self, protocol: UpgradedProtocol) -> None:
        """Keep the protocol; called by the greenlet that writes, before `run` goes on."""
        self._protocol = protocol

    def _stop_taking(self) -> None:
        self._last = True

    # Clients that take too long, or make room

    def phase(self) -> tuple[ConnectionPhase, int, int]:
        """See `Monitored`. A connection that delivered a message, or sent nothing, may be a link."""
        number = self.requests
        if self._last or self._writer.is_sending:
            return ConnectionPhase.UNTIMED, number, 0
        parser = self._parser
        body_bytes = parser.body_bytes
        # Nothing is read while the connection is held, so that no read sees the FIN of the client.
        is_held = self._waits_for_room or (self._body is not None and self._body.is_full)
        if is_held and has_ended(self._socket):
            return ConnectionPhase.HALF_CLOSED, number, self._writer.progress + (body_bytes or 0)
        if self._writer.is_writing:
            return ConnectionPhase.UNTIMED, number, 0
        if body_bytes is not None:
            is_ours = self._owes_continue or (self._body is not None and self._body.is_full)
            return (
                (ConnectionPhase.UNTIMED if is_ours else ConnectionPhase.BODY),
                number,
                body_bytes,
            )
        if not parser.is_idle:
            return (
                (ConnectionPhase.UNTIMED if self._writer.is_full else ConnectionPhase.HEAD),
                number,
                0,
            )
        # A node that links sends nothing over a link until it has a message, for days perhaps.
        may_be_link = self._has_delivered or (self._context.carries_messages and self._is_silent)
        is_idle = self._writer.is_done and not may_be_link
        return (ConnectionPhase.IDLE if is_idle else ConnectionPhase.UNTIMED), number, 0

    @property
    def _is_silent(self) -> bool:
        """Whether the client has sent nothing at all."""
        return not (self.requests or self._parser.has_skipped_lines)

    @property
    def cost_of_loss(self) -> int | None:
        """See `Dispensable`: 0 for silent clients, 1 for part of a first head, 2 for idle clients."""
        if self._last or self._closed or self._has_delivered or not self._writer.is_done:
            return None
        if self._parser.is_idle:
            return 0 if self._is_silent else 2
        return 1 if not self.requests and self._parser.body_bytes is None else None

    def time_out(self, phase: ConnectionPhase) -> None:
        """See `Monitored`. Responds with 408 to a request under way, unless its handler reads it."""
        if phase is ConnectionPhase.IDLE or phase is ConnectionPhase.HALF_CLOSED:
            self.close()
            return
        error = RemoteProtocolError(f"the {phase.value} took too long", status=408)
        self._hooks.refused(
            self.client, HEAD_TOO_SLOW if phase is ConnectionPhase.HEAD else BODY_TOO_SLOW
        )
        # A handler that reads the body gets the error from its read, and responds itself.
        if phase is ConnectionPhase.BODY and self._body is not None and not self._body.is_over:
            self._last = True
            self._parser.fail(error)
        else:
            self._refuse(error, has_body=not self._parser.is_head_request)
        self._socket.shutdown(socket.SHUT_RD)  # which wakes the greenlet that reads

    # The end

    def _finished(self) -> None:
        """Take no more requests: the last response is sent, unless a request is under way."""
        if not self._last and (self._writer.is_last_owed or self._parser.is_idle):
            self._last = True
            self._hooks.spawn(self._close_politely)

    def drain(self) -> None:
        """Close the connection as soon as all requests have their responses."""
        if self._protocol is not None:
            self._protocol.drain()
        elif self._writer.is_done and self._parser.is_idle:
            self.close()
        else:
            self._writer.drain()

    def drain_http(self) -> None:
        """Drain the connection, unless it carries messages, or has not shown what it carries.

        A connection in another protocol ends when its process does.
        """
        if self._served and self._served == self.requests and self._protocol is None:
            self.drain()

    def wait_written(self, seconds: float) -> None:
        """Wait until the client has what is being sent to it, *seconds* at most."""
        if self._protocol is not None:
            self._protocol.wait_closed(seconds)
            return
        self._writer.wait_until(lambda: not self._writer.is_sending, seconds)

    def _finish(self) -> None:
        """Send the responses that are still owed, and let the client read them."""
        writer = self._writer
        writer.flush()
        # Without requests nothing reads any more, and so nothing would see the end of the client.
        is_watched = not (writer.is_done or self._is_eof)
        watch = self._hooks.spawn(self._watch) if is_watched else None
        while not (writer.is_done or writer.is_closed):
            if not self._wait_for_progress():
                return
        # The bytes behind the handshake are the first ones of the protocol.
        if self._protocol is not None:
            self._ahead = self._parser.trailing_data + self._ahead
            if watch is not None:
                watch.kill()  # which reads, as the protocol will
            return
        if self._is_eof or writer.is_closed or not self._last:
            return
        # RFC 9112, section 9.6: a close with unread bytes would discard the response in the client.
        self._is_lingering = True
        self._socket.shutdown(socket.SHUT_WR)
        if is_watched:
            writer.wait_until(lambda: self._is_eof, LINGER_SECONDS)
        else:
            with Timeout(LINGER_SECONDS, False):  # type: ignore[arg-type]  # False: end quietly
                self._watch()

    def _wait_for_progress(self) -> bool:
        """Wait until more is sent; return False if nothing was for long: the client may be gone."""
        writer, progress, was_eof = self._writer, self._writer.progress, self._is_eof

        def has_changed() -> bool:
            return writer.is_done or writer.progress != progress or self._is_eof != was_eof

        # A client that sends may still read: the limits of the writer are enough for it.
        if not was_eof:
            writer.wait_until(has_changed, None)
            return True
        limit = self._settings.answer_timeout
        first = min(GONE_SECONDS, limit)
        writer.wait_until(has_changed, first)
        # Half-closed clients that read, such as nc -N, get their responses in the second part.
        if not has_changed():
            writer.request_discards()
            writer.wait_until(has_changed, limit - first)
        return has_changed()

    def _watch(self) -> None:
        """Read and drop what the client still sends, until its eof, or up to a limit.

        Bytes that may be the first of another protocol are kept.
        """
        is_kept = self._parser.is_upgrading
        budget = AHEAD_BYTES if is_kept else LINGER_BYTES
        try:
            while budget > 0 and (data := self._reader.read()):
                budget -= len(data)
                if is_kept:
                    self._ahead += data
            if is_kept and budget <= 0:
                return
        except OSError as error:
            self._writer.write_failed(error)
        self._is_eof = True
        self._writer.notify()

    def _close_politely(self) -> None:
        """Let the client read the last response, which carried ``Connection: close``."""
        self._is_lingering = True
        self._writer.discard_pending()
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            log.debug("connection from %s lost: %s", self.client, error)
        else:
            self._writer.wait_until(lambda: self._closed, LINGER_SECONDS)
        self.close()
