"""The lock for readers and writers, beyond what libprocess tests of it."""

from __future__ import annotations

import gevent
import pytest

from greenproc.errors import Abandoned, Closed, StateError
from greenproc.sync import ReadWriteLock
from tests.future.support import Time, in_thread
from tests.sync.support import (
    Interrupted,
    expect_error,
    interrupt,
    needs_refcounts,
    start,
    start_thread,
)


@pytest.fixture
def lock() -> ReadWriteLock:
    return ReadWriteLock()


def test_with_read_lets_others_read(lock: ReadWriteLock) -> None:
    with lock.read(), lock.read():
        assert lock.readers == 2
        assert not lock.has_writer
    assert lock.readers == 0


def test_with_write_keeps_others_out(lock: ReadWriteLock) -> None:
    with lock.write():
        assert lock.has_writer
        reader = start(lock.wait_read_lock)
        assert not reader.ready()
    assert not lock.has_writer
    assert reader.get()
    lock.read_unlock()


def test_with_unlocks_when_the_block_raises(lock: ReadWriteLock) -> None:
    with pytest.raises(ValueError, match="read"), lock.read():
        raise ValueError("read")
    with pytest.raises(ValueError, match="written"), lock.write():
        raise ValueError("written")
    assert lock.write_lock().is_ready


def test_a_reader_that_comes_after_a_waiting_writer_is_behind_it(lock: ReadWriteLock) -> None:
    lock.read_lock()
    write, read = lock.write_lock(), lock.read_lock()
    assert read.is_pending

    lock.read_unlock()
    assert write.is_ready
    assert read.is_pending


def test_greenlets_and_futures_wait_in_one_line(lock: ReadWriteLock) -> None:
    lock.read_lock()
    writer = start(lock.wait_write_lock)
    read = lock.read_lock()
    reader = start(lock.wait_read_lock)

    lock.read_unlock()
    assert writer.get()
    assert read.is_pending
    lock.write_unlock()
    assert read.is_ready
    assert reader.get()
    assert lock.readers == 2


def test_all_that_come_in_together_hold_it_when_the_first_callback_runs(
    lock: ReadWriteLock,
) -> None:
    lock.write_lock()
    seen: list[int] = []
    for _ in range(2):
        lock.read_lock().on_ready(lambda _: seen.append(lock.readers))

    lock.write_unlock()

    assert seen == [2, 2]


def test_a_mistaken_unlock_raises_and_changes_nothing(lock: ReadWriteLock) -> None:
    expect_error(StateError, lock.read_unlock)
    expect_error(RuntimeError, lock.write_unlock)
    with lock.read():
        expect_error(StateError, lock.write_unlock)
    with lock.write():
        expect_error(StateError, lock.read_unlock)
        assert lock.has_writer
    assert lock.write_lock().is_ready


def test_a_discarded_waiter_is_taken_out_of_the_line(lock: ReadWriteLock) -> None:
    lock.write_lock()
    first, second, third = lock.write_lock(), lock.read_lock(), lock.write_lock()

    first.discard()
    second.discard()

    assert first.is_discarded
    assert second.is_discarded
    lock.write_unlock()
    assert third.is_ready


def test_readers_behind_a_discarded_writer_join_those_who_read(lock: ReadWriteLock) -> None:
    lock.read_lock()
    write, read1, read2 = lock.write_lock(), lock.read_lock(), lock.read_lock()

    write.discard()

    assert read1.is_ready
    assert read2.is_ready
    assert lock.readers == 3


def test_readers_are_let_in_even_if_the_discarded_writer_ends_the_greenlet(
    lock: ReadWriteLock,
) -> None:
    lock.read_lock()
    write, read = lock.write_lock(), lock.read_lock()
    write.on_discarded(interrupt)

    expect_error(Interrupted, write.discard)

    assert read.is_ready


def test_readers_behind_a_writer_that_waited_too_long_get_in(
    lock: ReadWriteLock, time: Time
) -> None:
    lock.read_lock()
    writer = start(lambda: lock.wait_write_lock(1.0))
    read = lock.read_lock()

    time.advance(1.0)

    assert writer.get() is False
    assert read.is_ready


def test_readers_behind_a_writer_that_is_killed_get_in(lock: ReadWriteLock) -> None:
    lock.read_lock()
    writer = start(lock.wait_write_lock)
    read = lock.read_lock()

    writer.kill()

    assert read.is_ready


