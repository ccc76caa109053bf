"""One OS process until its end."""

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
CORE_DUMPED = 0x80  # the bit in a status


class Watch:
    """Waits for the end of one OS process, and sets a promise to its status.

    There are three signs of the end. gevent collects all children when the kernel sends SIGCHLD,
    and gives the status to the watcher of that child. A descriptor of the process becomes readable
    at its end, even if it is not a child. Without a descriptor, a timer looks from time to time.

    The status of a child can be read before the child is collected. So it is known whichever code
    collects the child, and not taken from other code; the child is collected here only if gevent
    does not do it within `GRACE`, as when another handler has replaced its own.

    A loop other than the default one does not notify of children. A program that was launched here
    is then collected here at once, and any other child after `GRACE`.
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
        """Complete, or watch."""
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
        """Stop watching."""
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
        """Stop watching, in a forked child, without a word."""
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
        """Take its record: it keeps the status of a child that it has collected for a while."""
        try:
            pid, status = gevent.os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            self._end(None)
            return
        if pid == self.pid:
            self._end(status)
        else:
            self._give_grace(None)  # the loop of libuv has collected it, and records it later

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
        """Find out whether it has ended, and how."""
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
            self._give_grace(None)  # gevent has collected it and is about to tell, or another has
            return
        if status is None:
            self._timer = self._look_later(self._look)
        else:
            self._give_grace(status)

    def _give_grace(self, status: int | None) -> None:
        """Let gevent tell, and collect the child here if it does not."""
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
    """Return a descriptor of an OS process, if there is one to have."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None  # not Linux, an old kernel, no descriptor left, or no such process


def peek(pid: int) -> int | None:
    """Return the status of a child that has ended, and leave it where it is; None if it runs.

    Raises:
        ChildProcessError: it is no child, or it has been collected.
    """
    found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if found is None:
        return None
    if found.si_code == os.CLD_EXITED:
        return found.si_status << 8
    return found.si_status | (CORE_DUMPED if found.si_code == os.CLD_DUMPED else 0)


def take(waitpid: Callable[[int, int], tuple[int, int]], pid: int) -> int | None:
    """Collect a child by *waitpid* and return its status, or None if there is none to have."""
    try:
        found, status = waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return status if found == pid else None


def exists(pid: int) -> bool:
    """Tell whether there is such an OS process. One that has ended is there until it is collected."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's
    return True
