"""`CallbackQueue`: the callbacks of an event stream, one after the other."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from gevent import getcurrent

from greenproc.failures import FAILURES, log_failure

log = logging.getLogger("greenproc.web")


def call_logged(function: Callable[..., object] | None, *arguments: object) -> None:
    """Call users' code. An exception is logged.

    Args:
        function: the callback; None for none.
        arguments: of the callback.
    """
    if function is None:
        return
    try:
        function(*arguments)
    except FAILURES:
        log_failure(log, "a callback of an event stream failed")


class CallbackQueue:
    """Runs the callbacks of a stream after the operation that caused them.

    A callback may publish, which may make other clients slow. Nested callbacks would be as deep
    as there are clients, and the callback of one client could trigger itself for ever.

    Args:
        on_slow: called with a client and the number of events it lost since the last call.
        on_gone: called with a client.
    """

    def __init__(
        self,
        on_slow: Callable[..., object] | None,
        on_gone: Callable[..., object] | None,
    ) -> None:
        self._on_slow = on_slow
        self._on_gone = on_gone
        self._calls: deque[tuple[Callable[..., object], Any]] = deque()
        self._greenlet: object = None
        self._reported: set[Any] = set()
        self._lost: dict[Any, int] = {}

    def slow(self, client: Any, lost: int) -> None:
        """Schedule `on_slow` for *client*, once for each call of `run`.

        Args:
            client: the subscriber.
            lost: the number of events that it lost.
        """
        if self._on_slow is not None:
            self._lost[client] = self._lost.get(client, 0) + lost
            if client not in self._reported:
                self._schedule(self._call_slow, client)

    def gone(self, client: Any, *, reports_loss: bool) -> None:
        """Schedule `on_gone` for *client*.

        Args:
            client: the subscriber.
            reports_loss: whether its lost events are still reported before that.
        """
        if not reports_loss:
            self._lost.pop(client, None)
        self._schedule(self._call_gone, client)

    def run(self, function: Callable[..., object] | None, *arguments: Any) -> None:
        """Call *function*, then the callbacks that it scheduled, unless an outer call does that.

        Args:
            function: an operation on the stream; None for none.
            arguments: of the operation.
        """
        me = getcurrent()
        if self._greenlet is me:
            if function is not None:
                function(*arguments)
            return
        before, self._greenlet = self._greenlet, me
        try:
            if function is not None:
                function(*arguments)
            while self._calls:
                callback, client = self._calls.popleft()
                callback(client)
        finally:
            self._greenlet = before
            self._reported.clear()

    def _schedule(self, callback: Callable[..., object], client: Any) -> None:
        self._calls.append((callback, client))
        self.run(None)

    def _call_slow(self, client: Any) -> None:
        lost = 0 if client in self._reported else self._lost.pop(client, 0)
        self._reported.add(client)
        if lost:
            call_logged(self._on_slow, client, lost)

    def _call_gone(self, client: Any) -> None:
        call_logged(self._on_gone, client)
