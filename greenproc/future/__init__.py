"""Futures: values on their way, what follows them, and waiting for several."""

from greenproc.errors import Abandoned, Discarded, Failure, FutureError
from greenproc.future.after import after
from greenproc.future.future import Future
from greenproc.future.gather import await_all, collect, discard, select
from greenproc.future.loop import Break, Continue, loop
from greenproc.future.promise import Promise
from greenproc.future.sources import (
    from_async_result,
    from_asyncio,
    from_concurrent,
    from_greenlet,
)
from greenproc.future.state_machine import StateMachine
from greenproc.future.threads import Threads, in_thread, offload
from greenproc.future.undiscardable import undiscardable
from greenproc.future.views import to_async_result, to_asyncio, to_concurrent

__all__ = [
    "Abandoned",
    "Break",
    "Continue",
    "Discarded",
    "Failure",
    "Future",
    "FutureError",
    "Promise",
    "StateMachine",
    "Threads",
    "after",
    "await_all",
    "collect",
    "discard",
    "from_async_result",
    "from_asyncio",
    "from_concurrent",
    "from_greenlet",
    "in_thread",
    "loop",
    "offload",
    "select",
    "to_async_result",
    "to_asyncio",
    "to_concurrent",
    "undiscardable",
]
