"""The message that processes exchange."""

from __future__ import annotations

import msgspec

from greenproc.pid import UPID
from greenproc.tracing import TRACE, TraceContext


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

    @property
    def trace(self) -> TraceContext | None:
        """The trace context that it travels with, if any."""
        return None

    def __repr__(self) -> str:
        return f"<Message {self.name!r} {self.sender} -> {self.to}, {len(self.body)} bytes>"


class TracedMessage(Message, frozen=True, gc=False):
    """A message that travels with a trace context. A type of its own: an ordinary message has no room for one."""

    trace: TraceContext


def with_trace(message: Message) -> Message:
    """Return *message* with the trace context that is current here, unless it has one."""
    trace = TRACE.get()
    if trace is None or message.__class__ is not Message:
        return message
    return TracedMessage(message.name, message.sender, message.to, message.body, trace)
