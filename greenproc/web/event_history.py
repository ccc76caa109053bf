"""`EventHistory`: the last events of a stream, for clients that reconnect."""

from __future__ import annotations

from collections import deque
from itertools import islice


class EventHistory:
    """The encoded events of a stream, of which the oldest are dropped at a bound.

    Args:
        before: the id of the position before the first event.
        max_events: the bound of their number.
        max_bytes: the bound of their sizes together; a single larger event is not kept.
    """

    def __init__(self, before: str, *, max_events: int, max_bytes: int) -> None:
        self.before = before
        """The id of the position before the oldest event."""
        self.latest = before
        """The id of the last event, which may have been dropped."""
        self.bytes = 0
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._events: deque[tuple[str, bytes]] = deque()
        self._dropped = 0
        self._positions: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._events)

    def add(self, id: str, text: bytes) -> None:
        """Append an event, and drop the oldest ones beyond the bounds.

        Args:
            id: of the event.
            text: the encoded event.
        """
        self._events.append((id, text))
        self._positions[id] = self._dropped + len(self._events)
        self.bytes += len(text)
        self.latest = id
        while len(self._events) > self._max_events or self.bytes > self._max_bytes:
            self._drop()

    def since(self, id: str) -> list[bytes] | None:
        """Return the events after that of *id*, oldest first; None for an unknown id."""
        if id == self.before:
            return self.all()
        position = self._positions.get(id)
        if position is None:
            return None
        return [text for _, text in islice(self._events, position - self._dropped, None)]

    def all(self) -> list[bytes]:
        """Return all events, oldest first."""
        return [text for _, text in self._events]

    def _drop(self) -> None:
        id, text = self._events.popleft()
        self._dropped += 1
        self.bytes -= len(text)
        self.before = id
        if self._positions[id] == self._dropped:  # else a later event has the same id
            del self._positions[id]
