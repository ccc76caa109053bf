"""Dropped messages: each is reported, and its ask ends, here or on another node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenproc.message import Message
from greenproc.process.ports import LATE_ANSWER, TERMINATED, UNKNOWN_RECEIVER
from greenproc.process.record import ProcessRecord

if TYPE_CHECKING:
    from greenproc.process.manager import ProcessManager


def drop_message(
    manager: ProcessManager, message: Message, reason: str, why: str, *, is_refused: bool = False
) -> None:
    """Report *message* as dropped.

    Args:
        manager: the process manager of the runtime.
        message: the message.
        reason: the reason in the dead letter.
        why: the reason in the future of an ask, as the end of a sentence.
        is_refused: whether a remote sender is answered 503, and may retry.
    """
    manager.observer.message_dropped(message, reason)
    manager.asks.lose(message, why, is_refused=is_refused)


def drop_unserved(manager: ProcessManager, record: ProcessRecord, message: Message) -> None:
    """Report *message*, which the ending process of *record* does not serve."""
    manager.observer.message_dropped(message, TERMINATED)
    manager.asks.lose_unserved(message, record)


def drop_unknown(manager: ProcessManager, message: Message, *, is_refused: bool) -> None:
    """Report *message*, whose receiver is neither a process nor an open ask.

    Args:
        manager: the process manager of the runtime.
        message: the message.
        is_refused: whether a remote sender is answered 404.
    """
    is_late = manager.asks.is_late(message)
    manager.observer.message_dropped(message, LATE_ANSWER if is_late else UNKNOWN_RECEIVER)
    manager.asks.lose_unknown(message, is_refused=is_refused)
