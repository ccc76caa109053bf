"""Points in time and durations as text: RFC 1123, RFC 3339, and libprocess' durations.

Points in time are whole nanoseconds since 1970 in UTC here, because floats cannot tell
nanoseconds apart. Which time it is, is the clock's business.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from math import floor

from greenproc.errors import InvalidArgument

MAX_NANOSECONDS = 2**63 - 1
"""The latest point in time, in April 2262: libprocess counts in 64 bits."""
MIN_NANOSECONDS = -(2**63)
"""The earliest point in time, in September 1677."""

NANOSECONDS = 1_000_000_000
"""How many of them make a second."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_UNITS = {
    "ns": 1e-9,
    "us": 1e-6,
    "ms": 1e-3,
    "secs": 1.0,
    "mins": 60.0,
    "hrs": 3600.0,
    "days": 86400.0,
    "weeks": 604800.0,
}
_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+")


def nanoseconds(seconds: float) -> int:
    """Return *seconds* since 1970 as whole nanoseconds.

    Raises:
        InvalidArgument: *seconds* is no number, or beyond what 64 bits can count.
    """
    # The first check keeps out what floor() cannot take; the second counts exactly.
    is_number = isinstance(seconds, (int, float))
    if is_number and -MAX_NANOSECONDS <= seconds <= MAX_NANOSECONDS:
        whole = floor(seconds)
        total = whole * NANOSECONDS + round((seconds - whole) * NANOSECONDS)
        if MIN_NANOSECONDS <= total <= MAX_NANOSECONDS:
            return total
    raise InvalidArgument(f"expected seconds of a time from 1677 to 2262, got {seconds!r}")


def rfc1123(nanoseconds: int) -> str:
    """Write a point in time as HTTP does: ``Thu, 02 Mar 1989 00:00:00 GMT``.

    The names are English whatever the locale, and parts of a second are cut off.

    Source: libprocess src/time.cpp; RFC 9110 section 5.6.7.
    """
    when = _datetime(nanoseconds)
    day, month = _DAYS[when.weekday()], _MONTHS[when.month - 1]
    return f"{day}, {when.day:02} {month} {when.year:04} {when:%H:%M:%S} GMT"


def rfc3339(nanoseconds: int) -> str:
    """Write a point in time as ``1989-03-02 00:00:00+00:00``.

    Nine digits of the second follow it when they are not all zero.

    Source: libprocess src/time.cpp; RFC 3339 section 5.6 allows the space.
    """
    when = _datetime(nanoseconds)
    fraction = nanoseconds % NANOSECONDS
    digits = f".{fraction:09}" if fraction else ""
    return f"{when:%Y-%m-%d %H:%M:%S}{digits}+00:00"


def parse_duration(text: str) -> float:
    """Return the seconds of a duration such as ``10secs`` or ``1.5mins``.

    The units are ns, us, ms, secs, mins, hrs, days and weeks; no sign, no spaces.

    Raises:
        InvalidArgument: *text* is no duration; the words are those of libprocess.

    Source: libprocess' stout/duration.hpp.
    """
    if not isinstance(text, str):
        raise InvalidArgument(f"expected the text of a duration, got {text!r}")
    number = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    unit = text[len(number) :]
    if not unit:
        raise InvalidArgument(f"Invalid duration '{text}'")
    if not _NUMBER.fullmatch(number):
        raise InvalidArgument(f"Failed to convert '{number}' to number")
    if unit not in _UNITS:
        *others, last = (f"'{name}'" for name in _UNITS)
        supported = f"{', '.join(others)}, and {last}"
        raise InvalidArgument(f"Unknown duration unit '{unit}'; supported units are {supported}")
    seconds = float(number) * _UNITS[unit]
    if seconds * NANOSECONDS > MAX_NANOSECONDS:
        raise InvalidArgument(f"expected a duration of less than 292 years, got '{text}'")
    return seconds


def _datetime(nanoseconds: int) -> datetime:
    is_whole = isinstance(nanoseconds, int)
    if not is_whole or not MIN_NANOSECONDS <= nanoseconds <= MAX_NANOSECONDS:
        raise InvalidArgument(f"expected nanoseconds that fit 64 bits, got {nanoseconds!r}")
    return _EPOCH + timedelta(seconds=nanoseconds // NANOSECONDS)
