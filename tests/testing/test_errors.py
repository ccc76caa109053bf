"""Errors that only a log would tell."""

from __future__ import annotations

import logging

import gevent
import pytest

from greenproc.process.base import Process
from greenproc.runtime import Runtime
from greenproc.testing import ErrorLog, expect_failure


def fail(error: Exception) -> None:
    raise error


def test_error_is_collected_once_however_it_is_reported() -> None:
    error = ValueError("one")
    with ErrorLog() as log:
        gevent.spawn(fail, error).join()
        logging.getLogger("greenproc.part").error("again", exc_info=error)
    assert log.errors == [error]


def test_error_with_the_same_text_is_another_one() -> None:
    with ErrorLog() as log:
        for _ in range(2):
            gevent.spawn(fail, ValueError("one")).join()
    assert len(log.errors) == 2


def test_killed_greenlet_is_no_error() -> None:
    with ErrorLog() as log:
        gevent.spawn(gevent.sleep, 100).kill()
    assert log.errors == []


def test_log_without_an_exception_is_no_error() -> None:
    with ErrorLog() as log:
        logging.getLogger("greenproc.part").error("bad luck")
    assert log.errors == []


def test_hub_is_as_before_afterwards() -> None:
    hub = gevent.get_hub()
    before = hub.handle_error
    with ErrorLog(), ErrorLog():
        assert hub.handle_error != before
    assert hub.handle_error == before


def test_inner_log_leaves_the_outer_one_listening() -> None:
    with ErrorLog() as outer:
        with ErrorLog():
            pass
        gevent.spawn(fail, ValueError()).join()
    assert len(outer.errors) == 1


def test_description_has_the_traceback() -> None:
    with ErrorLog() as log:
        gevent.spawn(fail, ValueError("told")).join()
    (text,) = log.describe()
    assert "in fail" in text
    assert text.endswith("ValueError: told")


def test_expected_failures_are_handed_over() -> None:
    error = ValueError("one")
    with ErrorLog() as log:
        with expect_failure(ValueError) as expected:
            gevent.spawn(fail, error).join()
        assert expected == [error]
        assert log.errors == []


def test_failure_of_another_text_stays_unexpected() -> None:
    with ErrorLog() as log:
        expecting = expect_failure(ValueError, "two")
        with pytest.raises(AssertionError, match="expected ValueError with 'two' to"), expecting:
            gevent.spawn(fail, ValueError("one")).join()
        assert len(log.errors) == 1


def test_failure_that_does_not_happen_is_told() -> None:
    with pytest.raises(AssertionError, match="got no error"), expect_failure():
        pass


def test_failures_before_the_block_stay_unexpected() -> None:
    with ErrorLog() as log:
        gevent.spawn(fail, ValueError("early")).join()
        with expect_failure(ValueError):
            gevent.spawn(fail, ValueError("late")).join()
    assert [str(error) for error in log.errors] == ["early"]


def test_error_of_a_process_is_collected_even_where_nothing_is_logged(runtime: Runtime) -> None:
    class Failing(Process):
        def initialize(self) -> None:
            raise ValueError("on purpose")

    logging.disable()
    try:
        with expect_failure(ValueError):
            runtime.spawn(Failing())
            runtime.settle()
    finally:
        logging.disable(logging.NOTSET)


def test_failing_filter_is_an_error(runtime: Runtime) -> None:
    runtime.filter(lambda pid, event: 1 / 0)
    with expect_failure(ZeroDivisionError):
        runtime.post(runtime.spawn(Process("a")), "x")
        runtime.settle()
