"""Points in time and durations as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenproc.errors import InvalidArgument
from greenproc.timestamp import (
    MAX_NANOSECONDS,
    MIN_NANOSECONDS,
    nanoseconds,
    parse_duration,
    rfc1123,
    rfc3339,
)

SECOND = 1_000_000_000
points = st.integers(MIN_NANOSECONDS, MAX_NANOSECONDS)


def test_rfc1123_writes_the_example_of_rfc_9110() -> None:
    # RFC 9110 section 5.6.7.
    assert rfc1123(784_111_777 * SECOND) == "Sun, 06 Nov 1994 08:49:37 GMT"


def test_rfc1123_cuts_parts_of_a_second_off() -> None:
    assert rfc1123(SECOND - 1) == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert rfc1123(-1) == "Wed, 31 Dec 1969 23:59:59 GMT"


@given(points)
def test_rfc1123_agrees_with_the_standard_library(point: int) -> None:
    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=point // SECOND)

    assert rfc1123(point) == when.strftime("%a, %d %b %Y %H:%M:%S GMT")


@pytest.mark.parametrize(
    ("point", "text"),
    [
        (0, "1970-01-01 00:00:00+00:00"),
        (1, "1970-01-01 00:00:00.000000001+00:00"),
        (1_000, "1970-01-01 00:00:00.000001000+00:00"),
        (SECOND, "1970-01-01 00:00:01+00:00"),
        (-1, "1969-12-31 23:59:59.999999999+00:00"),
        (MAX_NANOSECONDS, "2262-04-11 23:47:16.854775807+00:00"),
        (MIN_NANOSECONDS, "1677-09-21 00:12:43.145224192+00:00"),
    ],
)
def test_rfc3339_shows_a_fraction_only_where_there_is_one(point: int, text: str) -> None:
    assert rfc3339(point) == text


@pytest.mark.parametrize("write", [rfc1123, rfc3339])
@pytest.mark.parametrize(
    "point", [MAX_NANOSECONDS + 1, MIN_NANOSECONDS - 1, 1.5, float("nan"), "0", None]
)
def test_a_point_beyond_64_bits_is_refused(write, point: Any) -> None:
    with pytest.raises(InvalidArgument, match="expected nanoseconds that fit 64 bits"):
        write(point)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, 0),
        (0.0, 0),
        (1, SECOND),
        (1e-9, 1),
        (0.1, 100_000_000),
        (-0.5, -500_000_000),
        (1_700_000_000.25, 1_700_000_000_250_000_000),
        (9_223_372_036, 9_223_372_036 * SECOND),
        (-9_223_372_036, -9_223_372_036 * SECOND),
    ],
)
def test_seconds_become_nanoseconds(seconds: float, expected: int) -> None:
    assert nanoseconds(seconds) == expected


@pytest.mark.parametrize(
    "seconds",
    [9_223_372_037, -9_223_372_037, 1e300, float("inf"), float("-inf"), float("nan"), 10**400],
)
def test_seconds_beyond_64_bits_are_refused(seconds: float) -> None:
    with pytest.raises(InvalidArgument, match="expected seconds of a time from 1677 to 2262"):
        nanoseconds(seconds)


@given(st.integers(-(2**33), 2**33))
def test_whole_seconds_stay_exact(seconds: int) -> None:
    assert nanoseconds(float(seconds)) == seconds * SECOND


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1ns", 1e-9),
        ("1us", 1e-6),
        ("1ms", 1e-3),
        ("1secs", 1.0),
        ("10secs", 10.0),
        ("1.5mins", 90.0),
        ("1hrs", 3600.0),
        ("1days", 86400.0),
        ("2weeks", 1209600.0),
        ("0secs", 0.0),
        (".5secs", 0.5),
        ("5.secs", 5.0),
    ],
)
def test_a_duration_is_parsed(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


UNITS = "supported units are 'ns', 'us', 'ms', 'secs', 'mins', 'hrs', 'days', and 'weeks'"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1s", f"Unknown duration unit 's'; {UNITS}"),
        ("1SECS", f"Unknown duration unit 'SECS'; {UNITS}"),
        ("1sec", f"Unknown duration unit 'sec'; {UNITS}"),
        ("secs", "Failed to convert '' to number"),
        ("1.5.2secs", "Failed to convert '1.5.2' to number"),
        ("-1secs", "Failed to convert '-1' to number"),
        (" 1secs", "Failed to convert ' 1' to number"),
        ("1 secs", "Failed to convert '1 ' to number"),
        ("1e3secs", "Failed to convert '1e3' to number"),
        (".secs", "Failed to convert '.' to number"),
        ("", "Invalid duration ''"),
        ("10", "Invalid duration '10'"),
        ("1secs ", "Invalid duration '1secs '"),
    ],
)
def test_what_is_no_duration_is_refused_in_libprocess_words(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_duration(text)

    assert str(caught.value) == message


@pytest.mark.parametrize("text", ["15251weeks", "1" * 400 + "secs"])
def test_a_duration_beyond_64_bits_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="292 years"):
        parse_duration(text)


def test_the_longest_duration_in_weeks_is_parsed() -> None:
    assert parse_duration("15250weeks") == 15250 * 604800.0


@pytest.mark.parametrize("value", [None, b"1secs", 5])
def test_a_duration_is_a_text(value: Any) -> None:
    with pytest.raises(InvalidArgument, match="expected the text of a duration, got"):
        parse_duration(value)


@pytest.mark.parametrize("seconds", ["5", None, float("nan")])
def test_seconds_are_a_number(seconds: Any) -> None:
    with pytest.raises(InvalidArgument, match="expected seconds of a time"):
        nanoseconds(seconds)
