"""Noticing peers that vanish without a word: their machine is gone, or the cable is pulled."""

from __future__ import annotations

from gevent import socket


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
