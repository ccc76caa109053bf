"""The budget of a loop iteration: how long work may take before descriptors are polled again.

``gevent.sleep(0)`` does not poll: in one pass gevent runs callbacks that callbacks have added, up
to 50 of them before it looks at the time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any, Final

from gevent import get_hub, getcurrent
from gevent.hub import Hub

MAX_SECONDS = 0.002
"""Seconds that all work of one iteration may take together.

A request needs some iterations, to be read, served and answered, and a poll takes 5 us: so a poll
is 0.25 % of a full iteration, and a request waits some milliseconds at most.
"""

HUB_ATTRIBUTE: Final = "greenproc_iteration_budget"

_GO_ON = object()  # the value of the switch that ends a wait; other switches are ignored


def yield_to_io() -> None:
    """Let the hub poll its descriptors, and run what that wakes, before this returns.

    It is for a loop that computes much or always finds input. It must be called in a greenlet, not
    in a callback of the hub.
    """
    iteration_budget().wait()


def yield_if_spent() -> None:
    """Call `yield_to_io` if the budget of this iteration is spent."""
    budget = iteration_budget()
    if budget.is_spent():
        budget.wait()


def iteration_budget() -> IterationBudget:
    """Return the budget of this thread's hub."""
    hub = get_hub()
    attributes = vars(hub)
    budget: IterationBudget | None = attributes.get(HUB_ATTRIBUTE)
    if budget is None:
        budget = attributes[HUB_ATTRIBUTE] = IterationBudget(hub)
    return budget


class IterationBudget:
    """The time that work may take between two polls of a hub's descriptors.

    All work in one hub shares it, so a hundred busy connections take no longer than one. Work that
    has to wait goes on in order, as much in each iteration as fits. Small work goes ahead of work
    that has used its time before, of which each iteration does one piece at least.

    Args:
        hub: the hub whose loop is shared.
        max_seconds: how long the work of one iteration may take.
    """

    __slots__ = (
        "_ahead",
        "_began_at",
        "_counter",
        "_hub",
        "_iteration",
        "_loop",
        "_max_seconds",
        "_timer",
        "_waiting",
    )

    def __init__(self, hub: Hub, max_seconds: float = MAX_SECONDS) -> None:
        self._hub = hub
        self._loop: Any = hub.loop
        # libev counts iterations itself; libuv returns -1, and gets a counter.
        self._counter: Any = self._loop
        if self._loop.iteration < 0:
            self._counter = _IterationCounter(self._loop)
        self._max_seconds = max_seconds
        self._iteration = -1
        self._began_at = 0.0
        self._ahead: deque[Callable[[], object]] = deque()
        self._waiting: deque[Callable[[], object]] = deque()
        self._timer: Any = None

    def is_spent(self) -> bool:
        """Return whether the time of this iteration is over; it begins with the first call in it.

        Call it before each piece of work, which should take less than a millisecond.
        """
        # Counted by iterations and not by time, so that idle time before the work is not charged.
        if self._counter.iteration != self._iteration:
            self._begin()
            return False
        return perf_counter() - self._began_at >= self._max_seconds

    def _begin(self) -> None:
        """Start the time of this iteration now."""
        self._iteration = self._counter.iteration
        self._began_at = perf_counter()

    def wait(self, *, ahead: bool = False) -> None:
        """Wait in this greenlet for an iteration in which there is time.

        Args:
            ahead: see `call_later`.

        Raises:
            BaseException: what is thrown into the greenlet meanwhile.
        """
        resume = partial(getcurrent().switch, _GO_ON)
        self.call_later(resume, ahead=ahead)
        try:
            # Another switch, such as a late one of a former wait, must not end this wait.
            while self._hub.switch() is not _GO_ON:
                pass
        except BaseException:  # a kill: the hub must not switch to a dead greenlet
            for waiting in (self._ahead, self._waiting):
                if resume in waiting:
                    waiting.remove(resume)
            raise

    def call_later(self, function: Callable[[], object], *, ahead: bool = False) -> None:
        """Call *function* in the hub, in an iteration in which there is time.

        Args:
            ahead: before work that is not *ahead*. It is for work that takes a small part of an
                iteration, and had no part of the last ones.
        """
        (self._ahead if ahead else self._waiting).append(function)
        if self._timer is None:
            self._start_timer()

    def statistics(self) -> dict[str, int]:
        """Count the functions that wait for an iteration."""
        return {"waiting": len(self._ahead) + len(self._waiting)}

    def _start_timer(self) -> None:
        # A timer of zero seconds fires after the next poll.
        self._timer = self._loop.timer(0.0)
        self._timer.start(self._resume)

    def _resume(self) -> None:
        """Call what waits since before the poll, in the hub, until the time is over."""
        self._timer.close()
        try:
            # Counted now: work that waits again must let the hub poll before it goes on.
            counts = len(self._ahead), len(self._waiting)
            self._begin()
            self._resume_some(self._ahead, counts[0])
            self._resume_some(self._waiting, counts[1])
        finally:  # also when a function raised, or the rest would wait for ever
            self._timer = None
            if self._ahead or self._waiting:
                self._start_timer()

    def _resume_some(self, waiting: deque[Callable[[], object]], count: int) -> None:
        """Call the first function, so that nothing starves, and more until the time is over."""
        for number in range(count):
            if not waiting or (number and self.is_spent()):
                break
            waiting.popleft()()

    def __repr__(self) -> str:
        return f"<IterationBudget {len(self._ahead) + len(self._waiting)} waiting>"


class _IterationCounter:
    """Counts the iterations of a loop that does not, such as libuv."""

    __slots__ = ("_watcher", "iteration")

    def __init__(self, loop: Any) -> None:
        self.iteration = 0
        # A check watcher runs once after each poll. Without a reference, to let the loop end.
        self._watcher = loop.check(ref=False)
        self._watcher.start(self._count)

    def _count(self) -> None:
        self.iteration += 1
