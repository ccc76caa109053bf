"""libprocess' queue_tests.cpp."""

from __future__ import annotations

from greenproc.sync import Queue


def test_block() -> None:
    """QueueTest.Block."""
    queue: Queue[str] = Queue()
    get = queue.get()
    assert get.is_pending

    queue.put("hello world")
    assert get.is_ready
    assert get.get() == "hello world"


def test_noblock() -> None:
    """QueueTest.Noblock."""
    queue: Queue[str] = Queue()
    queue.put("world hello")

    get = queue.get()
    assert get.is_ready
    assert get.get() == "world hello"


def test_queue() -> None:
    """QueueTest.Queue."""
    queue: Queue[str] = Queue()
    get1, get2, get3 = queue.get(), queue.get(), queue.get()

    queue.put("hello")
    assert get1.is_ready
    assert get2.is_pending
    assert get3.is_pending

    queue.put("pretty")
    assert get2.is_ready
    assert get3.is_pending

    queue.put("world")
    assert get3.is_ready
    assert [get1.get(), get2.get(), get3.get()] == ["hello", "pretty", "world"]


def test_discard() -> None:
    """QueueTest.Discard."""
    queue: Queue[str] = Queue()
    get1, get2 = queue.get(), queue.get()
    assert get1.is_pending
    assert get2.is_pending

    get1.discard()
    assert get1.is_discarded

    queue.put("hello")
    assert get2.is_ready
    assert get2.get() == "hello"
