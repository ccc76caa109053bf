"""Times as a crontab writes them. Expected are the rules of crontab(5) and of Debian's cron(8)."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from greenproc.errors import InvalidArgument
from greenproc.patterns import Cron

PARIS = "Europe/Paris"


def at(text: str, zone: str = "UTC", *, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def times(cron: Cron, start: str, count: int) -> list[str]:
    """Return the first *count* times after *start*, as they are in the zone, with its offset."""
    found, seconds = [], at(start, cron.zone)
    for _ in range(count):
        following = cron.next_time(seconds)
        assert following is not None
        assert following > seconds
        seconds = following
        found.append(f"{datetime.fromtimestamp(seconds, ZoneInfo(cron.zone)):%m-%d %H:%M %z}")
    return found


def hours(cron: Cron, start: str, count: int) -> list[str]:
    return [time.removesuffix(" +0000") for time in times(cron, start, count)]


# 2026-01-01 is a Thursday.
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("* * * * *", ["01-01 00:01", "01-01 00:02"]),
        ("30 9 * * *", ["01-01 09:30", "01-02 09:30"]),
        ("0,45 9-10 * * *", ["01-01 09:00", "01-01 09:45", "01-01 10:00", "01-01 10:45"]),
        ("*/20 * * * *", ["01-01 00:20", "01-01 00:40", "01-01 01:00"]),
        ("0 8-17/4 * * *", ["01-01 08:00", "01-01 12:00", "01-01 16:00", "01-02 08:00"]),
        ("0 0 * feb,MAR Mon-Wed", ["02-02 00:00", "02-03 00:00", "02-04 00:00", "02-09 00:00"]),
        ("0 0 * * 7", ["01-04 00:00", "01-11 00:00"]),
        ("0 0 * * sun", ["01-04 00:00", "01-11 00:00"]),
        ("0 0 31 * *", ["01-31 00:00", "03-31 00:00"]),
        # Neither day begins with a star: one of them is enough.
        ("0 0 13 * fri", ["01-02 00:00", "01-09 00:00", "01-13 00:00", "01-16 00:00"]),
        # One of them does: both are to match.
        ("0 0 */2 * fri", ["01-09 00:00", "01-23 00:00"]),
        ("0 0 L * *", ["01-31 00:00", "02-28 00:00"]),
        ("@hourly", ["01-01 01:00", "01-01 02:00"]),
        ("@daily", ["01-02 00:00", "01-03 00:00"]),
        ("@midnight", ["01-02 00:00"]),
        ("@weekly", ["01-04 00:00", "01-11 00:00"]),
        ("@monthly", ["02-01 00:00", "03-01 00:00"]),
        (" @Yearly ", ["01-01 00:00"]),
        ("@annually", ["01-01 00:00"]),
    ],
)
def test_times_are_those_of_the_crontab(text: str, expected: list[str]) -> None:
    assert hours(Cron(text), "2026-01-01", len(expected)) == expected


def test_a_leap_day_is_waited_for() -> None:
    cron = Cron("0 12 29 2 *")
    assert cron.next_time(at("2026-01-01")) == at("2028-02-29T12:00")


# In Paris clocks go from 02:00 to 03:00 on 2026-03-29, and from 03:00 to 02:00 on 2026-10-25.
@pytest.mark.parametrize(
    ("text", "start", "expected"),
    [
        ("30 1 * * *", "2026-03-28T12:00", ["03-29 01:30 +0100", "03-30 01:30 +0200"]),
        ("30 2 * * *", "2026-03-28T12:00", ["03-29 03:00 +0200", "03-30 02:30 +0200"]),
        (
            "30 1-3 * * *",
            "2026-03-28T12:00",
            ["03-29 01:30 +0100", "03-29 03:00 +0200", "03-29 03:30 +0200"],
        ),
        (
            "30 * * * *",
            "2026-03-29T00:45",
            ["03-29 01:30 +0100", "03-29 03:30 +0200", "03-29 04:30 +0200"],
        ),
        ("*/30 2 * * *", "2026-03-28T12:00", ["03-30 02:00 +0200", "03-30 02:30 +0200"]),
        ("30 2 * * *", "2026-10-24T12:00", ["10-25 02:30 +0200", "10-26 02:30 +0100"]),
        (
            "0 1-3 * * *",
            "2026-10-24T12:00",
            ["10-25 01:00 +0200", "10-25 02:00 +0200", "10-25 03:00 +0100"],
        ),
        (
            "30 * * * *",
            "2026-10-25T01:45",
            ["10-25 02:30 +0200", "10-25 02:30 +0100", "10-25 03:30 +0100"],
        ),
        (
            "*/30 * * * *",
            "2026-10-25T01:59",
            ["10-25 02:00 +0200", "10-25 02:30 +0200", "10-25 02:00 +0100", "10-25 02:30 +0100"],
        ),
    ],
)
def test_gaps_and_overlaps_of_a_zone_are_taken_as_cron_takes_them(
    text: str, start: str, expected: list[str]
) -> None:
    assert times(Cron(text, PARIS), start, len(expected)) == expected


def test_a_time_that_was_met_is_not_met_again_when_asked_in_the_second_hour() -> None:
    second = at("2026-10-25T02:10", PARIS, fold=1)
    assert Cron("30 2 * * *", PARIS).next_time(second) == at("2026-10-26T02:30", PARIS)


def test_a_gap_at_midnight_is_met_at_its_end() -> None:
    # In Asuncion clocks went from 00:00 to 01:00 on 2023-10-01.
    cron = Cron("0 0 * * *", "America/Asuncion")
    assert times(cron, "2023-09-30T12:00", 2) == ["10-01 01:00 -0300", "10-02 00:00 -0300"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("60 * * * *", r"expected minute \(0-59\) as field 1 of .*, got '60'"),
        ("* 24 * * *", r"expected hour \(0-23\) as field 2 of .*, got '24'"),
        ("* * 32 * *", r"expected day-of-month \(1-31.*\) as field 3 of .*, got '32'"),
        ("0 0 31 feb,apr *", r"expected day-of-month .* got '31'"),
        ("* * * 13 *", r"expected month \(1-12 or jan-dec\) as field 4 of .*, got '13'"),
        ("* * * * 8", r"expected day-of-week \(0-7 or sun-sat\) as field 5 of .*, got '8'"),
        ("* * * * funday", "day-of-week .* got 'funday'"),
        ("*/0 * * * *", r"minute .* got '\*/0'"),
        ("5-1 * * * *", "minute .* got '5-1'"),
        ("1, * * * *", "minute .* got '1,'"),
        ("-1 * * * *", "minute .* got '-1'"),
        ("1.5 * * * *", r"minute .* got '1\.5'"),
        ("* * * *", "of five fields, minute, hour, .* got"),
        ("0 * * * * *", "of five fields"),
        ("", "of five fields"),
        ("@reboot", "or one of @yearly .* got '@reboot'"),
        ("@hourly @daily", "of five fields"),
        ("0 0 */20 * 1L", "with times to come"),
        ("9" * 5000 + " * * * *", "as str"),
        (None, "as str"),
        (60.0, "as str"),
    ],
)
def test_a_text_that_is_no_schedule_is_refused_with_the_name_of_its_field(
    text: Any, told: str
) -> None:
    with pytest.raises(InvalidArgument, match=told):
        Cron(text)


@given(st.text(alphabet="0123456789*/,-#LWlwmonfri@ ²é\0", max_size=40))
@example("* * * * ²L")
@example("9999999999 * * * *")
def test_whatever_the_text_is_it_is_a_schedule_or_refused(text: str) -> None:
    try:
        cron = Cron(text)
    except InvalidArgument:
        return
    start = at("2026-01-01")
    assert (cron.next_time(start) or start + 1) > start


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "/etc", "Europe", None, 1])
def test_a_zone_that_is_not_known_is_refused(zone: Any) -> None:
    with pytest.raises(InvalidArgument, match="the name of a time zone, such as 'Europe/Paris'"):
        Cron("@daily", zone)


def test_without_the_library_the_error_tells_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "cronsim", None)
    with pytest.raises(ModuleNotFoundError, match=r"Cron needs cronsim: pip install .*\[cron\]"):
        Cron("@daily")


def test_it_is_a_value() -> None:
    assert Cron("@daily") == Cron("@daily", "UTC")
    assert len({Cron("@daily"), Cron("@daily"), Cron("@daily", PARIS)}) == 2
