"""Errors of users' code: which exceptions are one, and what is noted on them.

A handler, callback, filter, receiver or hook fails with an `Exception` or with gevent's `Timeout`,
which is a `BaseException` although programs on gevent meet it every day. Every other
`BaseException` is no failure of the function that it comes out of: `GreenletExit` ends the
greenlet, `SystemExit` and `KeyboardInterrupt` the program. Where greenproc calls users' code it
catches `FAILURES`, and what else comes out goes on to the greenlet.
"""

from __future__ import annotations

import logging
import traceback
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR
from time import monotonic
from types import FrameType
from typing import ClassVar, Final

from gevent import Timeout

FAILURES: Final = (Exception, Timeout)
"""What a failing function of a user raises."""

LOG_SECONDS = 60.0
"""How long failures of one kind are only counted after one was logged with its traceback."""

MAX_KINDS = 1000
"""How many kinds are known at once; beyond that the one that was seen longest ago is forgotten."""

GENERATORS = CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR
"""The flags of code whose frames outlive their calls."""

MAX_NOTES = 8  # one exception that many handlers raise again would gather a note from each


def graver(first: BaseException | None, second: BaseException) -> BaseException:
    """Return which of two errors goes on when only one can: a failure gives way to a kill."""
    if first is None or (isinstance(first, FAILURES) and not isinstance(second, FAILURES)):
        return second
    return first


def note(error: BaseException, text: str) -> None:
    """Add *text* to the notes of *error*, once. Raises nothing, whatever *error* is.

    Exceptions of users may be frozen, have no room for notes, or raise in their own ``add_note``;
    they then go without.
    """
    try:
        notes = getattr(error, "__notes__", ())
        if text not in notes and len(notes) < MAX_NOTES:
            BaseException.add_note(error, text)
    except FAILURES:  # a note is worth less than what it is added to
        return


def clear_frames(error: BaseException | None) -> None:
    """Clear the local variables in the tracebacks of *error* and of its causes.

    An error that is kept for long would otherwise keep the objects that the failed code used. The
    tracebacks still print the same lines.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        for frame, _ in traceback.walk_tb(error.__traceback__):
            _clear_with_callers(frame)
        error = error.__cause__ or error.__context__


def _clear_with_callers(frame: FrameType | None) -> None:
    """Clear *frame* and the frames that called it, up to one that is still being executed."""
    while frame is not None:
        if not frame.f_code.co_flags & GENERATORS:  # clearing would close a suspended one
            try:
                frame.clear()
            except RuntimeError:
                return
        frame = frame.f_back


def text_of(error: BaseException) -> str:
    """Return the text of *error*; none if its own method for that fails."""
    try:
        return str(error)
    except FAILURES:
        return ""


def name_of(function: object) -> str:
    """Return the qualified name of *function*; an empty text if it has none, or reading it fails."""
    try:
        name = getattr(function, "__qualname__", "")
    except FAILURES:
        return ""
    return name if isinstance(name, str) else ""


def log_failure(
    log: logging.Logger, text: str, *args: object, error: BaseException | None = None
) -> None:
    """Log the error that is being handled, or *error*, with its traceback.

    If a handler or formatter of the program's log fails, that is printed, as `logging` does with most of its errors: what
    follows a failure, such as the end of a process, must not depend on the log.
    """
    try:
        log.error(text, *args, exc_info=True if error is None else error)
    except FAILURES:
        if logging.raiseExceptions:
            traceback.print_exc()


class FailureLog:
    """Logs failures of users' code that a client can bring about as often as it likes.

    The first one of a kind, which is a class of exceptions and the line that raised, is logged with
    its traceback, and again after a minute. Of those in between the 1st, 10th, 100th and so on take
    a line each, which counts them; so does the next traceback.

    Args:
        log: where to.

    Source: the log of a server is what fills a disk when a client finds a handler that raises.
    """

    is_limited: ClassVar[bool] = True
    """Whether anything is left out; not in tests, which have to see every failure."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._seen: dict[tuple[str, str, int], _Repeats] = {}

    def add(self, text: str, error: BaseException) -> None:
        """Log *error*, or count it. *text* says what failed."""
        if not self.is_limited:
            log_failure(self._log, "%s", text, error=error)
            return
        kind = _kind(error)
        now = monotonic()
        repeats = self._seen.pop(kind, None)
        if repeats is None or now - repeats.began >= LOG_SECONDS:
            more = f" ({repeats.count} more like it were not logged)" if repeats else ""
            more = more if repeats and repeats.count else ""
            log_failure(self._log, "%s%s", text, more, error=error)
            repeats = _Repeats(now)
        else:
            repeats.count += 1
            if repeats.count == repeats.next_told:
                repeats.next_told *= 10
                self._log.error(
                    "%s: %s at %s:%d, %d more in a minute",
                    text,
                    *kind,
                    repeats.count,
                )
        if len(self._seen) >= MAX_KINDS:
            del self._seen[next(iter(self._seen))]
        self._seen[kind] = repeats


class _Repeats:
    """How often a kind of failure has come since it was last logged with a traceback."""

    __slots__ = ("began", "count", "next_told")

    def __init__(self, began: float) -> None:
        self.began = began
        self.count = 0
        self.next_told = 1


def _kind(error: BaseException) -> tuple[str, str, int]:
    """Return the name of the class of *error*, and the file and line that raised it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    name = type(error).__qualname__
    if trace is None:
        return name, "?", 0
    return name, trace.tb_frame.f_code.co_filename, trace.tb_lineno
