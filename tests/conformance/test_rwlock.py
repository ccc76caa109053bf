"""libprocess' rwlock_tests.cpp."""

from __future__ import annotations

from greenproc.sync import ReadWriteLock


def test_lock_when_unlocked() -> None:
    """ReadWriteLockTest.LockWhenUnlocked."""
    lock = ReadWriteLock()
    assert lock.write_lock().is_ready
    lock.write_unlock()
    assert lock.read_lock().is_ready
    lock.read_unlock()
    assert lock.write_lock().is_ready


def test_block_reads() -> None:
    """ReadWriteLockTest.BlockReads."""
    lock = ReadWriteLock()
    assert lock.write_lock().is_ready
    read = lock.read_lock()
    assert read.is_pending

    lock.write_unlock()
    assert read.is_ready


def test_block_writes() -> None:
    """ReadWriteLockTest.BlockWrites."""
    lock = ReadWriteLock()
    assert lock.write_lock().is_ready
    write = lock.write_lock()
    assert write.is_pending
    lock.write_unlock()
    assert write.is_ready
    lock.write_unlock()

    assert lock.read_lock().is_ready
    write = lock.write_lock()
    assert write.is_pending
    lock.read_unlock()
    assert write.is_ready


def test_concurrent_reads() -> None:
    """ReadWriteLockTest.ConcurrentReads."""
    lock = ReadWriteLock()
    for _ in range(3):
        assert lock.read_lock().is_ready
    write = lock.write_lock()
    assert write.is_pending

    lock.read_unlock()
    assert write.is_pending
    lock.read_unlock()
    assert write.is_pending
    lock.read_unlock()
    assert write.is_ready


def test_no_starvation() -> None:
    """ReadWriteLockTest.NoStarvation."""
    lock = ReadWriteLock()
    assert lock.read_lock().is_ready
    write1 = lock.write_lock()
    read1, read2 = lock.read_lock(), lock.read_lock()
    write2 = lock.write_lock()
    read3, read4 = lock.read_lock(), lock.read_lock()
    queued = [write1, read1, read2, write2, read3, read4]
    assert all(future.is_pending for future in queued)

    lock.read_unlock()
    assert [future.is_ready for future in queued] == [True, False, False, False, False, False]

    lock.write_unlock()
    assert [future.is_ready for future in queued] == [True, True, True, False, False, False]

    lock.read_unlock()
    assert write2.is_pending
    lock.read_unlock()
    assert [future.is_ready for future in queued] == [True, True, True, True, False, False]

    lock.write_unlock()
    assert all(future.is_ready for future in queued)
