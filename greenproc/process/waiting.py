"""Waiting for the end of a process with a limit, and for a whole runtime to become idle."""

from __future__ import annotations

from time import monotonic

import gevent

from greenproc.clock import Clock, Timer
from greenproc.clock.microseconds import check_duration
from greenproc.errors import NotSettled, StateError
from greenproc.future import Promise
from greenproc.pid import UPID
from greenproc.process.base import Process
from greenproc.process.current import current_process
from greenproc.process.deadlock import check_own_end
from greenproc.process.manager import ProcessManager
from greenproc.process.record import describe_busy

SETTLE_PAUSE = 0.001  # between two looks at a process that waits for something outside


class TerminationWaiter(Process):
    """Links to a process and tells whether its exit or the timeout came first.

    Source: libprocess src/process.cpp, class WaitWaiter.
    """

    def __init__(self, pid: UPID, seconds: float, clock: Clock, id: str) -> None:
        super().__init__(id)
        self._pid = pid
        self._seconds = seconds
        self._clock = clock
        self._promise: Promise[bool] = Promise()
        self._timer: Timer | None = None
        self.exited_first = self._promise.future

    def initialize(self) -> None:
        self.link(self._pid)
        self._timer = self._clock.timer(self._seconds, self._expire)

    def exited(self, pid: UPID) -> None:
        self._finish(True)

    def finalize(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        # The runtime stops: the wait returns that the process has not ended.
        self._promise.set(False)

    def _expire(self) -> None:
        # Through the mailbox, so that an exit that is already queued comes first.
        self.runtime.processes.dispatch_quietly(self.pid, self._finish, (False,))

    def _finish(self, exited: bool) -> None:
        self._promise.set(exited)
        self.terminate()


def wait_with_limit(manager: ProcessManager, pid: UPID, seconds: float) -> bool:
    """Wait up to *seconds* of the clock's time for *pid* to end; return whether it did.

    Unlike the wait without a limit, a process that is not running counts as ended, and a remote
    one is waited for: its end is the end of the connection.

    Source: libprocess src/process.cpp, process::wait.
    """
    if pid.is_empty:
        return False
    record = manager.find_record(pid)
    check_own_end(record)
    if not manager.accepting:
        return record is None and pid.address == manager.address
    waiter = TerminationWaiter(pid, seconds, manager.clock, manager.names.generate("__waiter__"))
    manager.spawn(waiter)
    try:
        return waiter.exited_first.get()
    finally:
        if not waiter.exited_first.is_ready:  # interrupted: its link and its timer end with it
            manager.terminate(waiter)


def settle(manager: ProcessManager, seconds: float) -> None:
    """Wait until no process has anything to do and no timer is due.

    Only this hub counts: events that a socket, a child or a thread brings later are not awaited.

    Args:
        manager: the process manager of the runtime.
        seconds: the limit, in real seconds.

    Raises:
        NotSettled: processes are still busy; the message names them.
        StateError: called from a process, which would wait for itself.
        InvalidArgument: *seconds* is negative or no number.

    Source: libprocess src/process.cpp, ProcessManager::settle.
    """
    if current_process() is not None:
        raise StateError("settle() was called from a process, which can never be idle meanwhile")
    check_duration(seconds)
    deadline = monotonic() + seconds
    while True:
        # Returns when no callback and no descriptor is ready, so what is running is waiting.
        gevent.with_timeout(max(deadline - monotonic(), 0.0), gevent.idle, timeout_value=None)
        if manager.scheduler.busy == 0 and manager.clock.settled:
            return
        if monotonic() >= deadline:
            busy = describe_busy(manager.records.values()) or "the clock, with due timers"
            raise NotSettled(f"not settled after {seconds} s, busy: {busy}")
        gevent.sleep(SETTLE_PAUSE)
