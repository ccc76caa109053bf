"""`UnsentBytes`: how many bytes a node keeps for peers that do not take them."""

from __future__ import annotations

from typing import Protocol


class Holder(Protocol):
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
        self._holders: dict[Holder, int] = {}
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

    def hold(self, holder: Holder, size: int) -> None:
        """Count *size* bytes for *holder*; while all are too many, what holds most is evicted.

        That may be *holder* itself. It must be released in any case.
        """
        self._holders[holder] = size
        self.total += size
        while self.total > self._limit and self._holders:
            largest = max(self._holders, key=self._holders.__getitem__)
            self.release(largest)
            largest.evict()

    def release(self, holder: Holder) -> None:
        """Count nothing for *holder* any more."""
        self.total -= self._holders.pop(holder, 0)
