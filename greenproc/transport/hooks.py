"""What the transport needs from the runtime and reports to it: `TransportHooks`.

`ListenerContext` is what all connections of one listener share.
"""

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
    """Starts greenlets that the runtime counts, and kills when it stops."""

    def __call__(self, function: Callable[..., object], /, *args: object) -> Greenlet[..., Any]:
        """Run ``function(*args)`` in a new greenlet, in the runtime's context."""


def ignore(_address: Address | None) -> None:
    """Ignore a connection that was opened or closed."""


def ignore_message(_message: Message) -> None:
    """Do nothing about a message that was answered 404."""


def ignore_refusal(_client: Address | None, _reason: str) -> None:
    """Ignore a client that was refused."""


def never(_path: str) -> bool:
    """Stream no body, decode every request, and take no WebSocket."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportHooks:
    """The callables that a transport is built with.

    Unless it says otherwise, a hook is called from a greenlet, never from the hub, and never while
    a table of the transport is being changed. Hooks must not raise.
    """

    deliver: Callable[[Message], Delivery]
    """Put a message that arrived into the mailbox of its process."""
    serve: Callable[[Request], Future[Response]]
    """Serve an HTTP request that is no message."""
    lost: Callable[[Address, Exception | None], None]
    """The linked connection to an address is lost; the error is None if the peer closed it."""
    dropped: Callable[[Message, str], None]
    """A message to another node was lost, or may have been, for a reason."""
    spawn: Spawn
    """Start a greenlet of the transport."""
    not_found: Callable[[Message], None] = ignore_message
    """An outgoing message was answered 404: its node has no process with that id."""
    streams: Callable[[str], bool] = never
    """Whether a request for a path is to be served before its body is there. Must not wait."""
    is_raw: Callable[[str], bool] = never
    """Whether requests for a path are served undecoded: the query unchecked, the body compressed
    if it is, and ``100 Continue`` sent when the handler calls for it. Must not wait."""
    upgrades: Callable[[str], bool] = never
    """Whether a path serves WebSockets; else the handshake is refused. Must not wait."""
    accepted: Callable[[Address | None], None] = ignore
    """A connection of a client is open."""
    left: Callable[[Address | None], None] = ignore
    """A connection of a client is closed."""
    connected: Callable[[Address], None] = ignore
    """A connection to an address is open."""
    disconnected: Callable[[Address], None] = ignore
    """A connection to an address, which was open, is closed."""
    refused: Callable[[Address | None, str], None] = ignore_refusal
    """A client was refused or timed out, for one of the reasons above. May be called in the hub."""


@dataclass(frozen=True, slots=True)
class ListenerContext:
    """What all connections that a listener accepts share."""

    settings: Settings
    hooks: TransportHooks
    carries_messages: bool
    """Whether a connection may be the link of a node, and so be silent for long."""
    decode: Callable[[RawRequest], Message | None]
    """Decodes a request into a message; returns None for a request that is none."""
    is_message: Callable[[RawRequest], bool | None]
    """Returns whether a request is a message, before its body is read."""
    heads: HeadCache
    unsent: UnsentBytes
    """Bounds what all connections hold for clients that do not read."""
    delayed_acks: DelayedAcks
    closed: Callable[[ServerConnection], None]
    """Called with a connection when its socket is closed."""
