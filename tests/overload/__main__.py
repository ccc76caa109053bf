"""Overload a process for a minute, and print what came of it: ``python -m tests.overload [SECONDS]``.

The goal is that control messages take 50 ms at the 99th percentile. Tests cannot hold that on a busy
machine, so it is printed here.
"""

from __future__ import annotations

import sys

from greenproc import Runtime
from tests.overload.harness import Overload, percentile, perform

HEADINGS = (
    "s",
    "sent",
    "served",
    "dropped",
    "ask p99 ms",
    "exit p99 ms",
    "exit max ms",
    "MiB more",
)
CASES = (("refuse", False), ("drop_oldest", False), ("drop_newest", False), ("refuse", True))


def line(policy: str, linked: bool, run: Overload) -> str:
    """Return a run as a line of the table."""
    served, dropped = sum(run.served), run.sent - sum(run.served)
    cells = (
        f"{run.seconds:.1f}",
        run.sent,
        served,
        dropped,
        f"{1000 * percentile(run.asks, 0.99):.1f}",
        f"{1000 * percentile(run.exits, 0.99):.1f}",
        f"{1000 * max(run.exits):.1f}",
        f"{run.grown_mebibytes:.1f}",
    )
    name = f"{policy}, {'linked' if linked else 'not linked'}"
    return f"{name:24}" + "".join(f"{cell:>13}" for cell in cells)


def main(seconds: float) -> None:
    """Print a line for each policy."""
    sys.stdout.write(f"{'':24}" + "".join(f"{word:>13}" for word in HEADINGS) + "\n")
    with Runtime() as runtime:
        for policy, linked in CASES:
            run = perform(runtime, policy, seconds=seconds, linked=linked)
            sys.stdout.write(line(policy, linked, run) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(float(sys.argv[1]) if sys.argv[1:] else 60.0)
