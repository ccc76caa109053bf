"""Writing without a wait where it can be, and `UnsentBytes`: what a node holds for slow peers."""

from __future__ import annotations

from time import monotonic
from typing import Protocol

from gevent import Timeout, socket

from greenproc.settings import Settings


class BytesHolder(Protocol):
    """A connection whose client is waited for."""

    def evict(self) -> None:
        """Close it: others need the memory."""


class UnsentBytes:
    """Bounds what all connections of one kind hold together, beside the bound of each.

    Only what waits for a peer is counted, so that sending to peers that read costs nothing.

    Args:
        limit: bytes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._holders: dict[BytesHolder, int] = {}
        self.total = 0

    def __repr__(self) -> str:
        return f"<UnsentBytes {self.total} of {self._limit}>"

    def take(self, size: int) -> bool:
        """Count *size* bytes more, unless they would be too many."""
        if self.total + size > self._limit:
            return False
        self.total += size
        return True

    def give_back(self, size: int) -> None:
        """Count *size* bytes less."""
        self.total -= size

    def hold(self, holder: BytesHolder, size: int) -> None:
        """Count *size* bytes for *holder*; while all are too many, what holds most is evicted.

        That may be *holder* itself. It must be released in any case.
        """
        self._holders[holder] = size
        self.total += size
        while self.total > self._limit and self._holders:
            largest = max(self._holders, key=self._holders.__getitem__)
            self.release(largest)
            largest.evict()

    def release(self, holder: BytesHolder) -> None:
        """Count nothing for *holder* any more."""
        self.total -= self._holders.pop(holder, 0)


def write_all(to: socket.socket, data: bytes | memoryview, settings: Settings) -> None:
    """Write *data*, however long it takes, as long as the client takes some of it.

    Raises:
        OSError: the client is gone, took nothing for `Settings.answer_timeout`, or when that is
            over took less than `Settings.min_bytes_per_second` since.
    """
    sent = write_some(to, data) if data else 0
    if sent == len(data):
        return
    rest = memoryview(data)
    begin, before = monotonic(), sent
    while sent < len(data):
        with Timeout(
            settings.answer_timeout, TimeoutError("the client does not read its answers")
        ):
            sent += to.send(rest[sent:])
        late = monotonic() - begin - settings.answer_timeout
        if late * settings.min_bytes_per_second > sent - before:
            raise TimeoutError("the client reads its answers too slowly")


def write_some(to: socket.socket, data: bytes | memoryview) -> int:
    """Write as much of *data* as fits without waiting and return how much that was.

    Raises:
        OSError: the client is gone.
    """
    try:
        return to.send(data, 0, 0.0)  # type: ignore[call-arg]  # gevent's own: never wait
    except BlockingIOError:
        return 0
