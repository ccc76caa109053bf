"""Twins of libprocess' src/tests/io_tests.cpp."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from greenproc import io
from greenproc.errors import InvalidArgument, StateError
from greenproc.io import READ, WRITE, Event, EventType, Watcher
from greenproc.testing import await_discarded, await_eq, await_failed, await_ready
from tests.descriptors import nothing_left_open
from tests.io.support import PAGE, Pipe, closed_descriptor

PIPE_BUFFER = 64 * 1024


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory, and nothing left open."""
    monkeypatch.chdir(tmp_path)
    with nothing_left_open():
        yield tmp_path


def assert_fails_with(number: int, future: object) -> None:
    error = await_failed(future)
    assert isinstance(error, OSError)
    assert error.errno == number


def test_poll_read() -> None:
    """IOTest.PollRead."""
    with Pipe() as pipe:
        future = io.poll(pipe.reader, READ)
        gevent.idle()
        assert future.is_pending

        future.discard()
        await_discarded(future)

        future = io.poll(pipe.reader, READ)
        gevent.idle()
        assert future.is_pending

        os.write(pipe.writer, b"hi")
        await_eq(READ, future)


def test_poll_write() -> None:
    """IOTest.PollWrite."""
    with Pipe() as pipe:
        pipe.fill()
        future = io.poll(pipe.writer, WRITE)
        gevent.idle()
        assert future.is_pending

        future.discard()
        await_discarded(future)

        future = io.poll(pipe.writer, WRITE)
        gevent.idle()
        assert future.is_pending

        os.read(pipe.reader, PAGE)
        await_eq(WRITE, future)


def test_read() -> None:
    """IOTest.Read."""
    with Pipe(blocking=True) as pipe:
        assert isinstance(await_failed(io.read(pipe.reader, 3)), StateError)
    assert_fails_with(errno.EBADF, io.read(closed_descriptor(), 3))

    with Pipe() as pipe:
        await_eq(b"", io.read(pipe.reader, 0))

        future = io.read(pipe.reader, 1)
        assert future.is_pending
        future.discard()
        await_discarded(future)

        future = io.read(pipe.reader, 3)
        assert future.is_pending
        os.write(pipe.writer, b"hi")
        await_eq(b"hi", future)

        # A discarded read takes nothing from the next one.
        future = io.read(pipe.reader, 1)
        future.discard()
        await_discarded(future)
        os.write(pipe.writer, b"omg")
        await_eq(b"omg", io.read(pipe.reader, 3))

        future = io.read(pipe.reader, 3)
        assert future.is_pending
        pipe.close_writer()
        await_eq(b"", future)
        await_eq(b"", io.read(pipe.reader, 3))


