"""Limits on how long a client may take, looked after for all connections of a listener at once."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum
from time import monotonic
from typing import Protocol

from gevent import sleep

from greenproc.settings import Settings

ROUNDS = 4  # in the shortest limit: how late the end of it is noticed
MIN_INTERVAL = 0.005  # seconds
MAX_INTERVAL = 5.0
AT_A_TIME = 1000  # connections, half a millisecond of them; then others get their turn


class Pace(Enum):
    """What a connection is doing, as far as it may take too long over it."""

    FREE = "free"
    """Nothing of the kind: it is us who take long, or it may be the link of a node."""
    IDLE = "idle"
    HEAD = "head"
    BODY = "body"


class Patrolled(Protocol):
    """A connection that is looked at now and then."""

    def pace(self) -> tuple[Pace, int]:
        """Return what it does and a number that changes when the client gets on with it."""

    def give_up(self, pace: Pace) -> None:
        """End it, since its client took too long."""


class Patrol:
    """Ends the connections whose clients take too long.

    It looks at each of them now and then, so that reading and writing cost nothing more for it.

    Args:
        connections: to look at; `run` ends when there are none.
    """

    def __init__(self, settings: Settings, connections: Collection[Patrolled]) -> None:
        self._connections = connections
        self._limits = {
            Pace.IDLE: settings.idle_timeout,
            Pace.HEAD: settings.head_timeout,
            Pace.BODY: settings.body_timeout,
        }
        self._seen: dict[Patrolled, tuple[Pace, int, float]] = {}
        shortest = min((limit for limit in self._limits.values() if limit), default=0.0)
        self._interval = min(max(shortest / ROUNDS, MIN_INTERVAL), MAX_INTERVAL)
        self.is_needed = shortest > 0
        """Whether there is any limit."""

    def run(self) -> None:
        """Go round until there are no connections."""
        while self._connections:
            sleep(self._interval)
            before, self._seen = self._seen, {}
            for number, connection in enumerate(list(self._connections), 1):
                self._look(connection, before.get(connection))
                if number % AT_A_TIME == 0:
                    sleep(0)

    def _look(self, connection: Patrolled, before: tuple[Pace, int, float] | None) -> None:
        pace, mark = connection.pace()
        limit = self._limits.get(pace)
        if not limit:
            return
        now = monotonic()
        since = now
        if before is not None and before[:2] == (pace, mark):
            since = before[2]
            if now - since >= limit:
                connection.give_up(pace)
                return
        self._seen[connection] = (pace, mark, since)
