"""A client of Server-Sent Events, which reads as the HTML standard says that browsers do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from greenproc.address import Address
from tests.peer import Peer


class Event(NamedTuple):
    """An event as a page gets it."""

    type: str
    data: str
    id: str


@dataclass
class Interpreter:
    """What the fields of a stream mean. Source: HTML standard, section 9.2.6."""

    last_id: str = ""
    retry: str | None = None

    def read(self, text: str) -> list[Event]:
        """Return the events of *text*, which ends behind an event."""
        events = []
        data: list[str] = []
        kind = ""
        for line in re.split(r"\r\n|\r|\n", text)[:-1]:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if not line:
                if data:
                    events.append(Event(kind or "message", "\n".join(data), self.last_id))
                data, kind = [], ""
            elif name == "data":
                data.append(value)
            elif name == "event":
                kind = value
            elif name == "id" and "\0" not in value:
                self.last_id = value
            elif name == "retry" and value.isascii() and value.isdigit():
                self.retry = value
        return events


class EventSource:
    """A client on a connection of its own, which reads only when it is told to."""

    def __init__(self, server: Address | Peer, path: str, *lines: str, **kept: Any) -> None:
        self.peer = Peer.connect(server) if isinstance(server, Address) else server
        self.interpreter = Interpreter(**kept)
        last_id = self.interpreter.last_id
        more = [*lines, *([f"Last-Event-ID: {last_id}"] if last_id else [])]
        head = "".join(f"{line}\r\n" for line in more)
        self.peer.send(f"GET {path} HTTP/1.1\r\nHost: h\r\n{head}\r\n".encode())
        self.head = self.peer.read_until(b"\r\n\r\n").decode("latin-1")
        self.text = ""
        self.events: list[Event] = []

    def chunk(self) -> str:
        """Wait for the next chunk, and return its text; no text is the end of the stream."""
        size = int(self.peer.read_until(b"\r\n"), 16)
        text = self.peer.read(size + 2)[:-2].decode()
        self.text += text
        self.events += self.interpreter.read(text)
        return text

    def wait_for(self, count: int) -> list[Event]:
        """Wait until there are *count* events, and return all that came."""
        while len(self.events) < count:
            if not self.chunk():
                raise EOFError(f"the stream ended after {self.events}")
        return self.events

    def read_to_end(self) -> list[Event]:
        """Wait for the end of the stream, and return all events."""
        while self.chunk():
            pass
        return self.events

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.peer.close()

    @property
    def data(self) -> list[str]:
        return [event.data for event in self.events]

    @property
    def last_id(self) -> str:
        return self.interpreter.last_id
