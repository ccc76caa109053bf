"""What WebSockets put into the mailbox of their process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from greenproc.process.event import DispatchEvent


class SocketEvent(DispatchEvent):
    """A message of a client, or the end of its connection, as a call in the process' turn.

    Args:
        dropped: called instead where the process does not serve it.
    """

    __slots__ = ("_dropped",)

    def __init__(
        self, method: Callable[..., Any], dropped: Callable[[], object], *args: Any
    ) -> None:
        super().__init__(method, args)
        self._dropped = dropped

    def drop(self, reason: str | None = None) -> None:
        self._dropped()
