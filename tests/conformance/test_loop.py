"""libprocess' loop_tests.cpp: repeating steps that give futures."""

from __future__ import annotations

from typing import Any

import gevent

from greenproc.future import Break, Continue, Future, Promise, loop


def test_sync() -> None:
    """LoopTest.Sync."""
    value = [1]

    def body(current: int) -> Continue | Break[None]:
        return Break() if current == 0 else Continue()

    future = loop(lambda: value[0], body)
    gevent.sleep(0)
    assert future.is_pending

    value[0] = 0

    assert future.get() is None


def test_async() -> None:
    """LoopTest.Async."""
    items: list[Promise[int]] = [Promise(), Promise()]
    answers: list[Promise[str]] = [Promise(), Promise()]
    seen: list[int] = []

    def iterate() -> Future[int]:
        return items[len(seen)].future

    def body(item: int) -> Future[Continue | Break[str]]:
        seen.append(item)
        decide: Any = (lambda _: Continue()) if len(seen) == 1 else Break
        return answers[len(seen) - 1].future.then(decide)

    future = loop(iterate, body)
    gevent.idle()
    assert future.is_pending
    assert seen == []

    items[0].set(1)
    gevent.idle()
    assert seen == [1]
    assert future.is_pending

    answers[0].set("go on")
    items[1].set(2)
    answers[1].set("Hello world!")

    assert future.get() == "Hello world!"
    assert seen == [1, 2]


def test_discard_iterate() -> None:
    """LoopTest.DiscardIterate."""
    promise: Promise[int] = Promise()
    promise.future.on_discard(promise.discard)
    future: Future[None] = loop(lambda: promise.future, lambda _: Continue())
    gevent.idle()
    assert future.is_pending

    future.discard()

    assert promise.future.has_discard
    assert future.is_discarded


def test_discard_body() -> None:
    """LoopTest.DiscardBody."""
    promise: Promise[Any] = Promise()
    promise.future.on_discard(promise.discard)
    future: Future[Any] = loop(lambda: 42, lambda _: promise.future)
    gevent.idle()
    assert future.is_pending

    future.discard()

    assert promise.future.has_discard
    assert future.is_discarded
