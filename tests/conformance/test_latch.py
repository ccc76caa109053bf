"""libprocess' count_down_latch_tests.cpp."""

from __future__ import annotations

from greenproc.sync import CountDownLatch
from tests.sync.support import start_thread


def test_triggered() -> None:
    """CountDownLatchTest.Triggered."""
    latch = CountDownLatch(5)
    triggered = latch.triggered()
    for _ in range(4):
        assert triggered.is_pending
        latch.decrement()
    assert triggered.is_pending

    latch.decrement()
    assert triggered.is_ready


def test_threads() -> None:
    """CountDownLatchTest.Threads."""
    latch = CountDownLatch(5)
    for join in [start_thread(latch.decrement) for _ in range(5)]:
        join()
    assert latch.triggered().is_ready
