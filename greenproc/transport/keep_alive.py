"""Noticing the end of a connection that is not being read.

Peers vanish without a word when their machine is gone, or the cable is pulled. The end that others
announce lies behind the bytes that nobody takes yet.
"""

from __future__ import annotations

import select

from gevent import socket
from gevent.monkey import get_original

_poll = get_original("select", "poll")


def has_ended(connected: socket.socket) -> bool:
    """Tell whether the peer has closed or reset the connection, however much is unread."""
    poll = _poll()
    poll.register(connected.fileno(), select.POLLRDHUP)
    return bool(poll.poll(0))


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
