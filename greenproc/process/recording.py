"""`Recorder`: what looks at every event of a node, while there is something to look for."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from greenproc.failures import FAILURES
from greenproc.message import Message
from greenproc.process.current import current_process
from greenproc.process.mailbox import Item
from greenproc.process.record import ProcessRecord

if TYPE_CHECKING:
    from greenproc.process.manager import ProcessManager

logger = logging.getLogger("greenproc.process")


class Recorder(Protocol):
    """Records what processes send and serve. `Observer.use_recorder` installs one.

    Without a recorder no event costs anything for it: the flags that lead here are those of the
    event filter, the paused clock and the signals. With one, messages take the longer paths.
    """

    def queued(self, record: ProcessRecord, item: Item) -> None:
        """*item* is going to be the last in the mailbox of *record*. Must not wait."""

    def sent(self, message: Message) -> None:
        """A process, or the program, sends *message*. Must not wait."""

    def serving(self, record: ProcessRecord, item: Item) -> None:
        """*item*, which is out of the mailbox, is served by the process of *record*. Must not wait."""


def note_queued(manager: ProcessManager, record: ProcessRecord, item: Item) -> None:
    """Bring *record* to the sender's time, if the clock is paused, and tell the recorder of *item*."""
    if manager.clock.paused:
        manager.clock.order(current_process(), record.process)
    recorder = manager.observer.recorder
    if recorder is not None:
        try:
            recorder.queued(record, item)
        except FAILURES:
            logger.exception("the recorder failed on an event for %s", record.pid)
