"""State machines: a state that moves by allowed transitions, with futures of reaching a state."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from typing import Generic, TypeVar
from weakref import WeakMethod, ref

from greenproc.checks import check_callable
from greenproc.errors import InvalidArgument, StateError
from greenproc.future.delivery import call_all
from greenproc.future.future import Future
from greenproc.future.promise import Promise

S = TypeVar("S", bound=Hashable)
R = TypeVar("R")


class StateMachine(Generic[S]):
    """Is in one state, and moves only from the state that a transition names.

    States are any hashable values, best those of an Enum. A machine belongs to one process or one
    thread, and has no lock. Work that takes time is a state of its own: RUNNING, STOPPING,
    STOPPED, with the work between the last two.

    Raises:
        InvalidArgument: a state, here or of a method, is not hashable. Nothing has changed.

    Source: libprocess include/process/state_machine.hpp.
    Differs: the right state is notified also when a callback makes another transition at once;
    a future of `when` can be discarded.
    """

    __slots__ = ("__weakref__", "_state", "_waiting")

    def __init__(self, initial: S) -> None:
        self._state = _state(initial)
        self._waiting: dict[S, dict[Promise[None], None]] = {}

    @property
    def state(self) -> S:
        """The state it is in."""
        return self._state

    def is_(self, state: S) -> bool:
        """Return whether it is in *state*."""
        return self._state == state

    def transition(
        self,
        before: S,
        after: S,
        function: Callable[[], R] | None = None,
        *,
        message: str | None = None,
    ) -> R | None:
        """Move from *before* to *after*, complete the futures of *after*, then call *function*.

        Args:
            function: its result, a value or a future, is returned; None without it. It is called
                even if a `gevent.Timeout` or a kill comes out of a callback; that is raised later.
            message: the text of the error, for callers with better words than states.

        Raises:
            StateError: the machine is in another state. Nothing has changed.
            InvalidArgument: *function* is not callable. Nothing has changed.
        """
        if function is not None:
            check_callable(function)
        if self._state != _state(before):
            raise StateError(
                message or f"expected the state {before!r}, but it is {self._state!r}"
            )
        self._state = _state(after)
        # Removed before the callbacks run, as one of them may wait for the same state again.
        waiting = self._waiting.pop(after, ())
        if function is None:
            call_all(partial(promise.set, None) for promise in waiting)
            return None
        results: list[R] = []
        work = function  # called whatever the callbacks raise, since the state has moved
        call_all(
            (
                *(partial(promise.set, None) for promise in waiting),
                lambda: results.append(work()),
            )
        )
        return results[0]

    def when(self, state: S) -> Future[None]:
        """Return a future that is ready when the machine is in *state*: now, or the next time.

        By the time the future is read, the machine may have moved on. A discard request discards.
        """
        if self._state == _state(state):
            return Future(None)
        promise: Promise[None] = Promise()
        future = promise.future
        # A dictionary is an ordered set: promises are completed as they were made, and a discard
        # removes one without a search.
        self._waiting.setdefault(state, {})[promise] = None
        # Weakly: the future must keep neither the machine nor the promise alive.
        future.on_discard(partial(_call_if_alive, WeakMethod(self._leave), state, ref(promise)))
        return future

    def _leave(self, state: S, reference: ref[Promise[None]]) -> None:
        promise = reference()
        waiting = self._waiting.get(state, {})
        if promise is not None and promise in waiting:
            del waiting[promise]
            promise.discard()

    def __repr__(self) -> str:
        return f"<StateMachine {self._state!r}>"


def _state(state: S) -> S:
    try:
        hash(state)
    except TypeError as error:
        raise InvalidArgument(f"expected a state that can be hashed, got {state!r}") from error
    return state


def _call_if_alive(method: WeakMethod[Callable[..., None]], *args: object) -> None:
    function = method()
    if function is not None:
        function(*args)
