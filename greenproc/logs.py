"""Log records with the process that logged them: a filter for handlers, and a JSON formatter.

Nothing is installed automatically: the logging configuration of the program refers to these.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any, Final

from greenproc.failures import FAILURES
from greenproc.process.current import current_process
from greenproc.tracing import current_trace

OUTSIDE: Final = "-"
"""The `upid` of a record from outside of any process, and the `trace_id` outside of any trace."""

_STANDARD: Final = frozenset(
    (*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "upid", "trace_id")
)


class ProcessFilter(logging.Filter):
    """Adds the attributes ``upid`` and ``trace_id`` to each record.

    They are the process that logged it and the trace of the current `TraceContext`, or ``-``.

    Attach it to a handler, where it covers the records of all loggers, including those of other
    libraries. A greenlet of `Process.spawn_greenlet` belongs to its process, one of plain
    `gevent.spawn` to none. The filter must run in the greenlet that logs: with a
    `logging.handlers.QueueHandler`, attach it to that handler, not behind the queue. Existing
    attributes are kept. All records pass.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Set the attributes and let the record pass."""
        if not hasattr(record, "upid"):
            record.upid = _find_upid()
        if not hasattr(record, "trace_id"):
            record.trace_id = _find_trace_id()
        return True


class JSONFormatter(logging.Formatter):
    """Formats each record as one line of JSON, in ASCII.

    The keys are ``time`` (RFC 3339, UTC, microseconds), ``level``, ``logger``, ``upid``,
    ``message``, and, if present, ``trace_id``, ``exception`` and ``stack``, the last two of them
    multi-line text. The attributes of ``extra`` follow under their own keys and never replace
    these; a value without a JSON representation is formatted with `repr`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return *record* as one line, without a line terminator."""
        when = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "time": when.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "upid": str(getattr(record, "upid", None) or _find_upid()),
            "message": record.getMessage(),
        }
        trace_id = str(getattr(record, "trace_id", None) or _find_trace_id())
        if trace_id != OUTSIDE:
            line["trace_id"] = trace_id
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


def _find_trace_id() -> str:
    trace = current_trace()
    return OUTSIDE if trace is None else trace.trace_id


def _plain(value: object) -> object:
    """Return *value* if it is serializable as JSON, else its repr."""
    try:
        json.dumps(value, allow_nan=False)
    except FAILURES:
        return _spell(value)
    return value


def _spell(value: object) -> str:
    try:
        return repr(value)
    except FAILURES as error:  # a failing __repr__ of the program must not lose the record
        return f"<{type(value).__name__}, whose repr failed: {type(error).__name__}>"
