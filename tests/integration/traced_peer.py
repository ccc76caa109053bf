"""What the other OS process runs: ``greenproc run traced_peer:TracedPeer``."""

from __future__ import annotations

from greenproc import UPID, Process, install, route
from greenproc.http import Request
from greenproc.tracing import current_trace


def spelled() -> str:
    """Return the current trace context as a text."""
    trace = current_trace()
    return "none" if trace is None else f"{trace.traceparent} {trace.state}"


class TracedPeer(Process):
    """Tells its trace context in each way in which it can be asked."""

    def __init__(self) -> None:
        super().__init__("peer")

    @install("tell")
    def on_tell(self, sender: UPID, body: bytes) -> None:
        self.send(sender, "told", spelled().encode())

    @install("tell-later")
    def on_tell_later(self, sender: UPID, body: bytes) -> None:
        self.runtime.delay(0.0, self.pid, self.tell, sender)

    def tell(self, to: UPID) -> None:
        self.send(to, "told", spelled().encode())

    @install("question", returns=str)
    def on_question(self, sender: UPID, body: bytes) -> str:
        return spelled()

    @route("/trace")
    def on_trace(self, request: Request) -> str:
        return spelled()
