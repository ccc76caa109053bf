"""The message that processes exchange."""

from __future__ import annotations

from dataclasses import dataclass

from greenproc.pid import UPID


@dataclass(slots=True)
class Message:
    """A named body on its way from one process to another.

    Messages are values: treat them as immutable. They are not frozen because one is made for
    each message, and making a frozen dataclass costs four times as much (645 against 157 ns).
    """

    name: str
    """What the message is about; selects the receiver's handler."""
    sender: UPID
    """Who sent it; the empty UPID when nobody expects an answer."""
    to: UPID
    """Who is to get it."""
    body: bytes
    """The content, whose form is agreed between sender and receiver."""

    def __repr__(self) -> str:
        return f"<Message {self.name!r} {self.sender} -> {self.to}, {len(self.body)} bytes>"
