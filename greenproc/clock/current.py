"""The clock of the running greenlet."""

from __future__ import annotations

import sys
from typing import cast

from gevent import get_hub
from gevent._hub_local import get_hub_if_exists

from greenproc.clock.clock import Clock
from greenproc.clock.cross_thread import clock_of_thread, origin
from greenproc.clock.source import HubSource
from greenproc.current import default, find_runtime
from greenproc.errors import NoRuntime

HUB_ATTRIBUTE = "greenproc_clock"


def current_clock() -> Clock:
    """Return the clock of the runtime of this greenlet, else that of this thread's hub.

    In another native thread than the runtime's, it is a `CrossThreadClock` of the runtime's clock.
    Without a runtime, or with a default one whose thread has ended, each thread has a clock of its
    own, whose timers fire while a greenlet there waits by the hub.

    Raises:
        NoRuntime: there is neither a runtime nor a hub, and the thread runs an asyncio loop, which
            would keep a hub from running.
    """
    return clock_of_thread(find_clock())


def find_clock() -> Clock:
    """Return the clock behind `current_clock`, which may belong to another thread.

    `clock_of_thread` makes of it what this thread may use.

    Raises:
        NoRuntime: as for `current_clock`.
    """
    runtime = find_runtime()
    if runtime is not None:
        clock = origin(runtime.clock)
        if runtime is not default.runtime or not clock.source.has_ended:
            return clock
    if get_hub_if_exists() is None and _runs_asyncio():
        raise NoRuntime(
            "expected a runtime in another thread: there is no clock for a thread that runs an "
            "asyncio loop, which would keep the timers of a hub from firing"
        )
    # A clock needs the loop of its hub, so as an attribute of the hub it lives just as long. All
    # greenlets of the thread share it, also when one pauses it; a context variable would give
    # each greenlet its own.
    attributes = vars(get_hub())
    own = cast("Clock | None", attributes.get(HUB_ATTRIBUTE))
    if own is None:
        own = attributes[HUB_ATTRIBUTE] = Clock(HubSource())
        own.start()  # it must not belong to whichever thread makes its first timer
    return own


def _runs_asyncio() -> bool:
    # A program that has not imported asyncio does not run it, and importing it takes 40 ms.
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
