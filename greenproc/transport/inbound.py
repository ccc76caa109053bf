"""One accepted connection: requests in, messages delivered, answers out in order."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic, time

from gevent import Timeout, get_hub, sleep, socket
from gevent.event import Event

from greenproc.address import Address
from greenproc.errors import RemoteProtocolError
from greenproc.future import Future
from greenproc.http.head import RequestHead
from greenproc.http.head_cache import HeadCache
from greenproc.http.parser import RawRequest, RequestParser, to_request
from greenproc.http.response import Response
from greenproc.http.writer import CONTINUE, accepted_response
from greenproc.message import Message
from greenproc.process.ports import Delivery
from greenproc.settings import Settings
from greenproc.transport.answers import Answers
from greenproc.transport.hooks import TransportHooks
from greenproc.transport.postponed import Postponed
from greenproc.transport.reader import Reader
from greenproc.transport.respond import (
    refuse_delivery,
    refuse_request,
    refuse_sender,
    write_all,
    write_response,
    write_some,
)
from greenproc.wire.framing import MessageDecoder

READ_BYTES = 128 * 1024  # 4 % more messages a second than 64 KiB or 256 KiB
YIELD_BYTES = 64 * 1024  # after so much, processes and other connections get their turn ...
MIN_READ_COST = 4 * 1024  # ... where a read counts as this much at least

# A libprocess peer closes its socket right after its last byte, and an answer that meets a
# closed socket makes the system throw away what is still on its way to us. So its answers are
# put off while there is more to read, but not for ever: a temporary connection counts them.
HOLD_SECONDS = 1.0
HOLD_ANSWERS = 20_000  # to 6 MB of small messages, what Linux buffers for a connection by default

LINGER_SECONDS = 2.0  # how long a client may take to read the last answer; as Apache
LINGER_BYTES = 16 * 1024 * 1024  # and how much it may go on sending

log = logging.getLogger("greenproc.transport")


@dataclass(slots=True)
class Counters:
    """What the connections of one listener have seen."""

    connections: int = 0
    requests: int = 0


@dataclass(frozen=True, slots=True)
class InboundContext:
    """What all accepted connections of a listener share."""

    settings: Settings
    hooks: TransportHooks
    decoder: MessageDecoder
    heads: HeadCache
    postponed: Postponed
    closed: Callable[[Inbound], None]
    """Called with a connection whose socket is closed."""
    counters: Counters = field(default_factory=Counters)


class Inbound:
    """A connection that a client opened.

    `run` reads in one greenlet. Whatever a read brings is delivered first and answered in one
    send. An answer that is not known yet is a future; when it completes, the hub sends what can
    leave. Only a client that does not read, or an answer that is more than bytes, takes a second
    greenlet, which ends when it has nothing to write.

    Source: libprocess src/process.cpp, internal::receive, and src/http_proxy.cpp.
    """

    def __init__(self, accepted: socket.socket, client: Address, context: InboundContext) -> None:
        settings = context.settings
        self.client = client
        self._socket = accepted
        self._reader = Reader(accepted, READ_BYTES)
        self._context = context
        self._settings = settings
        self._hooks = context.hooks
        self._deliver: Callable[[Message], Delivery | None] = context.hooks.deliver
        if settings.require_peer_address_ip_match:
            self._deliver = self._deliver_from_client
        self._parser = RequestParser(heads=context.heads)
        self._answers = Answers(expose_errors=settings.expose_errors)
        self._loop = get_hub().loop
        self._changed: Event | None = None
        # A greenlet is writing, so that nobody else may; a flush in the hub is on its way.
        self._writing = self._flush_scheduled = False
        # No request is taken any more; answers have nowhere to go; the socket is closed.
        self._last = self._mute = self._closed = False
        self._flushed_at = monotonic()
        # The last head, and whether its sender ignores answers; whether some are put off.
        self._head: RequestHead | None = None
        self._is_agent = self._postponed = False

    def __repr__(self) -> str:
        if self._closed:
            state = "CLOSED"
        elif self._mute:
            state = "MUTE"
        else:
            state = "LAST" if self._last else "OPEN"
        return f"<Inbound {self.client} {state}, {len(self._answers)} unanswered>"

    def run(self) -> None:
        """Serve the client until it closes, breaks a rule, or is done."""
        try:
            self._read()
            self._finish()
        except OSError as error:
            log.debug("connection from %s lost: %s", self.client, error)
        finally:
            self.close()

    def close(self) -> None:
        """Close at once; handlers whose answers are not wanted any more see a discard."""
        if self._closed:
            return
        self._closed = self._mute = True
        self._reader.close()
        self._socket.close()
        self._notify()
        self._context.closed(self)
        for future in self._answers.clear():
            future.discard()

    # Reading

    def _read(self) -> None:
        """Take requests until there are no more."""
        feed = self._parser.feed
        cost = 0
        while not self._last:
            data = self._receive()
            if not data:
                self._parser.feed_eof()
                self._check_parser()
                return
            self._take(feed(data))
            self._check_parser()
            cost += max(len(data), MIN_READ_COST)
            if cost >= YIELD_BYTES:
                cost = 0
                sleep(0)

    def _receive(self) -> bytes:
        """Answer, wait, and return what has come."""
        if self._answers and not self._postpone():
            self._flush()
        data = self._reader.read()
        # A handler may have ended the connection in the meantime.
        return b"" if self._last else data

    def _postpone(self) -> bool:
        """Put off answers for which nobody waits; tell whether that was done.

        Source: mesos-go's upid server, which sends no answers to clients of that name at all.
        """
        if not self._is_agent or self._answers.pending or self._is_holding_long():
            return False
        if not self._postponed:
            self._postponed = True
            self._context.postponed.add(self)
        return True

    def _take(self, requests: list[RawRequest]) -> None:
        """Deliver messages and serve requests, and queue their answers."""
        append = self._answers.append
        decode = self._context.decoder.decode
        deliver = self._deliver
        accepted_delivery = Delivery.ACCEPTED
        accepted = accepted_response(int(time()))
        for raw in requests:
            try:
                message = decode(raw)
            except RemoteProtocolError as error:
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
            self._context.counters.requests += len(requests)
            self._note_agent(requests[-1].head)
            self._wait_for_room()

    def _note_agent(self, head: RequestHead) -> None:
        """Find out whether the client is libprocess, or sends as it does, and ignores answers."""
        if head is not self._head:
            self._head = head
            self._is_agent = any(
                name.lower() == b"user-agent" and value.startswith(b"libprocess/")
                for name, value in head.headers
            )

    def _deliver_from_client(self, message: Message) -> Delivery | None:
        """Deliver a message, but only if its sender lives where the client does."""
        if message.sender.address.ip != self.client.ip:
            return None
        return self._hooks.deliver(message)

    def _serve(self, raw: RawRequest) -> None:
        """Hand an HTTP request to whoever answers it."""
        self._wait_for_room()
        try:
            request = to_request(raw, self.client, max_body_bytes=self._settings.max_body_bytes)
        except RemoteProtocolError as error:
            self._refuse(error)
            return
        future = self._hooks.serve(request)
        self._answers.append_pending(future, request)
        if not future.ready():
            future.add_done_callback(self._answer_came)

    def _check_parser(self) -> None:
        parser = self._parser
        if parser.error is not None and not self._last:
            self._refuse(parser.error)
        elif parser.expects_continue:
            self._answers.append(CONTINUE)
        elif parser.is_finished:
            self._last = True

    def _refuse(self, error: RemoteProtocolError) -> None:
        """Answer a request after which the bytes of this client make no sense."""
        log.debug("refused a request from %s: %s", self.client, error)
        self._answers.append(refuse_request(error, last=True))
        self._last = True

    def _is_holding_long(self) -> bool:
        held = len(self._answers)
        return held >= HOLD_ANSWERS or monotonic() - self._flushed_at > HOLD_SECONDS

    def _wait_for_room(self) -> None:
        """Stop reading a client that has too many requests without answers."""
        limit = self._settings.max_pipelined_requests
        if self._answers.pending and len(self._answers) >= limit:
            self._flush()
            self._wait(lambda: len(self._answers) < limit, None)

    # The end

    def _finish(self) -> None:
        """Send the answers that are still owed, and let the client read them."""
        self._flush()
        self._wait(lambda: not self._answers and not self._writing, self._settings.answer_timeout)
        if self._last and not self._mute:
            self._linger()

    def _linger(self) -> None:
        """Read on for a while: closing with unread bytes would take our answer from the client.

        Source: RFC 9112, section 9.6.
        """
        self._socket.shutdown(socket.SHUT_WR)
        budget = LINGER_BYTES
        with Timeout(LINGER_SECONDS, False):  # type: ignore[arg-type]  # False: end quietly
            while budget > 0 and (data := self._socket.recv(READ_BYTES)):
                budget -= len(data)

    # Writing

    def _flush(self) -> None:
        """Send all that can leave; waits for the client."""
        self._flushed_at = monotonic()
        if self._mute:
            self._forget()
        elif not self._writing:
            self._write(b"")

    def _write(self, rest: bytes | memoryview) -> None:
        """Send *rest* and all that can leave, as the only one who writes."""
        stall_seconds = self._settings.answer_timeout
        self._writing = True
        try:
            write_all(self._socket, rest, stall_seconds)
            while self._answers.can_leave() and not self._mute:
                if data := self._answers.take():
                    write_all(self._socket, data, stall_seconds)
                elif streamed := self._answers.take_streamed():
                    write_response(self._socket, *streamed, stall_seconds)
                self._notify()
        except OSError as error:
            self._lose(error)
        finally:
            self._writing = False
        self._after_write()

    def flush_postponed(self) -> bool:
        """Send what was put off, in the hub, unless there is something to be read before."""
        if not self._mute and self._has_input():
            return False
        self._postponed = False
        self._flush_in_hub()
        return True

    def _has_input(self) -> bool:
        """Tell whether reading would not wait."""
        self._socket.settimeout(0.0)
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            pass  # as the reader will find out
        finally:
            self._socket.settimeout(None)
        return True

    def _answer_came(self, _future: Future[Response]) -> None:
        """Let the hub send what can leave; called wherever the future was completed."""
        if not (self._flush_scheduled or self._writing or self._mute):
            self._flush_scheduled = True
            self._loop.run_callback(self._flush_in_hub)

    def _flush_in_hub(self) -> None:
        """Send what can leave without waiting, and leave the rest to a greenlet."""
        self._flush_scheduled = False
        if self._writing or self._mute or not self._answers.can_leave():
            return
        data = self._answers.take()
        try:
            sent = write_some(self._socket, data)
        except OSError as error:
            self._mute = True
            self._hooks.spawn(self._lose, error)
            return
        if sent < len(data) or self._answers.can_leave():
            self._writing = True
            self._hooks.spawn(self._write, memoryview(data)[sent:])
        else:
            self._after_write()

    def _after_write(self) -> None:
        """Tell who waits; close the connection if that was its last answer."""
        self._notify()
        if self._answers.is_closing and not self._last and not self._mute:
            self._last = True
            self._hooks.spawn(self._close_politely)

    def _close_politely(self) -> None:
        """Let the client read the last answer, whose handler asked for the end."""
        self._forget()
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            log.debug("connection from %s lost: %s", self.client, error)
        else:
            self._wait(lambda: False, LINGER_SECONDS)
        self.close()

    def _lose(self, error: OSError) -> None:
        """Give up answering. Reading goes on: what the client has sent is still delivered."""
        log.debug("connection from %s takes no answers: %s", self.client, error)
        self._mute = True
        self._forget()
        self._notify()
        if isinstance(error, TimeoutError):
            self.close()

    def _forget(self) -> None:
        for future in self._answers.clear():
            future.discard()

    # Waiting for room or for the end, which is rare; so no event exists unless somebody waits

    def _wait(self, satisfied: Callable[[], bool], seconds: float | None) -> None:
        with Timeout(seconds, False):  # type: ignore[arg-type]  # False: end quietly
            while not (satisfied() or self._mute):
                if self._changed is None:
                    self._changed = Event()
                self._changed.wait()

    def _notify(self) -> None:
        if self._changed is not None:
            changed, self._changed = self._changed, None
            changed.set()
