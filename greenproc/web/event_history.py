"""`EventHistory`: the last events of a stream, for clients that come back."""

from __future__ import annotations

from collections import deque
from itertools import islice


class EventHistory:
    """The encoded events of a stream, the oldest of which are dropped at a bound.

    Args:
        before: the id that stands for "before the first event".
        max_events: how many events are kept.
        max_bytes: how large they may be together; one that is larger alone is not kept.
    """

    def __init__(self, before: str, *, max_events: int, max_bytes: int) -> None:
        self.before = before
        """The id behind which everything that is kept comes."""
        self.latest = before
        """The id of the last event, kept or not."""
        self.bytes = 0
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._events: deque[tuple[str, bytes]] = deque()
        self._dropped = 0
        self._positions: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._events)

    def add(self, id: str, text: bytes) -> None:
        """Keep an event, and drop the oldest ones beyond the bounds."""
        self._events.append((id, text))
        self._positions[id] = self._dropped + len(self._events)
        self.bytes += len(text)
        self.latest = id
        while len(self._events) > self._max_events or self.bytes > self._max_bytes:
            self._drop()

    def since(self, id: str) -> list[bytes] | None:
        """Return the events behind that of *id*, oldest first; None if that is not known."""
        if id == self.before:
            return self.all()
        position = self._positions.get(id)
        if position is None:
            return None
        return [text for _, text in islice(self._events, position - self._dropped, None)]

    def all(self) -> list[bytes]:
        """Return all events that are kept, oldest first."""
        return [text for _, text in self._events]

    def _drop(self) -> None:
        id, text = self._events.popleft()
        self._dropped += 1
        self.bytes -= len(text)
        self.before = id
        if self._positions[id] == self._dropped:  # else a later event has that id again
            del self._positions[id]
