"""The queue: order, leaving, and who holds whom."""

from __future__ import annotations

import threading
import weakref

import pytest

from greenproc.sync.waitqueue import WaitQueue
from tests.sync.support import needs_refcounts


class Owner:
    """Something with a queue, that counts who gives up."""

    def __init__(self) -> None:
        self.queue: WaitQueue[int] = WaitQueue(threading.Lock(), self.count)
        self.gone = 0

    def count(self) -> None:
        self.gone += 1


@pytest.fixture
def owner() -> Owner:
    return Owner()


def test_seats_come_out_as_they_joined(owner: Owner) -> None:
    waiters = [owner.queue.future_waiter() for _ in range(3)]
    for waiter in reversed(waiters):
        owner.queue.append(waiter)

    assert owner.queue.peek() is waiters[2]
    assert [owner.queue.pop(value) for value in range(4)] == [
        waiters[2],
        waiters[1],
        waiters[0],
        None,
    ]
    assert owner.queue.peek() is None
    assert [waiter.value for waiter in waiters] == [2, 1, 0]


def test_all_can_be_taken_out_with_and_without_giving(owner: Owner) -> None:
    waiters = [owner.queue.future_waiter() for _ in range(2)]
    for waiter in waiters:
        owner.queue.append(waiter)
    assert owner.queue.pop_all(7) == waiters
    assert [waiter.value for waiter in waiters] == [7, 7]

    for waiter in waiters:
        owner.queue.append(waiter)
    assert owner.queue.clear() == waiters
    assert len(owner.queue) == 0


def test_those_with_a_tag_can_be_taken_out(owner: Owner) -> None:
    waiters = [owner.queue.future_waiter() for _ in range(3)]
    for tag, waiter in zip(("one", "other", "one"), waiters, strict=True):
        waiter.tag = tag
        owner.queue.append(waiter)
    assert list(owner.queue.tags()) == ["one", "other", "one"]

    assert owner.queue.take("one") == [waiters[0], waiters[2]]
    assert list(owner.queue.tags()) == ["other"]


def test_a_seat_can_be_given_something_without_joining(owner: Owner) -> None:
    future = owner.queue.future_waiter().grant(7)
    assert future.get() == 7
    assert not future.discard()
    assert owner.gone == 0


def test_the_owner_is_told_of_those_who_give_up(owner: Owner) -> None:
    waiter = owner.queue.future_waiter()
    owner.queue.append(waiter)
    waiter.future.discard()
    owner.queue.leave(waiter.ticket)
    assert owner.gone == 1


def test_a_request_before_joining_or_after_leaving_tells_nobody(owner: Owner) -> None:
    waiter = owner.queue.future_waiter()
    waiter.future.discard()
    assert waiter.future.is_pending
    assert owner.gone == 0


def test_who_was_served_cannot_leave(owner: Owner) -> None:
    waiter = owner.queue.future_waiter()
    owner.queue.append(waiter)
    owner.queue.pop(1)
    owner.queue.leave(waiter.ticket)
    waiter.deliver()
    assert waiter.future.get() == 1
    assert owner.gone == 0


@needs_refcounts
def test_a_future_holds_neither_line_nor_owner(owner: Owner) -> None:
    owner = Owner()
    reference = weakref.ref(owner)
    waiter = owner.queue.future_waiter()
    owner.queue.append(waiter)
    future = waiter.future
    del owner, waiter

    assert reference() is None
    assert future.is_abandoned
    assert future.discard()


def test_repr_tells_how_many_wait(owner: Owner) -> None:
    owner.queue.append(owner.queue.future_waiter())
    assert repr(owner.queue) == "<WaitQueue of 1>"
