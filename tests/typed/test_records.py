"""Streams of MessagePack records: cut anywhere, held to limits, and over HTTP both ways."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from greenproc import Process, Runtime, route
from greenproc.errors import InvalidArgument, InvalidMessage
from greenproc.http import Request, Response
from greenproc.typed import MEDIA_TYPE, encode, read_records, write_records
from greenproc.web import post
from tests.bodies import ANN, Join, Ping

VALUES = [Join("ann", 1, ANN), Join("bob"), Join("c" * 300, 2**70)]
STREAM = b"".join(map(encode, VALUES))


@pytest.mark.parametrize("size", [1, 2, 7, 100, len(STREAM)])
def test_records_may_be_cut_anywhere(size: int) -> None:
    pieces = [STREAM[at : at + size] for at in range(0, len(STREAM), size)]
    assert list(read_records(pieces, Join)) == VALUES


def test_records_come_as_soon_as_they_are_whole() -> None:
    taken: list[int] = []

    def pieces() -> Iterator[bytes]:
        for number in range(10):
            taken.append(number)
            yield encode(number)

    records = read_records(pieces(), int)
    assert (next(records), taken) == (0, [0])


def test_many_records_of_a_piece_come_in_order() -> None:
    values = list(range(200_000))
    assert list(read_records([b"".join(write_records(values))])) == values


def test_a_record_may_be_as_long_as_the_limit() -> None:
    record = encode(b"x" * 995)
    assert len(record) == 998
    assert list(read_records([record * 2], max_record_bytes=998)) == [b"x" * 995] * 2
    with pytest.raises(InvalidMessage, match="at most 997 bytes"):
        list(read_records([record], max_record_bytes=997))


FAULTS: dict[str, bytes] = {
    "truncated": STREAM[:-1],
    "another type": encode([1]),
    "a reserved byte": b"\xc1",
    "an array that says 4 billion": b"\xdd\xff\xff\xff\xff",
    "a text that says 4 gigabytes": b"\xdb\xff\xff\xff\xffa",
    "arrays in each other": b"\x91" * 100_000 + b"\xc0",
    "arrays in each other, a few": b"\x91" * 900 + b"\xc0",
    "a record without an end": b"\xdd\xff\xff\xff\xff" + b"\x01" * 3_000_000,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_reported_behind_what_came_before(fault: str) -> None:
    records = read_records([encode(Join("ann")), FAULTS[fault]], Join)
    assert next(records) == Join("ann")
    with pytest.raises(InvalidMessage):
        list(records)


def test_a_stream_that_never_ends_a_record_is_not_kept() -> None:
    taken: list[int] = []

    def pieces() -> Iterator[bytes]:
        yield b"\xdd\xff\xff\xff\xff"
        while True:
            taken.append(1)
            yield b"\x01" * 1000

    with pytest.raises(InvalidMessage, match="at most 5000 bytes"):
        list(read_records(pieces(), max_record_bytes=5000))
    assert len(taken) == 5


def test_a_limit_must_be_a_number() -> None:
    with pytest.raises(InvalidArgument):
        read_records([], max_record_bytes=0)


class Adder(Process):
    """Takes a stream of numbers and gives one of their sums."""

    def __init__(self) -> None:
        super().__init__("adder")

    @route("/sums", streaming=True, methods=["POST"])
    def on_sums(self, request: Request) -> Response:
        def sums() -> Iterator[Ping]:
            total = 0
            for ping in read_records(request.reader, Ping):
                total += ping.number
                yield Ping(total)

        return Response(headers={"Content-Type": MEDIA_TYPE}, reader=write_records(sums()))


def exchange(runtime: Runtime, body: Any) -> Response:
    pid = runtime.spawn(Adder())
    url = f"http://{runtime.address}/{pid.id}/sums"
    return post(url, body=body, content_type=MEDIA_TYPE, stream=True, timeout=15.0).get()


def test_records_travel_both_ways_over_http(runtime: Runtime) -> None:
    with runtime.selected():
        response = exchange(runtime, write_records(Ping(number) for number in range(1000)))
        sums = list(read_records(response.reader, Ping))
    assert response.headers["Content-Type"] == MEDIA_TYPE
    assert sums == [Ping(number * (number + 1) // 2) for number in range(1000)]
