"""What the transport needs from the runtime, what it reports, and what the connections of a listener share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from gevent import Greenlet

from greenproc.address import Address
from greenproc.future import Future
from greenproc.http.head_cache import HeadCache
from greenproc.http.raw_message import RawRequest
from greenproc.http.request import Request
from greenproc.http.response import Response
from greenproc.message import Message
from greenproc.process.ports import Delivery
from greenproc.settings import Settings
from greenproc.transport.buffered_writer import UnsentBytes
from greenproc.transport.delayed_acks import DelayedAcks

if TYPE_CHECKING:
    from greenproc.transport.server_connection import ServerConnection

TOO_MANY = "too many connections"
TOO_MANY_OF_ADDRESS = "too many connections from one address"
MADE_ROOM = "closed to make room"
HEAD_TOO_SLOW = "head too slow"
BODY_TOO_SLOW = "body too slow"
ANSWERS_NOT_READ = "answers not read"
TOO_MUCH_UNSENT = "too much unsent"
HOST_NOT_ALLOWED = "host not allowed"


class Spawn(Protocol):
    """Starts greenlets that the runtime counts."""

    def __call__(self, function: Callable[..., object], /, *args: object) -> Greenlet[..., Any]:
        """Run ``function(*args)`` in a new greenlet, in the runtime's context."""


def ignore(_address: Address | None) -> None:
    """Do nothing about a connection that came or went."""


def ignore_refusal(_client: Address | None, _reason: str) -> None:
    """Do nothing about a client that was turned away."""


def never(_path: str) -> bool:
    """Want every body whole, every request decoded, and no WebSocket."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportHooks:
    """The callables that a transport is built with.

    They are called from greenlets, never from the hub, and never while a table of the transport
    is being changed. They must not raise.
    """

    deliver: Callable[[Message], Delivery]
    """Hand a message that came in to its process."""
    serve: Callable[[Request], Future[Response]]
    """Answer an HTTP request that is no message."""
    lost: Callable[[Address, Exception | None], None]
    """The linked connection to an address is gone; None if the peer simply closed it."""
    dropped: Callable[[Message, str], None]
    """An outgoing message was lost, or may have been, for the reason given."""
    spawn: Spawn
    """Start a greenlet of the transport."""
    streams: Callable[[str], bool] = never
    """Whether a request for a path is to be served before its body is there. Must not wait."""
    is_raw: Callable[[str], bool] = never
    """Whether requests for a path are wanted as they came: the query unchecked, the body packed if
    it is, and ``100 Continue`` sent when the handler says so. Must not wait."""
    upgrades: Callable[[str], bool] = never
    """Whether the handshake of a WebSocket at a path is served; else it is refused. Must not
    wait."""
    accepted: Callable[[Address | None], None] = ignore
    """A connection of a client was accepted."""
    left: Callable[[Address | None], None] = ignore
    """A connection that was accepted is gone."""
    connected: Callable[[Address], None] = ignore
    """A connection to an address stands."""
    disconnected: Callable[[Address], None] = ignore
    """A connection to an address that stood is gone."""
    refused: Callable[[Address | None, str], None] = ignore_refusal
    """A client was turned away for the reason given; may be called in the hub."""


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
