"""Why a process is not there: what the future of a dispatch to it is abandoned with."""

from __future__ import annotations

from collections import deque

from greenlet import GreenletExit

from greenproc.address import Address
from greenproc.current import default
from greenproc.failures import text_of
from greenproc.pid import UPID
from greenproc.process.record import ProcessRecord

MAX_REMEMBERED = 256
"""Of how many ended processes a node remembers the end: no address tells that there was one."""

MAX_TEXT = 200  # characters of an error

ENDED = "has ended"


class EndedProcesses:
    """Remembers how the last processes of a node ended, by id, as texts.

    Errors themselves are not kept: their tracebacks hold what the processes worked on.
    """

    def __init__(self) -> None:
        # Searched when a dispatch is in vain only; a dict in order costs each end ten times more.
        self._ends: deque[tuple[str, str]] = deque(maxlen=MAX_REMEMBERED)

    def __len__(self) -> int:
        return len(self._ends)

    def remember(self, record: ProcessRecord) -> None:
        """Remember how the process of *record* ended."""
        self._ends.append((record.pid.id, "" if record.reason is None else how_it_ended(record)))

    def explain(self, pid: UPID, address: Address | None, *, accepting: bool) -> str:
        """Say why *pid* names no process of the node at *address*.

        Args:
            accepting: whether that node takes new processes, so runs.
        """
        if pid.is_empty and not accepting:
            return "the runtime was stopped, which spawned nothing: make a new one"
        if pid.is_empty:
            return (
                "the target is the empty PID, which spawn() returns when it refuses a process: "
                "its warning in the log says why"
            )
        if pid.address != address:
            if pid.address in default.stopped:
                return f"the runtime of process {pid} was stopped"
            return f"process {pid} is not on this node, and dispatch is local: send it a message"
        end = self.find_end(pid.id)
        if end is not None and end != ENDED:
            return f"process {pid} {end}"
        if not accepting:
            return f"the runtime of process {pid} was stopped"
        if end is None:
            return f"there is no process {pid}: spawn it first"
        return f"process {pid} {ENDED}"

    def find_end(self, id: str) -> str | None:
        """Return how the last process called *id* ended, in words that follow its name."""
        return next((end or ENDED for known, end in reversed(self._ends) if known == id), None)


def how_it_ended(record: ProcessRecord) -> str:
    """Say how the process of *record* ended or is ending, in words that follow its name."""
    error = record.reason
    if error is None:
        return ENDED
    if isinstance(error, GreenletExit):
        return "was killed"
    text = f"{type(error).__name__}: {text_of(error)}"[:MAX_TEXT].rstrip(": ")
    # Any other end is itself served: that of an event, or the terminate event.
    where = "failed in initialize()" if not record.served + record.serving else "has failed"
    return f"{where}: {text}"


def why_unserved(record: ProcessRecord) -> str:
    """Say why the process of *record* does not serve what is queued for it."""
    how = "was terminated before it served this" if record.reason is None else how_it_ended(record)
    return f"process {record.pid} {how}"
