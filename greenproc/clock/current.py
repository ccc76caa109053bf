"""Which clock the running greenlet goes by."""

from __future__ import annotations

from typing import cast

from gevent import get_hub

from greenproc.clock.clock import Clock
from greenproc.clock.source import HubSource
from greenproc.current import find_runtime

HUB_ATTRIBUTE = "greenproc_clock"


def current_clock() -> Clock:
    """Return the clock of the runtime of this greenlet, else a clock of this thread's hub."""
    runtime = find_runtime()
    if runtime is not None:
        return cast(Clock, runtime.clock)
    # A clock needs the loop of one hub and is worth nothing without it. Kept as an attribute of
    # the hub it has just that life, and all greenlets of a thread share it, also when one pauses
    # it; a context variable would give each greenlet its own.
    attributes = vars(get_hub())
    clock = attributes.get(HUB_ATTRIBUTE)
    if clock is None:
        clock = attributes[HUB_ATTRIBUTE] = Clock(HubSource())
    return cast(Clock, clock)
