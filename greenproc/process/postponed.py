"""Messages that a process has taken out of its mailbox and serves later, when its state has changed."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from greenproc.process.dropping import drop_message
from greenproc.process.quota import weigh_item

if TYPE_CHECKING:
    from greenproc.message import Message
    from greenproc.process.manager import ProcessManager
    from greenproc.process.record import ProcessRecord

POSTPONED_TOO_MANY: Final = "too many postponed"
"""Why a message is dropped that was to be postponed."""


class Postponed:
    """The postponed messages of one process, the oldest first, and what they weigh in bytes."""

    __slots__ = ("bytes", "messages")

    def __init__(self) -> None:
        self.messages: deque[Message] = deque()
        self.bytes = 0


def postpone(
    manager: ProcessManager,
    record: ProcessRecord,
    message: Message,
    max_messages: int,
    max_bytes: int,
) -> None:
    """Keep *message* of the process of *record* until `restore`; beyond a bound it is dropped and reported.

    A first message may have any size. What is kept counts for the mailbox and the node, as what is queued does.
    """
    if record.postponed is None:
        record.postponed = Postponed()
    postponed, size = record.postponed, weigh_item(message)
    count = len(postponed.messages)
    if count and (count >= max_messages or postponed.bytes + size > max_bytes):
        drop_message(manager, message, POSTPONED_TOO_MANY, "it has too many postponed messages")
        return
    postponed.messages.append(message)
    postponed.bytes += size


def restore(record: ProcessRecord) -> None:
    """Put what the process of *record* has postponed back into its mailbox, ahead of what is queued.

    The process must not have ended yet.
    """
    if record.postponed is None:
        return
    messages, record.postponed = record.postponed.messages, None
    assert record.manager is not None
    record.manager.open_mailbox(record).queue.extendleft(reversed(messages))
