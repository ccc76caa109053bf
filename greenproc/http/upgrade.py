"""Leaving HTTP: the response after which a connection speaks another protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from greenproc.http.headers import Headers
from greenproc.http.response import Response
from greenproc.http.status import Status

NO_WEBSOCKET = "no WebSocket here: use requests and streamed responses"
"""What answers a handshake where nothing takes it."""


@dataclass(frozen=True, slots=True)
class UpgradedConnection:
    """A connection behind the head of a 101, as its server hands it over.

    The server closes the socket.
    """

    socket: Any
    read: Callable[[], bytes]
    """Waits for input and returns it; empty at the end. Raises OSError."""
    trailing_data: bytes = b""
    """What the client has sent behind its request."""


class UpgradedProtocol(Protocol):
    """What a connection speaks after HTTP."""

    def run(self, connection: UpgradedConnection) -> None:
        """Speak until the connection is over. Called once, in a greenlet that may wait.

        Raises:
            OSError: the connection is lost.
        """

    def close(self) -> None:
        """There is no connection, or it is to end now."""

    def drain(self) -> None:
        """End the connection in order, soon."""

    def wait_closed(self, seconds: float) -> None:
        """Wait for a connection that is about to end, so long at most."""


class UpgradeResponse(Response):
    """101: the connection speaks another protocol from here on.

    Args:
        protocol: what it speaks, which gets the connection once this is sent.
        headers: those besides ``Connection``.

    Source: RFC 9110 sections 7.8 and 15.2.2.
    """

    __slots__ = ()

    def __init__(self, protocol: UpgradedProtocol, headers: Iterable[tuple[str, str]]) -> None:
        super().__init__(
            Status.SWITCHING_PROTOCOLS,
            None,
            Headers([("Connection", "Upgrade"), *headers]),
            # As the reader of a pipe: it is closed where the response cannot be sent.
            reader=protocol,
        )

    @property
    def protocol(self) -> UpgradedProtocol:
        """What the connection speaks."""
        protocol: UpgradedProtocol = self.reader
        return protocol

    def encode(self) -> bytes:
        """Return the head, which is all of it."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.headers.lines())
        return f"HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n".encode("latin-1")
