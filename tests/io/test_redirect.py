"""Copying until the end."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import gevent
import pytest

from greenproc import io
from greenproc.errors import InvalidArgument
from tests.descriptors import open_descriptors
from tests.io.support import Pipe, closed_descriptor

LIMIT = 5.0  # seconds; a last limit
DATA = bytes(range(256)) * 1024


def test_everything_is_copied_up_to_the_end() -> None:
    with Pipe() as source, Pipe() as target:
        written, copied = io.write(source.writer, DATA), io.redirect(source.reader, target.writer)
        source.close_writer()
        target.close_writer()

        assert io.read(target.reader).get(timeout=LIMIT) == DATA
        assert copied.get(timeout=LIMIT) is None
        assert written.is_ready


def test_a_target_that_is_full_is_waited_for() -> None:
    with Pipe() as source, Pipe() as target:
        size = target.fill()
        os.write(source.writer, b"more")
        copied = io.redirect(source.reader, target.writer)
        source.close_writer()
        gevent.idle()
        assert copied.is_pending

        assert len(os.read(target.reader, size)) == size

        copied.get(timeout=LIMIT)
        assert os.read(target.reader, 10) == b"more"


def test_without_a_target_everything_is_thrown_away(pipe: Pipe) -> None:
    os.write(pipe.writer, b"x")
    copied = io.redirect(pipe.reader)
    pipe.close_writer()

    assert copied.get(timeout=LIMIT) is None


def test_a_file_is_copied(folder: Path) -> None:
    (folder / "a").write_bytes(DATA)
    with (folder / "a").open("rb") as source, (folder / "b").open("wb") as target:
        copied = io.redirect(source, target, chunk=65536)

    copied.get(timeout=LIMIT)
    assert (folder / "b").read_bytes() == DATA


def test_hooks_see_each_chunk_in_order_before_it_is_written() -> None:
    with Pipe() as source, Pipe() as target:
        seen: list[tuple[str, bytes]] = []

        def first(data: bytes) -> None:
            with pytest.raises(BlockingIOError):
                os.read(target.reader, 10)
            seen.append(("first", data))

        def second(data: bytes) -> None:
            seen.append(("second", data))

        os.write(source.writer, b"abcd")
        source.close_writer()
        copied = io.redirect(source.reader, target.writer, chunk=4, hooks=[first, second])
        copied.get(timeout=LIMIT)

        assert seen == [("first", b"abcd"), ("second", b"abcd")]
        assert os.read(target.reader, 10) == b"abcd"


def test_no_more_than_a_chunk_is_read_at_a_time(pipe: Pipe) -> None:
    sizes: list[int] = []
    os.write(pipe.writer, bytes(10))
    pipe.close_writer()

    io.redirect(pipe.reader, chunk=4, hooks=[lambda data: sizes.append(len(data))]).get(
        timeout=LIMIT
    )

    assert sizes == [4, 4, 2]


def test_a_hook_that_fails_ends_it_with_its_error(pipe: Pipe) -> None:
    def fail(data: bytes) -> None:
        raise LookupError(data)

    os.write(pipe.writer, b"x")

    with pytest.raises(LookupError):
        io.redirect(pipe.reader, hooks=[fail]).get(timeout=LIMIT)


def test_hooks_may_wait(pipe: Pipe) -> None:
    os.write(pipe.writer, b"x")
    pipe.close_writer()

    io.redirect(pipe.reader, hooks=[lambda _: gevent.idle()]).get(timeout=LIMIT)


def test_a_target_that_fails_ends_it(pipe: Pipe) -> None:
    with Pipe() as target:
        target.close_reader()
        os.write(pipe.writer, b"x")

        with pytest.raises(BrokenPipeError):
            io.redirect(pipe.reader, target.writer).get(timeout=LIMIT)


@pytest.mark.parametrize("blocked", ["read", "write"])
def test_a_discard_request_stops_it_and_closes_its_duplicates(blocked: str) -> None:
    with Pipe() as source, Pipe() as target:
        before = open_descriptors()
        if blocked == "write":
            target.fill()
            os.write(source.writer, b"x")
        copied = io.redirect(source.reader, target.writer)
        gevent.idle()

        copied.discard()

        assert copied.is_discarded
        assert open_descriptors() == before


def test_an_endless_copy_gives_others_a_turn_and_can_be_discarded() -> None:
    chunks = iter(range(1000))  # far more than until the request; then next() raises
    with open("/dev/zero", "rb") as file:  # noqa: PTH123
        copied = io.redirect(file, hooks=[lambda _: next(chunks)])
        gevent.sleep(0)
        copied.discard()
        copied.wait(timeout=LIMIT)

    assert copied.is_discarded


def test_a_descriptor_that_is_not_open_fails_and_leaves_nothing_open(pipe: Pipe) -> None:
    number = closed_descriptor()

    # Not even the number that a duplicate of the source would get is taken for an open one.
    for copied in (io.redirect(pipe.reader, number), io.redirect(number), io.redirect(-1)):
        assert copied.is_failed
        assert copied.exception.errno == errno.EBADF


@pytest.mark.parametrize("chunk", [0, -1, 1.5, True, None])
def test_a_chunk_of_no_bytes_is_refused(pipe: Pipe, chunk: object) -> None:
    with pytest.raises(InvalidArgument, match="expected a chunk of one byte or more"):
        io.redirect(pipe.reader, chunk=chunk)


def test_a_hook_that_cannot_be_called_is_refused(pipe: Pipe) -> None:
    with pytest.raises(InvalidArgument, match="expected a function"):
        io.redirect(pipe.reader, hooks=["print"])
