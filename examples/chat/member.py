"""`Member`: a browser that is connected, as a process that rooms can send to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, ClassVar, Protocol

import msgspec

from chat.room import Bucket
from chat.words import (
    Command,
    Entry,
    Hello,
    Join,
    Leave,
    Line,
    Older,
    Opened,
    Say,
    Told,
    Typing,
    clean_name,
    decode,
    encode,
)
from greenproc import UPID, Process, install
from greenproc.errors import InvalidPID

MAX_ROOMS = 30
BURST = 60  # commands: a page that reconnects enters all of its rooms again
PER_SECOND = 15.0


class Channel(Protocol):
    """The way to a browser."""

    def send(self, text: str) -> object:
        """Send *text*; tell whether the browser is still there."""

    def close(self) -> object:
        """Let the browser go."""


class Member(Process):
    """Does what a browser wants, and passes on what rooms tell.

    Args:
        hall: where rooms are found, on any node.
    """

    def __init__(self, hall: UPID, channel: Channel) -> None:
        super().__init__()
        self._hall = hall
        self._channel = channel
        self._who = self._name = ""
        self._wanted: dict[str, int] = {}
        self._rooms: dict[str, UPID] = {}
        self._is_watching = False

    def initialize(self) -> None:
        self._bucket = Bucket(self.runtime.clock.now(), BURST, PER_SECOND)

    def finalize(self) -> None:
        # A room on another node would not see the end of this process, only that of its node.
        for pid in self._rooms.values():
            self.send(pid, "gone")
        self._channel.close()

    # What the browser wants

    def command(self, command: Command) -> None:
        """Do what the browser wants, unless it wants too much."""
        if not self._bucket.take(self.runtime.clock.now()):
            if isinstance(command, Say):
                self._show(do="later", room=command.room, token=command.token)
            return
        if self._who or isinstance(command, Hello):
            self._DO[type(command)](self, command)

    def _hello(self, command: Hello) -> None:
        name = clean_name(command.name)
        if not name:
            self._show(do="refused", reason="A name needs a letter.")
            return
        # The key stays here: rooms and others see what follows from it.
        self._who = hashlib.sha256(command.key.encode()).hexdigest()[:16]
        self._name = name
        self._watch()
        self._show(do="welcome", who=self._who, name=name)

    def _join(self, command: Join) -> None:
        if command.room not in self._wanted and len(self._wanted) >= MAX_ROOMS:
            reason = "You are in too many rooms already."
            self._show(do="refused", room=command.room, reason=reason)
            return
        self._wanted[command.room] = command.since
        self._watch()
        self.send(self._hall, "open", msgspec.json.encode(command.room))

    def _leave(self, command: Leave) -> None:
        self._wanted.pop(command.room, None)
        pid = self._rooms.pop(command.room, None)
        if pid is not None:
            self.send(pid, "leave")

    def _say(self, command: Say) -> None:
        self._send(command.room, "say", Line(command.token, command.text))

    def _typing(self, command: Typing) -> None:
        self._send(command.room, "typing", None)

    def _older(self, command: Older) -> None:
        self._send(command.room, "older", command.before)

    _DO: ClassVar[dict[type, Callable[[Any, Any], None]]] = {
        Hello: _hello,
        Join: _join,
        Leave: _leave,
        Say: _say,
        Typing: _typing,
        Older: _older,
    }

    # What the hall and rooms tell

    @install("opened")
    def on_opened(self, sender: UPID, body: bytes) -> None:
        opened = decode(body, Opened)
        if sender != self._hall or opened is None or opened.room not in self._wanted:
            return
        try:
            pid = UPID.parse(opened.pid)
        except InvalidPID:
            return
        self._rooms[opened.room] = pid
        self.link(pid)
        entry = Entry(self._who, self._name, self._wanted[opened.room])
        self._send(opened.room, "join", entry)

    @install("tell")
    def on_tell(self, sender: UPID, body: bytes) -> None:
        is_known = sender == self._hall or sender in self._rooms.values()
        if is_known and decode(body, Told):
            self._pass_on(body.decode())

    def exited(self, pid: UPID) -> None:
        if pid == self._hall:
            self._is_watching = False
            for room in self._wanted.keys() - self._rooms.keys():
                self._show(do="away", room=room)
        for room, place in list(self._rooms.items()):
            if place == pid:
                del self._rooms[room]
                self._show(do="away", room=room)

    def _watch(self) -> None:
        if not self._is_watching:
            self._is_watching = True
            self.link(self._hall)
            self.send(self._hall, "watch")

    def _send(self, room: str, name: str, what: Any) -> None:
        pid = self._rooms.get(room)
        if pid is None:
            self._show(do="away", room=room)
        else:
            self.send(pid, name, msgspec.json.encode(what))

    def _show(self, **what: Any) -> None:
        self._pass_on(encode(**what).decode())

    def _pass_on(self, text: str) -> None:
        if not self._channel.send(text):
            self.terminate()
