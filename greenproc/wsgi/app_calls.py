"""The running and queued calls of an app, with bounds on both."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

import gevent

from greenproc.http.response import ServiceUnavailable
from greenproc.hub.lifetime import kill_within
from greenproc.process.event import HttpEvent
from greenproc.tracing import TRACE, TRACING

KILL_SECONDS = 1.0  # the time limit for killed calls to end
MAX_IDLE = 100  # greenlets kept for further calls


class AppCalls:
    """Runs one function for each request, in a greenlet and a context of its own, within bounds.

    The requests of one connection are served in order, since pipelined requests may depend on
    each other.

    Greenlets are pooled: the creation of one costs more than the rest of a short call.

    Args:
        serve: serves a request; called in the greenlet.
        spawn: starts the greenlet.
        max_running: the maximum number of running calls; further ones are queued.
        max_waiting: the maximum number of queued calls; further ones get 503.
    """

    def __init__(
        self,
        serve: Callable[[HttpEvent], None],
        spawn: Callable[..., Any],
        *,
        max_running: int,
        max_waiting: int,
    ) -> None:
        self._serve = serve
        self._spawn = spawn
        self._max_running = max_running
        self._max_waiting = max_waiting
        self._running: set[Any] = set()
        self._idle: list[Any] = []  # pooled greenlets, blocked in `_wait_for_event`
        self._waiting: deque[HttpEvent] = deque()
        # By connection: the pipelined requests behind the running one.
        self._behind: dict[object, deque[HttpEvent]] = {}
        self._is_closed = False
        self.served = self.refused = self._behind_count = 0

    def __len__(self) -> int:
        """Return the number of running calls."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """The number of queued calls."""
        return len(self._waiting) + self._behind_count

    def admit(self, event: HttpEvent) -> None:
        """Serve *event* at once, or queue it."""
        if self._is_closed or self.waiting >= self._max_waiting > 0:
            self._refuse(event)
            return
        connection = event.request.connection
        behind = None if connection is None else self._behind.get(connection)
        if behind is not None:
            behind.append(event)
            self._behind_count += 1
            return
        if connection is not None:
            self._behind[connection] = deque()
        if len(self._running) >= self._max_running:
            self._wait(event)
        else:
            self._start(event)

    def close(self, seconds: float) -> int:
        """Reject queued calls, await the running ones, and kill those that exceed the time limit.

        Args:
            seconds: the time limit for running calls.

        Returns:
            The number of killed calls.
        """
        self._is_closed = True
        waiting = [*self._waiting, *(one for queue in self._behind.values() for one in queue)]
        self._waiting.clear()
        self._behind.clear()
        self._behind_count = 0
        for event in waiting:
            self._refuse(event)
        try:
            gevent.joinall(list(self._running), timeout=seconds)
        finally:
            stuck = list(self._running)
            kill_within(KILL_SECONDS, [*stuck, *self._idle])
        return len(stuck)

    def _wait(self, event: HttpEvent) -> None:
        if self._max_waiting == 0:
            self._behind.pop(event.request.connection, None)
            self._refuse(event)
        else:
            self._waiting.append(event)

    def _refuse(self, event: HttpEvent) -> None:
        self.refused += 1
        event.promise.set(ServiceUnavailable())

    def _start(self, event: HttpEvent) -> None:
        self.served += 1
        if self._idle:
            greenlet = self._idle.pop()
            gevent.get_hub().loop.run_callback(greenlet.switch, event)
        else:
            greenlet = self._spawn(self._serve_events, event)
            greenlet.rawlink(self._running.discard)
        self._running.add(greenlet)

    def _serve_events(self, event: HttpEvent | None) -> None:
        """The main loop of a greenlet: serve *event*, then further ones from the pool."""
        while event is not None:
            copy_context().run(self._run, event)
            event = self._wait_for_event()

    def _wait_for_event(self) -> HttpEvent | None:
        """Wait for an event of `_start`; None ends a surplus greenlet."""
        if self._is_closed or len(self._idle) >= MAX_IDLE:
            return None
        greenlet, hub = gevent.getcurrent(), gevent.get_hub()
        self._idle.append(greenlet)
        try:
            while not isinstance(event := hub.switch(), HttpEvent):
                pass  # a late switch to a wait of the previous call
        except BaseException:  # killed
            if greenlet in self._idle:
                self._idle.remove(greenlet)
            raise
        return event

    def _run(self, event: HttpEvent) -> None:
        if TRACING.is_active:
            TRACE.set(event.trace)  # the greenlet has the trace of its first request
        try:
            if event.promise.future.has_discard:
                event.promise.discard()
            else:
                self._serve(event)
        finally:
            self._running.discard(gevent.getcurrent())
            self._go_on(event.request.connection)

    def _go_on(self, connection: object) -> None:
        """Queue the next request of *connection*, and start queued calls up to the limit."""
        behind = self._behind.get(connection)
        if behind:
            self._behind_count -= 1
            self._waiting.append(behind.popleft())
        elif behind is not None:
            del self._behind[connection]
        while self._waiting and len(self._running) < self._max_running:
            self._start(self._waiting.popleft())
