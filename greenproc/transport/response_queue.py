"""The answers that one accepted connection owes, in the order of the requests."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from greenproc.future import Future
from greenproc.http.request import Request
from greenproc.http.response import Response
from greenproc.settings import Settings
from greenproc.transport.responses import closes, closing, encode, response_of

MAX_TAKEN_BYTES = 256 * 1024  # bodies that are encoded before the first of them is sent


FIRST_ROOM = 32
"""Requests that are taken before it is known how large the responses are."""

SMALL_BYTES = 64 * 1024
"""A response counts for at least that much where it is said how many requests are taken."""

Pending: TypeAlias = tuple[Future[Response], Request]
"""A response that a handler owes."""


class ResponseQueue:
    """A queue of answers: bytes where the answer is known, futures where it is not yet.

    Responses leave in the order of their requests, so one that is not ready holds up those behind
    it. A response that closes the connection is the last one: what is behind it is never sent.

    Args:
        settings: bound how many requests, and how many bytes of responses.
        answered: called with a request whose body is streamed when its response is taken, unless
            that is streamed, too.

    Source: libprocess src/http_proxy.cpp.
    """

    __slots__ = (
        "_answered",
        "_expose_errors",
        "append",
        "queue",
        "is_closing",
        "is_draining",
        "pending",
        "_largest",
        "_max_bytes",
        "_max_requests",
        "_room",
    )

    def __init__(self, settings: Settings, *, answered: Callable[[Request], None]) -> None:
        self._expose_errors = settings.expose_errors
        self._max_bytes = settings.max_answer_bytes
        self._max_requests = settings.max_pipelined_requests
        self._room = min(FIRST_ROOM, self._max_requests)
        self._largest = 0  # of the bodies that were taken, the late ones counting more
        self._answered = answered
        self.queue: deque[bytes | Pending] = deque()
        """What is owed; for others to be looked at only."""
        # The deque's own method: this is called for each message.
        self.append = self.queue.append
        self.pending = 0
        self.is_closing = False
        self.is_draining = False
        """Whether the response behind which none waits is the last one."""

    def __len__(self) -> int:
        """Return how many requests wait for their answers."""
        return len(self.queue)

    @property
    def is_full(self) -> bool:
        """Whether no request should be taken before some of the answers have left."""
        return len(self.queue) >= self._room

    def append_pending(self, future: Future[Response], request: Request) -> None:
        """Owe what *future* will bring."""
        self.queue.append((future, request))
        self.pending += 1

    def take(self) -> bytes:
        """Remove the answers that can leave now, up to a limit, and return their bytes.

        Nothing is returned when the head is not ready, or is a response that is no plain bytes:
        see `take_streamed`.
        """
        if not self.pending and not self.is_closing:
            joined = b"".join(self.queue)  # type: ignore[arg-type]  # no futures among them
            self.queue.clear()
            return joined
        parts: list[bytes] = []
        size = 0
        while self.queue and size < MAX_TAKEN_BYTES and not self.is_closing:
            part = self._take_head()
            if part is None:
                break
            parts.append(part)
            size += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def take_streamed(self) -> tuple[Response, Request] | None:
        """Remove the head if it is a ready response that is more than bytes."""
        if self.is_closing or not self.queue:
            return None
        head = self.queue[0]
        if isinstance(head, bytes) or not head[0].ready():
            return None
        future, request = head
        response = response_of(future, request, expose_errors=self._expose_errors)
        if response.is_whole:
            return None
        return self._pop(response, request), request

    def can_leave(self) -> bool:
        """Tell whether there is something for `take` or `take_streamed` to return."""
        if not self.queue or self.is_closing:
            return False
        head = self.queue[0]
        return isinstance(head, bytes) or head[0].ready()

    @property
    def first_pending(self) -> Future[Response] | None:
        """The future that the first answer comes from; None if it is bytes, or there is none."""
        head = self.queue[0] if self.queue and not self.is_closing else b""
        return None if isinstance(head, bytes) else head[0]

    @property
    def ready_bytes(self) -> int:
        """How many bytes the responses that are known have."""
        return sum(len(body_of(one)) for one in self.queue)

    @property
    def futures(self) -> list[Future[Response]]:
        """Those that bring answers."""
        return [one[0] for one in self.queue if not isinstance(one, bytes)]

    def clear(self) -> list[Future[Response]]:
        """Forget all answers and return the futures among them."""
        futures = self.futures
        self.queue.clear()
        self.pending = 0
        return futures

    def _take_head(self) -> bytes | None:
        head = self.queue[0]
        if isinstance(head, bytes):
            self.queue.popleft()
            return head
        future, request = head
        if not future.ready():
            return None
        response = response_of(future, request, expose_errors=self._expose_errors)
        if not response.is_whole:
            return None
        response = self._pop(response, request)
        if request.reader is not None:
            self._answered(request)
        return encode(response, request)

    def _pop(self, response: Response, request: Request) -> Response:
        """Remove the head, which *response* answers, and return what to send."""
        self.queue.popleft()
        self.pending -= 1
        size = len(response.body)
        if size > SMALL_BYTES or self._largest != SMALL_BYTES:
            self._learn(size)
        self.is_closing = closes(response, request)
        if self.is_draining and not self.queue and not self.is_closing:
            self.is_closing = True
            return closing(response)
        return response

    def _learn(self, size: int) -> None:
        """Take as many requests as have room for their responses, going by those before them."""
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
