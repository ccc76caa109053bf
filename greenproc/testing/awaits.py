"""Assertions that wait for a future to reach a state, with a timeout.

The timeout is real time, not that of the runtime's clock: a paused clock would never reach it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from greenproc.current import find_runtime
from greenproc.errors import NotSettled
from greenproc.future import Future
from greenproc.process.current import current_process
from greenproc.process.record import describe_busy
from greenproc.timestamp import parse_duration

if TYPE_CHECKING:
    from greenproc.runtime.runtime import Runtime

T = TypeVar("T")

TIMEOUT = 15.0  # seconds, as in libprocess
TIMEOUT_VARIABLE = "LIBPROCESS_TEST_AWAIT_TIMEOUT"
SETTLE_SLICE = 0.01  # seconds; libprocess' interval of checks of the future


def await_ready(future: Future[T], timeout: float | None = None) -> T:
    """Wait until *future* is ready and return its value.

    If the clock is paused, the runtime is settled first, unless the future completes earlier.

    Args:
        future: any future.
        timeout: real seconds; None means the value of LIBPROCESS_TEST_AWAIT_TIMEOUT, a duration
            such as ``10secs``, or 15 if it is unset.

    Raises:
        AssertionError: the future is pending after the timeout, or completed in another state.
        InvalidArgument: LIBPROCESS_TEST_AWAIT_TIMEOUT is not a duration.

    Source: libprocess include/process/gtest.hpp, AWAIT_READY.
    """
    __tracebackhide__ = True
    _await(future, timeout, "ready", lambda: future.is_ready)
    return future.get_nowait()


def await_failed(future: Future[Any], timeout: float | None = None) -> BaseException:
    """Wait until *future* has failed and return its exception. See `await_ready`."""
    __tracebackhide__ = True
    _await(future, timeout, "failed", lambda: future.is_failed)
    error = future.exception
    assert error is not None
    return error


def await_discarded(future: Future[Any], timeout: float | None = None) -> None:
    """Wait until *future* is discarded. See `await_ready`."""
    __tracebackhide__ = True
    _await(future, timeout, "discarded", lambda: future.is_discarded)


def await_abandoned(future: Future[Any], timeout: float | None = None) -> None:
    """Wait until *future* is abandoned. See `await_ready`."""
    __tracebackhide__ = True
    _await(future, timeout, "abandoned", lambda: future.is_abandoned)


def await_eq(expected: T, future: Future[T], timeout: float | None = None) -> None:
    """Wait until *future* is ready and check its value. See `await_ready`."""
    __tracebackhide__ = True
    value = await_ready(future, timeout)
    assert value == expected, f"expected {expected!r}, got {value!r}"


def await_response_status_eq(
    expected: int, future: Future[Any], timeout: float | None = None
) -> None:
    """Wait for a response and check its status. See `await_ready`."""
    __tracebackhide__ = True
    response = await_ready(future, timeout)
    assert response.status == expected, (
        f"expected status {expected}, got {response.status} with {response.body!r}"
    )


def await_response_body_eq(
    expected: bytes | str, future: Future[Any], timeout: float | None = None
) -> None:
    """Wait for a response and check its body; text is compared as UTF-8. See `await_ready`."""
    __tracebackhide__ = True
    body = await_ready(future, timeout).body
    wanted = expected.encode() if isinstance(expected, str) else expected
    assert body == wanted, f"expected body {wanted!r}, got {body!r}"


def await_response_header_eq(
    expected: str, name: str, future: Future[Any], timeout: float | None = None
) -> None:
    """Wait for a response and check one of its headers. See `await_ready`."""
    __tracebackhide__ = True
    value = await_ready(future, timeout).headers.get(name)
    assert value == expected, f"expected {name}: {expected!r}, got {value!r}"


def default_timeout() -> float:
    """Return the default timeout in real seconds.

    Raises:
        InvalidArgument: LIBPROCESS_TEST_AWAIT_TIMEOUT is not a duration.
    """
    text = os.environ.get(TIMEOUT_VARIABLE)
    return parse_duration(text) if text else TIMEOUT


def _await(
    future: Future[Any], timeout: float | None, what: str, reached: Callable[[], bool]
) -> None:
    __tracebackhide__ = True
    seconds = default_timeout() if timeout is None else timeout
    deadline = monotonic() + seconds
    runtime = find_runtime()
    if runtime is not None and current_process() is None and runtime.clock.paused:
        _settle(future, runtime, deadline)
    future.await_(max(deadline - monotonic(), 0.0))
    if not reached():
        raise AssertionError(_report(future, seconds, what, runtime))


def _settle(future: Future[Any], runtime: Runtime, deadline: float) -> None:
    """Settle *runtime* in slices, since a process may stay busy after *future* has completed."""
    while True:
        try:
            runtime.settle(SETTLE_SLICE)
            return
        except NotSettled:
            if future.ready() or monotonic() >= deadline:
                return


def _report(future: Future[Any], seconds: float, what: str, runtime: Runtime | None) -> str:
    told = f"expected a future to be {what}, got one that is {str(future).lower()}"
    if future.ready():
        return told
    busy = describe_busy(runtime.processes.records.values()) if runtime is not None else ""
    paused = ", the clock is paused" if runtime is not None and runtime.clock.paused else ""
    return f"{told} after {seconds} s{paused}; busy: {busy or 'none'}"
