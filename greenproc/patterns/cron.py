"""`Cron`: times as a crontab writes them. What is called then is of `greenproc.patterns.every`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Final

from greenproc.checks import how_to_install
from greenproc.errors import InvalidArgument

if TYPE_CHECKING:
    from cronsim import CronSim

NICKNAMES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

FIELDS: Final = {
    "minute": "0-59",
    "hour": "0-23",
    "day-of-month": "1-31, or L for the last one",
    "month": "1-12 or jan-dec",
    "day-of-week": "0-7 or sun-sat",
}

MAX_TEXT = 1000  # characters; all minutes as a list are 170

CHECKED_FROM = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Cron:
    """Times such as *9:30 from Monday to Friday*, for `greenproc.every`.

    ::

        every(Cron("30 9 * * mon-fri", zone="Europe/Paris"), self, Report.send)

    Needs cronsim: ``pip install 'greenproc[cron]'``.

    Args:
        text: minute, hour, day of the month, month and day of the week, as in crontab(5): ``*``, numbers, ranges
            (``9-17``), lists (``0,30``), steps (``*/15``, ``9-17/2``), and names of months and days in
            any case. Sunday is 0 and 7. If neither day begins with ``*``, one of them is to
            match, else both. ``@yearly @monthly @weekly @daily @hourly`` stand for their fields.
            As many implementations do, it takes ``L`` for the last day of the month, ``LW`` for its
            last day from Monday to Friday, ``5L`` for its last Friday, and ``mon#1`` for its first Monday.
        zone: the name of a time zone, such as ``"Europe/Paris"``. When clocks are set forward, a
            time that is left out is met right after the gap; when they are set back, a time
            that comes twice is met the first time. Times with ``*`` or ``*/n`` as minute or hour
            follow the hours that pass: none is left out, and none is merged.

    Raises:
        InvalidArgument: a field, which the text names, is not valid; there are not five; no time
            ever matches; or the zone is not known.
        ModuleNotFoundError: cronsim is not installed.

    Source: crontab(5) and cron(8) of Debian. Differs: the zone is not that of the machine, so
    that a schedule means the same on each node.
    """

    text: str
    zone: str = "UTC"

    def __post_init__(self) -> None:
        _find_zone(self.zone)
        if next(_simulate(self.text, CHECKED_FROM), None) is None:
            raise InvalidArgument(f"expected a schedule with times to come, got {self.text!r}")

    def next_time(self, after: float) -> float | None:
        """Return the first time after *after*, both in seconds since 1970.

        None if there is none in the next 50 years.
        """
        start = datetime.fromtimestamp(after, _find_zone(self.zone))
        # In the hour that comes twice the simulation, which does not tell the second from the
        # first, begins with times of the first.
        for time in _simulate(self.text, start):
            seconds = time.timestamp()
            if seconds > after:
                return seconds
        return None


def _simulate(text: str, start: datetime) -> CronSim:
    """Return an iterator over the times of *text* after *start*."""
    try:
        from cronsim import CronSim, CronSimError
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"Cron needs cronsim: {how_to_install('cron')}", name=error.name
        ) from error
    fields = _read_fields(text)
    try:
        return CronSim(" ".join(fields), start)
    except CronSimError as error:
        name = str(error).removeprefix("Bad ")
        place = list(FIELDS).index(name)
        raise InvalidArgument(
            f"expected {name} ({FIELDS[name]}) as field {place + 1} of the schedule {text!r}, "
            f"got {fields[place]!r}"
        ) from error


def _read_fields(text: object) -> list[str]:
    if not isinstance(text, str) or len(text) > MAX_TEXT:
        raise InvalidArgument(
            f"expected a schedule as str, such as '30 9 * * mon-fri', got {text!r:.80}"
        )
    fields = NICKNAMES.get(text.strip().lower(), text).split()
    if len(fields) != len(FIELDS):
        known = " ".join(NICKNAMES)
        raise InvalidArgument(
            f"expected a schedule of five fields, {', '.join(FIELDS)}, or one of {known}, got "
            f"{text!r:.80}"
        )
    return fields


def _find_zone(name: object) -> tzinfo:
    if name == "UTC":
        return UTC  # is there also where no time zones are installed
    from zoneinfo import ZoneInfo  # a program without schedules starts a millisecond earlier

    try:
        return ZoneInfo(name if isinstance(name, str) else repr(name))
    except (KeyError, ValueError, OSError) as error:
        raise InvalidArgument(
            f"expected the name of a time zone, such as 'Europe/Paris', got {name!r:.80}: the zones "
            "are those of the system, else of `pip install tzdata`"
        ) from error
