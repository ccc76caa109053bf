"""`UpgradeResponse`: the 101 that switches a connection to another protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from greenproc.http.headers import Headers
from greenproc.http.response import Response
from greenproc.http.status import Status

NO_WEBSOCKET = "no WebSocket here: use requests and streamed responses"
"""The text of the refusal of a handshake at a route for plain requests."""


@dataclass(frozen=True, slots=True)
class UpgradedConnection:
    """A connection after the head of a 101, for the protocol that takes it over.

    The server closes the socket when the protocol returns.
    """

    socket: Any
    read: Callable[[], bytes]
    """Waits for input and returns it; empty at the end of the connection. Raises OSError."""
    trailing_data: bytes = b""
    """The bytes that arrived behind the request."""


class UpgradedProtocol(Protocol):
    """The protocol of a connection after HTTP."""

    def run(self, connection: UpgradedConnection) -> None:
        """Serve the connection to its end. Called once, in a greenlet that may wait.

        Raises:
            OSError: the connection is lost.
        """

    def close(self) -> None:
        """Close the connection at once; also called when it never started."""

    def drain(self) -> None:
        """Start to close the connection in an orderly way."""

    def wait_closed(self, seconds: float) -> None:
        """Wait until a closing connection is closed, *seconds* at most."""


class UpgradeResponse(Response):
    """101: the connection switches to another protocol.

    Args:
        protocol: takes over the connection once this response is sent.
        headers: besides ``Connection``.

    Source: RFC 9110 sections 7.8 and 15.2.2.
    """

    __slots__ = ()

    def __init__(self, protocol: UpgradedProtocol, headers: Iterable[tuple[str, str]]) -> None:
        super().__init__(
            Status.SWITCHING_PROTOCOLS,
            None,
            Headers([("Connection", "Upgrade"), *headers]),
            # In place of a body: a server closes the reader of a response that it cannot send.
            reader=protocol,
        )

    @property
    def protocol(self) -> UpgradedProtocol:
        """The protocol that takes over the connection."""
        protocol: UpgradedProtocol = self.reader
        return protocol

    def encode(self) -> bytes:
        """Return the head; there is no body."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.headers.lines())
        return f"HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n".encode("latin-1")
