"""Conversion between the float seconds of programs and the whole microseconds of the clock.

Whole numbers add up exactly: ten times 0.1 s are 1 s, so a timer fires at the advance that
reaches it. A float of seconds since 1970 can tell microseconds apart until the year 2255, so each
time of the clock survives the conversion there and back.
"""

from __future__ import annotations

from greenproc.errors import InvalidArgument

MICROSECONDS = 1e6
"""Microseconds of a second."""

MAX_MICROSECONDS = (2**63 - 1) // 1000
"""The latest time, in April 2262: libprocess counts nanoseconds in 64 bits."""


def from_seconds(seconds: float) -> int:
    """Return *seconds* as whole microseconds, cut to the range of libprocess.

    Raises:
        InvalidArgument: *seconds* is no number.
    """
    try:
        microseconds = seconds * MICROSECONDS
        return round(min(max(microseconds, -MAX_MICROSECONDS), MAX_MICROSECONDS))
    except OverflowError:  # an int too large for a float
        return MAX_MICROSECONDS if seconds > 0 else -MAX_MICROSECONDS
    except (TypeError, ValueError):
        raise InvalidArgument(f"expected a number of seconds, got {seconds!r}") from None


def to_seconds(microseconds: int) -> float:
    """Return *microseconds* as float seconds."""
    return microseconds / MICROSECONDS


def check_duration(seconds: float) -> int:
    """Return a duration as whole microseconds.

    Raises:
        InvalidArgument: *seconds* is negative, or no number. True and False are none.
    """
    # A bool is an int for Python, but as a duration it is a misplaced argument.
    if isinstance(seconds, bool):
        raise InvalidArgument(f"expected a number of seconds, got {seconds!r}")
    microseconds = from_seconds(seconds)
    if seconds < 0:
        raise InvalidArgument(f"expected seconds that are not negative, got {seconds!r}")
    return microseconds


def check_time(microseconds: int) -> int:
    """Return a time that a clock can show.

    Raises:
        InvalidArgument: it is after the latest time, or as long before 1970.
    """
    if abs(microseconds) >= MAX_MICROSECONDS:
        seconds = to_seconds(microseconds)
        raise InvalidArgument(f"expected seconds of a time before 2262, got {seconds!r}")
    return microseconds
