"""Values as bytes and back, and what is refused on either way."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenproc import PID, UPID, Address, Runtime
from greenproc.errors import InvalidArgument, InvalidMessage
from greenproc.typed import MAX_INTEGER_BYTES, Codec, codec_of, encode
from greenproc.typed.extensions import MAX_BIG_INTEGERS
from tests.bodies import ANN, FAULTS, Join, Ping, Point, Pong, Tree

VALUES: list[tuple[Any, Any]] = [
    (Join, Join("ann", 5050, ANN)),
    (Ping | Pong, Ping(1)),
    (Ping | Pong, Pong(2, [ANN, UPID(), UPID("b", Address("::1", 1))])),
    (Point, Point(1, datetime(2026, 11, 24, 1, 2, 3, 456789, UTC), (Ping(3),))),
    (Tree, Tree(1, Tree(2, Tree(3)))),
    (list[int], [1, 2, 3]),
    (dict[str, float], {"a": 1.5}),
    (dict[int, UPID], {7: ANN}),
    (str | None, None),
    (str, "text"),
    (bytes, b"raw"),
    (set[int], {1, 2}),
    (tuple[int, str], (1, "a")),
    (date, date(2026, 11, 24)),
    (timedelta, timedelta(seconds=1.5)),
    (datetime, datetime(2026, 1, 1)),  # noqa: DTZ001 - it has none
    (int, 2**64),
    (int, -(2**63) - 1),
    (int, 2 ** (8 * MAX_INTEGER_BYTES - 1) - 1),
    (int, -(2 ** (8 * MAX_INTEGER_BYTES - 1)) // 2),
    (Tree, Tree(2**70, Tree(-(2**70)))),
    (Point, Point(2**70, datetime(2026, 1, 1, tzinfo=UTC), (Ping(2**90),))),
    (Pong, Pong(2**64, [ANN])),
    (dict[str, list[int]], {"a": [2**100, 1]}),
    (Any, {"a": [ANN, 2**100, None]}),
]


@pytest.mark.parametrize(("type", "value"), VALUES, ids=repr)
def test_value_comes_back_as_it_was(type: Any, value: Any) -> None:
    codec: Codec[Any] = codec_of(type)
    assert codec.decode(codec.encode(value)) == value


def test_encoding_changes_nothing() -> None:
    value = Pong(2**64, [ANN])
    encode(value)
    assert value == Pong(2**64, [ANN])


INTEGERS = st.integers() | st.integers(-(2**200), 2**200)
IDS = st.text(st.characters(codec="utf-8", exclude_characters="@ \t\n\v\f\r"))
ADDRESSES = st.builds(
    lambda ip, port: Address(str(ip), port), st.ip_addresses(), st.integers(0, 65535)
)
UPIDS = st.builds(UPID, IDS, ADDRESSES)
ZONES = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMES = st.integers(-(10**10), 10**10).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
ZONED = st.builds(lambda time, zone: time.astimezone(zone), TIMES, ZONES)
PLAIN: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False) | st.text() | UPIDS | ZONED,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(PLAIN)
def test_plain_values_come_back(value: Any) -> None:
    assert codec_of(Any).decode(encode(value)) == value


@given(st.builds(Pong, INTEGERS, st.lists(UPIDS, max_size=3)))
def test_structs_come_back(value: Pong) -> None:
    assert codec_of(Ping | Pong).decode(encode(value)) == value


@given(st.builds(Point, INTEGERS, st.none() | ZONED))
def test_dataclasses_come_back(value: Point) -> None:
    assert codec_of(Point).decode(encode(value)) == value


@given(st.binary(max_size=64))
def test_any_bytes_are_a_value_or_refused(body: bytes) -> None:
    for type in (Any, Join, Ping | Pong, Point, list[int], UPID, datetime):
        with suppress(InvalidMessage):
            codec_of(type).decode(body)


# Bytes by the specification of MessagePack, not by any encoder.
KNOWN = [
    (UPID, ANN, b"\xc7\x14\x01ann(1)@10.0.0.1:5050"),
    (int, 2**64, b"\xc7\x09\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00"),
    (int, -(2**64), b"\xc7\x09\x02\xff\x00\x00\x00\x00\x00\x00\x00\x00"),
    (datetime, datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), b"\xd6\xff\x00\x00\x00\x01"),
    (Join, Join("a"), b"\x83\xa4name\xa1a\xa4port\x00\xa3who\xc0"),
    (Ping, Ping(1), b"\x82\xa4type\xa4ping\xa6number\x01"),
]


@pytest.mark.parametrize(("type", "value", "body"), KNOWN, ids=repr)
def test_bytes_are_as_documented(type: Any, value: Any, body: bytes) -> None:
    assert encode(value) == body
    assert codec_of(type).decode(body) == value


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_named_with_its_path(fault: str) -> None:
    type, body, path = FAULTS[fault]
    with pytest.raises(InvalidMessage) as caught:
        codec_of(type).decode(body)
    assert caught.value.path == path


def test_pid_is_taken_for_a_process_of_this_node(runtime: Runtime) -> None:
    own = UPID("a", runtime.address)
    found = codec_of(list[PID[Any]]).decode(encode([own]))
    assert found == [own] and type(found[0]) is PID


@pytest.mark.parametrize(
    "value",
    [
        object(),
        [lambda: None],
        1j,
        "\ud800",
        2 ** (8 * MAX_INTEGER_BYTES),
        {2**64: 1},
        UPID("a b", ANN.address),
        UPID("a@b", ANN.address),
        Join,
    ],
    ids=repr,
)
def test_value_without_a_form_is_refused(value: object) -> None:
    with pytest.raises(InvalidArgument, match="expected a value for a body"):
        encode(value)


def test_value_that_holds_itself_is_refused() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(InvalidArgument):
        encode(value)


class Untagged(msgspec.Struct):
    value: int


@pytest.mark.parametrize("type", [object, complex, Runtime, 5, "Join", Ping | Untagged], ids=repr)
def test_type_that_is_none_is_refused(type: Any) -> None:
    with pytest.raises(InvalidArgument, match="expected a Struct, a dataclass or a type"):
        codec_of(type)


def test_codec_is_made_once() -> None:
    assert codec_of(Join) is codec_of(Join)
    assert codec_of(list[int]) is codec_of(list[int])


def test_name_is_the_tag_or_the_name_of_the_class() -> None:
    assert (codec_of(Join).name, codec_of(Ping).name, codec_of(Point).name) == (
        "Join",
        "ping",
        "Point",
    )
    for type in (list[int], int, Ping | Pong):
        with pytest.raises(InvalidArgument, match="gives its messages no name"):
            _ = codec_of(type).name


COLLIDING = [number * (2**61 - 1) * 2**64 for number in range(1, MAX_BIG_INTEGERS + 2)]
"""Integers beyond 64 bits with one hash, so that a dictionary of them takes quadratic time."""


@pytest.mark.parametrize("type", [Any, list[int], list], ids=str)
def test_a_body_has_a_bound_of_integers_beyond_64_bits(type: Any) -> None:
    assert len(set(map(hash, COLLIDING))) == 1
    most = COLLIDING[1:]
    assert codec_of(type).decode(encode(most)) == most
    assert codec_of(type).decode(encode(most)) == most  # each body has its own count
    with pytest.raises(InvalidMessage, match=f"at most {MAX_BIG_INTEGERS} integers"):
        codec_of(type).decode(encode(COLLIDING))


def test_keys_of_one_hash_are_bounded() -> None:
    def pack(keys: list[int]) -> bytes:
        pairs = b"".join(encode(key) + b"\xc0" for key in keys)
        return b"\xdf" + len(keys).to_bytes(4, "big") + pairs

    assert codec_of(Any).decode(pack(COLLIDING[1:])) == dict.fromkeys(COLLIDING[1:])
    with pytest.raises(InvalidMessage, match="integers beyond 64 bits"):
        codec_of(Any).decode(pack(COLLIDING))
