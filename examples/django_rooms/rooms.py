"""The rooms: one process each. The porter opens them."""

from __future__ import annotations

import json
from typing import Any

from greenproc import UPID, Future, Process, Promise, Runtime, dispatch, route, spawn
from greenproc.http import Request, Response
from greenproc.web import EventStream

MAX_ROOMS = 1000
MAX_LINES = 100  # that a room remembers

Line = dict[str, Any]


class Room(Process):
    """Keeps what was said, and passes it on to pages and to requests that wait."""

    def __init__(self, name: str) -> None:
        super().__init__(f"room-{name}")
        self.number = 0
        self.lines: list[Line] = []
        self.said: Promise[None] = Promise()
        self.events = EventStream()
        self.is_draining = False

    def say(self, name: str, text: str) -> Line:
        self.number += 1
        line = {"number": self.number, "name": name, "text": text}
        self.lines = [*self.lines, line][-MAX_LINES:]
        self.events.publish(json=line)
        self.wake()
        return line

    def lines_after(self, number: int) -> list[Line]:
        return [line for line in self.lines if line["number"] > number]

    def wait_for_lines(self, number: int) -> Future[list[Line]]:
        """Return the future of the lines after *number*; the room goes on meanwhile."""
        lines = self.lines_after(number)
        if lines or self.is_draining:
            return Future(lines)
        return self.said.future.then(lambda _: self.lines_after(number))

    def wake(self) -> None:
        said, self.said = self.said, Promise()
        said.set(None)

    def drain(self) -> None:
        """Answer the requests that wait, since the worker is about to end."""
        self.is_draining = True
        self.wake()

    finalize = drain  # a node that stops ends its youngest processes first: rooms before the app

    @route("/events")
    def on_events(self, request: Request) -> Response:
        return self.events.respond(request, on_open=self.greet)

    def greet(self, page: Any) -> None:
        """Send what was said before to a new page; one that comes back gets what it missed."""
        if page.last_event_id is None:
            for line in self.lines:
                page.send(json.dumps(line))


class Porter(Process):
    """Opens a room for its first visitor."""

    def __init__(self) -> None:
        super().__init__("porter")
        self.rooms: dict[str, UPID] = {}

    def open(self, name: str) -> UPID | None:
        """Return the room of that name; None when there are too many."""
        if name not in self.rooms and len(self.rooms) < MAX_ROOMS:
            self.rooms[name] = spawn(Room(name))
        return self.rooms.get(name)

    def drain(self) -> None:
        for room in self.rooms.values():
            dispatch(room, Room.drain)


def spawn_processes(runtime: Runtime) -> None:
    """Spawn what the project works with; each worker calls this once, before the first request."""
    porter = runtime.spawn(Porter())
    drain = runtime.defer(porter, Porter.drain)
    runtime.signals.runtime_draining.connect(lambda _runtime: drain())
