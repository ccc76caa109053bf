"""Values in JSON: where in them the mistake is, and what to do about it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from greenproc import UPID, Address
from greenproc.errors import InvalidArgument
from greenproc.http.json_body import encode_json


class Color(Enum):
    RED = 1


@dataclass
class Point:
    x: Any


class Room(msgspec.Struct):
    name: str
    members: set[str] = set()
    created: datetime | None = None
    at: Point | None = None


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]
ROUND: list[Any] = [1]
ROUND.append({"again": ROUND})


@pytest.mark.parametrize("value", [{"a": [1, None, "x", 2.5, True]}, [], (1, 2), "text", {1: 2}])
def test_what_json_has_is_written(value: object) -> None:
    assert encode_json(value).isascii()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Point(1), '{"x":1}'),
        (
            Room("a", {"b"}, NOON, Point(Color.RED)),
            '{"name":"a","members":["b"],"created":"2026-01-01T12:00:00Z","at":{"x":1}}',
        ),
        ({"rooms": [Point(b"x")]}, '{"rooms":[{"x":"eA=="}]}'),
        (Point("\u2028"), '{"x":"\\u2028"}'),
        (Point(UPID("a", Address("10.0.0.1", 5))), '{"x":"a@10.0.0.1:5"}'),
        ({"pid": UPID("a", Address("10.0.0.1", 5))}, '{"pid":"a@10.0.0.1:5"}'),
    ],
)
def test_a_record_is_written_with_what_its_fields_hold(value: object, text: str) -> None:
    assert encode_json(value) == text


@pytest.mark.parametrize(
    ("value", "where", "advice"),
    [
        ({"rooms": [0, 1, 2, {"created": NOON}]}, "a datetime at $.rooms[3].created", "isoformat"),
        (date(2026, 1, 1), "a date at $ (", "value.isoformat()"),
        ({"a b": (1, b"x")}, "a bytes at $['a b'][1]", "value.decode()"),
        ([{1, 2}], "a set at $[0]", "list(value)"),
        ({"n": Decimal(1)}, "a Decimal at $.n", "float(value)"),
        ({"c": Color.RED}, "a Color at $.c", "value.value"),
        ({"p": Point(object())}, "a object at $.p.x", "str(value)"),
        ([Point(float("nan"))], "a float at $[0].x", "use None"),
        ({"p": Point({"k": [Point({(1, 2): object()})]})}, "at $.p.x.k[0].x", "str(value)"),
        ({"f": Path("/x")}, "a PosixPath at $.f", "str(value)"),
        ({"u": UUID(int=1)}, "a UUID at $.u", "str(value)"),
        ({"x": [1.0, float("inf")]}, "a float at $.x[1]", "use None"),
        ({"k": {(1, 2): 3}}, "a key of type tuple at $.k", "use a text"),
    ],
)
def test_an_error_tells_the_key_the_type_and_what_to_do(
    value: object, where: str, advice: str
) -> None:
    with pytest.raises(InvalidArgument, match=re.escape(where)) as caught:
        encode_json(value)
    assert str(caught.value).startswith("expected a value for JSON, got ")
    assert advice in str(caught.value)


@pytest.mark.parametrize("value", [DEEP, ROUND])
def test_what_has_no_end_is_told_so(value: object) -> None:
    with pytest.raises(InvalidArgument, match="holds itself or is nested too deeply"):
        encode_json(value)


def test_a_long_path_and_a_large_value_are_shown_in_part() -> None:
    value: Any = b"x" * 10_000
    for _ in range(50):
        value = [value]
    with pytest.raises(InvalidArgument) as caught:
        encode_json(value)
    assert len(str(caught.value)) < 300
