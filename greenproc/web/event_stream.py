"""`EventStream`: events pushed to any number of browsers, as Server-Sent Events."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal

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

HEARTBEAT_SECONDS = 15.0
"""nginx gives up a response that is silent for 60 s, many load balancers for 30 s."""

RETURN_SECONDS = 2.0
"""Within what time clients come back from a node that ends its streams, each at its own moment."""

_HEADERS = (
    ("Content-Type", EVENT_STREAM),
    ("Cache-Control", "no-cache, no-transform"),
    ("X-Accel-Buffering", "no"),  # nginx would keep events back
)
_ABSENT: Any = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLimits:
    """The bounds of an `EventStream`.

    Raises:
        InvalidArgument: one is no whole number, or too small.
    """

    history_events: int = 1000
    """How many events are kept for clients that come back."""
    history_bytes: int = 1024 * 1024
    """How large the events that are kept may be together."""
    waiting_bytes: int = 1024 * 1024
    """How much may wait for one client, besides what a socket holds. A slower one is slow."""
    subscribers: int = 10_000
    """How many clients there may be; the next one gets 503."""

    def __post_init__(self) -> None:
        whole_number("history_events", self.history_events, least=0)
        whole_number("history_bytes", self.history_bytes, least=0)
        whole_number("waiting_bytes", self.waiting_bytes, least=1)
        whole_number("subscribers", self.subscribers, least=1)


class EventStream:
    """Events that go to every client which has asked for them, and stays.

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

    An event is encoded once, whatever the number of clients. Publishing never waits: what a client
    has not read waits for it up to a bound, beyond which the client is slow. A client that loses
    its connection comes back with the id of the last event that it had, and gets those that came
    since, as far as they are kept; where they are not, it gets an event ``gap`` first.

    Streams end when the runtime drains or stops, and with the process that responded. All methods belong to the native thread of the runtime, and refuse
    another one with `StateError` once a client was there.

    Args:
        heartbeat: seconds of silence after which a comment is sent, by the runtime's clock. A
            client that is gone is found by the write.
        retry: seconds after which browsers reconnect; their own choice, some 3 to 5 s, if None.
        limits: how much is kept, and may wait.
        when_slow: ``"end"`` ends the stream of a slow client, which comes back with its id;
            ``"drop"`` drops the oldest of its events, and sends an event ``gap`` in their place.
        on_slow: called with the subscriber and the number of events that will not reach it.
        on_gone: called with a subscriber when its stream is over.

    The callbacks must not wait; `Process.defer` makes one that runs in the turn of a process. They
    may publish: what that makes slow clients lose besides is told with what they lose next.

    Raises:
        InvalidArgument: a number of seconds is not positive, or *when_slow* is something else.

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
        # Unique over restarts: an id of an earlier life is not known.
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
        self._runtime: Any = None
        self._counts: dict[str, int] | None = None
        self._published = self._slow = self._dropped = 0
        # As soon as there is a runtime: also what begins while that drains has to end.
        self._hear_of_the_end()

    # Clients

    def respond(
        self,
        request: Request,
        *,
        headers: HeaderItems = None,
        on_open: Callable[[Subscriber], object] | None = None,
    ) -> Response:
        """Return the response to a request for the stream: 200, and events as they come.

        A stream that was closed answers 204, after which browsers do not come back; 503 if there
        are too many clients, and 405 unless the method is GET or HEAD.

        Args:
            headers: more lines of the head, such as those of CORS, or other values.
            on_open: called with the new subscriber, after what was missed and before later
                events: what it sends comes between the two.
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
        if request.method == "HEAD":
            return Response(Status.OK, headers=head)
        return Response(Status.OK, headers=head, reader=self._subscribe(request, on_open).reader)

    @property
    def subscribers(self) -> list[Subscriber]:
        """The clients at the moment, the oldest first."""
        return list(self._subscribers)

    def _subscribe(
        self, request: Request, on_open: Callable[[Subscriber], object] | None
    ) -> Subscriber:
        last_id = _last_event_id(request)
        subscriber = Subscriber(self, request, last_id, current_process())
        self._hear_of_the_end()
        if self._runtime is not None:
            self._counts = self._runtime.router.event_streams
        self._subscribers[subscriber] = None
        self._count("clients")
        self._count("opened")
        subscriber.start(*self._missed(last_id))
        call_logged(on_open, subscriber)
        if self._is_draining:
            subscriber.close(retry=_spread(RETURN_SECONDS))
        return subscriber

    def _missed(self, last_id: str | None) -> tuple[bytes, list[bytes]]:
        """Return how the stream begins for a client, and the events that come again."""
        history = self._history
        if last_id is None:
            # The id makes sure that nothing is lost when the connection ends before the first event.
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
            json: a value to send as JSON instead.
            event: the type of the event; ``message`` if None.
            id: an id of the program's own, which must be unique also over restarts.

        Raises:
            InvalidArgument: *id* is empty, or see `greenproc.http.encode_event`.
        """
        self._check_thread("publish")
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
        for subscriber in self.subscribers:
            subscriber.push(text)

    # The end

    def end(self, *, within: float = RETURN_SECONDS) -> None:
        """End the streams of all clients; they come back.

        Args:
            within: seconds over which they are told to spread their return.
        """
        self._check_thread("end")
        for subscriber in self.subscribers:
            subscriber.close(retry=_spread(within))

    def close(self) -> None:
        """End the streams of all clients for good: one that comes back gets 204."""
        self._check_thread("close")
        self._is_closed = True
        for subscriber in self.subscribers:
            subscriber.close()

    def statistics(self) -> dict[str, int]:
        """Count clients, events, what is kept and what waits, and what slow clients lost."""
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

    def _hear_of_the_end(self) -> None:
        """Let the streams end when the runtime does; a stream holds no server up."""
        runtime = find_runtime()
        if runtime is None or self._runtime is runtime:
            return
        self._runtime = runtime
        for signal in (runtime.signals.runtime_draining, runtime.signals.runtime_stopping):
            signal.connect(self._drain, weak=True)

    def _count(self, what: str, by: int = 1) -> None:
        """Count for the node, too, if the stream has one."""
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
        """*dropped* events will not reach *subscriber*."""
        self._slow += 1
        self._dropped += dropped
        self._count("slow")
        self._count("dropped", dropped)
        self._callbacks.slow(subscriber, dropped)

    def gone(self, subscriber: Subscriber) -> None:
        """The stream of *subscriber* is over."""
        if subscriber in self._subscribers:
            del self._subscribers[subscriber]
            self._count("clients", -1)
            # One may be gone for being slow, which is told next.
            self._callbacks.gone(subscriber, is_told=not self.keeps_slow)


def _last_event_id(request: Request) -> str | None:
    """Return the id that a client has, as its UTF-8 says."""
    text = request.headers.get("Last-Event-ID")
    return text.encode("latin-1", "replace").decode("utf-8", "replace") if text else None


def _spread(seconds: float) -> float:
    return random.uniform(0, seconds)  # noqa: S311
