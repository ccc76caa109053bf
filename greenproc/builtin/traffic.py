"""`Traffic`: which processes and nodes talk to each other, and how much. Pure counting."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from greenproc.address import Address

MAX_PAIRS = 1000
"""How many pairs are counted at once; what further ones send is in one sum."""

SAMPLE_SECONDS = 1.0
"""How long a rate is about, at least."""


class Outside(Enum):
    """What sends to processes without being one, or a node."""

    CLIENTS = "clients"
    """All clients of HTTP: each of their connections has an address of its own."""
    PROGRAM = "program"
    """What has no name: greenlets of the program that are no process, and senders without a UPID."""


Peer: TypeAlias = str | Address | Outside
"""The id of a process of this node, the address of another node, or neither."""


class Rate:
    """How much a count grows in a second, over the last second or more."""

    __slots__ = ("_time", "_total", "per_sec")

    def __init__(self, now: float, total: int) -> None:
        self._time = now
        self._total = total
        self.per_sec = 0.0

    def update(self, now: float, total: int) -> None:
        """Take *total* as the count at *now*; calls that follow soon change nothing."""
        seconds = now - self._time
        if seconds >= SAMPLE_SECONDS:
            self.per_sec = (total - self._total) / seconds
            self._time, self._total = now, total


@dataclass(frozen=True, slots=True)
class Pair:
    """What one sends to another."""

    source: Peer
    target: Peer
    total: int
    per_sec: float

    @property
    def weight(self) -> tuple[float, int]:
        """What pairs are ordered by: the rate, then the total."""
        return self.per_sec, self.total

    def to_json(self) -> dict[str, Any]:
        """Return it as an edge of the graph."""
        return {
            "from": peer_json(self.source),
            "to": peer_json(self.target),
            "total": self.total,
            "per_sec": self.per_sec,
        }


class Traffic:
    """Counts messages, dispatches and requests by sender and receiver.

    There is room for a thousand pairs. What comes of further ones is counted in `others`, until a
    look at the pairs drops the quieter half of them.
    """

    def __init__(self, now: float) -> None:
        self.started = now
        self._looked = now
        self._counts: dict[tuple[Peer, Peer], int] = {}
        self._rates: dict[tuple[Peer, Peer], Rate] = {}
        self.others = 0
        """How many were sent by pairs that there was no room for, or that were dropped."""

    def __len__(self) -> int:
        return len(self._counts)

    def __repr__(self) -> str:
        return f"<Traffic of {len(self)} pairs>"

    def add(self, source: Peer, target: Peer) -> None:
        """Count what *source* sends to *target*."""
        pair = source, target
        known = self._counts.get(pair)
        if known is not None:
            self._counts[pair] = known + 1
        elif len(self._counts) < MAX_PAIRS:
            self._counts[pair] = 1
        else:
            self.others += 1

    def look(self, now: float) -> list[Pair]:
        """Return all pairs as they are *now*, in no order."""
        pairs = []
        for (source, target), total in self._counts.items():
            rate = self._rates.get((source, target))
            if rate is None:
                rate = self._rates[source, target] = Rate(self._looked, 0)  # it was silent then
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
    """Return *peer* as the graph names it."""
    if isinstance(peer, str):
        return {"kind": "process", "name": peer}
    if isinstance(peer, Address):
        return {"kind": "node", "name": str(peer)}
    return {"kind": peer.value, "name": ""}
