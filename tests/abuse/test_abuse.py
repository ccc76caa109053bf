"""What one client can do to a node is bounded, and others are served meanwhile."""

from __future__ import annotations

import pytest

from tests.abuse.attacks import TABLE
from tests.abuse.bounds import BOUNDS
from tests.abuse.harness import Abuse, perform


@pytest.mark.parametrize("abuse", [pytest.param(abuse, id=abuse.name) for abuse in TABLE + BOUNDS])
def test_a_node_survives(abuse: Abuse) -> None:
    measured = perform(abuse)

    assert measured.grown_bytes <= abuse.max_grown_bytes
    assert measured.descriptors <= abuse.max_descriptors
    assert measured.answers >= abuse.least_answers