def test_waiting_to_read_can_be_limited_by_the_clock(lock: ReadWriteLock, time: Time) -> None:
    lock.write_lock()
    reader = start(lambda: lock.wait_read_lock(1.0))
    time.advance(0.5)
    assert not reader.ready()
    time.advance(0.5)
    assert reader.get() is False


@pytest.mark.parametrize("kind", ["read", "write"])
def test_what_was_given_to_a_greenlet_that_is_killed_is_passed_on(
    lock: ReadWriteLock, kind: str
) -> None:
    lock.write_lock()
    waiter = start(getattr(lock, f"wait_{kind}_lock"))
    behind = lock.write_lock()

    waiter.kill(block=False)
    lock.write_unlock()
    assert behind.is_pending
    waiter.join()

    assert behind.is_ready
    lock.write_unlock()
    assert lock.write_lock().is_ready


def test_a_reader_of_several_that_is_killed_leaves_the_others(lock: ReadWriteLock) -> None:
    lock.write_lock()
    killed, other = start(lock.wait_read_lock), start(lock.wait_read_lock)

    killed.kill(block=False)
    lock.write_unlock()
    gevent.joinall([killed, other])

    assert lock.readers == 1


def test_letting_in_goes_on_when_a_callback_ends_the_greenlet(lock: ReadWriteLock) -> None:
    lock.write_lock()
    first, second = lock.read_lock(), lock.read_lock()
    first.on_ready(lambda _: interrupt())

    expect_error(Interrupted, lock.write_unlock)

    assert second.is_ready
    assert lock.readers == 2


def test_ten_thousand_writers_may_unlock_in_their_callbacks(lock: ReadWriteLock) -> None:
    lock.read_lock()
    for _ in range(10_000):
        lock.write_lock().on_ready(lambda _: lock.write_unlock())
    last = lock.read_lock()

    lock.read_unlock()

    assert last.is_ready


def test_closing_abandons_who_waits(lock: ReadWriteLock) -> None:
    lock.write_lock()
    read, write = lock.read_lock(), lock.write_lock()
    reader = start(lambda: expect_error(Closed, lock.wait_read_lock))

    lock.close()

    assert read.is_abandoned
    expect_error(Abandoned, write.get)
    reader.get()


def test_a_closed_lock_can_be_unlocked_and_not_locked(lock: ReadWriteLock) -> None:
    lock.read_lock()
    lock.close()
    lock.read_unlock()

    assert lock.readers == 0
    expect_error(Closed, lock.read_lock)
    expect_error(Closed, lock.write_lock)
    expect_error(Closed, lock.wait_write_lock)


@needs_refcounts
def test_garbage_abandons_who_waits() -> None:
    lock = ReadWriteLock()
    lock.write_lock()
    read = lock.read_lock()
    del lock
    assert read.is_abandoned


def test_another_thread_may_unlock(lock: ReadWriteLock) -> None:
    lock.write_lock()
    read = lock.read_lock()
    in_thread(lock.write_unlock)
    assert read.is_ready


def test_threads_write_one_at_a_time_and_never_while_others_read(lock: ReadWriteLock) -> None:
    state = {"readers": 0, "writers": 0}
    wrong: list[dict[str, int]] = []

    def read() -> None:
        for _ in range(100):
            with lock.read():
                if state["writers"]:
                    wrong.append(dict(state))

    def write() -> None:
        for _ in range(100):
            with lock.write():
                state["writers"] += 1
                if state["writers"] != 1:
                    wrong.append(dict(state))
                state["writers"] -= 1

    for join in [start_thread(work) for work in (read, write, read, write)]:
        join()
    assert wrong == []
    assert lock.write_lock().is_ready


def test_repr_tells_the_state(lock: ReadWriteLock) -> None:
    assert repr(lock) == "<ReadWriteLock free, 0 waiting>"
    with lock.read(), lock.read():
        assert repr(lock) == "<ReadWriteLock read by 2, 0 waiting>"
    with lock.write():
        waiting = lock.read_lock()
        assert repr(lock) == "<ReadWriteLock written, 1 waiting>"
    lock.read_unlock()
    lock.close()
    assert repr(lock) == "<ReadWriteLock closed, 0 waiting>"
    assert waiting.is_ready
