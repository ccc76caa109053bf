"""`WebSocketRegistry`: the WebSockets of one runtime, and their counters."""

from __future__ import annotations

from time import monotonic
from typing import Protocol

from greenproc.transport.buffered_writer import UnsentBytes
from greenproc.websockets.frame_encoder import FrameEncoder


class ClosableSession(Protocol):
    """A session, as far as the registry needs it."""

    def end(self, code: int, reason: str) -> None:
        """Send a Close."""

    def close(self) -> None:
        """Close the socket at once."""

    def wait_closed(self, seconds: float) -> None:
        """Wait until the socket is closed, *seconds* at most."""


class WebSocketRegistry:
    """Holds the connections of one runtime, and counts them and their messages.

    Args:
        max_unsent_bytes: the bound of the bytes that are queued for all clients together.
    """

    __slots__ = ("_sessions", "counts", "encoder", "ending", "unsent")

    def __init__(self, max_unsent_bytes: int) -> None:
        self.unsent = UnsentBytes(max_unsent_bytes)
        """The bytes that are queued for clients that do not read."""
        self.ending: tuple[int, str] | None = None
        """The code and reason for connections that open after `end_all`."""
        self.encoder = FrameEncoder()
        """The encoder of all connections, so that a broadcast is encoded once."""
        self._sessions: dict[ClosableSession, None] = {}
        self.counts = dict.fromkeys(
            ("opened", "refused", "messages_in", "messages_out", "slow", "dead", "failed"), 0
        )
        """*refused* are handshakes, *slow* are clients whose queue exceeded its bound, *dead* those
        that did not answer a Ping, *failed* connections that a handler's exception closed."""

    def __len__(self) -> int:
        return len(self._sessions)

    def add(self, session: ClosableSession) -> None:
        """Register the open *session*."""
        self.counts["opened"] += 1
        self._sessions[session] = None

    def remove(self, session: ClosableSession) -> None:
        """Unregister *session*. An unknown one is ignored."""
        self._sessions.pop(session, None)

    def end_all(self, code: int, reason: str = "") -> None:
        """Send a Close on all connections, and on each one that opens later.

        Args:
            code: of the Close.
            reason: of the Close; clients may reconnect to another node.
        """
        self.ending = (code, reason)
        for session in list(self._sessions):
            session.end(code, reason)

    def stop(self, seconds: float) -> None:
        """Wait for the connections that are closing, then close the sockets of the rest.

        Args:
            seconds: the limit for all connections together.
        """
        # Of the system's clock: the one of the runtime may be paused.
        # One deadline for all, rather than the whole time for each.
        deadline = monotonic() + seconds
        for session in list(self._sessions):
            session.wait_closed(max(deadline - monotonic(), 0.0))
        for session in list(self._sessions):
            session.close()

    def statistics(self) -> dict[str, int]:
        """Return the open connections, and the counters since the start."""
        return {"connections": len(self._sessions), **self.counts}

    def __repr__(self) -> str:
        return f"<WebSocketRegistry {len(self._sessions)} connections>"
