from __future__ import annotations

import pytest

from greenproc.address import Address
from greenproc.message import Message
from greenproc.transport.buffered_writer import UnsentBytes
from greenproc.transport.send_queue import MAX_BATCH_BYTES, SendQueue
from tests.transport.conftest import message

PEER = Address("127.0.0.1", 5050)


def numbered(count: int) -> list[Message]:
    return [message(f"m{number}", to=PEER) for number in range(count)]


def sent(batches: list[list[Message]], *, max_bytes: int = 1000) -> SendQueue:
    """Return a queue from which *batches* were sent, each message being ten bytes."""
    queue = SendQueue(max_bytes)
    for batch in batches:
        for one in batch:
            assert queue.append(one, b"0123456789")
        queue.take_batch()
    return queue


def test_a_batch_joins_all_that_is_queued_in_order() -> None:
    queue = SendQueue(1000)
    for one, data in zip(numbered(3), (b"a", b"bb", b"ccc"), strict=True):
        queue.append(one, data)

    assert queue.take_batch() == b"abbccc"
    assert len(queue) == 0
    assert queue.queued_bytes == 0


def test_an_empty_queue_takes_a_message_of_any_size() -> None:
    first, second, third = numbered(3)
    unsent = UnsentBytes(1)
    queue, other = SendQueue(10, unsent), SendQueue(10, unsent)

    assert queue.append(first, bytes(100))
    assert not queue.append(second, b"x")
    assert not other.append(third, bytes(100))  # the bound of all queues is reached
    assert queue.take_batch() == bytes(100)
    assert unsent.total == 0
    assert other.append(third, bytes(100))
    assert other.drain_unsent()
    assert unsent.total == 0


def test_what_exceeds_the_bound_is_refused_and_changes_nothing() -> None:
    first, second, third = numbered(3)
    queue = SendQueue(10)

    assert queue.append(first, b"12345")
    assert not queue.append(second, b"123456")
    assert queue.append(third, b"54321")

    assert queue.take_batch() == b"1234554321"


def test_a_long_queue_is_taken_in_parts_of_a_bounded_size() -> None:
    queue = SendQueue(10 * MAX_BATCH_BYTES)
    piece = b"x" * (MAX_BATCH_BYTES // 2)
    for one in numbered(5):
        queue.append(one, piece)

    assert [len(queue.take_batch()) for _ in range(3)] == [
        MAX_BATCH_BYTES,
        MAX_BATCH_BYTES,
        MAX_BATCH_BYTES // 2,
    ]
    assert queue.unanswered == 5


def test_a_message_larger_than_a_batch_goes_alone() -> None:
    first, second = numbered(2)
    queue = SendQueue(10 * MAX_BATCH_BYTES)
    queue.append(first, b"x" * (2 * MAX_BATCH_BYTES))
    queue.append(second, b"y")

    assert len(queue.take_batch()) == 2 * MAX_BATCH_BYTES
    assert queue.take_batch() == b"y"


@pytest.mark.parametrize("answers", [[1] * 6, [6], [2, 4], [3, 3], [5, 1], [0, 4, 2]])
def test_answers_are_counted_across_batches(answers: list[int]) -> None:
    messages = numbered(6)
    queue = sent([messages[:1], messages[1:4], messages[4:]])

    left = 6
    for count in answers:
        queue.answer(count)
        left -= count
        assert queue.unanswered == left
        assert queue.is_answered == (left == 0)


def test_what_was_sent_and_not_answered_is_known_by_message() -> None:
    messages = numbered(5)
    queue = sent([messages[:3], messages[3:]])

    queue.answer(2)

    assert list(queue.drain_sent()) == messages[2:]
    assert queue.is_answered


def test_more_answers_than_messages_do_no_harm() -> None:
    messages = numbered(3)
    queue = sent([messages[:2]])

    queue.answer(7)
    queue.append(messages[2], b"x")
    queue.take_batch()

    assert list(queue.drain_sent()) == messages[2:]


def test_only_a_bounded_number_of_bytes_is_remembered() -> None:
    messages = numbered(8)
    queue = sent([messages[:2], messages[2:4], messages[4:6], messages[6:]], max_bytes=40)

    assert queue.unanswered == 8
    queue.answer(5)  # the four that are forgotten, and the first that is remembered

    assert queue.unanswered == 3
    assert list(queue.drain_sent()) == messages[5:]


def test_what_is_not_remembered_is_not_reported() -> None:
    messages = numbered(8)
    queue = sent([messages[:2], messages[2:4], messages[4:6], messages[6:]], max_bytes=40)

    assert list(queue.drain_sent()) == messages[4:]


def test_a_batch_in_part_answered_can_be_forgotten() -> None:
    messages = numbered(6)
    queue = sent([messages[:2]], max_bytes=30)
    queue.answer(1)
    for one in messages[2:4]:
        queue.append(one, b"0123456789")

    queue.take_batch()

    assert queue.unanswered == 3
    queue.answer(1)
    assert list(queue.drain_sent()) == messages[2:4]


def test_the_queue_moves_to_another_connection_and_what_was_sent_stays() -> None:
    old_messages, new_messages = numbered(1), numbered(2)
    old, fresh = sent([old_messages]), SendQueue(1000)
    for one in new_messages:
        old.append(one, b"ab")

    old.move_unsent(fresh)

    assert fresh.take_batch() == b"abab"
    assert list(fresh.drain_sent()) == new_messages
    assert len(old) == 0
    assert list(old.drain_sent()) == old_messages


def test_a_drained_queue_is_empty_and_works_on() -> None:
    messages = numbered(3)
    queue = SendQueue(1000)
    queue.append(messages[0], b"a")
    queue.append(messages[1], b"b")

    assert list(queue.drain_unsent()) == messages[:2]
    assert len(queue) == 0
    queue.append(messages[2], b"c")
    assert queue.take_batch() == b"c"
