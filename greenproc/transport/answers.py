"""The answers that one accepted connection owes, in the order of the requests."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from greenproc.future import Future
from greenproc.http.request import Request
from greenproc.http.response import Response
from greenproc.transport.respond import closes, closing, encode, is_whole, response_of

MAX_TAKEN_BYTES = 256 * 1024  # bodies that are encoded before the first of them is sent


class Pending(NamedTuple):
    """A response that a handler owes."""

    future: Future[Response]
    request: Request


class Answers:
    """A queue of answers: bytes where the answer is known, futures where it is not yet.

    Answers leave in the order of their requests, so one that is not ready holds up those behind
    it. A response that closes the connection is the last one: what is behind it is never sent.

    Args:
        answered: called with a request whose body is streamed when its response is taken, unless
            that is streamed, too.

    Source: libprocess src/http_proxy.cpp.
    """

    __slots__ = (
        "_answered",
        "_expose_errors",
        "_items",
        "append",
        "is_closing",
        "is_draining",
        "pending",
    )

    def __init__(self, *, expose_errors: bool, answered: Callable[[Request], None]) -> None:
        self._expose_errors = expose_errors
        self._answered = answered
        self._items: deque[bytes | Pending] = deque()
        # The deque's own method: this is called for each message.
        self.append = self._items.append
        self.pending = 0
        self.is_closing = False
        self.is_draining = False
        """Whether the response behind which none waits is the last one."""

    def __len__(self) -> int:
        """Return how many requests wait for their answers."""
        return len(self._items)

    def append_pending(self, future: Future[Response], request: Request) -> None:
        """Owe what *future* will bring."""
        self._items.append(Pending(future, request))
        self.pending += 1

    def take(self) -> bytes:
        """Remove the answers that can leave now, up to a limit, and return their bytes.

        Nothing is returned when the head is not ready, or is a response that is no plain bytes:
        see `take_streamed`.
        """
        if not self.pending and not self.is_closing:
            joined = b"".join(self._items)  # type: ignore[arg-type]  # no futures among them
            self._items.clear()
            return joined
        parts: list[bytes] = []
        size = 0
        while self._items and size < MAX_TAKEN_BYTES and not self.is_closing:
            part = self._take_head()
            if part is None:
                break
            parts.append(part)
            size += len(part)
        return b"".join(parts)

    def take_streamed(self) -> tuple[Response, Request] | None:
        """Remove the head if it is a ready response that is more than bytes."""
        if self.is_closing or not self._items:
            return None
        head = self._items[0]
        if isinstance(head, bytes) or not head.future.ready():
            return None
        response = response_of(head.future, expose_errors=self._expose_errors)
        if is_whole(response):
            return None
        return self._pop(response, head), head.request

    def can_leave(self) -> bool:
        """Tell whether there is something for `take` or `take_streamed` to return."""
        if not self._items or self.is_closing:
            return False
        head = self._items[0]
        return isinstance(head, bytes) or head.future.ready()

    def clear(self) -> list[Future[Response]]:
        """Forget all answers and return the futures among them."""
        futures = [one.future for one in self._items if not isinstance(one, bytes)]
        self._items.clear()
        self.pending = 0
        return futures

    def _take_head(self) -> bytes | None:
        head = self._items[0]
        if isinstance(head, bytes):
            self._items.popleft()
            return head
        if not head.future.ready():
            return None
        response = response_of(head.future, expose_errors=self._expose_errors)
        if not is_whole(response):
            return None
        response = self._pop(response, head)
        if head.request.reader is not None:
            self._answered(head.request)
        return encode(response, head.request)

    def _pop(self, response: Response, head: Pending) -> Response:
        """Remove the head and return what to send."""
        self._items.popleft()
        self.pending -= 1
        self.is_closing = closes(response, head.request)
        if self.is_draining and not self._items and not self.is_closing:
            self.is_closing = True
            return closing(response)
        return response
