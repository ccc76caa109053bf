"""Log records that say which process made them: a filter for handlers, and lines of JSON.

Nothing here is set up by itself: the program's own configuration names what it wants.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any, Final

from greenproc.failures import FAILURES
from greenproc.process.current import current_process

OUTSIDE: Final = "-"
"""The `upid` of a record that no process made."""

_STANDARD: Final = frozenset(
    (*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "upid")
)


class ProcessFilter(logging.Filter):
    """Gives each record the attribute ``upid``: the process whose handler made it, else ``-``.

    It belongs to a handler, where it sees the records of all loggers, those of other libraries
    included, and those of greenlets that `Process.spawn_greenlet` started; one of plain
    `gevent.spawn` belongs to no process. It must see a record in the greenlet that made it: with
    a `logging.handlers.QueueHandler`, there and not behind the queue. A record that has a
    ``upid`` keeps it. Nothing is left out.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Set ``record.upid`` and let the record pass."""
        if not hasattr(record, "upid"):
            record.upid = _find_upid()
        return True


class JSONFormatter(logging.Formatter):
    """Writes each record as one line of JSON, in ASCII.

    The keys are ``time`` (RFC 3339, UTC, microseconds), ``level``, ``logger``, ``upid``,
    ``message``, and, where there is one, ``exception`` and ``stack``, which are texts of several
    lines. What the program gave as ``extra`` follows under its own keys, never in place of these;
    what JSON has no form for is written as its `repr`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of *record*, without the end of the line."""
        when = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "time": when.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "upid": str(getattr(record, "upid", None) or _find_upid()),
            "message": record.getMessage(),
        }
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            line["exception"] = record.exc_text
        if record.stack_info:
            line["stack"] = self.formatStack(record.stack_info)
        for key, value in vars(record).items():
            if key not in _STANDARD:
                line.setdefault(key, _plain(value))
        return json.dumps(line)


def _find_upid() -> str:
    process = current_process()
    return OUTSIDE if process is None else str(process.pid)


def _plain(value: object) -> object:
    """Return *value* if JSON has a form for it, else its repr."""
    try:
        json.dumps(value, allow_nan=False)
    except FAILURES:
        return _spell(value)
    return value


def _spell(value: object) -> str:
    try:
        return repr(value)
    except FAILURES as error:  # an object of the program, whose line is wanted all the same
        return f"<{type(value).__name__}, whose repr failed: {type(error).__name__}>"
