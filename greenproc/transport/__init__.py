"""Connections over TCP: those that a listener accepts, and those to other nodes.

`Listener` accepts `ServerConnection` objects, `SocketManager` opens `PeerConnection` objects. The
tables of their states are in these two modules.
"""

from __future__ import annotations

from greenproc.transport.hooks import TransportHooks
from greenproc.transport.listener import Listener
from greenproc.transport.peers import SocketManager

__all__ = [
    "Listener",
    "SocketManager",
    "TransportHooks",
]
