"""Connections between nodes: the listener, the connections it accepts, and the outgoing ones."""

from __future__ import annotations

from greenproc.transport.hooks import TransportHooks
from greenproc.transport.listener import Listener
from greenproc.transport.peers import SocketManager

__all__ = [
    "Listener",
    "SocketManager",
    "TransportHooks",
]
