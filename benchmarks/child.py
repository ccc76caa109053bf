"""Runs one function of a module: ``python -m benchmarks.child MODULE:FUNCTION [ARGUMENT ...]``.

The function gets its arguments as integers. What it returns, if anything, is printed as JSON.
"""

from __future__ import annotations

import cProfile
import json
import os
import pstats
import sys
from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module
from typing import Any

from benchmarks.children import PROFILE

PROFILE_LINES = 30


def main(target: str, arguments: list[str]) -> None:
    """Call *target* and print what it returns."""
    module, _, name = target.partition(":")
    profile = cProfile.Profile() if os.environ.get(PROFILE) else None
    function: Callable[..., Any] = getattr(import_module(module), name)
    if profile is not None:
        # Nothing has made a hub yet: a greenlet is profiled if it was made after this.
        profile.enable()
    result = function(*map(int, arguments))
    if profile is not None:
        profile.disable()
        print_profile(profile, target)
    if result is not None:
        print(json.dumps(asdict(result)))


def print_profile(profile: cProfile.Profile, title: str) -> None:
    """Print where the time went, the functions with the most of their own first."""
    print(f"\nprofile of {title}", file=sys.stderr)
    pstats.Stats(profile, stream=sys.stderr).sort_stats("tottime").print_stats(PROFILE_LINES)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
