"""Work that is done while a lock is held, as a future."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import gevent
import pytest

from greenproc.errors import Abandoned, Closed, InvalidArgument
from greenproc.future import Failure, Future, Promise
from greenproc.sync import Mutex, ReadWriteLock

Run = Callable[..., Future[Any]]


class Lock:
    """A lock with one name for what each kind calls otherwise."""

    def __init__(self, run: str) -> None:
        self.lock: Any = Mutex() if run == "run" else ReadWriteLock()
        self.run: Run = getattr(self.lock, run)

    @property
    def is_free(self) -> bool:
        return "free" in repr(self.lock) and "0 waiting" in repr(self.lock)

    def hold(self) -> Callable[[], None]:
        """Take it for somebody else, and return what gives it back."""
        if isinstance(self.lock, Mutex):
            self.lock.lock()
            return self.lock.unlock
        self.lock.write_lock()
        return self.lock.write_unlock  # type: ignore[no-any-return]


@pytest.fixture(params=["run", "run_reading", "run_writing"])
def lock(request: pytest.FixtureRequest) -> Lock:
    return Lock(request.param)


def test_a_value_is_the_result_and_the_lock_is_free(lock: Lock) -> None:
    def work(one: int, *, two: int) -> int:
        assert not lock.is_free
        return one + two

    assert lock.run(work, 1, two=2).get() == 3
    assert lock.is_free


def test_a_future_is_followed_and_the_lock_held_until_it_is_over(lock: Lock) -> None:
    promise: Promise[int] = Promise()
    result = lock.run(lambda: promise.future)
    assert result.is_pending and not lock.is_free

    promise.set(1)

    assert result.get() == 1 and lock.is_free


@pytest.mark.parametrize("end", ["fail", "discard", "abandon"])
def test_however_the_work_ends_the_lock_is_free(lock: Lock, end: str) -> None:
    promise: Promise[int] = Promise()
    result = lock.run(lambda: promise.future)

    getattr(promise, end)(*["no"] if end == "fail" else [])

    assert lock.is_free
    states = {
        "fail": result.is_failed,
        "discard": result.is_discarded,
        "abandon": result.is_abandoned,
    }
    assert states[end]


def test_an_error_fails_the_result_and_the_lock_is_free(lock: Lock) -> None:
    def work() -> None:
        raise Failure("no")

    assert lock.run(work).failure() == "no"
    assert lock.is_free


def test_what_ends_a_greenlet_abandons_the_result_and_the_lock_is_free(lock: Lock) -> None:
    give_back = lock.hold()

    def work() -> None:
        raise gevent.GreenletExit

    result = lock.run(work)
    gevent.spawn(give_back).join()

    assert result.is_abandoned and lock.is_free


def test_a_request_before_its_turn_gives_up_the_place_and_nothing_else(lock: Lock) -> None:
    give_back = lock.hold()
    calls: list[str] = []
    result = lock.run(calls.append, "called")

    result.discard()
    assert result.is_discarded and not lock.is_free

    give_back()
    assert lock.is_free and calls == []


def test_a_request_that_is_overtaken_by_the_lock_gives_it_back(lock: Lock) -> None:
    give_back = lock.hold()
    calls: list[str] = []
    result = lock.run(calls.append, "called")

    def discard_and_give_back_in_the_hub() -> None:
        result.discard()  # its callbacks have to wait for a greenlet
        give_back()

    gevent.get_hub().loop.run_callback(discard_and_give_back_in_the_hub)
    gevent.idle()

    assert result.is_discarded and lock.is_free and calls == []


def test_a_request_while_it_works_goes_to_the_work(lock: Lock) -> None:
    promise: Promise[int] = Promise()
    result = lock.run(lambda: promise.future)

    result.discard()
    assert promise.future.has_discard and not lock.is_free

    promise.discard()
    assert result.is_discarded and lock.is_free


def test_a_lock_that_is_closed_or_garbage_abandons_who_waits() -> None:
    mutex = Mutex()
    mutex.lock()
    result = mutex.run(int)
    mutex.close()
    with pytest.raises(Abandoned):
        result.get()
    with pytest.raises(Closed):
        mutex.run(int)

    other = Mutex()
    other.lock()
    result = other.run(int)
    del other
    gc.collect()  # it is held by the work that waits for it
    with pytest.raises(Abandoned):
        result.get()


def test_what_cannot_be_called_takes_no_lock(lock: Lock) -> None:
    with pytest.raises(InvalidArgument, match="expected a function to call, got 5"):
        lock.run(5)
    assert lock.is_free
