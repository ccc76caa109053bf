"""The message that processes exchange."""

from __future__ import annotations

import msgspec

from greenproc.pid import UPID


class Message(msgspec.Struct, frozen=True, gc=False):
    """A named body on its way from one process to another. Immutable, equal by value.

    A `msgspec.Struct` because one is made for every message: it takes 46 ns, a dataclass 157 ns
    and a frozen one 645 ns. The garbage collector need not look at it, since what it refers to
    cannot refer back to it; with a full mailbox, looking was a quarter of all work.
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
