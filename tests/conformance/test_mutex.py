"""libprocess' mutex_tests.cpp."""

from __future__ import annotations

from greenproc.sync import Mutex


def test_lock() -> None:
    """MutexTest.Lock."""
    mutex = Mutex()
    assert mutex.lock().is_ready
    mutex.unlock()
    assert mutex.lock().is_ready


def test_block() -> None:
    """MutexTest.Block."""
    mutex = Mutex()
    assert mutex.lock().is_ready

    lock = mutex.lock()
    assert lock.is_pending
    mutex.unlock()
    assert lock.is_ready


def test_queue() -> None:
    """MutexTest.Queue."""
    mutex = Mutex()
    assert mutex.lock().is_ready
    lock1, lock2 = mutex.lock(), mutex.lock()
    assert lock1.is_pending
    assert lock2.is_pending

    mutex.unlock()
    assert lock1.is_ready
    assert lock2.is_pending

    mutex.unlock()
    assert lock2.is_ready
