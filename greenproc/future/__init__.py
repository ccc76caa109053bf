"""Futures: values on their way, what follows them, and waiting for several."""

from greenproc.errors import Abandoned, Discarded, Failure, FutureError
from greenproc.future.after import after
from greenproc.future.future import Future
from greenproc.future.gather import await_all, collect, select
from greenproc.future.loop import Break, Continue, loop
from greenproc.future.promise import Promise
from greenproc.future.undiscardable import undiscardable

__all__ = [
    "Abandoned",
    "Break",
    "Continue",
    "Discarded",
    "Failure",
    "Future",
    "FutureError",
    "Promise",
    "after",
    "await_all",
    "collect",
    "loop",
    "select",
    "undiscardable",
]
