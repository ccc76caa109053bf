"""`ResponseWriter`: sends the responses of one server connection, in the order of the requests."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

from gevent import Timeout, socket
from gevent.event import Event
from gevent.hub import Waiter

from greenproc.address import Address
from greenproc.errors import Failure
from greenproc.future import Future
from greenproc.future.waiting import attach_waiter
from greenproc.http.request import Request
from greenproc.http.response import Response
from greenproc.http.upgrade import UpgradedProtocol, UpgradeResponse
from greenproc.hub.iteration_budget import iteration_budget, yield_if_spent
from greenproc.transport.body_writer import BodyWriter, BrokenOff
from greenproc.transport.buffered_writer import BufferedWriter, write_some
from greenproc.transport.hooks import ANSWERS_NOT_READ, TOO_MUCH_UNSENT, ListenerContext
from greenproc.transport.response_queue import ResponseQueue
from greenproc.transport.responses import failure_log

# A libprocess peer closes its socket right after its last byte, and a response that meets a
# closed socket makes the system throw away what is still on its way to us. So the 202s of such a
# peer are delayed while there is more to read, but not for ever: a temporary connection counts
# them, and gives up on a peer that sends none.
MAX_ACK_DELAY = (
    1.0  # seconds, well below the 30 s after which a peer without responses is given up
)
MAX_DELAYED_ACKS = (
    20_000  # to 6 MB of small messages, what Linux buffers for a connection by default
)

FEW_RESPONSES = 16  # take a tenth of the time of an iteration to encode

log = logging.getLogger("greenproc.transport")


@dataclass(frozen=True, slots=True)
class ResponseHooks:
    """What a response writer reports to its connection."""

    finished: Callable[[], None]
    """The last response is sent; none follows. May be called in the hub."""
    broken: Callable[[], None]
    """The client must see the connection break now. May be called in the hub."""
    responded: Callable[[Request], None]
    """The response to a request whose body is streamed is sent."""
    upgraded: Callable[[UpgradedProtocol], None]
    """The last response is sent, and the bytes that follow are not HTTP."""


class ResponseWriter(BufferedWriter):
    """Sends the responses of one connection.

    Ready responses leave in one send, from the greenlet that reads or from the hub. Only a
    client that does not read, or a response whose body is a file or a stream, takes a greenlet.

    A closed writer has lost its client, or has nothing to say to it: requests are still taken,
    and their responses are discarded.

    Args:
        connected: the socket.
        client: the address at the other end, for the log; None for a Unix socket.
        context: what the connections of the listener share.
        hooks: the connection.
    """

    def __init__(
        self,
        connected: socket.socket,
        client: Address | None,
        context: ListenerContext,
        hooks: ResponseHooks,
    ) -> None:
        super().__init__(context.hooks.spawn, connected)
        self._client = client
        self._hooks = hooks
        self._refused = context.hooks.refused
        self._delayed_acks = context.delayed_acks
        self._unsent = context.unsent
        self._body_writer = BodyWriter(connected, context.settings, self._progressed)
        self._queue = ResponseQueue(context.settings, responded=hooks.responded)
        # The deque and its method: both are used for each message.
        self.owed = self._queue.owed
        """What is owed, in order: bytes, or a future with its request. Only to be read."""
        self.append = self.owed.append
        """Owe bytes that are known."""
        self._waiter = _FlushWaiter(self._flush_soon)
        self._is_watching = False  # whether the first pending response wakes the waiter
        self._budget = iteration_budget()
        self._is_due = False  # a flush for which there was no time
        self._changed: Event | None = None
        self._has_delayed = False
        self._is_unwanted = False
        self._may_stream = True
        self._flushed_at = monotonic()
        self._stream: Any = None  # the reader of the response that is being sent
        self.progress = 0
        """Changes whenever the client takes something."""

    def __len__(self) -> int:
        """Return how many requests wait for their responses."""
        return len(self.owed)

    # What is owed

    @property
    def is_done(self) -> bool:
        """Whether everything that was owed is sent; behind a response that closes nothing is."""
        return not self.is_writing and (not self.owed or self._queue.is_closing)

    @property
    def is_sending(self) -> bool:
        """Whether the client is waited for, and not a handler."""
        return self.is_writing and not self._body_writer.is_starved

    @property
    def is_full(self) -> bool:
        """Whether no request should be taken before some of the responses are sent."""
        return self._queue.is_full

    @property
    def has_pending(self) -> bool:
        """Whether a response is owed that is not known yet, or was not encoded yet."""
        return self._queue.pending > 0

    @property
    def is_last_owed(self) -> bool:
        """Whether the response that closes the connection is known."""
        return self._queue.is_closing

    def append_pending(self, future: Future[Response], request: Request) -> None:
        """Owe what *future* will bring."""
        self._queue.append_pending(future, request)
        if not self._is_watching and not future.ready():
            self._watch(future)

    def insert_continue(self, interim: bytes) -> None:
        """Send *interim* ahead of the last response, whose client waits for it."""
        self.owed.insert(len(self.owed) - 1, interim)
        self.flush()

    def drain(self) -> None:
        """Make the response behind which none waits the last one."""
        self._queue.drain()

    # Sending

    def flush(self) -> None:
        """Send all that is ready; waits for the client.

        Files and streams are left to another greenlet: the caller reads, and so has to notice
        when the client goes away.
        """
        if self.is_closed:
            self.discard_pending()
        elif not self.is_writing and self._queue.is_ready():
            self._flushed_at = monotonic()
            self.is_writing = True
            self._may_stream = False
            self._write(_NOTHING)

    def _watch(self, future: Future[Response]) -> None:
        """Flush in the hub when *future*, the first that is not ready, completes.

        Those behind it cannot leave before, so they are watched in turn. The waiter is switched
        to as a greenlet is: a callback would cost more than making the future.
        """
        self._is_watching = True
        if not attach_waiter(future, self._waiter):
            future.rawlink(self._waiter.switch)

    def _flush_soon(self) -> None:
        """Send what is ready; many responses when the iteration has time for them."""
        self._is_watching = False
        # A few responses fit into any iteration; to wait for the next would only delay them.
        if self._queue.pending <= FEW_RESPONSES:
            self._flush_now()
        elif not self._is_due:
            if self._budget.is_spent():
                self._is_due = True
                self._budget.call_later(self._flush_late)
            else:
                self._flush_now()

    def _flush_late(self) -> None:
        self._is_due = False
        self._flush_now()

    def _take(self) -> bytes:
        self._may_stream = True  # whatever is left goes to a greenlet of its own
        return self._queue.take()

    def _has_more(self) -> bool:
        return self._queue.is_ready()

    def _write_next(self) -> bool:
        if not self._queue.is_ready():
            return False
        yield_if_spent()
        if data := self._queue.take():
            self._send(data)
        elif self._may_stream:
            self._write_streamed()
        else:
            return False
        return True

    def _send(self, data: bytes | memoryview) -> None:
        """Send *data*, which counts, with the responses behind it, while the client is waited for."""
        sent = write_some(self._socket, data)
        if sent == len(data):
            self._progressed()
            return
        rest = memoryview(data)[sent:]
        try:
            # Counted only from here on, so that sending to clients that read costs nothing.
            self._unsent.hold(self, len(rest) + self._queue.ready_bytes)
            if not self.is_closed:
                self._body_writer.write(rest)
        finally:
            self._unsent.release(self)

    def evict(self) -> None:
        """See `BytesHolder`."""
        self._refused(self._client, TOO_MUCH_UNSENT)
        self._hooks.broken()

    def _write_streamed(self) -> None:
        taken = self._queue.take_streamed()
        if taken is None:
            return
        response, request = taken
        if isinstance(response, UpgradeResponse):
            self._write_upgrade(response)
            return
        self._stream = response.reader
        try:
            self._body_writer.send(response, request)
        except BrokenOff as error:
            self._break_off(error)
            return
        finally:
            self._stream = None
        if request.reader is not None:
            self._hooks.responded(request)

    def _write_upgrade(self, response: UpgradeResponse) -> None:
        try:
            self._body_writer.write(response.encode())
        except OSError:
            # It will not run, so nothing else would close it.
            response.protocol.close()
            raise
        self._hooks.upgraded(response.protocol)

    def _flushed(self) -> None:
        """Watch the next future, or stream; end the connection behind its last response."""
        queue = self._queue
        # The greenlet that reads left a file or a stream, see `flush`.
        if not self._may_stream and not self.is_closed and queue.is_ready():
            self._may_stream = self.is_writing = True
            self._spawn(self._write, _NOTHING)
            return
        if not self._is_watching and (future := queue.first_pending) is not None:
            self._watch(future)
        if self._changed is not None:
            self.notify()
        if (queue.is_closing or (queue.is_draining and not queue.owed)) and not self.is_closed:
            self._hooks.finished()

    def _break_off(self, error: BrokenOff) -> None:
        """Break the connection under a response that cannot be completed."""
        cause = error.__cause__ or error
        if self.is_closed or self._is_unwanted or isinstance(cause, Failure):
            log.debug("a response to %s broke off: %s", self._client, cause)
        else:
            failure_log.add(f"a response to {self._client} broke off", cause)
        self._hooks.broken()

    # Delayed 202s

    def delay_acks(self) -> bool:
        """Leave the responses in the queue for a while; return False if they should leave now.

        Source: mesos-go's upid server, which sends no responses to clients of that name at all.
        """
        if self._queue.pending or self._has_delayed_enough():
            return False
        if not self._has_delayed:
            self._has_delayed = True
            self._delayed_acks.add(self)
        return True

    def flush_delayed(self) -> bool:
        """Send what was delayed, in the hub; return False if there is something to read before."""
        if not self.is_closed and self._has_input():
            return False
        self._has_delayed = False
        self._flush_now()
        return True

    def _has_delayed_enough(self) -> bool:
        is_full = len(self.owed) >= MAX_DELAYED_ACKS
        return is_full or monotonic() - self._flushed_at > MAX_ACK_DELAY

    def _has_input(self) -> bool:
        """Return whether reading would not wait."""
        # gevent's recv would wait.
        self._socket.settimeout(0.0)
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            pass  # which the read will raise again
        finally:
            self._socket.settimeout(None)
        return True

    # The end

    def write_failed(self, error: OSError) -> None:
        """Discard all responses. Reading goes on: what the client has sent is still delivered.

        A client that was too slow loses the connection.
        """
        log.debug("connection from %s takes no responses: %s", self._client, error)
        self.close()
        self.discard_pending()
        # The client is there, and would keep the connection for as long as it likes.
        if isinstance(error, TimeoutError):
            self._refused(self._client, ANSWERS_NOT_READ)
            self._hooks.broken()

    def _write_failed(self, error: OSError) -> None:
        self.is_closed = True
        # Callbacks of futures run in it, which they must not in the hub.
        self._spawn(self.write_failed, error)

    def close(self) -> None:
        """Send nothing any more, and end the stream that is being sent."""
        self.is_closed = True
        if self._stream is not None:
            self._stream.close()
        self.notify()

    def disown(self) -> None:
        """Send nothing, in a forked child; the handlers are the parent's."""
        self.is_closed = True

    def discard_pending(self) -> None:
        """Request a discard of all responses that are owed, and drop them."""
        for future in self._queue.clear():
            # The handler may still complete it with a stream, whose writer would wait for ever.
            future.discard()
            future.on_ready(_close_reader)

    def request_discards(self) -> None:
        """Request a discard of all responses, which are sent all the same if they come.

        A stream that waits for its next piece is closed. Nothing happens while the client is
        waited for: a write would have shown that it is gone.
        """
        if self.is_sending:
            return
        if self._stream is not None:
            self._is_unwanted = True
            self._stream.close()
        for future in self._queue.futures:
            future.discard()

    # Waiting for room or for the end, which is rare: an event exists only while a greenlet waits

    def wait_until(self, satisfied: Callable[[], bool], seconds: float | None) -> None:
        """Wait until *satisfied*, the writer is closed, or *seconds* are over."""
        with Timeout(seconds, False):  # type: ignore[arg-type]  # False: end quietly
            while not (satisfied() or self.is_closed):
                if self._changed is None:
                    self._changed = Event()
                self._changed.wait()

    def notify(self) -> None:
        """Wake the greenlets in `wait_until`."""
        if self._changed is not None:
            changed, self._changed = self._changed, None
            changed.set()

    def _progressed(self) -> None:
        self.progress += 1
        self.notify()


class _FlushWaiter(Waiter):  # type: ignore[type-arg]  # which it does not take when it runs
    """Calls a function in the hub when a future completes."""

    __slots__ = ("_flush",)

    def __init__(self, flush: Callable[[], None]) -> None:
        super().__init__()
        self._flush = flush

    def switch(self, value: Future[Response]) -> None:
        """Take the end of a future; called in the hub."""
        self._flush()


_NOTHING = memoryview(b"")


def _close_reader(response: Response) -> None:
    if isinstance(response, Response) and response.reader is not None:
        response.reader.close()
