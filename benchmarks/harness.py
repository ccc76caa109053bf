"""Rows, and how they are measured: baseline and subject in turn, medians of several.

What a row does is the business of its module in `benchmarks.rows`.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import median

WARM_UP_SHARE = 10  # a tenth of the operations, before the first run that counts


@dataclass(frozen=True, slots=True)
class Sample:
    """What one run gave."""

    value: float
    """In the unit of the row."""
    lost: int = 0
    """Operations that were begun and never came to their end, or came out of order."""
    note: str = ""
    """What else is worth telling."""


def rate(count: int, seconds: float, *, lost: int = 0) -> Sample:
    """Return the sample of *count* operations that took *seconds*, less those that are *lost*."""
    return Sample((count - lost) / max(seconds, 1e-9), lost)


@dataclass(frozen=True, slots=True)
class Skipped:
    """Why there is no sample."""

    reason: str


@dataclass(frozen=True, slots=True)
class Goal:
    """What the ratio of subject to baseline, or without a baseline the subject, should be."""

    limit: float
    at_most: bool = False

    def is_met(self, value: float) -> bool:
        """Whether *value* is on the right side of the limit."""
        return value <= self.limit if self.at_most else value >= self.limit

    def __str__(self) -> str:
        if not self.at_most and not self.limit:
            return "0 lost"
        return f"{'<=' if self.at_most else '>='} {self.limit:g}"


Run = Callable[[int], Sample]
"""Makes one run of so many operations."""


@dataclass(frozen=True, slots=True)
class Other:
    """What is shown below a row: another library, or the same in another way."""

    name: str
    count: int
    """Operations of one run, where the row's would take too long."""
    run: Callable[[int], Sample | Skipped]
    is_rival: bool = True
    """Whether the goal is to be ahead of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table."""

    name: str
    title: str
    """What is done; in the table beside the name."""
    against: str = ""
    """What the baseline is."""
    subject: Run
    baseline: Run | None = None
    goal: Goal
    count: int
    """Operations of one run."""
    quick_count: int
    unit: str = "/s"
    once: bool = False
    """Whether a run takes so long, or varies so little, that one is enough."""
    others: tuple[Other, ...] = ()
    needs: tuple[str, ...] = ()
    """Packages without which there is nothing to measure."""

    def reason_to_skip(self) -> str | None:
        """Return which package is missing, in words; None if none is."""
        missing = [name for name in self.needs if find_spec(name) is None]
        return f"skipped: {missing[0]} is not installed" if missing else None


@dataclass(frozen=True, slots=True)
class Result:
    """What the runs of one row gave: medians, and all that was lost."""

    row: Row
    subject: float
    baseline: float | None
    ratio: float | None
    """The median of the ratios of runs that were made one after the other."""
    lost: int
    note: str
    """What the last run of the subject noted."""
    others: tuple[tuple[Other, Sample | Skipped], ...]

    @property
    def is_met(self) -> bool:
        """Whether the goal is met, and nothing was lost."""
        value = self.ratio if self.ratio is not None else self.subject
        return self.lost == 0 and self.row.goal.is_met(value)

    def to_json(self) -> dict[str, object]:
        """Return the result as plain values."""
        return {
            "row": self.row.name,
            "unit": self.row.unit,
            "subject": self.subject,
            "baseline": self.baseline,
            "ratio": self.ratio,
            "goal": str(self.row.goal),
            "met": self.is_met,
            "lost": self.lost,
            "note": self.note,
            "others": {
                other.name: sample.value if isinstance(sample, Sample) else sample.reason
                for other, sample in self.others
            },
        }


def measure(row: Row, *, repeat: int, quick: bool) -> Result:
    """Make *repeat* runs of baseline and subject in turn.

    In turn, because what else the machine does changes from second to second: the two runs of a
    pair see the same of it.
    """
    count = row.quick_count if quick else row.count
    once = quick or row.once
    if not once:
        _run_pair(row, max(count // WARM_UP_SHARE, 1))
    pairs = [_run_pair(row, count) for _ in range(1 if once else repeat)]
    baselines = [baseline.value for baseline, _ in pairs if baseline is not None]
    ratios = [
        subject.value / baseline.value for baseline, subject in pairs if baseline is not None
    ]
    others = tuple(
        (other, other.run(min(count, other.count) if quick else other.count))
        for other in row.others
    )
    return Result(
        row,
        subject=median(subject.value for _, subject in pairs),
        baseline=median(baselines) if baselines else None,
        ratio=median(ratios) if ratios else None,
        lost=sum(subject.lost for _, subject in pairs),
        note=pairs[-1][1].note,
        others=others,
    )


def _run_pair(row: Row, count: int) -> tuple[Sample | None, Sample]:
    baseline = _run(row.baseline, count) if row.baseline is not None else None
    return baseline, _run(row.subject, count)


def _run(run: Run, count: int) -> Sample:
    # The collector stays on, as in a real program, and each run starts with nothing to collect.
    gc.collect()
    return run(count)
