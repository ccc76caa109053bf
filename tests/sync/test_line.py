"""The line: order, leaving, and who holds whom."""

from __future__ import annotations

import threading
import weakref

import pytest

from greenproc.sync.line import Line
from tests.sync.support import needs_refcounts


class Owner:
    """Something with a line, that counts who gives up."""

    def __init__(self) -> None:
        self.line: Line[int] = Line(threading.Lock(), self.count)
        self.gone = 0

    def count(self) -> None:
        self.gone += 1


@pytest.fixture
def owner() -> Owner:
    return Owner()


def test_seats_come_out_as_they_joined(owner: Owner) -> None:
    claims = [owner.line.claim() for _ in range(3)]
    for claim in reversed(claims):
        owner.line.join(claim)

    assert owner.line.peek() is claims[2]
    assert [owner.line.pop(value) for value in range(4)] == [claims[2], claims[1], claims[0], None]
    assert owner.line.peek() is None
    assert [claim.value for claim in claims] == [2, 1, 0]


def test_all_can_be_taken_out_with_and_without_giving(owner: Owner) -> None:
    claims = [owner.line.claim() for _ in range(2)]
    for claim in claims:
        owner.line.join(claim)
    assert owner.line.pop_all(7) == claims
    assert [claim.value for claim in claims] == [7, 7]

    for claim in claims:
        owner.line.join(claim)
    assert owner.line.clear() == claims
    assert len(owner.line) == 0


def test_those_with_a_tag_can_be_taken_out(owner: Owner) -> None:
    claims = [owner.line.claim() for _ in range(3)]
    for tag, claim in zip(("one", "other", "one"), claims, strict=True):
        claim.tag = tag
        owner.line.join(claim)
    assert list(owner.line.tags()) == ["one", "other", "one"]

    assert owner.line.take("one") == [claims[0], claims[2]]
    assert list(owner.line.tags()) == ["other"]


def test_a_seat_can_be_given_something_without_joining(owner: Owner) -> None:
    future = owner.line.claim().grant(7)
    assert future.get() == 7
    assert not future.discard()
    assert owner.gone == 0


def test_the_owner_is_told_of_those_who_give_up(owner: Owner) -> None:
    claim = owner.line.claim()
    owner.line.join(claim)
    claim.future.discard()
    owner.line.leave(claim.ticket)
    assert owner.gone == 1


def test_a_request_before_joining_or_after_leaving_tells_nobody(owner: Owner) -> None:
    claim = owner.line.claim()
    claim.future.discard()
    assert claim.future.is_pending
    assert owner.gone == 0


def test_who_was_served_cannot_leave(owner: Owner) -> None:
    claim = owner.line.claim()
    owner.line.join(claim)
    owner.line.pop(1)
    owner.line.leave(claim.ticket)
    claim.deliver()
    assert claim.future.get() == 1
    assert owner.gone == 0


@needs_refcounts
def test_a_future_holds_neither_line_nor_owner(owner: Owner) -> None:
    owner = Owner()
    reference = weakref.ref(owner)
    claim = owner.line.claim()
    owner.line.join(claim)
    future = claim.future
    del owner, claim

    assert reference() is None
    assert future.is_abandoned
    assert future.discard()


def test_repr_tells_how_many_wait(owner: Owner) -> None:
    owner.line.join(owner.line.claim())
    assert repr(owner.line) == "<Line of 1>"
