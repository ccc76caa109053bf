"""`Chooser`: the routing rules of routers and pools. Decisions only; `router` does the sending."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, Literal

from greenproc.errors import InvalidArgument
from greenproc.message import Message
from greenproc.pid import UPID

Route = Literal["round_robin", "least_busy", "hash", "broadcast"]

ROUTES: tuple[Route, ...] = ("round_robin", "least_busy", "hash", "broadcast")

Key = Callable[[Message], Any]

Load = Callable[[UPID], int]

POINTS = 64
"""The points of each worker on the hash ring: of ten workers, the busiest gets 1.3 times the mean."""


class Chooser:
    """Chooses the workers that get a message.

    Args:
        route: the routing rule.
        key: returns the routing key of a message; for ``"hash"`` only.
        load: returns the number of events of a worker; for ``"least_busy"``.

    Raises:
        InvalidArgument: *route* is unknown, or *key* does not match it.
    """

    def __init__(self, route: Route, key: Key | None, load: Load) -> None:
        if route not in ROUTES:
            raise InvalidArgument(
                f"expected route to be one of {', '.join(ROUTES)}, got {route!r}"
            )
        if (key is not None) != (route == "hash"):
            raise InvalidArgument(f"expected a key for the route 'hash' alone, got {key!r}")
        if key is not None and not callable(key):
            raise InvalidArgument(f"expected a function for a key, got {key!r}")
        self._choose: Callable[[Message], Sequence[UPID]] = getattr(self, f"_{route}")
        self._key = key
        self._load = load
        self._workers: list[UPID] = []
        self._next = 0
        self._ring: list[tuple[int, UPID]] = []

    def use(self, workers: Sequence[UPID]) -> None:
        """Replace the workers to choose from."""
        self._workers = list(workers)
        if self._key is not None:
            points = [
                (_hash(f"{pid} {number}".encode()), pid)
                for pid in workers
                for number in range(POINTS)
            ]
            self._ring = sorted(points)

    def choose(self, message: Message) -> Sequence[UPID]:
        """Return the workers that get *message*; none if there are no workers.

        An exception of the key function propagates.
        """
        return self._choose(message) if self._workers else ()

    def _broadcast(self, message: Message) -> Sequence[UPID]:
        return tuple(self._workers)

    def _round_robin(self, message: Message) -> Sequence[UPID]:
        self._next = (self._next + 1) % len(self._workers)
        return (self._workers[self._next - 1],)

    def _least_busy(self, message: Message) -> Sequence[UPID]:
        # Among equally loaded workers, round robin decides.
        at = self._next % len(self._workers)
        order = self._workers[at:] + self._workers[:at]
        chosen = min(order, key=self._load)
        self._next = self._workers.index(chosen) + 1
        return (chosen,)

    def _hash(self, message: Message) -> Sequence[UPID]:
        assert self._key is not None
        key = self._key(message)
        point = _hash(key if isinstance(key, bytes) else str(key).encode("utf-8", "replace"))
        at = bisect(self._ring, point, key=lambda one: one[0])
        return (self._ring[at % len(self._ring)][1],)


def _hash(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=8).digest())
