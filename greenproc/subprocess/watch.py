"""`Watch`: waits for the end of one OS process."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import gevent.os
from gevent import get_hub

from greenproc.clock import Timer
from greenproc.future import Promise
from greenproc.hub.native import waitpid

READABLE = 1
GRACE = 0.1  # seconds until a child that gevent has not collected is collected here
CORE_DUMPED = 0x80  # the bit of a wait status


class Watch:
    """Waits for the end of one OS process, and sets a promise to its status.

    Three sources report the end. gevent collects all children on SIGCHLD and passes the status to
    the watcher of that child. The pidfd of the process becomes readable at its end, even if it is
    not a child. Without a pidfd, a timer polls the process.

    waitid() with WNOWAIT reads the status of a child without collecting it, so the status is known
    whichever code collects the child. The watch collects it only if gevent does not do so within
    `GRACE`, such as after a replacement of its SIGCHLD handler.

    A loop other than the default one has no child watchers. There the watch collects a program of
    `launch` at once, and any other child after `GRACE`.

    Args:
        pid: the OS process.
        look_later: starts a timer that calls a function after the polling interval.
        on_close: called with this watch when it ends.
        is_launched: whether `launch` started the process, so that no other code collects it.
    """

    def __init__(
        self,
        pid: int,
        look_later: Callable[[Callable[[], None]], Timer],
        on_close: Callable[[Watch], None],
        *,
        is_launched: bool = False,
    ) -> None:
        self.pid = pid
        self.promise: Promise[int | None] = Promise()
        self._look_later = look_later
        self._on_close = on_close
        self._loop = get_hub().loop
        self._is_collected_here = is_launched and not self._loop.default
        self._watchers: list[Any] = []
        self._timer: Timer | None = None
        self._descriptor = open_descriptor(pid)
        self._is_child = False
        self._seen: int | None = None

    def start(self) -> None:
        """Set the promise if the process has ended, else start to watch it."""
        try:
            status = peek(self.pid)
        except ChildProcessError:
            if self._descriptor is not None or exists(self.pid):
                self._watch_end()
            else:
                self._ask_gevent()
            return
        self._is_child = True
        if self._loop.default:
            watcher = self._loop.child(self.pid)
            self._watchers.append(watcher)
            watcher.start(lambda: self._end(watcher.rstatus))
        if status is None:
            self._watch_end()
        else:
            self._give_grace(status)

    def close(self) -> None:
        """Stop the watchers and the timer, and close the pidfd."""
        for watcher in self._watchers:
            watcher.stop()
            watcher.close()
        self._watchers.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        self._on_close(self)

    def disown(self) -> None:
        """Stop the watchers and close the pidfd in a forked child, without a call of *on_close*."""
        for watcher in self._watchers:
            watcher.stop()
            watcher.close()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _end(self, status: int | None) -> None:
        self.close()
        self.promise.set(status)

    def _ask_gevent(self) -> None:
        """Read the status from gevent, which caches those of collected children."""
        try:
            pid, status = gevent.os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            self._end(None)
            return
        if pid == self.pid:
            self._end(status)
        else:
            # The libuv loop has collected the child and caches its status later.
            self._give_grace(None)

    def _watch_end(self) -> None:
        if self._descriptor is None:
            self._timer = self._look_later(self._look)
            return
        watcher = self._loop.io(self._descriptor, READABLE)
        self._watchers.append(watcher)
        watcher.start(self._see_end, watcher)

    def _see_end(self, watcher: Any) -> None:
        watcher.stop()
        if self._is_child:
            self._look()
        else:
            self._end(None)

    def _look(self) -> None:
        """Poll whether the process has ended."""
        self._timer = None
        if not self._is_child:
            if exists(self.pid):
                self._watch_end()
            else:
                self._end(None)
            return
        try:
            status = peek(self.pid)
        except ChildProcessError:
            # Collected by gevent, whose watcher runs later, or by other code.
            self._give_grace(None)
            return
        if status is None:
            self._timer = self._look_later(self._look)
        else:
            self._give_grace(status)

    def _give_grace(self, status: int | None) -> None:
        """Wait for gevent's watcher, and collect the child here if it does not run."""
        self._seen = status
        if self._is_collected_here:
            self._end_at_last()
            return
        timer = self._loop.timer(GRACE)
        self._watchers.append(timer)
        timer.start(self._end_at_last)

    def _end_at_last(self) -> None:
        status = take(waitpid, self.pid)
        if status is None:
            status = self._seen
        self._end(take(gevent.os.waitpid, self.pid) if status is None else status)


def open_descriptor(pid: int) -> int | None:
    """Return a pidfd of an OS process; None if the system provides none."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None  # not Linux, an old kernel, the limit of descriptors, or no such process


def peek(pid: int) -> int | None:
    """Return the status of a child without collecting it; None while it runs.

    Raises:
        ChildProcessError: the process is not a child, or was collected.
    """
    found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if found is None:
        return None
    if found.si_code == os.CLD_EXITED:
        return found.si_status << 8
    return found.si_status | (CORE_DUMPED if found.si_code == os.CLD_DUMPED else 0)


def take(waitpid: Callable[[int, int], tuple[int, int]], pid: int) -> int | None:
    """Collect a child by *waitpid* and return its status; None if it runs or was collected."""
    try:
        found, status = waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return status if found == pid else None


def exists(pid: int) -> bool:
    """Return whether an OS process exists; a zombie exists until it is collected."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # a process of another user
    return True
