"""Messages as values."""

from __future__ import annotations

import pickle

import pytest

from greenproc.address import Address
from greenproc.message import Message
from greenproc.pid import UPID

ALICE = UPID("alice", Address("10.0.0.1", 1))
BOB = UPID("bob", Address("10.0.0.2", 2))


def test_messages_of_equal_content_are_equal() -> None:
    assert Message("ping", ALICE, BOB, b"hi") == Message("ping", ALICE, BOB, b"hi")


@pytest.mark.parametrize(
    "other",
    [
        Message("pong", ALICE, BOB, b"hi"),
        Message("ping", BOB, BOB, b"hi"),
        Message("ping", ALICE, ALICE, b"hi"),
        Message("ping", ALICE, BOB, b"ho"),
    ],
)
def test_a_difference_in_any_field_counts(other: Message) -> None:
    assert Message("ping", ALICE, BOB, b"hi") != other


def test_repr_is_short_however_long_the_body() -> None:
    message = Message("ping", ALICE, BOB, b"x" * 1_000_000)

    assert repr(message) == ("<Message 'ping' alice@10.0.0.1:1 -> bob@10.0.0.2:2, 1000000 bytes>")


def test_a_message_survives_pickling() -> None:
    message = Message("ping", ALICE, BOB, b"hi")

    assert pickle.loads(pickle.dumps(message)) == message


def test_a_message_has_no_room_for_other_attributes() -> None:
    with pytest.raises(AttributeError):
        Message("ping", ALICE, BOB, b"").extra = 1  # type: ignore[attr-defined]
