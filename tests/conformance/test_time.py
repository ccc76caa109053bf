"""libprocess' time_tests.cpp: points in time and how they print.

A point in time is a whole number of nanoseconds since 1970 here, and a duration a difference.
"""

from __future__ import annotations

import pytest

from greenproc.clock import Clock, HubSource
from greenproc.timestamp import MAX_NANOSECONDS, nanoseconds, parse_duration, rfc1123, rfc3339

EPOCH = 0
WEEK = 7 * 24 * 3600 * 1_000_000_000
SECOND = 1_000_000_000


def test_arithmetic() -> None:
    """TimeTest.Arithmetic."""
    time = EPOCH + nanoseconds(parse_duration("1000weeks"))
    time -= nanoseconds(parse_duration("1weeks"))

    assert time == 999 * WEEK
    assert (time + nanoseconds(parse_duration("1ns"))) - time == 1
    assert time - EPOCH == nanoseconds(parse_duration("999weeks"))


def test_now() -> None:
    """TimeTest.Now, with the clock set forward where the original sleeps."""
    clock = Clock(HubSource())
    clock.pause()
    before = clock.now()
    clock.advance(0.001)
    after = clock.now()
    clock.stop()

    # The clock counts in microseconds, so that much is lost where time becomes a float.
    assert nanoseconds(after) - nanoseconds(before) == pytest.approx(1_000_000, abs=1_000)


def test_rfc1123_output() -> None:
    """TimeTest.RFC1123Output."""
    assert rfc1123(EPOCH) == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert rfc1123(EPOCH + 1000 * WEEK) == "Thu, 02 Mar 1989 00:00:00 GMT"
    assert rfc1123(EPOCH + 1000 * WEEK + 1) == "Thu, 02 Mar 1989 00:00:00 GMT"
    assert rfc1123(EPOCH + 1000 * WEEK + SECOND) == "Thu, 02 Mar 1989 00:00:01 GMT"
    assert rfc1123(MAX_NANOSECONDS) == "Fri, 11 Apr 2262 23:47:16 GMT"


def test_rfc3339_output() -> None:
    """TimeTest.RFC3339Output."""
    assert rfc3339(EPOCH) == "1970-01-01 00:00:00+00:00"
    assert rfc3339(EPOCH + 1000 * WEEK) == "1989-03-02 00:00:00+00:00"
    assert rfc3339(EPOCH + 1000 * WEEK + 1) == "1989-03-02 00:00:00.000000001+00:00"
    assert rfc3339(EPOCH + 1000 * WEEK + 1_000) == "1989-03-02 00:00:00.000001000+00:00"
    assert rfc3339(MAX_NANOSECONDS) == "2262-04-11 23:47:16.854775807+00:00"


def test_output() -> None:
    """TimeTest.Output: one text form for all uses, that of RFC 3339.

    A point in time has no class of its own here, so there is no second form to differ from it;
    the test pins what the original prints.
    """
    assert rfc3339(EPOCH + 1000 * WEEK) == "1989-03-02 00:00:00+00:00"
    assert rfc3339(MAX_NANOSECONDS) == "2262-04-11 23:47:16.854775807+00:00"
