"""Reading and writing."""

from __future__ import annotations

import errno
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gevent
import pytest
from gevent._hub_local import get_hub_if_exists

from greenproc import io
from greenproc.errors import InvalidArgument, StateError
from greenproc.future import await_all
from greenproc.future.threads import MAX_THREADS
from tests.descriptors import open_descriptors
from tests.io.support import PAGE, Pipe, closed_descriptor

LIMIT = 5.0  # seconds; a last limit
LARGE = b"".join(b"%d " % count for count in range(150_000))  # many times what a pipe holds


def test_what_is_there_is_read_at_once(pipe: Pipe) -> None:
    os.write(pipe.writer, b"hello")

    assert io.read(pipe.reader, 3).get_nowait() == b"hel"
    assert io.read(pipe.reader, 3).get_nowait() == b"lo"


def test_a_read_waits_for_data(pipe: Pipe) -> None:
    future = io.read(pipe.reader, 3)
    assert future.is_pending

    os.write(pipe.writer, b"hi")

    assert future.get(timeout=LIMIT) == b"hi"


def test_reads_of_one_descriptor_share_what_comes(pipe: Pipe) -> None:
    first, second = io.read(pipe.reader, 1), io.read(pipe.reader, 1)

    os.write(pipe.writer, b"ab")

    assert {first.get(timeout=LIMIT), second.get(timeout=LIMIT)} == {b"a", b"b"}


def test_who_comes_too_late_to_read_waits_on(pipe: Pipe) -> None:
    first, second = io.read(pipe.reader, 3), io.read(pipe.reader, 3)

    os.write(pipe.writer, b"abc")
    gevent.idle()
    gevent.idle()
    assert {first.is_ready, second.is_ready} == {True, False}

    os.write(pipe.writer, b"def")
    assert {first.get(timeout=LIMIT), second.get(timeout=LIMIT)} == {b"abc", b"def"}


def test_a_read_that_is_discarded_takes_nothing(pipe: Pipe) -> None:
    future = io.read(pipe.reader, 1)

    future.discard()

    assert future.is_discarded
    os.write(pipe.writer, b"omg")
    gevent.idle()
    assert os.read(pipe.reader, 3) == b"omg"


def test_a_read_whose_discard_comes_with_the_data_takes_nothing(pipe: Pipe) -> None:
    future = io.read(pipe.reader, 1)
    gevent.idle()
    os.write(pipe.writer, b"omg")
    gevent.get_hub().loop.closing_fd(pipe.reader)  # the loop's way to make a watcher pending

    future.discard()
    future.wait(timeout=LIMIT)

    assert future.is_discarded
    assert os.read(pipe.reader, 3) == b"omg"


@pytest.mark.parametrize("size", [0, 3])
def test_a_blocking_descriptor_is_refused_whatever_the_size(size: int) -> None:
    with Pipe(blocking=True) as pipe:
        for future in (
            io.read(pipe.reader, size),
            io.write(pipe.writer, bytes(size), partial_write=True),
        ):
            assert future.is_failed
            assert isinstance(future.exception, StateError)
            assert "call prepare_async() first" in future.failure()


@pytest.mark.parametrize("size", [-1, 1.5, "3", True])
def test_a_size_that_is_none_is_refused(pipe: Pipe, size: object) -> None:
    with pytest.raises(InvalidArgument, match="expected a size in bytes"):
        io.read(pipe.reader, size)


@pytest.mark.parametrize("data", ["text", None, 3])
def test_data_that_are_no_bytes_are_refused(pipe: Pipe, data: object) -> None:
    with pytest.raises(InvalidArgument, match="expected bytes to write"):
        io.write(pipe.writer, data)


def test_a_descriptor_that_is_not_open_fails_every_future() -> None:
    number = closed_descriptor()

    for future in (
        io.read(number),
        io.read(number, 0),
        io.write(number, b"x"),
        io.write(number, b"", partial_write=True),
    ):
        assert future.is_failed
        assert future.exception.errno == errno.EBADF


def test_everything_is_read_up_to_the_end(pipe: Pipe) -> None:
    written = io.write(pipe.writer, LARGE)
    pipe.close_writer()
    assert written.is_pending

    assert io.read(pipe.reader).get(timeout=LIMIT) == LARGE
    assert written.get_nowait() == len(LARGE)


def test_reading_everything_of_nothing_gives_no_bytes(pipe: Pipe) -> None:
    pipe.close_writer()

    assert io.read(pipe.reader).get(timeout=LIMIT) == b""


def test_a_descriptor_may_be_closed_as_soon_as_everything_of_it_is_read(pipe: Pipe) -> None:
    future = io.read(pipe.reader)
    pipe.close_reader()
    os.write(pipe.writer, b"late")
    pipe.close_writer()

    assert future.get(timeout=LIMIT) == b"late"


