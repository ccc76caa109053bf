"""Which runtime the running greenlet belongs to: the one of its context, else the default one.

The class of a runtime is known to the type checker only. Low floors use the few attributes that
they need (its clock, its resolver); what a runtime is stays with the floor that builds it.
"""

from __future__ import annotations

from collections import deque
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from greenproc.address import Address
    from greenproc.future import Future
    from greenproc.runtime.runtime import Runtime

RUNTIME: ContextVar[Runtime | None] = ContextVar("greenproc.runtime", default=None)
"""The runtime whose greenlet this is; None outside of any."""


MAX_STOPPED = 16
"""Of how many stopped runtimes the addresses are known."""


class DefaultRuntime:
    """Holds the runtime of the module-level functions while there is one.

    *implicit_start* says whether the first use of such a function may start it. Test tools turn
    that off, so that no test leaves a node behind without knowing.
    """

    __slots__ = ("implicit_start", "refusal", "runtime", "starting", "stopped")

    runtime: Runtime | None
    """One that runs, or that a stop was interrupted of; never one that is only starting."""
    starting: Future[None] | None
    """The future of a start that is under way."""
    implicit_start: bool
    refusal: str | None
    """Why the first use starts none although it may: it would serve nothing. None if it would."""
    stopped: deque[Address | None]
    """The addresses of the last runtimes that were stopped, the default one or not: a name of
    theirs can be told from that of a process elsewhere."""

    def __init__(self) -> None:
        self.runtime = None
        self.stopped = deque(maxlen=MAX_STOPPED)
        self.starting = None
        self.implicit_start = True
        self.refusal = None

    def end_start(self, runtime: Runtime | None) -> None:
        """Show *runtime*, which has started, or None if the start was in vain."""
        self.runtime = runtime
        self.starting = None
        if runtime is not None:
            self.refusal = None

    def __repr__(self) -> str:
        return f"<DefaultRuntime {self.runtime!r}>"


default = DefaultRuntime()
"""The one piece of state that greenproc keeps for the whole OS process."""


def select_runtime(runtime: Runtime) -> Token[Runtime | None]:
    """Make *runtime* that of this context, until `deselect_runtime` is given what this returns."""
    return RUNTIME.set(runtime)


def deselect_runtime(runtime: Runtime, token: Token[Runtime | None]) -> None:
    """Make the runtime before *runtime* that of this context again.

    A block may be left in another context than it was entered in, as a generator may: then that
    context is left alone, unless *runtime* was inherited as its runtime.
    """
    try:
        RUNTIME.reset(token)
    except ValueError:
        if RUNTIME.get() is runtime:
            before = token.old_value
            RUNTIME.set(None if before is Token.MISSING else before)


def find_runtime() -> Runtime | None:
    """Return the runtime of this greenlet, else the default one, else None."""
    runtime = RUNTIME.get()
    return default.runtime if runtime is None else runtime
