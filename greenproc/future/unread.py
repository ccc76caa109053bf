"""Failures that are logged unless something reads them: those of dispatches."""

from __future__ import annotations

import logging
import sys
from types import TracebackType
from typing import Any

log = logging.getLogger("greenproc.future")


class UnreadFailure:
    """Part of the outcome of a failed future; logs the error when it is dropped unread.

    All futures that end with this outcome share it: those that `then` and `associate` give, too.
    It is made when a future fails, so that the many that do not fail pay nothing.

    Args:
        what: what failed, for people.

    Source: asyncio logs "exception was never retrieved" likewise.
    """

    __slots__ = ("_error", "_traceback", "_what")

    def __init__(self, error: BaseException, traceback: TracebackType | None, what: str) -> None:
        self._error: BaseException | None = error
        self._traceback = traceback
        self._what = what

    def disarm(self) -> None:
        """Log nothing: the error was read, or is not wanted."""
        self._error = self._traceback = None

    def __del__(self) -> None:
        error = self._error
        if error is None or sys.is_finalizing():
            return
        told = (type(error), error, self._traceback)
        self.disarm()
        log.error(
            "%s failed, and its future was dropped unread: get() it, or add on_failed()",
            self._what,
            exc_info=told,
        )


def mark_read(outcome: tuple[Any, ...]) -> None:
    """Take note that something has seen *outcome*, that of a failed future."""
    if len(outcome) > 2:
        outcome[2].disarm()
