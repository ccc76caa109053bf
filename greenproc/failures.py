"""Errors of users' code: which exceptions are one, and what is noted on them.

A handler, callback, filter, receiver or hook fails with an `Exception` or with gevent's `Timeout`,
which is a `BaseException` although programs on gevent meet it every day. Every other
`BaseException` is no failure of the function that it comes out of: `GreenletExit` ends the
greenlet, `SystemExit` and `KeyboardInterrupt` the program. Where greenproc calls users' code it
catches `FAILURES`, and what else comes out goes on to the greenlet.
"""

from __future__ import annotations

from typing import Final

from gevent import Timeout

FAILURES: Final = (Exception, Timeout)
"""What a failing function of a user raises."""

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
    except Exception:  # a note is worth less than what it is added to
        return


def text_of(error: BaseException) -> str:
    """Return the text of *error*; none if its own method for that fails."""
    try:
        return str(error)
    except FAILURES:
        return ""
