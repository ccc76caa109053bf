"""Types of bodies that tests share, and bodies that are at fault, each with a type and the path."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from greenproc import PID, UPID, Address
from greenproc.typed import encode

ANN = UPID("ann(1)", Address("10.0.0.1", 5050))


class Join(msgspec.Struct, frozen=True):
    name: str
    port: int = 0
    who: UPID | None = None


class Ping(msgspec.Struct, tag="ping"):
    number: int


class Pong(msgspec.Struct, tag="pong"):
    number: int
    seen: list[UPID] = []


@dataclass(frozen=True, slots=True)
class Point:
    x: int
    at: datetime | None = None
    below: tuple[Ping, ...] = ()


class Tree(msgspec.Struct):
    value: int
    left: Tree | None = None


class Picky(msgspec.Struct):
    value: int

    def __post_init__(self) -> None:
        if self.value > 1:
            raise KeyError("picky")


FAULTS: dict[str, tuple[Any, bytes, str]] = {
    "nothing": (Join, b"", "$"),
    "another type": (Join, encode([1]), "$"),
    "a field of another type": (Join, encode({"name": "a", "port": "x"}), "$.port"),
    "a missing field": (Join, encode({"port": 1}), "$"),
    "a fault below": (list[Pong], encode([{"type": "pong", "number": "x"}]), "$[0].number"),
    "an unknown tag": (Ping | Pong, encode({"type": "pang", "number": 1}), "$.type"),
    "no tag": (Ping | Pong, encode({"number": 1}), "$"),
    "truncated": (Join, encode(Join("ann"))[:-1], "$"),
    "trailing bytes": (Join, encode(Join("ann")) + b"\x00", "$"),
    "a reserved byte": (Any, b"\xc1", "$"),
    "an array that says 4 billion": (Any, b"\xdd\xff\xff\xff\xff", "$"),
    "a map that says 4 billion": (Any, b"\xdf\xff\xff\xff\xff", "$"),
    "a list that says 4 billion": (list[int], b"\xdd\xff\xff\xff\xff\x01", "$"),
    "a text that says 4 gigabytes": (str, b"\xdb\xff\xff\xff\xffa", "$"),
    "bytes that say 4 gigabytes": (bytes, b"\xc6\xff\xff\xff\xffa", "$"),
    "an extension that says 4 gigabytes": (int, b"\xc9\xff\xff\xff\xff\x02\x01", "$"),
    "arrays in each other": (Any, b"\x91" * 100_000 + b"\xc0", "$"),
    "maps in each other": (Any, b"\x81\xa1a" * 100_000 + b"\xc0", "$"),
    "structs in each other": (Tree, b"\x82\xa5value\x01\xa4left" * 100_000 + b"\xc0", "$"),
    "a text that is no UTF-8": (str, b"\xa1\xff", "$"),
    "an unknown extension": (Any, b"\xd4\x09\x01", "$"),
    "an empty integer": (int, b"\xc7\x00\x02", "$"),
    "too long an integer": (int, b"\xc8\x04\x01\x02" + b"\x01" * 1025, "$"),
    "a big number that is not wanted": (str, encode(2**64), "$"),
    "a malformed UPID": (UPID, b"\xc7\x03\x01ann", "$"),
    "a UPID with blanks": (UPID, b"\xc7\x0c\x01 a@1.2.3.4:5", "$"),
    "a UPID that is no UTF-8": (UPID, b"\xd4\x01\xff", "$"),
    "a text for a UPID": (Join, encode({"name": "a", "who": str(ANN)}), "$.who"),
    "the PID of another node": (PID, encode(ANN), "$"),
    "a time out of range": (datetime, b"\xc7\x0c\xff" + b"\xff" * 12, "$"),
    "a value that its class refuses": (Picky, encode({"value": 2}), "$"),
}
