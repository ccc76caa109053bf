"""Failures that are logged unless something reads them: those of dispatches."""

from __future__ import annotations

import logging
import sys
from types import TracebackType
from typing import Any

log = logging.getLogger("greenproc.future")


class UnreadFailure:
    """The part of a failed future's outcome that logs the error when it is dropped unread.

    All futures that end with this outcome share it, also those of `then` and `associate`. Only a
    failing future has one, so the others pay nothing.

    Args:
        what: what failed, for the log.

    Source: asyncio logs "exception was never retrieved" likewise.
    """

    __slots__ = ("_error", "_traceback", "_what")

    def __init__(self, error: BaseException, traceback: TracebackType | None, what: str) -> None:
        self._error: BaseException | None = error
        self._traceback = traceback
        self._what = what

    def disarm(self) -> None:
        """Log nothing: the error was read, or nothing needs it."""
        self._error = self._traceback = None

    def __del__(self) -> None:
        # At the end of the interpreter, logging may be gone, and every future is dropped.
        error = self._error
        if error is None or sys.is_finalizing():
            return
        exc_info = (type(error), error, self._traceback)
        # Before logging, which may run anything: the log record must be the only one.
        self.disarm()
        log.error(
            "%s failed, and its future was dropped unread: get() it, or add on_failed()",
            self._what,
            exc_info=exc_info,
        )


def mark_read(outcome: tuple[Any, ...]) -> None:
    """Record that something has seen *outcome*, that of a failed future."""
    if len(outcome) > 2:
        outcome[2].disarm()
