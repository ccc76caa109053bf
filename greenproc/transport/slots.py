"""`Slots`: how many connections without a link may be open at once."""

from __future__ import annotations

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
    descriptor of the node for connections to nowhere.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        # Dictionaries, since they keep the order.
        self._holders: dict[Holder, None] = {}
        self._waiting: dict[Holder, Event] = {}

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
        self._waiting[holder] = Event()
        return False

    def wait(self, holder: Holder, seconds: float) -> bool:
        """Wait for a slot and return whether there is one; not if *holder* released it before."""
        turn = self._waiting.get(holder)
        if turn is not None:
            idle = next((one for one in self._holders if one.is_idle), None)
            if idle is not None:
                idle.give_way()
            turn.wait(seconds)
            self._waiting.pop(holder, None)
        return holder in self._holders

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
