"""The command: ``python -m benchmarks [ROW ...] [--quick] [--profile ROW] ...``."""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import replace

from benchmarks.child import print_profile
from benchmarks.children import PROFILE

REPEAT = 5


def count(text: str) -> int:
    """Read a whole number above zero for argparse."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {text!r}")
    return int(text)


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure greenproc beside what one would write without it. "
        "Nothing fails because something is slow.",
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help="what to measure; all without any")
    parser.add_argument("--list", action="store_true", help="name the rows")
    parser.add_argument("--quick", action="store_true", help="one tiny run: does it work at all?")
    parser.add_argument("--repeat", type=count, default=REPEAT, help="runs of each (%(default)s)")
    parser.add_argument("--no-others", action="store_true", help="leave other libraries out")
    parser.add_argument("--json", action="store_true", help="print one JSON object a row")
    parser.add_argument("--profile", metavar="ROW", help="profile one run of greenproc's side")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    """Do what the command line asks for and return the exit status."""
    asked = arguments(words)
    if asked.profile:
        return profile(asked.profile, quick=asked.quick)

    from benchmarks.registry import BY_NAME, ROWS

    unknown = [name for name in asked.rows if name not in BY_NAME]
    if unknown:
        print(f"no row {', '.join(unknown)}; there are: {', '.join(BY_NAME)}", file=sys.stderr)
        return 2
    if asked.list:
        print("\n".join(f"{row.name:24}{row.title}" for row in ROWS))
        return 0
    measure_rows(asked)
    return 0


def measure_rows(asked: argparse.Namespace) -> None:
    """Measure the rows asked for and print each as soon as it is there."""
    from benchmarks.harness import measure
    from benchmarks.registry import BY_NAME
    from benchmarks.table import header, lines

    if not asked.json:
        print(f"# Python {platform.python_version()}, {os.cpu_count()} CPUs, {platform.machine()}")
        print(header(), flush=True)
    for name in asked.rows or BY_NAME:
        row = replace(BY_NAME[name], others=()) if asked.no_others else BY_NAME[name]
        if reason := row.reason_to_skip():
            print(
                json.dumps({"row": name, "skipped": reason})
                if asked.json
                else f"{name:24}  {reason}"
            )
            continue
        result = measure(row, repeat=max(asked.repeat, 1), quick=asked.quick)
        if asked.json:
            print(json.dumps(result.to_json()), flush=True)
        else:
            print("\n".join(lines(result)), flush=True)


def profile(name: str, *, quick: bool) -> int:
    """Print where the time of one run of *name* goes, here and in its children."""
    from benchmarks.registry import BY_NAME

    row = BY_NAME.get(name)
    if row is None:
        print(f"no row {name}; there are: {', '.join(BY_NAME)}", file=sys.stderr)
        return 2
    os.environ[PROFILE] = "1"
    profiler = cProfile.Profile()
    # Nothing has made a hub yet: a greenlet is profiled if it was made after this.
    profiler.enable()
    row.subject(row.quick_count if quick else row.count)
    profiler.disable()
    print_profile(profiler, name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
