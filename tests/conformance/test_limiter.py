"""libprocess' limiter_tests.cpp: two permits in 5 ms are one in 2.5 ms."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from greenproc.runtime import Runtime
from greenproc.sync import RateLimiter
from greenproc.testing import await_discarded, await_ready

INTERVAL = 0.0025


@pytest.fixture
def limiter(runtime: Runtime) -> Iterator[RateLimiter]:
    runtime.clock.pause()
    limiter = RateLimiter(2, 0.005)
    yield limiter
    limiter.close()


def test_acquire(runtime: Runtime, limiter: RateLimiter) -> None:
    """LimiterTest.Acquire."""
    acquire1, acquire2, acquire3 = (limiter.acquire() for _ in range(3))
    await_ready(acquire1)
    runtime.settle()
    assert acquire2.is_pending

    runtime.clock.advance(INTERVAL)
    await_ready(acquire2)
    runtime.settle()
    assert acquire3.is_pending

    runtime.clock.advance(INTERVAL)
    await_ready(acquire3)


def test_discard_middle(runtime: Runtime, limiter: RateLimiter) -> None:
    """LimiterTest.DiscardMiddle."""
    acquire1, acquire2, acquire3 = (limiter.acquire() for _ in range(3))
    await_ready(acquire1)
    runtime.settle()
    assert acquire2.is_pending
    assert acquire3.is_pending
    acquire2.discard()

    runtime.clock.advance(INTERVAL)
    await_ready(acquire3)
    await_discarded(acquire2)

    acquire4 = limiter.acquire()
    runtime.settle()
    assert acquire4.is_pending
    runtime.clock.advance(INTERVAL)
    await_ready(acquire4)


def test_discard_last(runtime: Runtime, limiter: RateLimiter) -> None:
    """LimiterTest.DiscardLast."""
    acquire1, acquire2 = limiter.acquire(), limiter.acquire()
    await_ready(acquire1)
    runtime.settle()
    assert acquire2.is_pending
    acquire2.discard()
    await_discarded(acquire2)

    acquire3 = limiter.acquire()
    runtime.settle()
    assert acquire3.is_pending
    runtime.clock.advance(INTERVAL)
    await_ready(acquire3)
