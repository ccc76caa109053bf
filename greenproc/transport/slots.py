"""`Slots`: how many connections to claimed addresses may be open or being opened at once."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from gevent.event import Event

WAITING_SHARE = 8
"""So many times as many may wait for a slot as there are; what comes then is refused."""


class Holder(Protocol):
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
        self._holders: dict[Holder, None] = {}
        self._waiting: dict[Holder, Event] = {}
        self._idle: deque[Holder] | None = None  # those that were so when the line began

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

    def take(self, holder: Holder) -> bool:
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

    def wait(self, holder: Holder, seconds: float) -> bool:
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

    def release(self, holder: Holder) -> None:
        """Take the slot of *holder* back, or let it wait for none."""
        self._holders.pop(holder, None)
        turn = self._waiting.pop(holder, None)
        if turn is not None:
            turn.set()
        while self._waiting and len(self._holders) < self.limit:
            following = next(iter(self._waiting))
            self._holders[following] = None
            self._waiting.pop(following).set()
