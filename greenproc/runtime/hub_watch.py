"""`HubWatch`: tells which code keeps a hub from turning, while it does."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable
from time import monotonic
from types import FrameType

from gevent.hub import Hub

from greenproc.hub.lifetime import has_ended
from greenproc.hub.native import allocate_lock, get_ident, start_new_thread
from greenproc.pid import UPID
from greenproc.process.record import ProcessRecord

logger = logging.getLogger("greenproc.runtime")

ROUNDS = 4
"""In how many parts the time is waited for. A block is told after that time, and one that lasts a
part longer is always seen. When the whole OS process was stopped, one part is missed, not all."""

JOIN_SECONDS = 1.0  # for a thread that is woken at once


Report = Callable[[UPID | None, float, str], None]
"""Called in the hub with the process that was running, the seconds, and the stack."""


class HubWatch:
    """A native thread that asks a hub to turn, and logs the stack of one that does not.

    It is logged once for each block, while it lasts: a handler without end would never be seen
    otherwise. *report* is called when the hub turns again. Real time counts. A function of C
    that keeps the interpreter's lock keeps this thread from seeing anything, too.

    Args:
        after: seconds; 0 starts no thread.
    """

    def __init__(self, hub: Hub, after: float, report: Report) -> None:
        self._hub = hub
        self._after = after
        self._report = report
        self._watched = 0  # the thread of the hub
        self._is_running = False
        self._answered = True
        self._asked_at = 0.0
        self._seen: tuple[UPID | None, str] | None = None
        self._stopping, self._over = allocate_lock(), allocate_lock()

    def start(self) -> None:
        """Begin to watch the hub, which must be that of the calling thread."""
        if self._after:
            self._watched = get_ident()
            self._is_running = True
            self._stopping.acquire()
            self._over.acquire()
            start_new_thread(self._run, ())

    def stop(self) -> None:
        """End the thread. It cannot be started again."""
        if self._is_running:
            self._is_running = False
            self._stopping.release()
            if self._over.acquire(timeout=JOIN_SECONDS):
                self._over.release()

    def _run(self) -> None:
        try:
            missed = 0
            while not self._stopping.acquire(timeout=self._after / ROUNDS):
                if has_ended(self._hub):
                    return
                if self._answered:
                    missed = 0
                    self._ask()
                    continue
                missed += 1
                if missed == ROUNDS:
                    self._tell()
        finally:
            self._over.release()

    def _ask(self) -> None:
        self._answered = False
        self._asked_at = monotonic()
        self._hub.loop.run_callback_threadsafe(self._answer)

    def _tell(self) -> None:
        """Log where the thread of the hub is."""
        frame = sys._current_frames().get(self._watched)  # noqa: SLF001 -- documented
        stack = "".join(traceback.format_stack(frame))
        pid = find_process(frame)
        self._seen = pid, stack
        logger.warning(
            "%s blocks the hub for over %g s, so nothing else runs in its thread: wait by gevent, "
            "compute in greenproc.future.offload()\n%s",
            f"process {pid}" if pid is not None else "a greenlet",
            self._after,
            stack.rstrip(),
        )

    def _answer(self) -> None:
        """Be called in the hub, when it turns."""
        seen, self._seen = self._seen, None
        seconds = monotonic() - self._asked_at
        self._answered = True
        if seen is not None:
            self._report(seen[0], seconds, seen[1])

    def __repr__(self) -> str:
        state = "watching" if self._is_running else "off"
        return f"<HubWatch {state}, after {self._after:g} s>"


def find_process(frame: FrameType | None) -> UPID | None:
    """Return the name of the process in whose greenlet *frame* runs, if it does in one."""
    while frame is not None:
        if "record" in frame.f_code.co_varnames:
            record = frame.f_locals.get("record")
            if isinstance(record, ProcessRecord):
                return record.pid
        frame = frame.f_back
    return None
