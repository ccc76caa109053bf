"""Event filters: callables that see each event before it is served, and may drop it."""

from __future__ import annotations

from typing import Any

from greenproc.pid import UPID
from greenproc.process.event import (
    DispatchEvent,
    Event,
    ExitedEvent,
    HttpEvent,
    MessageEvent,
    TerminateEvent,
)


class Filter:
    """A filter with one method a kind; each returns whether to drop the event.

    Any callable that takes the receiver and the event is a filter, too. Filters see an event when
    it is taken out of the mailbox, in the receiver's greenlet. Terminate events are never dropped.

    Source: libprocess include/process/filter.hpp.
    """

    def __call__(self, pid: UPID, event: Event) -> Any:
        self.pid = pid
        return event.visit(self)

    def visit_message(self, event: MessageEvent) -> Any:
        """Return whether to drop a message."""
        return False

    def visit_dispatch(self, event: DispatchEvent) -> Any:
        """Return whether to drop a dispatch."""
        return False

    def visit_http(self, event: HttpEvent) -> Any:
        """Return whether to drop an HTTP request."""
        return False

    def visit_exited(self, event: ExitedEvent) -> Any:
        """Return whether to drop the exit of a linked process."""
        return False

    def visit_terminate(self, event: TerminateEvent) -> Any:
        """Return False: a terminate event is never dropped."""
        return False
