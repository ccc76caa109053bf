"""A process whose mailbox can be looked at: it stays full as long as a test wants."""

from __future__ import annotations

from gevent.event import Event

from greenproc.pid import UPID
from greenproc.process import Process, install


class Gated(Process):
    """Serves nothing before its gate is open."""

    def __init__(self, id: str = "gated") -> None:
        super().__init__(id)
        self.gate = Event()

    @install("m")
    def on_message(self, sender: UPID, body: bytes) -> None:
        self.gate.wait()
