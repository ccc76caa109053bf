"""Time limits of clients: `IdleMonitor` ends idle and slow connections.

`notice_loss` lets the system break a connection whose peer has vanished: its machine is gone, or
the cable is cut, so no FIN comes. `has_ended` sees a FIN behind bytes that are not read yet.
"""

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

ROUNDS = 4  # in the shortest limit, which so is noticed at most a quarter late
MIN_INTERVAL = 0.005  # seconds; a shorter one would keep the hub busy
MAX_INTERVAL = 5.0  # a round of 10 000 connections takes 5 ms, a thousandth of it
AT_A_TIME = 1000  # connections, which take half a millisecond, between checks of the budget


class ConnectionPhase(Enum):
    """What a connection waits for, which decides the time limit.

    ===========  ======================  ================
    phase        limit                   at its end
    ===========  ======================  ================
    UNTIMED      none                    --
    IDLE         `idle_timeout`          close
    HEAD         `head_timeout`          408, then close
    BODY         `body_timeout`, and     408, then close
                 `min_bytes_per_second`
    HALF_CLOSED  `answer_timeout`        close
    ===========  ======================  ================
    """

    UNTIMED = "untimed"
    """It waits for this node, or may be the link of another node."""
    IDLE = "idle"
    HEAD = "head"
    BODY = "body"
    HALF_CLOSED = "half-closed"
    """The client sends no more, and its requests wait for a handler, or for room."""


class Monitored(Protocol):
    """A connection that the monitor checks."""

    def phase(self) -> tuple[ConnectionPhase, int, int]:
        """Return the phase, the number of the request, and the progress in bytes.

        The progress is that of the body of the request; of a half-closed connection, that of its
        responses, too.
        """

    def time_out(self, phase: ConnectionPhase) -> None:
        """End the connection, whose time limit is over."""


class _Seen:
    """What a connection did at the last check."""

    __slots__ = ("began", "began_bytes", "body_bytes", "changed", "doing")

    def __init__(self, doing: tuple[ConnectionPhase, int], body_bytes: int, now: float) -> None:
        self.doing = doing
        self.body_bytes = self.began_bytes = body_bytes
        self.began = self.changed = now


class IdleMonitor:
    """Ends the connections whose clients take too long.

    A head has a limit for all of it. A body may not stall for longer than its limit, and after
    that time must have come at `Settings.min_bytes_per_second` since.

    One greenlet checks all connections of a listener now and then, so reading and writing cost
    nothing more: a timer for each connection would have to be restarted for each request.

    Args:
        settings: the limits; 0 is none.
        connections: those to check; `run` ends when there are none.

    Source: the limits of Apache's mod_reqtimeout.
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
        """Whether there is any limit, so that `run` has something to do."""

    def run(self) -> None:
        """Check all connections, round after round, until there are none."""
        while self._connections:
            sleep(self._interval)
            # A new table in each round forgets connections that are closed.
            before, self._seen = self._seen, {}
            for number, connection in enumerate(list(self._connections), 1):
                self._check(connection, before.get(connection))
                if number % AT_A_TIME == 0:
                    yield_if_spent()

    def _check(self, connection: Monitored, seen: _Seen | None) -> None:
        phase, request, body_bytes = connection.phase()
        limit = self._limits.get(phase)
        if not limit:
            return
        now = monotonic()
        # The number of the request: each one has the whole limit.
        if seen is None or seen.doing != (phase, request):
            seen = _Seen((phase, request), body_bytes, now)
        elif body_bytes != seen.body_bytes:
            seen.body_bytes = body_bytes
            seen.changed = now
        late = now - seen.began - limit
        # A client that sends a byte now and then makes progress, but not at the least rate.
        is_slow = (
            phase is ConnectionPhase.BODY and late * self._rate > body_bytes - seen.began_bytes
        )
        if is_slow or now - seen.changed >= limit:
            connection.time_out(phase)
            return
        self._seen[connection] = seen


def has_ended(connected: socket.socket) -> bool:
    """Return whether the peer has closed or reset the connection, however much is unread.

    Source: poll(2), POLLRDHUP.
    """
    poller = poll()
    poller.register(connected.fileno(), select.POLLRDHUP)
    return bool(poller.poll(0))


def notice_loss(connected: socket.socket, seconds: float, *, stall: float = 0.0) -> None:
    """Let the system break a connection whose peer has been silent for *seconds*.

    Probes begin after half of the time.

    Args:
        connected: the socket.
        seconds: how long the peer may send nothing, and acknowledge nothing. The system counts
            whole seconds; 0 turns all of it off.
        stall: how long the peer may take no bytes, if that is more than *seconds*.

    Source: tcp(7), TCP_KEEPIDLE and TCP_USER_TIMEOUT.
    """
    if not seconds:
        return
    # Half of the time for silence, half for three probes that are lost.
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
