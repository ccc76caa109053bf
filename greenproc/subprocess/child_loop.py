"""`ChildLoop`: the child watchers that gevent's Popen expects, on a loop without SIGCHLD."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class ChildLoop:
    """A proxy of a loop other than the default one, with a watcher for a single child.

    Only the default loop receives SIGCHLD, so only it supports child watchers. Here the code that
    collects the child reports its status with `end_child`.
    """

    child_watcher: ChildWatcher | None = None

    def __init__(self, loop: Any) -> None:
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def install_sigchld(self) -> None:
        """Do nothing: the handler of SIGCHLD belongs to the default loop."""

    def child(self, pid: int, ref: bool = True) -> ChildWatcher:
        """Return a watcher that `end_child` triggers."""
        self.child_watcher = ChildWatcher(pid)
        return self.child_watcher

    def end_child(self, status: int | None) -> None:
        """Trigger the watcher with the status of the collected child, which gevent then caches."""
        watcher, self.child_watcher = self.child_watcher, None
        if watcher is not None:
            watcher.end(0 if status is None else status)

    def __repr__(self) -> str:
        return f"<ChildLoop {self.child_watcher!r}>"


class ChildWatcher:
    """The part of gevent's child watcher interface that gevent.os uses."""

    def __init__(self, pid: int) -> None:
        self.pid = self.rpid = pid
        self.rstatus = 0
        self._callback: Callable[[], object] | None = None

    def start(self, callback: Callable[..., object], *arguments: object) -> None:
        """Register *callback* for the end of the child."""
        self._callback = lambda: callback(*arguments)

    def end(self, status: int) -> None:
        """Store the status and call the callback."""
        self.rstatus = status
        if self._callback is not None:
            self._callback()

    def stop(self) -> None:
        """Unregister the callback."""
        self._callback = None

    close = stop

    def __repr__(self) -> str:
        return f"<ChildWatcher {self.pid}>"
