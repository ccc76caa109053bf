"""Which runtime the running greenlet belongs to: the one of its context, else the default one.

Nothing here knows the class of a runtime. Low floors ask for the few attributes they need (its
clock, its resolver), and what a runtime is stays with the floor that builds it.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

RUNTIME: ContextVar[Any | None] = ContextVar("greenproc.runtime", default=None)
"""The runtime whose greenlet this is; None outside of any."""


class DefaultRuntime:
    """Holds the runtime of the module-level functions while there is one.

    *implicit_start* says whether the first use of such a function may start it. Test tools turn
    that off, so that no test leaves a node behind without knowing.
    """

    __slots__ = ("implicit_start", "runtime")

    runtime: Any | None
    implicit_start: bool

    def __init__(self) -> None:
        self.runtime = None
        self.implicit_start = True

    def __repr__(self) -> str:
        return f"<DefaultRuntime {self.runtime!r}>"


default = DefaultRuntime()
"""The one piece of state that greenproc keeps for the whole OS process."""


def find_runtime() -> Any | None:
    """Return the runtime of this greenlet, else the default one, else None."""
    runtime = RUNTIME.get()
    return default.runtime if runtime is None else runtime
