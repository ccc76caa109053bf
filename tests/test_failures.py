"""What is logged of failures that clients bring about."""

from __future__ import annotations

import logging
import traceback
import weakref
from collections.abc import Callable, Iterator

import gevent
import pytest

from greenproc import failures
from greenproc.failures import LOG_SECONDS, MAX_KINDS, FailureLog, clear_frames, note

LOG = logging.getLogger("greenproc.test_failures")


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(FailureLog, "is_limited", True)
    monkeypatch.setattr(failures, "monotonic", lambda: now[0])
    return now


def caught(function: Callable[[], object]) -> BaseException:
    try:
        function()
    except Exception as error:
        return error
    raise AssertionError("expected an error")


def divide() -> object:
    return 1 / 0


def look_up() -> object:
    return {}[0]


def tracebacks(caplog: pytest.LogCaptureFixture) -> list[bool]:
    return [record.exc_info is not None for record in caplog.records]


def test_a_failure_that_comes_again_takes_few_lines(
    now: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    log = FailureLog(LOG)

    for _ in range(1001):
        log.add("a request failed", caught(divide))

    assert tracebacks(caplog) == [True, False, False, False, False]
    last = caplog.records[-1].getMessage()
    assert last.startswith("a request failed: ZeroDivisionError at ")
    assert last.endswith(", 1000 more in a minute")
    assert f"{__file__}:" in last


def test_after_a_minute_the_traceback_comes_again_with_the_count(
    now: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    log = FailureLog(LOG)
    for _ in range(6):
        log.add("a request failed", caught(divide))
    now[0] += LOG_SECONDS
    log.add("a request failed", caught(divide))

    assert tracebacks(caplog) == [True, False, True]
    assert caplog.records[-1].getMessage() == "a request failed (5 more like it were not logged)"


def test_other_lines_and_classes_are_other_kinds(
    now: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    log = FailureLog(LOG)
    for function in (divide, look_up, divide, look_up):
        log.add("a request failed", caught(function))
    log.add("a request failed", ValueError("never raised"))

    assert tracebacks(caplog) == [True, True, False, False, True]


def test_no_failure_is_kept_and_no_more_than_a_number_of_kinds(now: list[float]) -> None:
    log = FailureLog(logging.getLogger("greenproc.test_failures.silent"))
    log._log.disabled = True
    for number in range(MAX_KINDS + 10):
        log.add("a request failed", type(f"Error{number}", (Exception,), {})())

    assert len(log._seen) == MAX_KINDS


def test_note_raises_nothing_whatever_the_error_does() -> None:
    class Unreadable(Exception):
        @property
        def __notes__(self) -> list[str]:
            raise gevent.Timeout(1.0)

    note(Unreadable(), "text")


class Value:
    """Something that a frame may keep."""


def test_cleared_frames_keep_nothing_and_print_the_same() -> None:
    kept: list[weakref.ref[Value]] = []

    def fail(chained: bool) -> None:
        value = Value()
        kept.append(weakref.ref(value))
        if chained:
            try:
                fail(False)
            except ZeroDivisionError as error:
                raise ValueError from error
        divide()

    def guard() -> BaseException:
        value = Value()
        kept.append(weakref.ref(value))
        return caught(lambda: fail(True))

    error = guard()
    text = traceback.format_exception(error)
    clear_frames(error)

    assert [value() for value in kept] == [None] * 3
    assert traceback.format_exception(error) == text


def test_a_suspended_generator_in_a_traceback_goes_on() -> None:
    def generator() -> Iterator[BaseException | str]:
        try:
            divide()
        except ZeroDivisionError as error:
            yield error
        yield "went on"

    suspended = generator()
    error = next(suspended)
    assert isinstance(error, BaseException)
    clear_frames(error)

    assert next(suspended) == "went on"


def test_frames_of_errors_in_a_circle_and_of_none_are_cleared() -> None:
    error = caught(divide)
    error.__context__ = other = ValueError()
    other.__context__ = error

    clear_frames(error)
    clear_frames(None)
