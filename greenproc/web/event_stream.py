"""`EventStream`: events pushed to any number of browsers, as Server-Sent Events."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Literal

from greenproc.checks import whole_number
from greenproc.current import find_runtime
from greenproc.errors import InvalidArgument
from greenproc.http.event_text import EMPTY_COMMENT, EVENT_STREAM, encode_event
from greenproc.http.headers import Headers
from greenproc.http.json_body import encode_json
from greenproc.http.request import Request
from greenproc.http.response import (
    HeaderItems,
    MethodNotAllowed,
    NoContent,
    Response,
    ServiceUnavailable,
)
from greenproc.http.status import Status
from greenproc.hub.lifetime import check_here
from greenproc.process.current import current_process
from greenproc.web.callbacks import CallbackQueue, call_logged
from greenproc.web.event_history import EventHistory
from greenproc.web.subscriber import GAP, Subscriber

if TYPE_CHECKING:
    from greenproc.runtime.runtime import Runtime

HEARTBEAT_SECONDS = 15.0
"""nginx closes a response that was idle for 60 s, many load balancers after 30 s."""

RETURN_SECONDS = 2.0
"""The time over which clients spread their reconnection when a node ends its streams: all of them
at once would overload the next node."""

_HEADERS = (
    ("Content-Type", EVENT_STREAM),
    ("Cache-Control", "no-cache, no-transform"),
    ("X-Accel-Buffering", "no"),  # nginx would buffer events
)
_ABSENT: Any = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLimits:
    """The bounds of an `EventStream`.

    Raises:
        InvalidArgument: a bound is not an int, or is too small.
    """

    history_events: int = 1000
    """The events that are kept for clients that reconnect."""
    history_bytes: int = 1024 * 1024
    """The sizes of these events together."""
    waiting_bytes: int = 1024 * 1024
    """The bytes that may be queued for one client, besides the buffer of its socket. Beyond that
    the client is slow."""
    subscribers: int = 10_000
    """The number of clients; the next one gets 503."""

    def __post_init__(self) -> None:
        whole_number("history_events", self.history_events, least=0)
        whole_number("history_bytes", self.history_bytes, least=0)
        whole_number("waiting_bytes", self.waiting_bytes, least=1)
        whole_number("subscribers", self.subscribers, least=1)


class EventStream:
    """A stream of events to any number of clients.

    ::

        class News(Process):
            def __init__(self):
                super().__init__("news")
                self.events = EventStream()

            @route("/events")
            def on_events(self, request):
                return self.events.respond(request)

            @install("line")
            def on_line(self, sender, body):
                self.events.publish(body.decode())

            def finalize(self):
                self.events.close()

    An event is encoded once, whatever the number of clients. Publishing never waits: unread events
    are queued for each client up to a bound, beyond which the client is slow. A client that loses
    its connection reconnects with the id of its last event, and gets the later ones from the
    history; if these were dropped, it gets an event ``gap`` first.

    Streams end when the runtime drains or stops, and with the process that responded. All methods
    must be called in the native thread of the runtime; once there was a client, they raise
    `StateError` in another one.

    Args:
        heartbeat: seconds of silence after which a comment is sent, by the runtime's clock. The
            write also detects a lost client.
        retry: seconds after which browsers reconnect; None for their default of 3 to 5 s.
        limits: the bounds of the history and the queues.
        when_slow: ``"end"`` ends the stream of a slow client, which reconnects with its id;
            ``"drop"`` drops the oldest of its events, and sends an event ``gap`` in their place.
        on_slow: called with the subscriber and the number of events that it lost.
        on_gone: called with a subscriber when its stream has ended.

    The callbacks must not wait; `Process.defer` makes one that runs in the turn of a process. They
    may publish: further losses of slow clients are reported with their next one.

    Raises:
        InvalidArgument: a number of seconds is not positive, or *when_slow* has another value.

    Source: HTML standard, section 9.2, "Server-sent events".
    """

    def __init__(
        self,
        *,
        heartbeat: float = HEARTBEAT_SECONDS,
        retry: float | None = None,
        limits: StreamLimits | None = None,
        when_slow: Literal["end", "drop"] = "end",
        on_slow: Callable[[Subscriber, int], object] | None = None,
        on_gone: Callable[[Subscriber], object] | None = None,
    ) -> None:
        if not isinstance(heartbeat, (int, float)) or not heartbeat > 0:
            raise InvalidArgument(f"expected seconds between heartbeats, got {heartbeat!r}")
        if when_slow not in ("end", "drop"):
            raise InvalidArgument(f"expected 'end' or 'drop' for slow clients, got {when_slow!r}")
        self.limits = limits or StreamLimits()
        self.heartbeat = float(heartbeat)
        self.max_waiting_bytes = self.limits.waiting_bytes
        self._when_slow = when_slow
        self._callbacks = CallbackQueue(on_slow, on_gone)
        # Unique over restarts: an id of another run of the program must not match.
        self._epoch = secrets.token_hex(6)
        self._numbers = count(1)
        self._history = EventHistory(
            f"{self._epoch}-0",
            max_events=self.limits.history_events,
            max_bytes=self.limits.history_bytes,
        )
        first = EMPTY_COMMENT
        self._first = first if retry is None else first + encode_event(None, retry=retry)
        self._subscribers: dict[Subscriber, None] = {}
        self._is_closed = False
        self._is_draining = False
        self._runtime: Runtime | None = None
        self._counts: dict[str, int] | None = None
        self._published = self._slow = self._dropped = 0
        # Before the first client: a stream that starts while the runtime drains must end, too.
        self._connect_signals()

    # Clients

    def respond(
        self,
        request: Request,
        *,
        headers: HeaderItems = None,
        on_open: Callable[[Subscriber], object] | None = None,
    ) -> Response:
        """Return the response to a request for the stream: 200 with the events as they arrive.

        A closed stream responds with 204, after which browsers do not reconnect. It responds with
        503 at the bound of clients, and with 405 to methods other than GET and HEAD.

        Args:
            request: of the client.
            headers: further header lines, such as those of CORS, or other values for its own.
            on_open: called with the new subscriber, after the missed events and before later
                ones. An event that it sends is between the two.
        """
        if request.method not in ("GET", "HEAD"):
            return MethodNotAllowed(["GET", "HEAD"], request.method)
        self._check_thread("respond")
        if self._is_closed:
            return NoContent(headers=headers)
        if len(self._subscribers) >= self.limits.subscribers:
            return ServiceUnavailable(headers={"Retry-After": str(round(self.heartbeat))})
        head = Headers(_HEADERS)
        for name, value in Headers(headers).lines():
            head[name] = value
        if request.method == "HEAD":  # a subscriber would never read
            return Response(Status.OK, headers=head)
        return Response(Status.OK, headers=head, reader=self._subscribe(request, on_open).reader)

    @property
    def subscribers(self) -> list[Subscriber]:
        """The current clients, the oldest first."""
        return list(self._subscribers)

    def _subscribe(
        self, request: Request, on_open: Callable[[Subscriber], object] | None
    ) -> Subscriber:
        last_id = _last_event_id(request)
        subscriber = Subscriber(self, request, last_id, current_process())
        self._connect_signals()
        if self._runtime is not None:
            self._counts = self._runtime.router.event_streams
        self._subscribers[subscriber] = None
        self._count("clients")
        self._count("opened")
        subscriber.start(*self._missed(last_id))
        call_logged(on_open, subscriber)
        if self._is_draining:
            subscriber.close(retry=_random_delay(RETURN_SECONDS))
        return subscriber

    def _missed(self, last_id: str | None) -> tuple[bytes, list[bytes]]:
        """Return the beginning of the stream for a client, and the events that it missed."""
        history = self._history
        if last_id is None:
            # With the id, a client that loses its connection before the first event misses none.
            return self._first + encode_event(None, id=history.latest), []
        missed = history.since(last_id)
        if missed is not None:
            return self._first, missed
        gap = encode_event("unknown id", event=GAP, id=history.before)
        return self._first + gap, history.all()

    # Events

    def publish(
        self,
        data: str = "",
        *,
        json: Any = _ABSENT,
        event: str | None = None,
        id: str | None = None,
    ) -> str:
        """Send an event to all clients, and return its id.

        Args:
            data: the text of the event, of any number of lines.
            json: a value to encode as JSON, in place of *data*.
            event: the type of the event; ``message`` if None.
            id: an id of the program, which must be unique over restarts; None for a generated one.

        Raises:
            InvalidArgument: *id* is empty, or see `greenproc.http.encode_event`.
        """
        self._check_thread("publish")
        # An empty id resets that of the client, which could then not resume.
        if id == "":
            raise InvalidArgument("expected an id of one character or more, got ''")
        if id is None:
            id = f"{self._epoch}-{next(self._numbers)}"
        if json is not _ABSENT:
            data = encode_json(json)
        text = encode_event(data, event=event, id=id)
        self._history.add(id, text)
        self._published += 1
        self._callbacks.run(self._push, text)
        return id

    def _push(self, text: bytes) -> None:
        # A copy of the list: a push may end the stream of a slow client.
        for subscriber in self.subscribers:
            subscriber.push(text)

    # The end

    def end(self, *, within: float = RETURN_SECONDS) -> None:
        """End the streams of all clients, which reconnect.

        Args:
            within: seconds over which their reconnections are spread.
        """
        self._check_thread("end")
        for subscriber in self.subscribers:
            subscriber.close(retry=_random_delay(within))

    def close(self) -> None:
        """End the streams of all clients. A client that reconnects gets 204, and stops."""
        self._check_thread("close")
        self._is_closed = True
        for subscriber in self.subscribers:
            subscriber.close()

    def statistics(self) -> dict[str, int]:
        """Return the numbers of clients, events, kept and queued bytes, and losses."""
        return {
            "subscribers": len(self._subscribers),
            "published": self._published,
            "history_events": len(self._history),
            "history_bytes": self._history.bytes,
            "waiting_bytes": sum(one.waiting_bytes for one in self._subscribers),
            "slow": self._slow,
            "dropped": self._dropped,
        }

    def __repr__(self) -> str:
        return f"<EventStream {len(self._subscribers)} subscribers, {self._published} published>"

    def _connect_signals(self) -> None:
        """End the streams when the runtime drains or stops: an open one would delay that."""
        runtime = find_runtime()
        if runtime is None or self._runtime is runtime:
            return
        self._runtime = runtime
        for signal in (runtime.signals.runtime_draining, runtime.signals.runtime_stopping):
            signal.connect(self._drain, weak=True)

    def _count(self, what: str, by: int = 1) -> None:
        """Add to the counters of the runtime, if there is one."""
        if self._counts is not None:
            self._counts[what] += by

    def _check_thread(self, method: str) -> None:
        if self._subscribers and self._runtime is not None:
            check_here(self._runtime.hub, f"EventStream.{method}")

    def _drain(self, _runtime: object) -> None:
        self._is_draining = True
        self.end()

    # What subscribers tell

    @property
    def keeps_slow(self) -> bool:
        """Whether slow clients lose their oldest events, instead of their streams."""
        return self._when_slow == "drop"

    def slow(self, subscriber: Subscriber, dropped: int) -> None:
        """Record that *subscriber* lost *dropped* events."""
        self._slow += 1
        self._dropped += dropped
        self._count("slow")
        self._count("dropped", dropped)
        self._callbacks.slow(subscriber, dropped)

    def gone(self, subscriber: Subscriber) -> None:
        """Remove *subscriber*, whose stream has ended."""
        if subscriber in self._subscribers:
            del self._subscribers[subscriber]
            self._count("clients", -1)
            # Where slow clients are ended, the call of on_slow follows.
            self._callbacks.gone(subscriber, reports_loss=not self.keeps_slow)


def _last_event_id(request: Request) -> str | None:
    """Return the id of the last event that the client received, decoded as UTF-8."""
    text = request.headers.get("Last-Event-ID")
    return text.encode("latin-1", "replace").decode("utf-8", "replace") if text else None


def _random_delay(seconds: float) -> float:
    return random.uniform(0, seconds)  # noqa: S311
