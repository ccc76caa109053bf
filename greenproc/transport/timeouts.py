"""How long the peer of a connection may take, and how the loss of a silent one is noticed."""

from __future__ import annotations

import select
from collections.abc import Collection
from enum import Enum
from time import monotonic
from typing import Protocol

from gevent import sleep, socket

from greenproc.hub.iteration_budget import yield_if_spent
from greenproc.hub.native import poll
from greenproc.settings import Settings

ROUNDS = 4  # in the shortest limit: how late the end of it is noticed
MIN_INTERVAL = 0.005  # seconds
MAX_INTERVAL = 5.0
AT_A_TIME = 1000  # connections, half a millisecond of them, between looks at the time


class ConnectionPhase(Enum):
    """What a connection is doing, as far as it may take too long over it."""

    UNTIMED = "untimed"
    """Nothing of the kind: it is us who take long, or it may be the link of a node."""
    IDLE = "idle"
    HEAD = "head"
    BODY = "body"
    HALF_CLOSED = "half-closed"
    """It sends no more, while what it has sent waits for responses to leave, or for a handler."""


class Monitored(Protocol):
    """A connection that is looked at now and then."""

    def phase(self) -> tuple[ConnectionPhase, int, int]:
        """Return what it does, the number of the request, and how much has come of its body, or
        left for one that sends no more.
        """

    def time_out(self, phase: ConnectionPhase) -> None:
        """End it, since its client took too long."""


class _Seen:
    """What a connection did when it was last looked at."""

    __slots__ = ("began", "began_bytes", "body_bytes", "changed", "doing")

    def __init__(self, doing: tuple[ConnectionPhase, int], body_bytes: int, now: float) -> None:
        self.doing = doing
        self.body_bytes = self.began_bytes = body_bytes
        self.began = self.changed = now


class IdleMonitor:
    """Ends the connections whose clients take too long.

    A head has a time for all of it. A body may not stand still for long, and when it has taken
    that long, it must have come at `Settings.min_bytes_per_second` since.

    Source: the limits of Apache's mod_reqtimeout.

    It looks at each of them now and then, so that reading and writing cost nothing more for it.

    Args:
        connections: to look at; `run` ends when there are none.
    """

    def __init__(self, settings: Settings, connections: Collection[Monitored]) -> None:
        self._connections = connections
        self._limits = {
            ConnectionPhase.IDLE: settings.idle_timeout,
            ConnectionPhase.HEAD: settings.head_timeout,
            ConnectionPhase.BODY: settings.body_timeout,
            ConnectionPhase.HALF_CLOSED: settings.answer_timeout,
        }
        self._rate = settings.min_bytes_per_second
        self._seen: dict[Monitored, _Seen] = {}
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
                    yield_if_spent()

    def _look(self, connection: Monitored, seen: _Seen | None) -> None:
        phase, request, body_bytes = connection.phase()
        limit = self._limits.get(phase)
        if not limit:
            return
        now = monotonic()
        if seen is None or seen.doing != (phase, request):
            seen = _Seen((phase, request), body_bytes, now)
        elif body_bytes != seen.body_bytes:
            seen.body_bytes = body_bytes
            seen.changed = now
        late = now - seen.began - limit
        is_slow = (
            phase is ConnectionPhase.BODY and late * self._rate > body_bytes - seen.began_bytes
        )
        if is_slow or now - seen.changed >= limit:
            connection.time_out(phase)
            return
        self._seen[connection] = seen


def has_ended(connected: socket.socket) -> bool:
    """Tell whether the peer has closed or reset the connection, however much is unread."""
    poller = poll()
    poller.register(connected.fileno(), select.POLLRDHUP)
    return bool(poller.poll(0))


def notice_loss(connected: socket.socket, seconds: float, *, stall: float = 0.0) -> None:
    """Let the system break a connection whose peer has not been heard of for *seconds*.

    Probes begin after half of the time. What is written, too, must be acknowledged by then, and
    a peer may not refuse to take it for as long, or for *stall* seconds if that is more. The
    system counts in whole seconds; 0 turns all of it off.

    Source: tcp(7), TCP_KEEPIDLE and TCP_USER_TIMEOUT.
    """
    if not seconds:
        return
    whole = max(round(seconds), 1)
    idle = max(whole // 2, 1)
    interval = max(whole // 6, 1)
    probes = max((whole - idle) // interval, 1)
    for level, option, value in (
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, idle),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, interval),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, probes),
        (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, max(whole, round(stall)) * 1000),
    ):
        connected.setsockopt(level, option, value)
