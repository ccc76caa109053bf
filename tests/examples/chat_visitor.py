"""A browser without a window: it enters the chat by a stream of events and POST."""

from __future__ import annotations

import json
from typing import Any, Self

import gevent

from greenproc.address import Address
from tests.event_source import EventSource
from tests.peer import LIMIT, Peer


class Visitor:
    """Somebody who is connected to a node of the chat."""

    def __init__(self, node: Address, name: str, *rooms: str, key: str | None = None) -> None:
        self.node = node
        self.source = EventSource(node, "/chat/events")
        self.session: str = self.expect("session")["session"]
        self.do("hello", key=key or f"key-of-{name}", name=name)
        for room in rooms:
            self.join(room)

    def post(self, body: bytes) -> int:
        length = f"Content-Length: {len(body)}"
        with Peer.connect(self.node) as peer:
            return peer.ask(
                f"POST /chat/send HTTP/1.1\r\nHost: h\r\n{length}\r\n\r\n".encode() + body
            ).code

    def do(self, what: str, **more: Any) -> int:
        commands = [{"do": what, **more}]
        return self.post(json.dumps({"session": self.session, "commands": commands}).encode())

    def join(self, room: str, since: int = 0) -> dict[str, Any]:
        """Enter a room, and return what it shows."""
        self.do("join", room=room, since=since)
        return self.expect("joined", room=room)

    def say(self, room: str, text: str, token: str | None = None) -> None:
        """Say something, and wait until it is accepted."""
        self.do("say", room=room, text=text, token=token or text)
        self.expect("accepted", token=token or text)

    def next(self) -> dict[str, Any]:
        """Wait for the next event that was not looked at yet."""
        while not self.source.events:
            if not self.source.chunk():
                raise EOFError("the stream ended")
        event: dict[str, Any] = json.loads(self.source.events.pop(0).data)
        return event

    def expect(self, do: str, **fields: Any) -> dict[str, Any]:
        """Wait for an event of that kind with those fields, among what was not looked at yet."""
        missed: list[dict[str, Any]] = []
        with gevent.Timeout(LIMIT, AssertionError(f"no {do} {fields} in {missed}")):
            while True:
                event = self.next()
                if event["do"] == do and fields.items() <= event.items():
                    return event
                missed.append(event)

    def texts(self, count: int, room: str = "lobby") -> list[str]:
        """Wait for *count* messages, and return their texts."""
        return [self.expect("message", room=room)["text"] for _ in range(count)]

    def close(self) -> None:
        self.source.peer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
