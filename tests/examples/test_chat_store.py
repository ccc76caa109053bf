"""The file in which rooms of the chat keep what was said."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from chat import store as module
from chat.store import Store
from greenproc import Future, Promise, Runtime
from greenproc.errors import Failure
from greenproc.testing import await_failed, await_ready
from tests.peer import LIMIT


def add(store: Store, text: str, room: str = "lobby") -> Future[object]:
    return store.add(room, "who", "Name", text, token=text, at=1.5)


def rows(path: Path) -> list[tuple[str, int, str]]:
    """Return what is in the file, as another program sees it."""
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT room, number, text FROM messages").fetchall()
    finally:
        connection.close()


def test_what_is_accepted_is_in_the_file(runtime: Runtime, tmp_path: Path) -> None:
    path = tmp_path / "chat.sqlite"
    store = Store(path)
    message, is_new = await_ready(add(store, "hello"))

    assert (message, is_new) == ((1, "who", "Name", "hello", 1.5, "hello"), True)
    assert rows(path) == [("lobby", 1, "hello")]
    store.close()


def test_calls_are_made_in_order(runtime: Runtime, tmp_path: Path) -> None:
    store = Store(tmp_path / "chat.sqlite")
    add(store, "a")
    between = store.after("lobby", 0, 10)
    last = add(store, "b")
    await_ready(last)

    assert between.ready()
    assert [message.text for message in between.get()] == ["a"]
    store.close()


def test_a_token_that_comes_again_is_the_same_message(runtime: Runtime, tmp_path: Path) -> None:
    store = Store(tmp_path / "chat.sqlite")
    first = add(store, "a")
    again = add(store, "a")
    elsewhere = add(store, "a", "garden")

    assert await_ready(again) == (await_ready(first)[0], False)
    assert await_ready(elsewhere)[1]
    store.close()


def test_the_oldest_messages_go(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT", 3)
    store = Store(tmp_path / "chat.sqlite")
    for number in range(10):
        add(store, str(number))
    kept = await_ready(store.after("lobby", 0, 100))

    assert [message.number for message in kept] == [8, 9, 10]
    store.close()


def test_too_much_that_waits_is_refused(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    store = Store(tmp_path / "chat.sqlite")
    taken = [add(store, str(number)) for number in range(3)]  # one is being written
    refused = add(store, "more")

    assert isinstance(await_failed(refused), Failure)
    for future in taken:
        await_ready(future)
    store.close()


def test_a_file_that_cannot_be_written_fails_all_that_waits(
    runtime: Runtime, tmp_path: Path
) -> None:
    store = Store(tmp_path / "missing" / "chat.sqlite")
    futures = [add(store, str(number)) for number in range(3)]

    assert {type(await_failed(future)) for future in futures} == {sqlite3.OperationalError}
    (tmp_path / "missing").mkdir()
    assert await_ready(add(store, "now"))[1]
    store.close()


def test_two_workers_may_have_the_file_at_once(runtime: Runtime, tmp_path: Path) -> None:
    stores = [Store(tmp_path / "chat.sqlite") for _ in range(2)]
    written = [add(stores[number % 2], str(number)) for number in range(20)]
    numbers = [future.get(LIMIT)[0].number for future in written]

    assert sorted(numbers) == list(range(1, 21))
    for store in stores:
        store.close()


def test_a_file_that_another_program_makes_just_now_is_waited_for(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "chat.sqlite"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("CREATE TABLE another (number INTEGER)")
    other.execute("BEGIN IMMEDIATE")
    has_tried: Promise[None] = Promise()
    wait = module._sleep
    monkeypatch.setattr(module, "_sleep", lambda seconds: (has_tried.set(None), wait(seconds)))
    store = Store(path)
    written = add(store, "patient")
    await_ready(has_tried.future)
    other.execute("COMMIT")
    other.close()

    assert await_ready(written)[1]
    store.close()
