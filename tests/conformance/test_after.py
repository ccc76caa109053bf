"""libprocess' after_tests.cpp: the future that is ready after a while."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import pytest

from greenproc.future import Break, Continue, Future, Promise, after, loop
from tests.future.support import Time, manual_time

DAY = 86_400.0


@pytest.fixture
def time() -> Iterator[Time]:
    with manual_time() as time:
        yield time


def test_after(time: Time) -> None:
    """AfterTest.After."""
    future = after(0.001)
    time.move(0.001)
    assert future.await_()
    assert future.is_ready

    time.clock.pause()
    future = after(DAY)
    gevent.idle()
    assert future.is_pending
    time.advance(DAY)
    assert future.is_ready

    future = after(DAY)
    assert future.is_pending
    future.discard()
    assert future.is_discarded


def test_loop(time: Time) -> None:
    """AfterTest.Loop."""
    time.clock.pause()
    endless: Future[None] = loop(lambda: after(DAY), lambda _: Continue(), inline=True)
    assert endless.is_pending
    endless.discard()
    assert endless.is_discarded

    promise: Promise[Continue | Break[None]] = Promise()
    promise.future.on_discard(lambda: promise.set(Break()))

    def body(_: None) -> Future[Continue | Break[None]]:
        return promise.future

    willing = loop(lambda: after(DAY), body, inline=True)
    time.advance(DAY)
    assert willing.is_pending
    willing.discard()
    assert willing.is_ready
