"""A state that moves by allowed transitions, with futures of getting there."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from greenproc.errors import StateError
from greenproc.future.future import Future
from greenproc.future.promise import Promise

S = TypeVar("S", bound=Hashable)
R = TypeVar("R")


class StateMachine(Generic[S]):
    """Is in one state, and moves only from the state that a transition names.

    States are any hashable values, best those of an Enum. It is for use inside one process, or
    one thread; it has no lock. What takes a while is a state of its own: RUNNING, STOPPING,
    STOPPED, with the work between the last two.

    Source: libprocess include/process/state_machine.hpp. Differs: the right state is notified
    also when one of those who are told makes another transition at once.
    """

    __slots__ = ("__weakref__", "_state", "_waiting")

    def __init__(self, initial: S) -> None:
        self._state = initial
        self._waiting: dict[S, list[Promise[None]]] = {}

    @property
    def state(self) -> S:
        """The state it is in."""
        return self._state

    def is_(self, state: S) -> bool:
        """Tell whether it is in *state*."""
        return self._state == state

    def transition(
        self,
        before: S,
        after: S,
        function: Callable[[], R] | None = None,
        *,
        message: str | None = None,
    ) -> R | None:
        """Move from *before* to *after*, tell who waits for that, then call *function*.

        What *function* returns is returned, be it a value or a future; None without one.

        Args:
            message: the text of the error, for callers who know better what was asked for.

        Raises:
            StateError: it is in another state. Nothing has changed.
        """
        if self._state != before:
            raise StateError(
                message or f"expected the state {before!r}, but it is {self._state!r}"
            )
        self._state = after
        for promise in self._waiting.pop(after, ()):
            promise.set(None)
        return function() if function is not None else None

    def when(self, state: S) -> Future[None]:
        """Return a future of *state*: ready if it is in it, else the next time it gets there.

        By the time somebody looks, it may have moved on.
        """
        if self._state == state:
            return Future(None)
        promise: Promise[None] = Promise()
        self._waiting.setdefault(state, []).append(promise)
        return promise.future

    def __repr__(self) -> str:
        return f"<StateMachine {self._state!r}>"
