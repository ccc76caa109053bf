"""The calls of an app that go on and those that wait: how many at once, and in which order."""

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

KILL_SECONDS = 1.0  # how long a killed call may take to end
MAX_IDLE = 100  # greenlets that are kept for the next calls


class AppCalls:
    """Runs one function for each request, in a greenlet and a context of its own, within bounds.

    The requests of one connection are served one after the other, as apps expect it: what a
    client sends without waiting for responses has an order.

    Greenlets are used again, as threads of a pool are: making one costs more than all the rest of
    a short call.

    Args:
        serve: answers a request; called in the greenlet.
        spawn: starts the greenlet.
        max_running: how many may run at once; others wait.
        max_waiting: how many may wait; others are answered 503.
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
        self._idle: list[Any] = []  # greenlets that wait in `_wait_for_event`
        self._waiting: deque[HttpEvent] = deque()
        # By connection: what waits for the request that is being served there.
        self._behind: dict[object, deque[HttpEvent]] = {}
        self._is_closed = False
        self.served = self.refused = self._behind_count = 0

    def __len__(self) -> int:
        """Return how many run."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """How many wait to run."""
        return len(self._waiting) + self._behind_count

    def admit(self, event: HttpEvent) -> None:
        """Serve *event* now, or when it is its turn."""
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
        """Refuse what waits, let what runs end, and kill what does not.

        Args:
            seconds: how long that may take.

        Returns how many were killed.
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
        """Be a greenlet that serves *event*, and then others that come."""
        while event is not None:
            copy_context().run(self._run, event)
            event = self._wait_for_event()

    def _wait_for_event(self) -> HttpEvent | None:
        """Wait until `_start` hands one over; None if this greenlet is not needed any more."""
        if self._is_closed or len(self._idle) >= MAX_IDLE:
            return None
        greenlet, hub = gevent.getcurrent(), gevent.get_hub()
        self._idle.append(greenlet)
        try:
            while not isinstance(event := hub.switch(), HttpEvent):
                pass  # a switch that was meant for a wait of the last call
        except BaseException:  # killed
            if greenlet in self._idle:
                self._idle.remove(greenlet)
            raise
        return event

    def _run(self, event: HttpEvent) -> None:
        if TRACING.is_active:
            TRACE.set(event.trace)  # in place of that of the first request of this greenlet
        try:
            if event.promise.future.has_discard:
                event.promise.discard()
            else:
                self._serve(event)
        finally:
            self._running.discard(gevent.getcurrent())
            self._go_on(event.request.connection)

    def _go_on(self, connection: object) -> None:
        """Start who waited for the end of a request that came on *connection*."""
        behind = self._behind.get(connection)
        if behind:
            self._behind_count -= 1
            self._waiting.append(behind.popleft())
        elif behind is not None:
            del self._behind[connection]
        while self._waiting and len(self._running) < self._max_running:
            self._start(self._waiting.popleft())
