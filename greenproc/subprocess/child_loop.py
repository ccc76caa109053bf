"""`ChildLoop`: what gevent's Popen needs of the default loop, by another one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class ChildLoop:
    """Stands in for a loop that watches no children, since it is not the default one.

    gevent learns of the ends of children by SIGCHLD, which the default loop takes. Here the end is
    told by whatever has collected the one child.
    """

    child_watcher: ChildWatcher | None = None

    def __init__(self, loop: Any) -> None:
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def install_sigchld(self) -> None:
        """Leave the handler of SIGCHLD as it is."""

    def child(self, pid: int, ref: bool = True) -> ChildWatcher:
        """Return what waits for `end_child`."""
        self.child_watcher = ChildWatcher(pid)
        return self.child_watcher

    def end_child(self, status: int | None) -> None:
        """Tell gevent, which keeps the status for a while, that the child was collected."""
        watcher, self.child_watcher = self.child_watcher, None
        if watcher is not None:
            watcher.end(0 if status is None else status)

    def __repr__(self) -> str:
        return f"<ChildLoop {self.child_watcher!r}>"


class ChildWatcher:
    """As much of a child watcher as gevent.os uses."""

    def __init__(self, pid: int) -> None:
        self.pid = self.rpid = pid
        self.rstatus = 0
        self._callback: Callable[[], object] | None = None

    def start(self, callback: Callable[..., object], *arguments: object) -> None:
        """Call *callback* at the end."""
        self._callback = lambda: callback(*arguments)

    def end(self, status: int) -> None:
        """Call the callback."""
        self.rstatus = status
        if self._callback is not None:
            self._callback()

    def stop(self) -> None:
        """Call nothing any more."""
        self._callback = None

    close = stop

    def __repr__(self) -> str:
        return f"<ChildWatcher {self.pid}>"
