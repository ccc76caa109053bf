"""Watching files."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from greenproc.errors import Closed, InvalidArgument
from greenproc.io import Event, EventType, Watcher
from greenproc.io import watcher as module

LIMIT = 5.0  # seconds; a last limit


@pytest.fixture
def watcher(folder: Path) -> Iterator[Watcher]:
    with Watcher() as watcher:
        yield watcher
        gevent.idle()


def write(path: Path, text: str = "x") -> None:
    with path.open("a") as file:
        file.write(text)


def test_a_file_that_went_away_can_be_added_again(folder: Path, watcher: Watcher) -> None:
    path = folder / "file"
    path.touch()
    watcher.add(path)
    path.unlink()
    assert watcher.events.wait_get(LIMIT) == Event(EventType.REMOVE, str(path))

    path.touch()
    watcher.add(path)
    write(path)

    assert watcher.events.wait_get(LIMIT) == Event(EventType.WRITE, str(path))


def test_a_file_that_was_renamed_is_not_watched_any_more(folder: Path, watcher: Watcher) -> None:
    path, other = folder / "file", folder / "other"
    path.touch()
    watcher.add(path)
    path.rename(other)
    assert watcher.events.wait_get(LIMIT) == Event(EventType.RENAME, str(path))

    write(other)
    watcher.add(other)
    write(other)

    assert watcher.events.wait_get(LIMIT) == Event(EventType.WRITE, str(other))


def test_a_path_is_reported_as_it_was_added(folder: Path, watcher: Watcher) -> None:
    (folder / "file").touch()
    watcher.add("file")

    write(folder / "file")

    assert watcher.events.wait_get(LIMIT).path == "file"


def test_a_file_can_be_watched_by_one_of_its_names_only(folder: Path, watcher: Watcher) -> None:
    (folder / "file").touch()
    (folder / "link").hardlink_to(folder / "file")
    watcher.add(folder / "file")

    with pytest.raises(InvalidArgument, match="by another name"):
        watcher.add(folder / "link")


def test_a_missing_file_cannot_be_watched(watcher: Watcher) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        watcher.add("nowhere")


def test_removing_what_was_never_added_is_fine(watcher: Watcher) -> None:
    watcher.remove("nowhere")


def test_a_closed_watcher_takes_no_files_and_abandons_who_waits(folder: Path) -> None:
    (folder / "file").touch()
    watcher = Watcher()
    waiting = watcher.events.get()

    watcher.close()
    waiting.wait(LIMIT)
    gevent.idle()

    assert waiting.is_abandoned
    with pytest.raises(Closed):
        watcher.add("file")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (struct.pack("iIII", -1, module.IN_Q_OVERFLOW, 0, 0), "faster than they were fetched"),
        (b"half a record", "whole inotify records"),
        (struct.pack("iIII", 1, 2, 0, 16), "whole inotify records"),
    ],
)
def test_a_failure_is_the_last_event(
    folder: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, text: str
) -> None:
    read = module.read
    monkeypatch.setattr(
        module, "read", lambda number, size: read(number, size).then(lambda _: data)
    )
    (folder / "file").touch()
    with Watcher() as watcher:
        watcher.add("file")
        write(folder / "file")

        event = watcher.events.wait_get(LIMIT)

        assert event.type is EventType.FAILURE
        assert text in event.path
        with pytest.raises(Closed):
            watcher.add("file")


def test_a_watcher_whose_events_nobody_fetches_fails(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_EVENTS", 2)
    with Watcher() as watcher:
        for name in ("a", "b", "c"):
            (folder / name).touch()
            watcher.add(name)
            write(folder / name)

        gevent.idle()
        gevent.idle()

        events = [watcher.events.wait_get(LIMIT) for _ in range(3)]

    assert [event.type.value for event in events] == ["Write", "Write", "Failure"]


def test_a_path_that_the_system_would_cut_off_is_refused(watcher: Watcher, folder: Path) -> None:
    (folder / "file").touch()

    with pytest.raises(InvalidArgument, match="expected a path without a zero"):
        watcher.add(f"{folder / 'file'}\0rest")
