"""Connections between nodes: the listener, the connections it accepts, and the outgoing ones."""

from __future__ import annotations

from greenproc.transport.hooks import TransportHooks
from greenproc.transport.listener import Listener, ListenerStatistics
from greenproc.transport.socket_manager import SocketManager, SocketStatistics

__all__ = [
    "Listener",
    "ListenerStatistics",
    "SocketManager",
    "SocketStatistics",
    "TransportHooks",
]
