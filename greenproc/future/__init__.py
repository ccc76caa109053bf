"""Futures and promises, their combinators, and adapters for futures of other libraries."""

from greenproc.errors import Abandoned, Discarded, Failure, FutureError
from greenproc.future.adapters_in import (
    from_async_result,
    from_asyncio,
    from_concurrent,
    from_greenlet,
)
from greenproc.future.adapters_out import to_async_result, to_asyncio, to_concurrent
from greenproc.future.combinators import after, await_all, collect, discard, select, undiscardable
from greenproc.future.future import Future
from greenproc.future.loop import Break, Continue, loop
from greenproc.future.promise import Promise
from greenproc.future.state_machine import StateMachine
from greenproc.future.threads import Threads, in_thread, offload

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
