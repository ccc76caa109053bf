"""`Store`: what was said, in a file."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from gevent.monkey import get_original

from greenproc import Failure, Future, Promise
from greenproc.future import Threads

MAX_WAITING = 10_000
BATCH = 500  # calls that share one transaction, and so one wait for the disk
KEPT = 5000  # messages of a room
BUSY_SECONDS = 5.0
RETRY_SECONDS = 0.05

_sleep = get_original("time", "sleep")  # of the native thread, also in a program that is patched

SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    room TEXT NOT NULL,
    number INTEGER NOT NULL,
    who TEXT NOT NULL,
    name TEXT NOT NULL,
    text TEXT NOT NULL,
    at REAL NOT NULL,
    token TEXT NOT NULL,
    PRIMARY KEY (room, number)
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS tokens ON messages (room, who, token);
"""


class Message(NamedTuple):
    """A message as it was accepted."""

    number: int
    who: str
    name: str
    text: str
    at: float
    token: str


class Store:
    """An SQLite file, which a native thread reads and writes, so that greenlets do not wait.

    Calls are made in order, and together as far as they wait: each future is complete when all of
    them are on the disk.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = path
        self._threads = Threads(1)  # a connection must not be used twice at a time
        self._connection: sqlite3.Connection | None = None
        self._waiting: deque[tuple[Promise[Any], Callable[[sqlite3.Connection], Any]]] = deque()
        self._is_busy = False

    def add(
        self, room: str, who: str, name: str, text: str, *, token: str, at: float
    ) -> Future[tuple[Message, bool]]:
        """Write a message down; the future has it, and whether it is new."""

        def add(connection: sqlite3.Connection) -> tuple[Message, bool]:
            found = connection.execute(
                "SELECT * FROM messages WHERE room = ? AND who = ? AND token = ?",
                (room, who, token),
            ).fetchone()
            if found is not None:
                return Message(*found[1:]), False
            (last,) = connection.execute(
                "SELECT coalesce(max(number), 0) FROM messages WHERE room = ?", (room,)
            ).fetchone()
            message = Message(last + 1, who, name, text, at, token)
            connection.execute(
                "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?)", (room, *message)
            )
            connection.execute(
                "DELETE FROM messages WHERE room = ? AND number <= ?", (room, last + 1 - KEPT)
            )
            return message, True

        return self._call(add)

    def after(self, room: str, number: int, count: int) -> Future[list[Message]]:
        """Return the messages behind *number*, the oldest *count* of them."""
        return self._messages(
            "SELECT * FROM messages WHERE room = ? AND number > ? ORDER BY number LIMIT ?",
            (room, number, count),
        )

    def before(self, room: str, number: int, count: int) -> Future[list[Message]]:
        """Return the messages before *number*, the youngest *count* of them, oldest first."""
        return self._messages(
            "SELECT * FROM (SELECT * FROM messages WHERE room = ? AND number < ? "
            "ORDER BY number DESC LIMIT ?) ORDER BY number",
            (room, number, count),
        )

    def last_number(self, room: str) -> Future[int]:
        """Return the number of the last message, 0 if there is none."""

        def find(connection: sqlite3.Connection) -> int:
            query = "SELECT coalesce(max(number), 0) FROM messages WHERE room = ?"
            number: int = connection.execute(query, (room,)).fetchone()[0]
            return number

        return self._call(find)

    def rooms(self) -> Future[list[str]]:
        """Return the names of rooms in which something was said."""

        def find(connection: sqlite3.Connection) -> list[str]:
            query = "SELECT DISTINCT room FROM messages ORDER BY room"
            return [name for (name,) in connection.execute(query)]

        return self._call(find)

    def close(self) -> None:
        """Wait until everything is written."""

        def close() -> None:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

        while self._waiting or self._is_busy:
            self._call(lambda connection: None).wait()
        self._threads.offload(close).wait()
        self._threads.close()

    def _messages(self, query: str, values: tuple[Any, ...]) -> Future[list[Message]]:
        return self._call(
            lambda connection: [Message(*row[1:]) for row in connection.execute(query, values)]
        )

    def _call(self, function: Callable[[sqlite3.Connection], Any]) -> Future[Any]:
        if len(self._waiting) >= MAX_WAITING:
            return Future.failed(Failure("too much waits for the disk"))
        promise: Promise[Any] = Promise()
        future = promise.future
        self._waiting.append((promise, function))
        self._go_on()
        return future

    def _go_on(self) -> None:
        if self._is_busy or not self._waiting:
            return
        self._is_busy = True
        count = min(len(self._waiting), BATCH)
        calls = [self._waiting.popleft() for _ in range(count)]
        done = self._threads.offload(self._run, [function for _, function in calls])
        done.on_any(lambda done: self._finish([promise for promise, _ in calls], done))

    def _finish(self, promises: list[Promise[Any]], done: Future[list[Any]]) -> None:
        self._is_busy = False
        self._go_on()
        if not done.is_ready:
            for promise in promises:
                promise.fail(done.exception or Failure("the store was closed"))
            return
        for promise, result in zip(promises, done.get(), strict=True):
            promise.set(result)

    def _run(self, functions: list[Callable[[sqlite3.Connection], Any]]) -> list[Any]:
        """Make calls in one transaction, in the thread of the store."""
        if self._connection is None:
            self._connection = connect(self._path)
        with self._connection as connection:
            # Another worker, which is about to end, may have the file as well.
            connection.execute("BEGIN IMMEDIATE")
            return [function(connection) for function in functions]


def connect(path: str | Path) -> sqlite3.Connection:
    """Open the file, and make it if it is not there."""
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    switch_to_wal(connection)
    connection.execute("PRAGMA synchronous = FULL")  # a commit is on the disk when it returns
    connection.executescript(SCHEMA)
    return connection


def switch_to_wal(connection: sqlite3.Connection) -> None:
    """Let the file have a log, which is faster; wait for others who have it open.

    Raises:
        sqlite3.OperationalError: they keep it for too long.
    """
    for tries_left in reversed(range(round(BUSY_SECONDS / RETRY_SECONDS))):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:  # SQLite does not wait here, whatever its timeout says
            if not tries_left:
                raise
            _sleep(RETRY_SECONDS)
