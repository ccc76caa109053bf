"""`ResponseQueue`: the responses that one server connection owes, in the order of the requests.

It decides what may be sent; sending is up to `greenproc.transport.response_writer`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from greenproc.future import Future
from greenproc.http.request import Request
from greenproc.http.response import Response
from greenproc.settings import Settings
from greenproc.transport.responses import closes, encode, response_of

# Of bodies that are encoded before the first of them is sent. More would not make a send any
# faster, and would wait in memory, encoded, for a slow client.
MAX_TAKEN_BYTES = 256 * 1024

# Requests that are taken before the size of any response is known: as many as have room in the
# default max_answer_bytes, 8 MiB, if each response takes 256 KiB.
FIRST_ROOM = 32

# The least that a response counts for, so that small ones are bounded by max_pipelined_requests.
SMALL_BYTES = 64 * 1024

CLOSE = (("Connection", "close"),)

Pending: TypeAlias = tuple[Future[Response], Request]
"""A response that a handler owes."""


class ResponseQueue:
    """A queue of responses: bytes where the response is known, futures where it is not yet.

    Responses leave in the order of their requests, so one that is not ready holds up those behind
    it. A response that closes the connection is the last one: what is behind it is never sent.

    Args:
        settings: bound the number of requests, and the bytes of responses.
        responded: called with a request whose body is streamed when its response is taken, unless
            that is streamed, too.

    Source: libprocess src/http_proxy.cpp.
    """

    __slots__ = (
        "_expose_errors",
        "_largest",
        "_max_bytes",
        "_max_requests",
        "_responded",
        "_room",
        "is_closing",
        "is_draining",
        "owed",
        "pending",
    )

    def __init__(self, settings: Settings, *, responded: Callable[[Request], None]) -> None:
        self._expose_errors = settings.expose_errors
        self._max_bytes = settings.max_answer_bytes
        self._max_requests = settings.max_pipelined_requests
        self._room = min(FIRST_ROOM, self._max_requests)
        self._largest = 0  # of the bodies that were taken, the late ones counting more
        self._responded = responded
        self.owed: deque[bytes | Pending] = deque()
        """What is owed. Bytes may be appended, which the hot path does without a call."""
        self.pending = 0
        """How many of the owed responses are not encoded yet."""
        self.is_closing = False
        """Whether the response that closes the connection was taken."""
        self.is_draining = False
        """Whether the response behind which none waits is the last one."""

    @property
    def is_full(self) -> bool:
        """Whether no request should be taken before some of the responses have left."""
        return len(self.owed) >= self._room

    def drain(self) -> None:
        """Make the response behind which none waits the last one."""
        self.is_draining = True

    def append_pending(self, future: Future[Response], request: Request) -> None:
        """Owe what *future* will bring."""
        self.owed.append((future, request))
        self.pending += 1

    def take(self) -> bytes:
        """Remove the responses that can leave now, up to a limit, and return their bytes.

        Nothing is returned when the head is not ready, or is a response that is no plain bytes:
        see `take_streamed`.
        """
        # The hot path: only 202s are owed, and all of them leave.
        if not self.pending and not self.is_closing:
            joined = b"".join(self.owed)  # type: ignore[arg-type]  # no futures among them
            self.owed.clear()
            return joined
        parts: list[bytes] = []
        size = 0
        while self.owed and size < MAX_TAKEN_BYTES and not self.is_closing:
            part = self._take_head()
            if part is None:
                break
            parts.append(part)
            size += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def take_streamed(self) -> tuple[Response, Request] | None:
        """Remove the head if it is a ready response that is more than bytes."""
        if self.is_closing or not self.owed:
            return None
        head = self.owed[0]
        if isinstance(head, bytes) or not head[0].ready():
            return None
        future, request = head
        response = response_of(future, request, expose_errors=self._expose_errors)
        if response.is_whole:
            return None
        return self._pop(response, request), request

    def is_ready(self) -> bool:
        """Return whether `take` or `take_streamed` would return something."""
        if not self.owed or self.is_closing:
            return False
        head = self.owed[0]
        return isinstance(head, bytes) or head[0].ready()

    @property
    def first_pending(self) -> Future[Response] | None:
        """The future of the first response; None if that is bytes, or there is none."""
        head = self.owed[0] if self.owed and not self.is_closing else b""
        return None if isinstance(head, bytes) else head[0]

    @property
    def ready_bytes(self) -> int:
        """How many bytes the known responses have, without their heads."""
        return sum(len(body_of(one)) for one in self.owed)

    @property
    def futures(self) -> list[Future[Response]]:
        """The futures among what is owed."""
        return [one[0] for one in self.owed if not isinstance(one, bytes)]

    def clear(self) -> list[Future[Response]]:
        """Drop all responses and return the futures among them."""
        futures = self.futures
        self.owed.clear()
        self.pending = 0
        return futures

    def _take_head(self) -> bytes | None:
        head = self.owed[0]
        if isinstance(head, bytes):
            self.owed.popleft()
            return head
        future, request = head
        if not future.ready():
            return None
        response = response_of(future, request, expose_errors=self._expose_errors)
        if not response.is_whole:
            return None
        response = self._pop(response, request)
        # The response does not need the rest of the body, so the pipe can drop it.
        if request.reader is not None:
            self._responded(request)
        return encode(response, request)

    def _pop(self, response: Response, request: Request) -> Response:
        """Remove the head, which *response* answers, and return what to send."""
        self.owed.popleft()
        self.pending -= 1
        size = len(response.body)
        # As long as all responses are small there is nothing to adapt.
        if size > SMALL_BYTES or self._largest != SMALL_BYTES:
            self._adapt_room(size)
        self.is_closing = closes(response, request)
        if self.is_draining and not self.owed and not self.is_closing:
            self.is_closing = True
            return response.with_lines(CLOSE)
        return response

    def _adapt_room(self, size: int) -> None:
        """Let as many requests wait as have room for responses like the last ones.

        The largest size fades, by half in 45 responses, so that one large response does not slow
        down the connection for good.
        """
        faded = self._largest - (self._largest >> 6)
        self._largest = max(size, faded, SMALL_BYTES)
        fitting = max(self._max_bytes // self._largest, 1)
        self._room = min(fitting, self._max_requests)


def body_of(owed: bytes | Pending) -> bytes:
    """Return the bytes of a response, or its body; none while it is not known."""
    if isinstance(owed, bytes):
        return owed
    response = owed[0].value
    return response.body if isinstance(response, Response) else b""