def test_what_is_discarded_closes_its_duplicate_at_once(pipe: Pipe) -> None:
    before = open_descriptors()
    with Pipe() as full:
        full.fill()
        opened = open_descriptors()
        reading, writing = io.read(pipe.reader), io.write(full.writer, b"x")
        gevent.idle()

        reading.discard()
        writing.discard()

        assert reading.is_discarded
        assert writing.is_discarded
        assert open_descriptors() == opened
    assert open_descriptors() == before


def test_a_file_on_disk_is_read_and_written(folder: Path) -> None:
    with (folder / "file").open("wb") as file:
        assert io.write(file, LARGE).get(timeout=LIMIT) == len(LARGE)

    with (folder / "file").open("rb") as file:
        io.prepare_async(file)
        assert io.read(file, 4).get(timeout=LIMIT) == LARGE[:4]
        assert io.read(file).get(timeout=LIMIT) == LARGE[4:]


def test_others_go_on_while_a_disk_is_slow(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    read = os.read

    def note(number: int, size: int) -> bytes:
        threads.append(threading.get_ident())
        return read(number, size)

    monkeypatch.setattr(os, "read", note)
    (folder / "file").write_bytes(b"x")
    with (folder / "file").open("rb") as file:
        assert io.read(file).get(timeout=LIMIT) == b"x"

    assert len(threads) == 2
    assert threading.get_ident() not in threads


def test_a_read_from_a_disk_that_is_discarded_ends_when_the_thread_is_done(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    read = os.read

    def read_slowly(number: int, size: int) -> bytes:
        gate.wait(LIMIT)
        return read(number, size)

    monkeypatch.setattr(os, "read", read_slowly)
    (folder / "file").write_bytes(LARGE)
    with (folder / "file").open("rb") as file:
        future = io.read(file)
        gevent.idle()
        future.discard()
        assert future.is_pending

        gate.set()
        future.wait(timeout=LIMIT)

    assert future.is_discarded


def test_a_read_from_a_disk_that_waits_for_a_thread_is_discarded_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    read = os.read
    reads: list[int] = []

    def read_slowly(number: int, size: int) -> bytes:
        reads.append(number)
        gate.wait(LIMIT)
        return read(number, size)

    monkeypatch.setattr(os, "read", read_slowly)
    (folder / "file").write_bytes(LARGE)
    with (folder / "file").open("rb") as file:
        io.prepare_async(file)
        futures = [io.read(file, 1) for _ in range(MAX_THREADS + 1)]
        futures[-1].discard()
        assert futures[-1].is_discarded

        gate.set()
        await_all(futures).get(timeout=LIMIT)

    assert len(reads) == MAX_THREADS


def test_a_native_thread_without_a_hub_reads_a_disk_itself(folder: Path) -> None:
    (folder / "file").write_bytes(b"x")

    def work() -> tuple[bytes, object]:
        with (folder / "file").open("rb") as file:
            io.prepare_async(file)
            return io.read(file, 5).get(), get_hub_if_exists()

    with ThreadPoolExecutor(1) as executor:
        assert executor.submit(work).result() == (b"x", None)


def test_a_partial_write_writes_what_there_is_room_for(pipe: Pipe) -> None:
    room = pipe.fill()
    os.read(pipe.reader, PAGE)

    assert io.write(pipe.writer, bytes(2 * PAGE), partial_write=True).get_nowait() == PAGE
    assert room > PAGE


def test_a_partial_write_waits_for_room(pipe: Pipe) -> None:
    pipe.fill()
    future = io.write(pipe.writer, b"x", partial_write=True)
    assert future.is_pending

    os.read(pipe.reader, PAGE)

    assert future.get(timeout=LIMIT) == 1


def test_nothing_is_written_at_once(pipe: Pipe) -> None:
    pipe.fill()

    with pytest.raises(TimeoutError):
        io.write(pipe.writer, b"x").get_nowait()
    assert io.write(pipe.writer, b"").get_nowait() == 0


def test_writing_where_nobody_reads_fails(pipe: Pipe) -> None:
    pipe.close_reader()

    for future in (io.write(pipe.writer, b"x"), io.write(pipe.writer, b"x", partial_write=True)):
        assert isinstance(future.exception, BrokenPipeError)


def test_a_reader_that_goes_away_fails_the_write_in_progress(pipe: Pipe) -> None:
    future = io.write(pipe.writer, LARGE)

    pipe.close_reader()

    with pytest.raises(BrokenPipeError):
        future.get(timeout=LIMIT)


def test_whatever_has_a_buffer_is_written(pipe: Pipe) -> None:
    assert io.write(pipe.writer, bytearray(b"ab")).get_nowait() == 2
    assert io.write(pipe.writer, memoryview(b"abcd")[::1].cast("H")).get_nowait() == 4
    assert os.read(pipe.reader, 9) == b"ababcd"


def test_sockets_are_read_and_written() -> None:
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        future = io.read(near, 10)
        io.write(far, b"hello").get(timeout=LIMIT)
        assert future.get(timeout=LIMIT) == b"hello"


def test_a_size_beyond_all_memory_is_allowed(pipe: Pipe) -> None:
    os.write(pipe.writer, b"hi")

    assert io.read(pipe.reader, 10**30).get_nowait() == b"hi"
