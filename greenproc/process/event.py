"""What a mailbox holds: the five kinds of event.

Each kind defines how it is consumed, visited and dropped, and its JSON form. The process manager
delivers events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, TypeGuard, TypeVar

from greenproc.failures import name_of
from greenproc.future import Future, Promise
from greenproc.future.state import PROMISED
from greenproc.http.request import Request
from greenproc.http.response import InternalServerError, Response
from greenproc.message import Message
from greenproc.pid import UPID
from greenproc.tracing import TRACE, TraceContext

if TYPE_CHECKING:
    from greenproc.process.record import ProcessRecord

T = TypeVar("T")
E = TypeVar("E", bound="Event")


class Visitor(Protocol):
    """Looks at events, one method a kind."""

    def visit_message(self, event: MessageEvent) -> object:
        """See a message."""

    def visit_dispatch(self, event: DispatchEvent) -> object:
        """See a dispatch."""

    def visit_http(self, event: HttpEvent) -> object:
        """See an HTTP request."""

    def visit_exited(self, event: ExitedEvent) -> object:
        """See the exit of a linked process."""

    def visit_terminate(self, event: TerminateEvent) -> object:
        """See a request to terminate."""


class Consumer(Protocol):
    """Serves events, one method a kind. Every process is one."""

    def consume_message(self, event: MessageEvent) -> None:
        """Serve a message."""

    def consume_dispatch(self, event: DispatchEvent) -> None:
        """Serve a dispatch."""

    def consume_http(self, event: HttpEvent) -> None:
        """Serve an HTTP request."""

    def consume_exited(self, event: ExitedEvent) -> None:
        """Serve the exit of a linked process."""

    def consume_terminate(self, event: TerminateEvent) -> None:
        """Serve a request to terminate."""


class Event:
    """Base of all events.

    Source: libprocess include/process/event.hpp.
    """

    __slots__ = ()

    kind: ClassVar[str]

    @property
    def content(self) -> tuple[str, int, bytes] | None:
        """The name of what a program sent, the size of its body and the body; None for the rest."""
        return None

    @property
    def trace(self) -> TraceContext | None:
        """The trace context that it came with, if any, which its handler runs in."""
        return None

    def consume(self, consumer: Consumer) -> None:
        """Call *consumer*'s method for this kind of event."""
        raise NotImplementedError

    def visit(self, visitor: Visitor) -> object:
        """Show this event to *visitor*'s method for its kind and return what that returns."""
        raise NotImplementedError

    def drop(self, reason: str | None = None) -> None:
        """Fail the future of this event, which will not be served because of *reason*."""

    def to_json(self) -> dict[str, Any]:
        """Return the event's JSON form, ``type`` first."""
        return {"type": self.kind}

    def __repr__(self) -> str:
        fields = " ".join(f"{name}={value!r}" for name, value in self.to_json().items())
        return f"<{type(self).__name__} {fields}>"


class MessageEvent(Event):
    """A message from a process, here or remote."""

    __slots__ = ("message",)
    kind = "MESSAGE"

    def __init__(self, message: Message) -> None:
        self.message = message

    @property
    def content(self) -> tuple[str, int, bytes] | None:
        message = self.message
        return message.name, len(message.body), message.body

    @property
    def trace(self) -> TraceContext | None:
        return self.message.trace

    def consume(self, consumer: Consumer) -> None:
        consumer.consume_message(self)

    def visit(self, visitor: Visitor) -> object:
        return visitor.visit_message(self)

    def to_json(self) -> dict[str, Any]:
        message = self.message
        return {
            "type": self.kind,
            "name": message.name,
            "from": str(message.sender),
            "to": str(message.to),
            "body": message.body.decode("utf-8", "replace"),
        }


class DispatchFuture(Future[T]):
    """The future of a dispatch: it knows which process is to serve that."""

    __slots__ = ("target",)

    target: ProcessRecord | None


class DispatchPromise(Promise[T]):
    """The right to complete the future of a dispatch."""

    __slots__ = ()

    future: DispatchFuture[T]

    def __init__(self) -> None:
        future: DispatchFuture[T] = DispatchFuture(PROMISED)
        future.target = None
        self.future = future


