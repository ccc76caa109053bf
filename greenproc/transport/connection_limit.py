"""How many connections may be open: `ConnectionLimit` for clients, `Slots` for other nodes.

Both bounds are shares of the descriptors of the OS process, so that neither uses up those of the
other.
"""

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

# Of the descriptors of the OS process. A quarter is left for connections to other nodes, and files.
ACCEPTED_SHARE = 0.75

# Half of that quarter: the other half is for links, which have no bound of their own.
TEMPORARY_SHARE = 0.125

# Descriptors where the system has no limit: connections must have some bound, since each costs
# memory.
UNLIMITED = 65536

# Connections beyond the limit, for addresses that have none: a crowd of clients at other addresses
# does not keep out an operator.
RESERVE = 16

# The pause after a scan for connections to close, as a multiple of the time that it took: scans
# take at most a fifth of the CPU, however fast connections come.
SCAN_SHARE = 4


class Dispensable(Protocol):
    """A connection that can be closed to make room."""

    client: Address | None

    @property
    def cost_of_loss(self) -> int | None:
        """What its end costs the client, 0 the least; None if it must not be closed."""

    def close(self) -> None:
        """Close at once. May be called in the hub while there is a cost of loss."""


Refused = Callable[[Address | None, str], None]


def share_of_descriptors(share: float) -> int:
    """Return *share* of the descriptors that the OS process may have open, at least one.

    Source: getrlimit(2), the soft RLIMIT_NOFILE.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = UNLIMITED if soft == resource.RLIM_INFINITY else soft
    return max(int(most * share), 1)


class ConnectionLimit:
    """Admits or refuses new connections, and closes dispensable ones to make room.

    Args:
        settings: the limits, of all connections and of those of one address.
        connections: all that are open, the oldest first.
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
        """Return why a connection of *client* is refused; None if it is admitted.

        At the limit, another connection may be closed for it. Must be called in the hub.
        """
        reason = self._find_reason(client)
        if reason is not None:
            self.refused += 1
            self._report(client, reason)
        return reason

    def _find_reason(self, client: Address | None) -> str | None:
        standing = 0 if client is None else self._by_ip[client.ip]
        # Its own limit comes first: an address over it must not cost others their connections.
        if self._per_address is not None and standing >= self._per_address:
            return TOO_MANY_OF_ADDRESS
        count = len(self._connections)
        if count < self.limit or self.make_room():
            return None
        is_stranger = client is not None and not standing
        return None if is_stranger and count < self.limit + RESERVE else TOO_MANY

    def make_room(self) -> bool:
        """Close the connection whose loss costs the least; return False if none is dispensable."""
        if self._close_candidate():
            return True
        if monotonic() < self._scan_due:
            return False
        # CPU time: on a busy machine real time would count that of other OS processes.
        begin = thread_time()
        found = [
            (cost, connection)
            for connection in self._connections
            if (cost := connection.cost_of_loss) is not None
        ]
        least = min((cost for cost, _ in found), default=0)
        # Only these: before it is the turn of the others, there may be new ones that cost less.
        self._candidates.extend(one for one in found if one[0] == least)
        self._scan_due = monotonic() + SCAN_SHARE * (thread_time() - begin)
        return self._close_candidate()

    def _close_candidate(self) -> bool:
        while self._candidates:
            cost, connection = self._candidates.popleft()
            # It may have ended, or become busy, since the scan.
            if connection in self._connections and connection.cost_of_loss == cost:
                self.evicted += 1
                self._report(connection.client, MADE_ROOM)
                connection.close()
                return True
        return False

    def add(self, client: Address | None) -> None:
        """Count a connection of *client* that was admitted."""
        if client is not None:
            self._by_ip[client.ip] += 1

    def remove(self, client: Address | None) -> None:
        """Count a connection of *client* that is closed."""
        if client is not None:
            self._by_ip[client.ip] -= 1
            if not self._by_ip[client.ip]:
                del self._by_ip[client.ip]


# So many times as many connections may wait for a slot as there are slots. If no peer responds, a
# slot is free once in connect_timeout: more connections would only time out in line.
WAITING_SHARE = 8


class SlotHolder(Protocol):
    """A connection that has a slot, or waits for one."""

    @property
    def is_idle(self) -> bool:
        """Whether it has nothing to do, so that its slot can go to another."""

    def give_way(self) -> None:
        """Close soon, since another connection waits for the slot."""


class Slots:
    """A bounded number of slots, granted in the order of the requests.

    A temporary connection often goes to an address that only the sender of a message has claimed.
    Without a bound, messages from a thousand invented senders would use up every descriptor of
    the node for connections to nowhere. A link to a claimed address has a slot too, until it is
    open.

    Args:
        limit: how many slots there are.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        # Dictionaries, since they keep the order.
        self._holders: dict[SlotHolder, None] = {}
        self._waiting: dict[SlotHolder, Event] = {}
        self._idle: deque[SlotHolder] | None = None  # when the first began to wait

    def __repr__(self) -> str:
        return f"<Slots {len(self._holders)} of {self.limit}, {self.waiting} waiting>"

    @property
    def waiting(self) -> int:
        """How many connections wait for a slot."""
        return len(self._waiting)

    @property
    def is_crowded(self) -> bool:
        """Whether the line is full."""
        return len(self._waiting) >= self.limit * WAITING_SHARE

    def take(self, holder: SlotHolder) -> bool:
        """Grant a free slot to *holder* and return True; else put it in line.

        In line it must call `wait`, or `release` if it no longer needs a slot.
        """
        if len(self._holders) < self.limit:
            self._holders[holder] = None
            return True
        if not self._waiting:
            self._idle = None
        self._waiting[holder] = Event()
        return False

    def wait(self, holder: SlotHolder, seconds: float) -> bool:
        """Wait up to *seconds* for a slot; return False if there is none, or it was released."""
        turn = self._waiting.get(holder)
        if turn is not None:
            self._make_room()
            turn.wait(seconds)
            self._waiting.pop(holder, None)
        return holder in self._holders

    def _make_room(self) -> None:
        """Let one more holder give way, if one is idle.

        Only holders that were idle when the first began to wait are tried: one that becomes idle
        while others wait gives way by itself. A search for each of many that wait would take
        seconds.
        """
        if self._idle is None:
            self._idle = deque(one for one in self._holders if one.is_idle)
        while self._idle:
            one = self._idle.popleft()
            if one in self._holders and one.is_idle:
                one.give_way()
                return

    def release(self, holder: SlotHolder) -> None:
        """Free the slot of *holder*, or remove it from the line."""
        self._holders.pop(holder, None)
        turn = self._waiting.pop(holder, None)
        if turn is not None:
            turn.set()
        # In the order of arrival, and each at once: its greenlet may be slow to wake up.
        while self._waiting and len(self._holders) < self.limit:
            following = next(iter(self._waiting))
            self._holders[following] = None
            self._waiting.pop(following).set()
