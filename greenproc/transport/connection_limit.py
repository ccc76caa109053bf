"""`ConnectionLimit`: how many accepted connections stand, and which go when others want in."""

from __future__ import annotations

import resource
from collections import Counter, deque
from collections.abc import Callable, Collection
from time import monotonic, thread_time
from typing import Protocol

from greenproc.address import Address
from greenproc.settings import Settings
from greenproc.transport.refusals import MADE_ROOM, TOO_MANY, TOO_MANY_OF_ADDRESS

ACCEPTED_SHARE = 0.75
"""Of the descriptors of the OS process; the rest is for connections to other nodes, and files."""

TEMPORARY_SHARE = 0.125
"""For connections to other nodes that no link keeps."""

UNLIMITED = 65536  # descriptors that are counted on where the system has no limit

RESERVE = 16
"""How many more connections stand for addresses that have none, such as an operator's."""

SCAN_SHARE = 4  # looking for what can go takes at most a fifth of the time


class Dispensable(Protocol):
    """A connection that may have to make room."""

    client: Address | None

    @property
    def cost_of_loss(self) -> int | None:
        """How much its end would cost its client, 0 the least; None if it must not be closed."""

    def close(self) -> None:
        """Close at once; may be called in the hub while there is a cost of loss."""


Refused = Callable[[Address | None, str], None]


def share_of_descriptors(share: float) -> int:
    """Return a part of how many descriptors the OS process may have open, at least one."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = UNLIMITED if soft == resource.RLIM_INFINITY else soft
    return max(int(most * share), 1)


class ConnectionLimit:
    """Decides whether a new connection may stand, and closes others for it.

    Args:
        connections: those that stand, the oldest first.
        refused: called with the client and the reason when one is refused or closed.
    """

    def __init__(
        self, settings: Settings, connections: Collection[Dispensable], refused: Refused
    ) -> None:
        self.limit = settings.max_connections or share_of_descriptors(ACCEPTED_SHARE)
        self.refused = self.evicted = 0
        self._per_address = settings.max_connections_per_address
        self._connections = connections
        self._report = refused
        self._by_ip: Counter[str] = Counter()
        self._candidates: deque[tuple[int, Dispensable]] = deque()
        self._scan_due = 0.0

    def __repr__(self) -> str:
        return f"<ConnectionLimit {len(self._connections)} of {self.limit}>"

    def reason_to_refuse(self, client: Address | None) -> str | None:
        """Return why a connection of *client* may not stand; None if it may.

        When the limit is reached, another connection may be closed for it. To be called in the
        hub.
        """
        reason = self._find_reason(client)
        if reason is not None:
            self.refused += 1
            self._report(client, reason)
        return reason

    def _find_reason(self, client: Address | None) -> str | None:
        standing = 0 if client is None else self._by_ip[client.ip]
        if self._per_address is not None and standing >= self._per_address:
            return TOO_MANY_OF_ADDRESS
        count = len(self._connections)
        if count < self.limit or self.make_room():
            return None
        is_stranger = client is not None and not standing
        return None if is_stranger and count < self.limit + RESERVE else TOO_MANY

    def make_room(self) -> bool:
        """Close the connection whose loss costs the least, and return whether there was one."""
        if self._close_candidate():
            return True
        if monotonic() < self._scan_due:
            return False
        begin = thread_time()  # on a busy machine real time would count that of others
        found = [
            (cost, connection)
            for connection in self._connections
            if (cost := connection.cost_of_loss) is not None
        ]
        least = min((cost for cost, _ in found), default=0)
        # Not the others: until it is their turn there may be new ones that cost less.
        self._candidates.extend(one for one in found if one[0] == least)
        self._scan_due = monotonic() + SCAN_SHARE * (thread_time() - begin)
        return self._close_candidate()

    def _close_candidate(self) -> bool:
        while self._candidates:
            cost, connection = self._candidates.popleft()
            if connection in self._connections and connection.cost_of_loss == cost:
                self.evicted += 1
                self._report(connection.client, MADE_ROOM)
                connection.close()
                return True
        return False

    def add(self, client: Address | None) -> None:
        """Count a connection of *client* that stands now."""
        if client is not None:
            self._by_ip[client.ip] += 1

    def remove(self, client: Address | None) -> None:
        """Count a connection of *client* that is closed."""
        if client is not None:
            self._by_ip[client.ip] -= 1
            if not self._by_ip[client.ip]:
                del self._by_ip[client.ip]
