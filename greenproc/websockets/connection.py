"""`WebSocket`: the connection that handlers of a process use."""

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
    """The port from a `WebSocket` to the session that serves its connection."""

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

    `greenproc.websocket` creates it, for one process. Callbacks run in the turn of that process,
    as its events do. When the process terminates, the connection is closed with 1001. It must be
    used in the native thread of the runtime.

    Args:
        request: the opening handshake.
        subprotocol: the one that was negotiated.
        session: serves the connection.

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
        """A number that is unique among the connections of this OS process."""
        self.request = request
        """The opening handshake, with its headers, cookies, query and client."""
        self.subprotocol = subprotocol
        """The negotiated one of the route's subprotocols, if any."""
        self.close_code: int | None = None
        """The code of the Close, see `CloseCode`; None while the connection is open."""
        self.close_reason = ""
        """The reason of the Close, a text for people."""
        self._session = session
        self._message_callback: Callable[[WebSocket, Any], object] | None = None
        self._close_callback: Callable[[WebSocket], object] | None = None

    def send(self, data: str | bytes | bytearray | memoryview) -> bool:
        """Send a message. Never waits.

        Messages are queued until the client reads them. Beyond ``max_send_bytes`` of the route
        the client is too slow: the connection is closed with 1008, and the queue is dropped.

        Args:
            data: a text message as a str, a binary message as bytes.

        Returns:
            Whether the message was queued; False once the connection is closing.

        Raises:
            InvalidArgument: *data* is neither a str nor bytes, or a str that UTF-8 cannot encode.
            StateError: called in another native thread.
        """
        return self._session.send(data)

    def writable(self) -> Future[None]:
        """Return a future that is ready when the queue is empty, or the connection is closed.

        A handler that sends more than ``max_send_bytes`` should wait for it between messages.

        Raises:
            StateError: called in another native thread.
        """
        return self._session.writable()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection, after the queued messages are sent. Never waits.

        Messages that arrive later are dropped. A second call has no effect.

        Args:
            code: 1000 to 1003, 1007 to 1014, or one of the application, 3000 to 4999.
            reason: for people; it is truncated to 123 bytes of UTF-8, the room in a Close frame.

        Raises:
            InvalidArgument: a Close cannot carry that code, or *reason* is not a str.
            StateError: called in another native thread.
        """
        if not isinstance(reason, str):
            raise InvalidArgument(f"expected a reason as str, got {reason!r:.200}")
        self._session.end(check_code(code), reason)

    def on_message(self, callback: Callable[[WebSocket, Any], object]) -> None:
        """Call *callback* with this connection and each message, in order.

        There is one callback; a second call replaces it. Without one, messages are dropped. An
        exception of the callback is logged and closes this connection with 1011; the process goes
        on. While the process lags behind, its clients are not read.

        Args:
            callback: gets this and the message, a str or bytes.
        """
        check_callable(callback)
        self._message_callback = callback

    def on_close(self, callback: Callable[[WebSocket], object]) -> None:
        """Call *callback* with this connection when either side has closed it.

        `close_code` and `close_reason` are set then. It is not called once the process has ended.
        """
        check_callable(callback)
        self._close_callback = callback

    @property
    def closed(self) -> Future[int]:
        """The future of the code with which the connection is closed."""
        return self._session.closed

    @property
    def is_open(self) -> bool:
        """Whether messages travel: from the handshake on until one side sends a Close."""
        return self._session.is_open

    def statistics(self) -> dict[str, int]:
        """Return the messages in and out, and the bytes that are queued in either direction."""
        return self._session.statistics()

    def handle_message(self, data: str | bytes) -> None:
        """Call the callback for messages. The session calls this in a turn of the process."""
        if self._message_callback is not None:
            self._message_callback(self, data)

    def handle_close(self) -> None:
        """Call the callback for the close. The session calls this in a turn of the process."""
        if self._close_callback is not None:
            self._close_callback(self)

    def __repr__(self) -> str:
        state = "open" if self.is_open else "closed"
        if self.close_code is not None:
            state = f"closed {self.close_code}"
        return f"<WebSocket {self.id} of {self.request.client} {state}>"