class DispatchEvent(Event):
    """A call to run in the process.

    ``promise`` receives the result. None means that there is no future of it, so an error counts as a
    failure of the process.
    """

    __slots__ = ("args", "kwargs", "method", "promise")
    kind = "DISPATCH"

    def __init__(
        self,
        method: Callable[..., Any],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
        promise: DispatchPromise[Any] | None = None,
    ) -> None:
        self.method = method
        self.args = args
        self.kwargs = kwargs
        self.promise = promise

    @property
    def content(self) -> tuple[str, int, bytes] | None:
        return name_of(self.method) or type(self.method).__name__, 0, b""

    def consume(self, consumer: Consumer) -> None:
        consumer.consume_dispatch(self)

    def visit(self, visitor: Visitor) -> object:
        return visitor.visit_dispatch(self)

    def drop(self, reason: str | None = None) -> None:
        if self.promise is not None:
            self.promise.abandon(reason)


class ControlCall(DispatchEvent):
    """A call of the runtime's own, such as that of a timeout: no bound of a mailbox refuses it.

    A part makes one for a process at a time.
    """

    __slots__ = ()

    @property
    def content(self) -> None:
        """None: no program sent it."""
        return None


class TracedDispatchEvent(DispatchEvent):
    """The call of *event* in a trace context. A type of its own: an ordinary event has no room for one."""

    __slots__ = ("trace",)

    trace: TraceContext

    def __init__(self, event: DispatchEvent, trace: TraceContext) -> None:
        super().__init__(event.method, event.args, event.kwargs, event.promise)
        self.trace = trace


def call_with_trace(event: DispatchEvent) -> DispatchEvent:
    """Return *event* with the trace context that is current here, unless it is of a kind of its own."""
    trace = TRACE.get()
    if trace is None or event.__class__ is not DispatchEvent:
        return event
    return TracedDispatchEvent(event, trace)


class HttpEvent(Event):
    """An HTTP request; ``promise`` takes the response."""

    __slots__ = ("promise", "request")
    kind = "HTTP"

    def __init__(self, request: Request, promise: Promise[Response]) -> None:
        self.request = request
        self.promise = promise

    @property
    def content(self) -> tuple[str, int, bytes] | None:
        request = self.request
        return f"{request.method} {request.url.path}", len(request.body), request.body

    def consume(self, consumer: Consumer) -> None:
        consumer.consume_http(self)

    def visit(self, visitor: Visitor) -> object:
        return visitor.visit_http(self)

    def drop(self, reason: str | None = None) -> None:
        # libprocess answers 500 when the process ended before it served the request.
        self.promise.set(InternalServerError())

    def to_json(self) -> dict[str, Any]:
        return {"type": self.kind, "method": self.request.method, "url": str(self.request.url)}


class TracedHttpEvent(HttpEvent):
    """A request of a client that sent a trace context."""

    __slots__ = ("trace",)

    trace: TraceContext

    def __init__(self, request: Request, promise: Promise[Response], trace: TraceContext) -> None:
        super().__init__(request, promise)
        self.trace = trace


_TRACED: Final[dict[type[Event], type[Event]]] = {
    DispatchEvent: TracedDispatchEvent,
    HttpEvent: TracedHttpEvent,
}


def is_exactly(event: object, kind: type[E]) -> TypeGuard[E]:
    """Whether *event* is of *kind*, with a trace context or without, and of no other subclass of it.

    The other subclasses of calls are those that the runtime makes, not a program.
    """
    return type(event) in (kind, _TRACED.get(kind))


class ExitedEvent(Event):
    """The exit of a linked process; ``reason`` is the error that ended it, if local and known."""

    __slots__ = ("pid", "reason")
    kind = "EXITED"

    def __init__(self, pid: UPID, reason: BaseException | None = None) -> None:
        self.pid = pid
        self.reason = reason

    def consume(self, consumer: Consumer) -> None:
        consumer.consume_exited(self)

    def visit(self, visitor: Visitor) -> object:
        return visitor.visit_exited(self)


class TerminateEvent(Event):
    """A request to terminate; ``inject`` says that it goes ahead of what is queued."""

    __slots__ = ("inject", "sender")
    kind = "TERMINATE"

    def __init__(self, sender: UPID, *, inject: bool = True) -> None:
        self.sender = sender
        self.inject = inject

    def consume(self, consumer: Consumer) -> None:
        consumer.consume_terminate(self)

    def visit(self, visitor: Visitor) -> object:
        return visitor.visit_terminate(self)