def test_buffered_read(folder: Path) -> None:
    """IOTest.BufferedRead."""
    data = b"This is a string" * (3 * 64 * 1024 // 16 + 16)
    (folder / "file").write_bytes(data)

    with (folder / "file").open("rb") as file:
        await_eq(data, io.read(file))

    assert_fails_with(errno.EBADF, io.read(closed_descriptor()))

    with Pipe(blocking=True) as pipe:
        everything = io.read(pipe.reader)
        written = io.write(pipe.writer, data)
        pipe.close_writer()
        await_ready(written)
        await_eq(data, everything)


def test_write() -> None:
    """IOTest.Write."""
    with Pipe(blocking=True) as pipe:
        future = io.write(pipe.writer, b"hi", partial_write=True)
        assert isinstance(await_failed(future), StateError)
    assert_fails_with(errno.EBADF, io.write(closed_descriptor(), b"hi", partial_write=True))

    with Pipe() as pipe:
        await_eq(0, io.write(pipe.writer, b"", partial_write=True))
        await_eq(2, io.write(pipe.writer, b"hi", partial_write=True))
        assert os.read(pipe.reader, 3) == b"hi"

        pipe.close_reader()
        assert_fails_with(errno.EPIPE, io.write(pipe.writer, b"hi", partial_write=True))


def test_blocking_write() -> None:
    """IOTest.BlockingWrite, which libprocess runs on Windows only."""
    size = 8 * PIPE_BUFFER
    with Pipe() as pipe:
        first = io.write(pipe.writer, bytes(size))
        second = io.write(pipe.writer, b"second")
        gevent.idle()
        assert first.is_pending
        assert second.is_pending

        second.discard()
        await_discarded(second)

        count = 0
        while count < size:
            count += len(await_ready(io.read(pipe.reader, size - count)))
        await_eq(size, first)


def test_redirect(folder: Path) -> None:
    """IOTest.Redirect."""
    with Pipe() as pipe:
        assert_fails_with(errno.EBADF, io.redirect(-1, pipe.writer))
        assert_fails_with(errno.EBADF, io.redirect(pipe.reader, closed_descriptor()))

    data = b"Hello World!\n" * 100_000
    seen: list[bytes] = []
    with Pipe() as pipe, (folder / "file").open("wb") as file:
        future = io.redirect(pipe.reader, file, hooks=[seen.append])
        pipe.close_reader()
        file.close()

        await_eq(len(data), io.write(pipe.writer, data))
        assert future.is_pending
        pipe.close_writer()
        await_ready(future)

    assert (folder / "file").read_bytes() == data
    assert b"".join(seen) == data


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    with Watcher() as watcher:
        yield watcher
        gevent.idle()


def append(path: Path) -> None:
    with path.open("a") as file:
        file.write("x")


def new_file(folder: Path, name: str = "file") -> Path:
    path = folder / name
    path.touch()
    return path


def test_watcher_write(folder: Path, watcher: Watcher) -> None:
    """IOTest.WatcherWrite."""
    path = new_file(folder)
    watcher.add(path)

    append(path)

    await_eq(Event(EventType.WRITE, str(path)), watcher.events.get())


def test_watcher_rename(folder: Path, watcher: Watcher) -> None:
    """IOTest.WatcherRename."""
    path = new_file(folder)
    watcher.add(path)

    path.rename(folder / "other")

    await_eq(Event(EventType.RENAME, str(path)), watcher.events.get())


def test_watcher_rm(folder: Path, watcher: Watcher) -> None:
    """IOTest.WatcherRm."""
    path = new_file(folder)
    watcher.add(path)

    path.unlink()

    await_eq(Event(EventType.REMOVE, str(path)), watcher.events.get())


def test_watcher_add_multiple_files(folder: Path, watcher: Watcher) -> None:
    """IOTest.WatcherAddMultipleFiles."""
    paths = [new_file(folder, "first"), new_file(folder, "second")]
    for path in paths:
        watcher.add(path)

    for path in paths:
        append(path)

    found = {await_ready(watcher.events.get()) for _ in paths}
    assert found == {Event(EventType.WRITE, str(path)) for path in paths}


def test_watcher_already_add_added_file(folder: Path, watcher: Watcher) -> None:
    """IOTest.WatcherAlreadyAddAddedFile."""
    path = new_file(folder)
    watcher.add(path)

    with pytest.raises(InvalidArgument, match="not watched yet"):
        watcher.add(path)


def test_watcher_add_directory(folder: Path, watcher: Watcher) -> None:
    """IOTest.WatcherAddDirectory."""
    with pytest.raises(InvalidArgument, match="folder"):
        watcher.add(folder)


def test_watcher_remove(folder: Path, watcher: Watcher) -> None:
    """IOTest.WatcherRemove."""
    removed, kept = new_file(folder, "removed"), new_file(folder, "kept")
    watcher.add(removed)
    watcher.add(kept)
    watcher.remove(removed)

    append(removed)
    append(kept)

    await_eq(Event(EventType.WRITE, str(kept)), watcher.events.get())


def test_watcher_remove_removed_file(folder: Path, watcher: Watcher) -> None:
    """IOTest.WatcherRemoveRemovedFile."""
    path = new_file(folder)
    watcher.add(path)

    watcher.remove(path)
    watcher.remove(path)


def test_watcher_destruction() -> None:
    """IOTest.WatcherDestruction."""
    watcher = Watcher()
    reading = watcher._done
    gevent.idle()
    assert reading.is_pending

    del watcher

    await_discarded(reading)
    assert reading.has_discard
