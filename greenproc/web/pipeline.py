"""A connection of a client: requests out, responses in, matched by their order.

It is in one of these states; ``-`` leaves it there. The *last request* carries ``Connection:
close``, and so does a *closing head*, whose response ends with the *closing body*::

    state    request  last request  response  closing head  closing body  all responses  eof     end
    -------  -------  ------------  --------  ------------  ------------  -------------  ------  ------
    OPEN     -        CLOSING       -         CLOSING       CLOSED        -              CLOSED  CLOSED
    CLOSING  -        -             -         -             CLOSED        CLOSED         CLOSED  CLOSED
    CLOSED   -        -             -         -             -             -              -       -

A CLOSING connection refuses requests, and is closed after the response to the last one. A time
limit, a lost socket and a response that breaks HTTP are an *end*. A peer that takes no more bytes
changes nothing by that: it may have responded before it stopped reading.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from gevent import get_hub, socket

from greenproc.clock.current import current_clock
from greenproc.errors import (
    Broken,
    Closed,
    GreenprocError,
    RemoteProtocolError,
    StateError,
    WaitTimeout,
)
from greenproc.future import Promise
from greenproc.http.body import BODY_FAILED
from greenproc.http.limits import ParserLimits
from greenproc.http.parser import ResponseParser
from greenproc.http.raw_message import RawResponse, to_response
from greenproc.http.response import Response
from greenproc.hub.fork import close_copy, watch_fork
from greenproc.hub.iteration_budget import iteration_budget, yield_if_spent
from greenproc.web.body_feed import BodyFeed, decode_failure
from greenproc.web.exchange import Exchange
from greenproc.web.options import ClientLimits
from greenproc.web.origin import Origin
from greenproc.web.request_writer import RequestWriter, WriterHooks
from greenproc.web.timeouts import WatchdogTimer

READ_BYTES = 64 * 1024
MAX_READ_AHEAD = 64 * 1024  # bytes of a streamed body before its reader must catch up
MAX_OUTSTANDING = 100_000
"""The bound of requests without a response. A server may stop reading long before it, so that the
rest waits here."""

Outcome = tuple[Promise[Response], Response | BaseException]


class Pipeline:
    """A connected socket, its requests, and the promises of their responses.

    `run` reads, in one greenlet. The hub completes the promises, so that their callbacks may use
    the connection and wait for it.

    Args:
        connected: the socket, which the pipeline closes.
        origin: the server.
        limits: of each phase and response.
        abandoned: called when the reader of a streamed response is closed or collected before its
            end.

    Source: libprocess src/http.cpp, internal::ConnectionProcess.
    Differs: interim responses are skipped, gzip is decompressed, and the case of ``close`` is not
    significant.
    """

    def __init__(
        self,
        connected: socket.socket,
        origin: Origin,
        limits: ClientLimits,
        abandoned: Callable[[], object] = lambda: None,
    ) -> None:
        self.origin = origin
        self.disconnected: Promise[None] = Promise()
        self.requests = self.responses = 0
        self._socket = connected
        watch_fork(self)  # two OS processes that read one connection would share its responses
        self._limits = limits
        self._abandoned = abandoned
        self._loop: Any = get_hub().loop
        self._budget = iteration_budget()
        self._parser = ResponseParser(
            ParserLimits(max_body_bytes=limits.max_body_bytes),
            streams=self._begin_response,
            is_spent=self._budget.is_spent,
        )
        clock = current_clock()
        send_timer = WatchdogTimer(clock, limits.send_timeout, self._expire_send)
        self._first_byte_timer = WatchdogTimer(
            clock, limits.first_byte_timeout, self._expire_first_byte
        )
        self._read_timer = WatchdogTimer(clock, limits.read_timeout, self._expire_read)
        self._timers = (send_timer, self._first_byte_timer, self._read_timer)
        hooks = WriterHooks(self._begin_request, self._note_sent, self._refuse_write, self.end)
        self._writer = RequestWriter(connected, hooks, send_timer)
        self._awaiting: deque[Exchange] = deque()  # sent, and no head of a response
        self._receiving: deque[Exchange] = deque()  # with the head of a response
        self._feed: BodyFeed | None = None  # the last streamed body
        # The sides that announced the end of the connection, and whether it is closed.
        self._we_close = self._peer_closes = self._closed = False
        self._reason: BaseException | None = None
        self._write_error: OSError | None = None

    # Requests

    def submit(self, exchange: Exchange) -> None:
        """Queue *exchange*. On a connection that is not OPEN its promise fails."""
        refusal = self._refusal()
        if refusal is not None:
            exchange.close_body()  # it may be a generator that holds a file open
            exchange.promise.fail(refusal)
            return
        self._we_close = exchange.is_last
        self.requests += 1
        self._writer.put(exchange)

    @property
    def unanswered(self) -> int:
        """The number of requests without a response."""
        return len(self._writer) + len(self._awaiting) + len(self._receiving)

    @property
    def state(self) -> str:
        """The state by the table of the module."""
        if self._closed:
            return "CLOSED"
        return "CLOSING" if self._we_close or self._peer_closes else "OPEN"

    def _refusal(self) -> GreenprocError | None:
        if self._closed:
            return _disconnected(self._reason)
        # RFC 9112 section 9.6: after "close" no further request is sent or processed.
        if self._we_close or self._peer_closes:
            return Closed("Cannot pipeline after 'Connection: close'")
        if self.unanswered >= MAX_OUTSTANDING:
            return StateError(f"expected fewer than {MAX_OUTSTANDING} requests without a response")
        return None

    def _begin_request(self, exchange: Exchange) -> None:
        # Before the first byte leaves, since a server may respond to a head without its body.
        self._parser.expect(exchange.method)
        self._awaiting.append(exchange)

    def _note_sent(self) -> None:
        if self._is_done():
            self.end(None)
        elif not self._first_byte_timer.is_running:
            self._restart_timers()

    def _refuse_write(self, error: OSError) -> None:
        """Stop writing. Reading goes on: the peer may have responded before it closed."""
        self._write_error = error

    # Responses

    def run(self) -> None:
        """Read responses until the connection is closed."""
        error: BaseException | None = Closed("Disconnected: the greenlet that reads was killed")
        try:
            error = self._read()
        except OSError as caught:
            error = self._connection_lost(caught)
        finally:
            self.end(error)

    def _read(self) -> BaseException | None:
        """Read until the end of the connection, and return its reason; None for a regular end."""
        parser = self._parser
        read_ahead = 0
        while True:
            data = b"" if parser.has_more else self._socket.recv(READ_BYTES)
            yield_if_spent()
            if self._closed:  # by another greenlet, during the wait
                return None
            if not (data or parser.has_more):
                return self._take_eof()
            # A response that no request caused may be an attack: it would answer the next request.
            if not self._awaiting and parser.is_idle:
                return RemoteProtocolError("Received data when none is expected")
            self._take(parser.feed(data))
            if parser.error is not None:
                return decode_failure(parser.error)
            if parser.is_finished:
                return Broken("Received 'Connection: close' from the server")
            if self._is_done():
                return None
            self._restart_timers()
            read_ahead += len(data)
            if read_ahead >= MAX_READ_AHEAD:
                read_ahead = 0
                self._wait_for_reader()

    def _take(self, responses: Iterable[RawResponse]) -> None:
        """Complete the promises of responses that are complete, or whose bodies are streamed."""
        outcomes: list[Outcome] = []
        for raw in responses:
            if self._closed:
                break  # during a decompression; the remaining promises have failed
            exchange = self._receiving.popleft()
            try:
                response = to_response(
                    raw, max_body_bytes=self._limits.max_body_bytes, pause=yield_if_spent
                )
            except RemoteProtocolError as error:
                outcomes.append((exchange.promise, decode_failure(error)))
                continue
            if isinstance(raw.sink, BodyFeed):
                response.reader = raw.sink.detach_reader()
            outcomes.append((exchange.promise, response))
        self.responses += len(outcomes)
        self._complete(outcomes)

    def _begin_response(self, raw: RawResponse) -> BodyFeed | None:
        """Assign a response to its request, and return the sink of its body."""
        if not self._awaiting:
            raise RemoteProtocolError("Received data when none is expected")
        exchange = self._awaiting.popleft()
        self._receiving.append(exchange)
        # RFC 9112 section 9.6: a server that closes does not process the requests after this one.
        if not raw.head.keep_alive:
            self._peer_closes = True
            others = [*self._awaiting, *self._writer.drop_unsent()]
            self._awaiting.clear()
            self._fail(others, lambda: Broken("Received 'Connection: close' from the server"))
        if not exchange.streamed:
            return None
        self._feed = BodyFeed(self._abandoned, is_compressed=raw.head.is_gzip)
        return self._feed

    def _take_eof(self) -> BaseException | None:
        """Handle the end of the connection, which completes a body without a length."""
        self._take(self._parser.feed_eof())
        if self._parser.error is not None:
            return Broken(f"{self._parser.error}: {self.origin} closed the connection too early")
        if self._write_error is not None:
            return self._connection_lost(self._write_error)
        return Broken(f"Disconnected: {self.origin} closed the connection")

    def _is_done(self) -> bool:
        """Whether the response to a request that closes the connection is complete."""
        return (
            self._we_close
            and not self.unanswered
            and not self._writer.is_streaming
            and self._parser.is_idle
        )

    def _wait_for_reader(self) -> None:
        """Wait until the reader of a streamed body has caught up."""
        if self._feed is None or self._feed.is_over:
            return
        room = self._feed.writable()
        if not room.ready():
            self._read_timer.stop()  # a slow reader is no fault of the server
            room.get()
            self._restart_timers()

    # The end

    def end(self, error: BaseException | None) -> None:
        """Close the connection at once. Only the first call has an effect.

        *error* is the failure of the streamed response, or else of the first request without a
        response; the remaining requests fail as disconnected.
        """
        if self._closed:
            return
        # First, since the calls below may run users' code that calls this method again.
        self._closed = True
        self._reason = error
        self._socket.close()
        for timer in self._timers:
            timer.close()
        unsent = self._writer.close()
        exchanges = [*self._receiving, *self._awaiting, *unsent]
        self._receiving.clear()
        self._awaiting.clear()
        if self._feed is not None and not self._feed.is_over:
            self._feed.abort(error if error is not None else BODY_FAILED)
        elif exchanges and error is not None:
            self._complete([(exchanges.pop(0).promise, error)])
        self._fail(exchanges, lambda: _disconnected(error))
        # After the promises, by the order of the hub's callbacks.
        self._loop.run_callback(self.disconnected.set, None)

    def _fail(
        self, exchanges: Iterable[Exchange], make_error: Callable[[], BaseException]
    ) -> None:
        # An error for each: an exception that several futures raise would collect tracebacks.
        self._complete([(exchange.promise, make_error()) for exchange in exchanges])

    def _complete(self, outcomes: list[Outcome]) -> None:
        if outcomes:
            self._loop.run_callback(_complete_promises, outcomes)

    def _connection_lost(self, error: OSError) -> Broken:
        broken = Broken(f"Disconnected: connection to {self.origin} lost: {error}")
        broken.__cause__ = error
        return broken

    # Times

    def _restart_timers(self) -> None:
        """Start the timer of the current phase, and stop the other one."""
        if not self._parser.is_idle:
            self._first_byte_timer.stop()
            self._read_timer.start()
            return
        self._read_timer.stop()
        if self._awaiting and self._awaiting[0].is_sent:
            self._first_byte_timer.start()
        else:
            self._first_byte_timer.stop()

    def _expire_send(self) -> None:
        self._expire("took no byte of a request", self._limits.send_timeout)

    def _expire_first_byte(self) -> None:
        self._expire("sent no byte of a response", self._limits.first_byte_timeout)

    def _expire_read(self) -> None:
        self._expire("sent no further byte of a response", self._limits.read_timeout)

    def _expire(self, what: str, seconds: float | None) -> None:
        self.end(WaitTimeout(f"{self.origin} {what} within {seconds:g} s"))

    def disown(self) -> None:
        """Close the descriptor, in a forked child: the bytes to come belong to the parent."""
        close_copy(self._socket)

    def __repr__(self) -> str:
        return f"<Pipeline {self.origin} {self.state}, {self.unanswered} unanswered>"


def _complete_promises(outcomes: list[Outcome]) -> None:
    for promise, outcome in outcomes:
        if isinstance(outcome, BaseException):
            promise.fail(outcome)
        else:
            promise.set(outcome)


def _disconnected(reason: BaseException | None) -> GreenprocError:
    """Return the failure of a request that did not cause the end of its connection."""
    if reason is None or isinstance(reason, Closed):
        return Closed(str(reason) if reason else "Disconnected: the last response has come")
    text = str(reason)
    return Broken(text if text.startswith("Disconnected") else f"Disconnected: {text}")
