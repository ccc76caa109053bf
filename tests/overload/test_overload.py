"""Ten times too much: each message is served or reported, once; memory and control stay as they are.

How long control messages take is for ``python -m tests.overload`` to say.
"""

from __future__ import annotations

import pytest

from greenproc import Runtime
from tests.overload.harness import Overload, perform

MOST_MEBIBYTES = 24
"""How much more a node may have in a run, whatever its length: a few seconds of what waits."""


def check(run: Overload, policy: str) -> None:
    """Check that each message has one end, that most have that of a drop, and what that cost."""
    by_receiver = b"" if policy == "refuse" else run.dropped_there
    ends = run.count(run.served, run.dropped_here, by_receiver)
    assert [number for number, count in enumerate(ends) if count != 1] == []
    assert len(ends) == run.sent
    assert 0 < sum(run.served) < run.sent
    assert sum(run.dropped_there) > 0
    assert len(run.exits) > 0
    assert run.grown_mebibytes < MOST_MEBIBYTES


CASES = [("refuse", False), ("refuse", True), ("drop_oldest", False), ("drop_newest", True)]


@pytest.mark.parametrize(("policy", "linked"), CASES)
def test_ten_times_too_much_from_another_os_process(
    runtime: Runtime, policy: str, linked: bool
) -> None:
    run = perform(runtime, policy, seconds=1.5, refusal_timeout=0.5, linked=linked)
    check(run, policy)


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_ten_times_too_much_for_a_minute() -> None:
    with Runtime() as runtime:
        check(perform(runtime, "refuse", seconds=60.0, linked=False), "refuse")
