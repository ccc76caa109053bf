"""How results are shown."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.harness import Other, Result, Sample, Skipped

HEADER = ("row", "greenproc", "baseline", "ratio", "goal", "met", "lost", "what")
WIDTHS = (24, 14, 14, 7, 8, 4, 5, 0)


def header() -> str:
    """Return the head of the table."""
    return _line(HEADER)


def lines(result: Result) -> Iterator[str]:
    """Yield the line of *result*, and one for each other library below it."""
    row = result.row
    what = row.title if row.baseline is None else f"{row.title}; against {row.against}"
    yield _line(
        (
            row.name,
            amount(result.subject, row.unit),
            amount(result.baseline, row.unit) if result.baseline is not None else "-",
            f"{result.ratio:.3f}" if result.ratio is not None else "-",
            str(row.goal),
            "yes" if result.is_met else "NO",
            str(result.lost),
            f"{what} ({result.note})" if result.note else what,
        )
    )
    for other, sample in result.others:
        yield _line((f"  {other.name}", *_other_cells(result, other, sample)))


def _other_cells(result: Result, other: Other, sample: Sample | Skipped) -> tuple[str, ...]:
    if isinstance(sample, Skipped):
        return ("", "-", "-", "", "-", "-", sample.reason)
    ratio = f"{result.subject / sample.value:.3f}" if sample.value else "-"
    goal, met = "", ""
    if other.is_rival:
        goal, met = "ahead", "yes" if result.subject > sample.value else "NO"
    return ("", amount(sample.value, result.row.unit), ratio, goal, met, str(sample.lost), "")


def amount(value: float, unit: str) -> str:
    """Return *value* with its unit, in as few digits as it deserves."""
    if value >= 100:
        return f"{value:,.0f} {unit}"
    return f"{value:.2f} {unit}"


def _line(cells: tuple[str, ...]) -> str:
    first, *middle, last = cells
    parts = [first.ljust(WIDTHS[0])]
    parts += [cell.rjust(width) for cell, width in zip(middle, WIDTHS[1:-1], strict=True)]
    return "  ".join([*parts, last]).rstrip()
