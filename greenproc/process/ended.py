"""The reasons why a process is not running: a dispatch to it is abandoned with one."""

from __future__ import annotations

from collections import deque

from greenlet import GreenletExit

from greenproc.address import Address
from greenproc.current import default
from greenproc.failures import text_of
from greenproc.pid import UPID
from greenproc.process.record import ProcessRecord

MAX_REMEMBERED = 256
"""The number of ended processes whose ends a node remembers. An address alone does not show that a
process existed; the bound keeps a node that spawns one process a request from growing."""

MAX_TEXT = 200  # characters of an error

ENDED = "has ended"


class EndedProcesses:
    """The ends of the last processes of a node, by id, as texts.

    The errors are not kept: a traceback holds the frames, and so the data, of the process.
    """

    def __init__(self) -> None:
        # Searched for failing dispatches only; an ordered dict would make each end ten times slower.
        self._ends: deque[tuple[str, str]] = deque(maxlen=MAX_REMEMBERED)

    def __len__(self) -> int:
        return len(self._ends)

    def remember(self, record: ProcessRecord) -> None:
        """Add the end of the process of *record*."""
        self._ends.append((record.pid.id, "" if record.reason is None else how_it_ended(record)))

    def explain(self, pid: UPID, address: Address | None, *, accepting: bool) -> str:
        """Return the reason why *pid* names no process of the node at *address*.

        Args:
            pid: the address of the process.
            address: the address of the node.
            accepting: whether the node accepts new processes; a stopped one does not.
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
        """Return the end of the last process with the *id*, as a predicate for its name."""
        return next((end or ENDED for known, end in reversed(self._ends) if known == id), None)


def how_it_ended(record: ProcessRecord) -> str:
    """Return the end of the process of *record*, as a predicate for its name."""
    error = record.reason
    if error is None:
        return ENDED
    if isinstance(error, GreenletExit):
        return "was killed"
    text = f"{type(error).__name__}: {text_of(error)}"[:MAX_TEXT].rstrip(": ")
    # Any later end happens in an event that is served, if only the terminate event.
    where = "failed in initialize()" if not record.served + record.serving else "has failed"
    return f"{where}: {text}"


def why_unserved(record: ProcessRecord) -> str:
    """Return the reason why the process of *record* does not serve its queued events."""
    how = "was terminated before it served this" if record.reason is None else how_it_ended(record)
    return f"process {record.pid} {how}"
