"""What leaves on an accepted connection: the answers, in order, as the client takes them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol

from gevent import Timeout, socket
from gevent.event import Event
from gevent.hub import Waiter

from greenproc.address import Address
from greenproc.clock.iteration_budget import iteration_budget, yield_if_spent
from greenproc.errors import Failure
from greenproc.future import Future
from greenproc.future.waiting import attach_waiter
from greenproc.http.request import Request
from greenproc.http.response import Response
from greenproc.http.upgrade import UpgradedProtocol, UpgradeResponse
from greenproc.transport.body_writer import BodyWriter, BrokenOff
from greenproc.transport.buffered_writer import write_some
from greenproc.transport.hooks import ANSWERS_NOT_READ, TOO_MUCH_UNSENT, ListenerContext
from greenproc.transport.response_queue import ResponseQueue
from greenproc.transport.responses import failure_log

# A libprocess peer closes its socket right after its last byte, and an answer that meets a
# closed socket makes the system throw away what is still on its way to us. So its answers are
# put off while there is more to read, but not for ever: a temporary connection counts them.
MAX_ACK_DELAY = 1.0
MAX_DELAYED_ACKS = (
    20_000  # to 6 MB of small messages, what Linux buffers for a connection by default
)

FEW_ANSWERS = 16  # take a tenth of the time of an iteration to encode

log = logging.getLogger("greenproc.transport")


class Owner(Protocol):
    """The connection that a response writer belongs to."""

    @property
    def client(self) -> Address | None:
        """The address at the other end, if it has one."""

    def end(self) -> None:
        """Nothing leaves any more: the last answer did."""

    def close(self) -> None:
        """The client must see the connection break now."""

    def answered(self, request: Request) -> None:
        """The response to a request whose body is streamed is out."""

    def upgrade(self, protocol: UpgradedProtocol) -> None:
        """The last answer is out, and what follows is no HTTP."""


class ResponseWriter:
    """Sends the answers of one connection.

    What is at hand leaves in one send, from the greenlet that reads or from the hub. Only a
    client that does not read, or an answer that is more than bytes, takes a greenlet of its own,
    which ends when it has nothing to write.
    """

    def __init__(self, to: socket.socket, context: ListenerContext, owner: Owner) -> None:
        self._socket = to
        self._owner = owner
        self._hooks = context.hooks
        self._delayed_acks = context.delayed_acks
        settings = context.settings
        self._unsent = context.unsent
        self._body_writer = BodyWriter(to, settings, self._progressed)
        self._waiter = _Flush(self._flush_soon)
        self.is_expecting = False
        """Whether the first of the answers that are not ready is waited for."""
        self._budget = iteration_budget()
        self._is_due = False  # a flush for which there was no time
        self._changed: Event | None = None
        self._is_delayed = False
        self._is_unwanted = False
        self._flushed_at = monotonic()
        self._stream: Any = None  # the reader of the response that is being sent
        self.queue = ResponseQueue(settings, answered=owner.answered)
        self.is_writing = False
        """Whether a greenlet is writing, so that nobody else may."""
        self.is_mute = False
        """Whether answers have nowhere to go."""
        self.progress = 0
        """Changes whenever the client takes something."""

    @property
    def is_done(self) -> bool:
        """Whether everything that was owed is sent; behind a response that closes nothing is."""
        return not self.is_writing and (not self.queue or self.queue.is_closing)

    @property
    def is_sending(self) -> bool:
        """Whether the client is waited for, and not a handler."""
        return self.is_writing and not self._body_writer.is_starved

    # Sending

    def flush(self) -> None:
        """Send all that can leave; waits for the client."""
        if self.is_mute:
            self.forget()
        elif not self.is_writing and self.queue.can_leave():
            self._flushed_at = monotonic()
            self._write(b"", may_stream=False)

    def expect(self, future: Future[Response]) -> None:
        """Let the hub send what can leave when *future* is over, which is the first that is not.

        Those behind it cannot leave before, so they are waited for in turn. As a greenlet that
        waits is told: a callback would cost more than making the future.
        """
        self.is_expecting = True
        if not attach_waiter(future, self._waiter):
            future.rawlink(self._waiter.switch)

    def _expect_next(self) -> None:
        """Expect the first answer, after all that was ready has left."""
        if not self.is_expecting and (future := self.queue.first_pending) is not None:
            self.expect(future)

    def _flush_soon(self) -> None:
        """Send what can leave, but many answers when there is time for that."""
        self.is_expecting = False
        if self.queue.pending <= FEW_ANSWERS:
            self._flush_now()
        elif not self._is_due:
            if self._budget.is_spent():
                self._is_due = True
                self._budget.call_later(self._flush_now)
            else:
                self._flush_now()

    def _flush_now(self) -> None:
        """Send what can leave without waiting, and leave the rest to a greenlet."""
        self._is_due = False
        if self.is_writing or self.is_mute:
            return
        data = self.queue.take()
        try:
            sent = write_some(self._socket, data) if data else 0
        except OSError as error:
            self.is_mute = True
            self._hooks.spawn(self.write_failed, error)
            return
        if sent < len(data) or self.queue.can_leave():
            self.is_writing = True
            self._hooks.spawn(self._write, memoryview(data)[sent:])
        elif data:
            self._after_write()
        else:
            self._expect_next()

    def _write(self, rest: bytes | memoryview, *, may_stream: bool = True) -> None:
        """Send *rest* and all that can leave, as the only one who writes.

        Unless *may_stream*, what takes long is left to another greenlet: who reads has to notice
        when the client goes away.
        """
        self.is_writing = True
        goes_on = False
        try:
            if rest:
                self._send(rest)
            while self.queue.can_leave() and not self.is_mute:
                yield_if_spent()
                if data := self.queue.take():
                    self._send(data)
                elif may_stream:
                    self._write_streamed()
                else:
                    goes_on = True
                    break
        except OSError as error:
            self.write_failed(error)
        except BrokenOff as error:
            self._break_off(error)
        finally:
            self.is_writing = goes_on
        if goes_on:
            self._hooks.spawn(self._write, b"")
        else:
            self._after_write()

    def _send(self, data: bytes | memoryview) -> None:
        """Send *data*, which counts, with the responses behind it, while the client is waited for."""
        sent = write_some(self._socket, data)
        if sent == len(data):
            self._progressed()
            return
        rest = memoryview(data)[sent:]
        try:
            self._unsent.hold(self, len(rest) + self.queue.ready_bytes)
            if not self.is_mute:
                self._body_writer.write(rest)
        finally:
            self._unsent.release(self)

    def evict(self) -> None:
        """See `BytesHolder`."""
        self._hooks.refused(self._owner.client, TOO_MUCH_UNSENT)
        self._owner.close()

    def _write_streamed(self) -> None:
        taken = self.queue.take_streamed()
        if taken is None:
            return
        response, request = taken
        if isinstance(response, UpgradeResponse):
            self._write_upgrade(response)
            return
        self._stream = response.reader
        try:
            self._body_writer.send(response, request)
        finally:
            self._stream = None
        if request.reader is not None:
            self._owner.answered(request)

    def _write_upgrade(self, response: UpgradeResponse) -> None:
        try:
            self._body_writer.write(response.encode())
        except OSError:
            response.protocol.close()
            raise
        self._owner.upgrade(response.protocol)

    def _after_write(self) -> None:
        """Tell who waits; end the connection if that was its last answer."""
        self._expect_next()
        if self._changed is not None:
            self.notify()
        responses = self.queue
        if (
            responses.is_closing or (responses.is_draining and not responses)
        ) and not self.is_mute:
            self._owner.end()

    def _break_off(self, error: BrokenOff) -> None:
        """Break the connection under a response that cannot be completed."""
        cause = error.__cause__ or error
        if self.is_mute or self._is_unwanted or isinstance(cause, Failure):
            log.debug("a response to %s broke off: %s", self._owner.client, cause)
        else:
            failure_log.add(f"a response to {self._owner.client} broke off", cause)
        self._owner.close()

    # Putting off

    def delay_acks(self) -> bool:
        """Put off answers for which nobody waits; tell whether that was done.

        Source: mesos-go's upid server, which sends no answers to clients of that name at all.
        """
        if self.queue.pending or self._has_delayed_enough():
            return False
        if not self._is_delayed:
            self._is_delayed = True
            self._delayed_acks.add(self)
        return True

    def flush_delayed(self) -> bool:
        """Send what was put off, in the hub, unless there is something to be read before."""
        if not self.is_mute and self._has_input():
            return False
        self._is_delayed = False
        self._flush_now()
        return True

    def _has_delayed_enough(self) -> bool:
        held = len(self.queue)
        return held >= MAX_DELAYED_ACKS or monotonic() - self._flushed_at > MAX_ACK_DELAY

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

    # The end

    def write_failed(self, error: OSError) -> None:
        """Give up answering. Reading goes on: what the client has sent is still delivered."""
        log.debug("connection from %s takes no answers: %s", self._owner.client, error)
        self.mute()
        self.forget()
        if isinstance(error, TimeoutError):
            self._hooks.refused(self._owner.client, ANSWERS_NOT_READ)
            self._owner.close()

    def mute(self) -> None:
        """Send nothing any more, and tell who writes the response that is being sent."""
        self.is_mute = True
        if self._stream is not None:
            self._stream.close()
        self.notify()

    def forget(self) -> None:
        """Tell the handlers that their answers are not wanted any more."""
        for future in self.queue.clear():
            future.discard()
            future.on_ready(_close_reader)

    def tell_unwanted(self) -> None:
        """Tell the handlers that their answers are hardly wanted, which may still leave.

        A stream that waits for its next piece is closed. None of this happens while it is the
        client who is waited for: a write would have shown that it is gone.
        """
        if self.is_writing and not self._body_writer.is_starved:
            return
        if self._stream is not None:
            self._is_unwanted = True
            self._stream.close()
        for future in self.queue.futures:
            future.discard()

    # Waiting for room or for the end, which is rare; so no event exists unless somebody waits

    def wait(self, satisfied: Callable[[], bool], seconds: float | None) -> None:
        """Wait until *satisfied*, or nothing can be sent any more, or the time is over."""
        with Timeout(seconds, False):  # type: ignore[arg-type]  # False: end quietly
            while not (satisfied() or self.is_mute):
                if self._changed is None:
                    self._changed = Event()
                self._changed.wait()

    def notify(self) -> None:
        """Let those who wait look again."""
        if self._changed is not None:
            changed, self._changed = self._changed, None
            changed.set()

    def _progressed(self) -> None:
        self.progress += 1
        self.notify()


class _Flush(Waiter):  # type: ignore[type-arg]  # which it does not take when it runs
    """Wakes a response writer when a future completes."""

    __slots__ = ("_flush",)

    def __init__(self, flush: Callable[[], None]) -> None:
        super().__init__()
        self._flush = flush

    def switch(self, value: Future[Response]) -> None:
        """Take the end of a future; called in the hub."""
        self._flush()


def _close_reader(response: Response) -> None:
    if isinstance(response, Response) and response.reader is not None:
        response.reader.close()
