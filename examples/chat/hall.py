"""`Hall`: the process that knows the rooms of its node, and opens them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from chat import words
from chat.room import Room
from chat.store import Store
from chat.words import Opened, decode, encode
from greenproc import UPID, Process, delay, dispatch, install, terminate

HALL = "hall"
FIRST = "lobby"
MAX_ROOMS = 200
MAX_WATCHERS = 10_000
SECONDS = 1.0  # between two lists of rooms
IDLE_SECONDS = 60.0  # after which an empty room ends; what was said there stays


class Hall(Process):
    """Opens rooms, and shows which there are."""

    def __init__(self, database: str | Path) -> None:
        super().__init__(HALL)
        self._database = database
        self._counts: dict[str, int] = {FIRST: 0}
        """All rooms that are known, and how many people are in each."""
        self._open: dict[str, Room] = {}
        self._watchers: dict[UPID, None] = {}
        self._is_listed = True

    def initialize(self) -> None:
        self._store = Store(self._database)
        for name in self._store.rooms().get():
            self._counts[name] = 0

    def finalize(self) -> None:
        self._store.close()

    @install("watch")
    def on_watch(self, sender: UPID, body: bytes) -> None:
        if len(self._watchers) < MAX_WATCHERS:
            self.link(sender)
            self._watchers[sender] = None
            self.send(sender, "tell", self._list())

    @install("open")
    def on_open(self, sender: UPID, body: bytes) -> None:
        name = decode(body, words.Room)
        if name is None:
            return
        if name not in self._counts and len(self._counts) >= MAX_ROOMS:
            reason = "There are too many rooms already."
            self.send(sender, "tell", encode(do="refused", room=name, reason=reason))
            return
        room = self._open.get(name)
        if room is None:
            room = self._open[name] = Room(name, self._store, self.defer(Hall.changed))
            self.runtime.spawn(room)
            self.link(room)
            self.changed(name, 0)
        self.send(sender, "opened", msgspec.json.encode(Opened(name, str(room.pid))))

    def changed(self, name: str, count: int) -> None:
        """Take note of how many people are in a room."""
        self._counts[name] = count
        if not count:
            delay(IDLE_SECONDS, self.pid, Hall.close_idle, name)
        self._list_soon()

    def close_idle(self, name: str) -> None:
        """End a room in which nobody is; when somebody comes just now, it is opened again."""
        if name in self._open and not self._counts.get(name):
            terminate(self._open[name].pid, inject=False)

    def exited(self, pid: UPID) -> None:
        self._watchers.pop(pid, None)
        for name, room in list(self._open.items()):
            if room.pid == pid:
                del self._open[name]
                self._counts[name] = 0
                self._forget_if_unused(name)
                self._list_soon()

    def list_rooms(self) -> None:
        """Show all who watch which rooms there are."""
        self._is_listed = True
        body = self._list()
        for watcher in self._watchers:
            self.send(watcher, "tell", body)

    def forget(self, name: str, last: int) -> None:
        """Forget a room in which nothing was said."""
        if not last and name not in self._open and name != FIRST:
            self._counts.pop(name, None)
            self._list_soon()

    def _forget_if_unused(self, name: str) -> None:
        number = self._store.last_number(name)
        number.on_ready(lambda last: dispatch(self, Hall.forget, name, last))

    def _list_soon(self) -> None:
        if self._is_listed:
            self._is_listed = False
            delay(SECONDS, self.pid, Hall.list_rooms)

    def _list(self) -> bytes:
        rooms = [{"name": name, "people": count} for name, count in self._counts.items()]
        return encode(do="rooms", rooms=rooms)
