"""How many inputs the tests with generated ones take: a tenth of them, unless the run is a slow one."""

from __future__ import annotations

from typing import Any

from hypothesis import settings

FEWER = 10
LEAST = 50


class Thoroughness:
    """Whether this run takes all inputs; set from the command line, before tests are imported."""

    takes_all = False


def inputs(count: int) -> Any:
    """Return the decorator of a test that takes *count* inputs in a slow run; always the same ones."""
    taken = count if Thoroughness.takes_all else max(count // FEWER, min(LEAST, count))
    return settings(max_examples=taken, deadline=None, database=None, derandomize=True)
