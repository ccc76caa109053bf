"""How many connections may stand: `ConnectionLimit` for accepted ones, `Slots` for those to other nodes."""

from __future__ import annotations

import resource
from collections import Counter, deque
from collections.abc import Callable, Collection
from time import monotonic, thread_time
from typing import Protocol

from gevent.event import Event

from greenproc.address import Address
from greenproc.settings import Settings
from greenproc.transport.hooks import MADE_ROOM, TOO_MANY, TOO_MANY_OF_ADDRESS

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


WAITING_SHARE = 8
"""So many times as many may wait for a slot as there are; what comes then is refused."""


class SlotHolder(Protocol):
    """A connection that needs a slot while it stands."""

    @property
    def is_idle(self) -> bool:
        """Whether it has nothing to do, so that its slot can be given to another."""

    def give_way(self) -> None:
        """Close soon, since another connection waits for the slot."""


class Slots:
    """A bounded number of slots, given in the order in which they were asked for.

    The address of a connection without a link is often one that only the sender of a message has
    claimed. Without a bound, messages from a thousand invented senders would use up every
    descriptor of the node for connections to nowhere. A link to such an address has a slot too,
    until it stands.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        # Dictionaries, since they keep the order.
        self._holders: dict[SlotHolder, None] = {}
        self._waiting: dict[SlotHolder, Event] = {}
        self._idle: deque[SlotHolder] | None = None  # those that were so when the line began

    def __repr__(self) -> str:
        return f"<Slots {len(self._holders)} of {self.limit}, {self.waiting} waiting>"

    @property
    def waiting(self) -> int:
        """How many wait for a slot."""
        return len(self._waiting)

    @property
    def is_crowded(self) -> bool:
        """Whether so many wait that no more should."""
        return len(self._waiting) >= self.limit * WAITING_SHARE

    def take(self, holder: SlotHolder) -> bool:
        """Give *holder* a slot if one is free, else let it stand in line; return whether it has one.

        In line it must `wait`, or `release` what it will get.
        """
        if len(self._holders) < self.limit:
            self._holders[holder] = None
            return True
        if not self._waiting:
            self._idle = None
        self._waiting[holder] = Event()
        return False

    def wait(self, holder: SlotHolder, seconds: float) -> bool:
        """Wait for a slot and return whether there is one; not if *holder* released it before."""
        turn = self._waiting.get(holder)
        if turn is not None:
            self._make_room()
            turn.wait(seconds)
            self._waiting.pop(holder, None)
        return holder in self._holders

    def _make_room(self) -> None:
        """Let one more holder give way, if one is idle.

        Only those that were idle when the line began are looked for: what becomes idle while
        others wait gives way by itself. A search for each of many that wait would take seconds.
        """
        if self._idle is None:
            self._idle = deque(one for one in self._holders if one.is_idle)
        while self._idle:
            one = self._idle.popleft()
            if one in self._holders and one.is_idle:
                one.give_way()
                return

    def release(self, holder: SlotHolder) -> None:
        """Take the slot of *holder* back, or let it wait for none."""
        self._holders.pop(holder, None)
        turn = self._waiting.pop(holder, None)
        if turn is not None:
            turn.set()
        while self._waiting and len(self._holders) < self.limit:
            following = next(iter(self._waiting))
            self._holders[following] = None
            self._waiting.pop(following).set()
