"""The calls of an app that go on and those that wait: how many at once, and in which order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import gevent

from greenproc.http.response import ServiceUnavailable
from greenproc.process.event import HttpEvent

KILL_SECONDS = 1.0  # how long a killed call may take to end


class AppCalls:
    """Runs one function for each request, in a greenlet of its own, within bounds.

    The requests of one connection are served one after the other, as apps expect it: what a
    client sends without waiting for responses has an order.

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
            gevent.killall(stuck, timeout=KILL_SECONDS)
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
        greenlet = self._spawn(self._run, event)
        self._running.add(greenlet)
        greenlet.rawlink(self._running.discard)

    def _run(self, event: HttpEvent) -> None:
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
