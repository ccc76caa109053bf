"""Keeping a hub from giving up, which knows nothing of what it waits for."""

from __future__ import annotations

from collections.abc import Callable

from gevent.hub import Hub


def hold_awake(hub: Hub) -> Callable[[], None]:
    """Let *hub* wait until what this returns is called, in its thread.

    A hub with nothing to wait for gives up, with LoopExit. It does not know of what another thread
    is going to do.
    """
    watcher = hub.loop.async_()
    watcher.start(_nothing)
    return watcher.close


def _nothing() -> None:
    """Be what a watcher has to call."""
