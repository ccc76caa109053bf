"""`Traffic`: message counts and rates by sender and receiver, without a clock or hub."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from greenproc.address import Address

MAX_PAIRS = 1000
"""The maximum number of counted pairs; further pairs share one sum."""

SAMPLE_SECONDS = 1.0
"""The minimum averaging time of a rate in seconds."""


class Outside(Enum):
    """Senders that are neither a process nor a node."""

    CLIENTS = "clients"
    """All HTTP clients as one, since each connection has a different address."""
    PROGRAM = "program"
    """Senders without an id: greenlets outside of processes, and messages without a UPID."""


Peer: TypeAlias = str | Address | Outside
"""The id of a local process, the address of another node, or a sender that is neither."""


class Rate:
    """The growth of a count per second, averaged over the last second or more."""

    __slots__ = ("_time", "_total", "per_sec")

    def __init__(self, now: float, total: int) -> None:
        self._time = now
        self._total = total
        self.per_sec = 0.0

    def update(self, now: float, total: int) -> None:
        """Record *total* as the count at *now*; calls within the averaging time are ignored."""
        seconds = now - self._time
        if seconds >= SAMPLE_SECONDS:
            self.per_sec = (total - self._total) / seconds
            self._time, self._total = now, total


@dataclass(frozen=True, slots=True)
class Pair:
    """The traffic from one sender to one receiver."""

    source: Peer
    target: Peer
    total: int
    per_sec: float

    @property
    def weight(self) -> tuple[float, int]:
        """The sort key of pairs: the rate, then the total."""
        return self.per_sec, self.total

    def to_json(self) -> dict[str, Any]:
        """Return the pair as an edge of the traffic graph."""
        return {
            "from": peer_json(self.source),
            "to": peer_json(self.target),
            "total": self.total,
            "per_sec": self.per_sec,
        }


class Traffic:
    """Counts messages, dispatches and requests by sender and receiver.

    The table holds 1,000 pairs. `others` counts further pairs until `look` evicts the half with
    the lower rates.
    """

    def __init__(self, now: float) -> None:
        self.started = now
        self._looked = now
        self._counts: dict[tuple[Peer, Peer], int] = {}
        self._rates: dict[tuple[Peer, Peer], Rate] = {}
        self.others = 0
        """The count of pairs that exceeded the table or were evicted."""

    def __len__(self) -> int:
        return len(self._counts)

    def __repr__(self) -> str:
        return f"<Traffic of {len(self)} pairs>"

    def add(self, source: Peer, target: Peer) -> None:
        """Count one event from *source* to *target*."""
        pair = source, target
        known = self._counts.get(pair)
        if known is not None:
            self._counts[pair] = known + 1
        elif len(self._counts) < MAX_PAIRS:
            self._counts[pair] = 1
        else:
            self.others += 1

    def look(self, now: float) -> list[Pair]:
        """Return all pairs with their rates at *now*, unordered."""
        pairs = []
        for (source, target), total in self._counts.items():
            rate = self._rates.get((source, target))
            if rate is None:
                rate = self._rates[source, target] = Rate(self._looked, 0)  # no event by then
            rate.update(now, total)
            pairs.append(Pair(source, target, total, rate.per_sec))
        self._looked = now
        if len(pairs) >= MAX_PAIRS:
            self._make_room(pairs)
        return pairs

    def _make_room(self, pairs: list[Pair]) -> None:
        for pair in heapq.nsmallest(MAX_PAIRS - MAX_PAIRS // 2, pairs, key=lambda one: one.weight):
            key = pair.source, pair.target
            self.others += self._counts.pop(key)
            del self._rates[key]


def peer_json(peer: Peer) -> dict[str, Any]:
    """Return *peer* as a node of the traffic graph."""
    if isinstance(peer, str):
        return {"kind": "process", "name": peer}
    if isinstance(peer, Address):
        return {"kind": "node", "name": str(peer)}
    return {"kind": peer.value, "name": ""}
