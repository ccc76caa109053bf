"""Measure what the attacks do: ``python -m tests.abuse [NAME ...]``.

The goal is that the honest client is answered within 50 ms at the 99th percentile. Tests cannot
hold that on a busy machine, so it is printed here.
"""

from __future__ import annotations

import sys
from time import perf_counter

from tests.abuse.attacks import TABLE
from tests.abuse.bounds import BOUNDS
from tests.abuse.harness import MIB, Abuse, perform

HEADINGS = ("s", "answers", "p50 ms", "p99 ms", "max ms", "MiB", "fds")


def line(abuse: Abuse) -> str:
    """Perform an attack, and return what it did as a line of the table."""
    begin = perf_counter()
    measured = perform(abuse)
    seconds = perf_counter() - begin
    latencies = (f"{1000 * measured.percentile(share):.1f}" for share in (0.5, 0.99, 1.0))
    grown = f"{measured.grown_bytes / MIB:.0f}"
    cells = (f"{seconds:.1f}", measured.answers, *latencies, grown, measured.descriptors)
    return f"{abuse.name:40}" + "".join(f"{cell:>9}" for cell in cells)


def main(names: list[str]) -> None:
    """Print a line for each attack of *names*, or for all."""
    sys.stdout.write(f"{'attack':40}" + "".join(f"{word:>9}" for word in HEADINGS) + "\n")
    for abuse in TABLE + BOUNDS:
        if abuse.name in names or not names:
            sys.stdout.write(line(abuse) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
