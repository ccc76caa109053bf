"""What one client can do to a node is bounded, and others are served meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from tests.abuse.attacks import TABLE
from tests.abuse.bounds import BOUNDS
from tests.abuse.harness import Abuse, perform

SLOW = {
    "gzip bombs",
    "a gzip bomb, streamed",
    "long names to a busy process",
    "one-byte chunks",
    "one-byte chunks, streamed",
    "slow to unpack, a message",
    "slow to unpack, streamed",
    "streams in small pieces",
    "surveys",
}
"""Those that take a second of CPU time and more; a faster one of each kind runs each time."""


def row(abuse: Abuse) -> Any:
    marks = [pytest.mark.slow] if abuse.name in SLOW else []
    return pytest.param(abuse, id=abuse.name, marks=marks)


def test_the_slow_ones_are_there() -> None:
    assert {abuse.name for abuse in TABLE + BOUNDS} > SLOW


@pytest.mark.parametrize("abuse", [row(abuse) for abuse in TABLE + BOUNDS])
def test_a_node_survives(abuse: Abuse) -> None:
    measured = perform(abuse)

    assert measured.grown_bytes <= abuse.max_grown_bytes
    assert measured.descriptors <= abuse.max_descriptors
    assert measured.answers >= abuse.least_answers
