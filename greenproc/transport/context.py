"""What the connections that one listener accepted share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from greenproc.http.head_cache import HeadCache
from greenproc.http.parser import RawRequest
from greenproc.message import Message
from greenproc.settings import Settings
from greenproc.transport.delayed_acks import DelayedAcks
from greenproc.transport.hooks import TransportHooks
from greenproc.transport.unsent import UnsentBytes

if TYPE_CHECKING:
    from greenproc.transport.server_connection import ServerConnection


@dataclass(frozen=True, slots=True)
class ListenerContext:
    """What all accepted connections of a listener share."""

    settings: Settings
    hooks: TransportHooks
    carries_messages: bool
    """Whether a connection may be the link of a node, and so say nothing for long."""
    decode: Callable[[RawRequest], Message | None]
    """Makes messages of requests; returns None for those that are none."""
    is_message: Callable[[RawRequest], bool | None]
    """Whether a request is a message, before its body is there."""
    heads: HeadCache
    unsent: UnsentBytes
    """What all of them may hold for clients that take nothing."""
    delayed_acks: DelayedAcks
    closed: Callable[[ServerConnection], None]
    """Called with a connection whose socket is closed."""
