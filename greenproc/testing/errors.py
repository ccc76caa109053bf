"""`ErrorLog`: collects errors that are otherwise only logged or printed to stderr."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Self

from gevent import get_hub
from gevent.hub import Hub

from greenproc.failures import FailureLog, text_of

if TYPE_CHECKING:
    from greenproc.runtime.runtime import Runtime

LOGGER = "greenproc"

ERROR_LOG: ContextVar[ErrorLog | None] = ContextVar("greenproc.testing.error_log", default=None)
"""The log of the running test; None outside of one."""


class ErrorLog:
    """Collects, within a ``with`` block, the errors that are otherwise only logged or printed.

    These are: errors that end a greenlet or escape a callback of the hub, errors of handlers that
    terminate a process, and exceptions that greenproc logs with level ERROR, such as those of a
    timer, a filter, or an HTTP handler.

    Source: gevent's tests fail for errors that its hub prints, src/gevent/testing/testcase.py.
    """

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self._handler = _ErrorHandler(self)
        self._hub: Any = None

    def __enter__(self) -> Self:
        self._hub = get_hub()
        self._handle_error = self._hub.handle_error
        self._hub.handle_error = self._hub_failed
        logging.getLogger(LOGGER).addHandler(self._handler)
        self._token = ERROR_LOG.set(self)
        self._was_limited, FailureLog.is_limited = FailureLog.is_limited, False
        return self

    def __exit__(self, *error: object) -> None:
        FailureLog.is_limited = self._was_limited
        ERROR_LOG.reset(self._token)
        logging.getLogger(LOGGER).removeHandler(self._handler)
        del self._hub.handle_error  # restores the method of the class, unless ...
        if self._hub.handle_error != self._handle_error:
            self._hub.handle_error = self._handle_error  # ... an outer log had replaced it

    def watch(self, runtime: Runtime) -> None:
        """Collect the errors of the processes of *runtime* as well."""
        runtime.signals.process_failed.connect(self._process_failed)

    def add(self, error: BaseException) -> None:
        """Collect *error* once, even if several sources report it."""
        if isinstance(error, Hub.SYSTEM_ERROR):
            return  # the hub raises it in the main greenlet, so the test fails anyway
        if not any(error is known for known in self.errors):
            self.errors.append(error)

    def describe(self) -> list[str]:
        """Return the collected errors with their tracebacks."""
        return ["".join(traceback.format_exception(error)).rstrip() for error in self.errors]

    def _hub_failed(self, context: Any, kind: Any, value: Any, trace: Any) -> None:
        if isinstance(value, BaseException) and not isinstance(value, self._hub.NOT_ERROR):
            if value.__traceback__ is None:
                value = value.with_traceback(trace)
            self.add(value)
        self._handle_error(context, kind, value, trace)

    def _process_failed(self, runtime: Runtime, *, error: BaseException, **_: Any) -> None:
        self.add(error)


class _ErrorHandler(logging.Handler):
    def __init__(self, log: ErrorLog) -> None:
        super().__init__(logging.ERROR)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            self._log.add(record.exc_info[1])


@contextmanager
def expect_failure(
    kind: type[BaseException] = Exception, text: str = ""
) -> Iterator[list[BaseException]]:
    """Expect an error in the block, so that the test does not fail because of it.

    The block must wait for the error, for instance by `Runtime.settle`. It receives a list, which
    holds the matching errors after the block.

    Args:
        kind: the class of the expected errors; errors of other classes still fail the test.
        text: a substring of their text.

    Raises:
        AssertionError: the block raised no matching error.
    """
    log = ERROR_LOG.get()
    if log is None:
        with ErrorLog(), expect_failure(kind, text) as inner:
            yield inner
        return
    start = len(log.errors)
    expected: list[BaseException] = []
    yield expected
    for error in log.errors[start:]:
        if isinstance(error, kind) and text in text_of(error):
            expected.append(error)
            log.errors = [known for known in log.errors if known is not error]
    if not expected:
        what = f"{kind.__name__} with {text!r}" if text else kind.__name__
        others = log.errors[start:]
        raise AssertionError(f"expected {what} to happen, got {others or 'no error'}")
