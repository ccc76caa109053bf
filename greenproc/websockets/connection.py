"""`WebSocket`: a connection as the handlers of a process see it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, Protocol

from greenproc.checks import check_callable
from greenproc.errors import InvalidArgument
from greenproc.future import Future
from greenproc.http.request import Request
from greenproc.websockets.codes import check_code

_numbers = count(1)


class WebSocketSession(Protocol):
    """What a `WebSocket` needs of what serves its connection."""

    @property
    def closed(self) -> Future[int]:
        """See `WebSocket.closed`."""

    @property
    def is_open(self) -> bool:
        """See `WebSocket.is_open`."""

    def send(self, data: str | bytes | bytearray | memoryview) -> bool:
        """See `WebSocket.send`."""

    def writable(self) -> Future[None]:
        """See `WebSocket.writable`."""

    def end(self, code: int, reason: str) -> None:
        """See `WebSocket.close`."""

    def statistics(self) -> dict[str, int]:
        """See `WebSocket.statistics`."""


class WebSocket:
    """One connection of a browser, or of another client, to a process.

    It is made by `greenproc.websocket` and belongs to a process: what is registered here is called
    in that process' turn, like any event of it, and the connection is closed with 1001 when the
    process ends. To be used in the native thread of the runtime only.

    Source: RFC 6455.
    """

    __slots__ = (
        "_close_callback",
        "_message_callback",
        "_session",
        "close_code",
        "close_reason",
        "id",
        "request",
        "subprotocol",
    )

    def __init__(
        self, request: Request, subprotocol: str | None, session: WebSocketSession
    ) -> None:
        self.id = next(_numbers)
        """A number that no other connection of this OS process has."""
        self.request = request
        """The request that opened it, with its headers, cookies, query and client."""
        self.subprotocol = subprotocol
        """The one of the route's subprotocols that was agreed on, if any."""
        self.close_code: int | None = None
        """Why it was closed, once it is: see `CloseCode`."""
        self.close_reason = ""
        """What the side that closed said besides."""
        self._session = session
        self._message_callback: Callable[[WebSocket, Any], object] | None = None
        self._close_callback: Callable[[WebSocket], object] | None = None

    def send(self, data: str | bytes | bytearray | memoryview) -> bool:
        """Send a message, text for ``str`` and binary for ``bytes``. Never waits.

        What the client does not take waits here. When that exceeds ``max_send_bytes`` of the route
        the client is too slow: its connection is closed with 1008, and what waits is dropped.

        Returns whether the message was taken; False once the connection is closing.

        Raises:
            InvalidArgument: *data* is neither text nor bytes.
            StateError: this is another native thread.
        """
        return self._session.send(data)

    def writable(self) -> Future[None]:
        """Return a future that is ready when the client has taken all, or is gone.

        For who sends more than fits: to wait for it before the next message.

        Raises:
            StateError: this is another native thread.
        """
        return self._session.writable()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection, behind what was sent before. Never waits.

        Messages that come after this are dropped. Closing twice has no effect.

        Args:
            code: for the client: 1000 to 1003, 1007 to 1014, or of your own, 3000 to 4999.
            reason: for people; it is cut at 123 bytes.

        Raises:
            InvalidArgument: that code may not be sent, or *reason* is no text.
            StateError: this is another native thread.
        """
        if not isinstance(reason, str):
            raise InvalidArgument(f"expected a reason as str, got {reason!r:.200}")
        self._session.end(check_code(code), reason)

    def on_message(self, callback: Callable[[WebSocket, Any], object]) -> None:
        """Call *callback* with this and each message, ``str`` or ``bytes``, in order.

        There is one callback; another one takes its place. A message for which there is none is
        dropped. When it raises, that is logged and this connection closed with 1011; the process
        lives on. While the process does not keep up, its clients are not read.
        """
        check_callable(callback)
        self._message_callback = callback

    def on_close(self, callback: Callable[[WebSocket], object]) -> None:
        """Call *callback* with this when the connection is closed, by whatever side.

        `close_code` and `close_reason` tell why. It is not called when the process has ended.
        """
        check_callable(callback)
        self._close_callback = callback

    @property
    def closed(self) -> Future[int]:
        """The future of the code with which the connection is closed."""
        return self._session.closed

    @property
    def is_open(self) -> bool:
        """Whether messages are sent and received: from the handshake on until one side closes."""
        return self._session.is_open

    def statistics(self) -> dict[str, int]:
        """Count messages in and out, and the bytes that wait in either direction."""
        return self._session.statistics()

    def handle_message(self, data: str | bytes) -> None:
        """Call the callback. For the session, in a turn of the process."""
        if self._message_callback is not None:
            self._message_callback(self, data)

    def handle_close(self) -> None:
        """Call the callback. For the session, in a turn of the process."""
        if self._close_callback is not None:
            self._close_callback(self)

    def __repr__(self) -> str:
        state = "open" if self.is_open else "closed"
        if self.close_code is not None:
            state = f"closed {self.close_code}"
        return f"<WebSocket {self.id} of {self.request.client} {state}>"
