"""The WebSockets of one runtime: which there are, and how many there were."""

from __future__ import annotations

from time import monotonic
from typing import Protocol

from greenproc.transport.buffered_writer import UnsentBytes
from greenproc.websockets.frame_encoder import FrameEncoder


class ClosableSession(Protocol):
    """A connection that can be closed."""

    def end(self, code: int, reason: str) -> None:
        """Close it."""

    def close(self) -> None:
        """End it now."""

    def wait_closed(self, seconds: float) -> None:
        """Wait until it is over, so long at most."""


class WebSocketRegistry:
    """Knows the connections of one runtime, and counts them and what they carry.

    Args:
        max_unsent_bytes: how much may wait for all clients together.
    """

    __slots__ = ("_sessions", "counts", "encoder", "ending", "unsent")

    def __init__(self, max_unsent_bytes: int) -> None:
        self.unsent = UnsentBytes(max_unsent_bytes)
        """Bounds what waits for clients that do not read."""
        self.ending: tuple[int, str] | None = None
        """With what connections are closed that open now, since all are to end."""
        self.encoder = FrameEncoder()
        """What all of them encode messages with."""
        self._sessions: dict[ClosableSession, None] = {}
        self.counts = dict.fromkeys(
            ("opened", "refused", "messages_in", "messages_out", "slow", "dead", "failed"), 0
        )
        """*refused* are handshakes, *slow* and *dead* clients that were dropped for that, and
        *failed* connections that a handler's error has closed."""

    def __len__(self) -> int:
        return len(self._sessions)

    def add(self, session: ClosableSession) -> None:
        """Note that *session* is open."""
        self.counts["opened"] += 1
        self._sessions[session] = None

    def remove(self, session: ClosableSession) -> None:
        """Note that *session* is over; one that is not here is ignored."""
        self._sessions.pop(session, None)

    def end_all(self, code: int, reason: str = "") -> None:
        """Close all connections, whose clients may come back elsewhere, and any that opens later."""
        self.ending = (code, reason)
        for session in list(self._sessions):
            session.end(code, reason)

    def stop(self, seconds: float) -> None:
        """Let the connections end that are closing, and cut off those that do not.

        Args:
            seconds: how long that may take.
        """
        deadline = monotonic() + seconds
        for session in list(self._sessions):
            session.wait_closed(max(deadline - monotonic(), 0.0))
        for session in list(self._sessions):
            session.close()

    def statistics(self) -> dict[str, int]:
        """Count connections that are open, and what there was since the start."""
        return {"connections": len(self._sessions), **self.counts}

    def __repr__(self) -> str:
        return f"<WebSocketRegistry {len(self._sessions)} connections>"
