"""The state of a future and its transitions, for the modules of this package.

A future is in one of these states. A promise completes it, or lets it follow another future;
the columns are what the promise does, ``-`` is refused and returns False::

    state      set    fail    discard    abandon    associate  source ends
    ---------  -----  ------  ---------  ---------  ---------  -----------
    PENDING    READY  FAILED  DISCARDED  ABANDONED  FOLLOWING  -
    FOLLOWING  -      -       -          -          -          as source
    READY      -      -       -          -          -          -
    FAILED     -      -       -          -          -          -
    DISCARDED  -      -       -          -          -          -
    ABANDONED  -      -       -          -          -          -

A discard request is a flag beside the state and moves nothing. The garbage collection of a
promise abandons like `abandon`. A future fails instead of following one that waits for it. Two
flags tell the first two and the last state apart, since libprocess counts all three as pending:
``_is_open`` is the right of the promise, and ``_is_abandoned`` its loss.

A transition holds the lock of the future, calls nothing meanwhile, and announces itself after
the lock is free. Programs use `greenproc.future.future` and `greenproc.future.promise`.

Source: libprocess include/process/future.hpp, struct Future<T>::Data.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any, Final, Generic, TypeVar
from weakref import ref

from gevent._hub_local import get_hub_if_exists
from gevent.hub import Hub, Waiter

from greenproc.checks import check_callable
from greenproc.current import RUNTIME
from greenproc.errors import Abandoned, Deadlock, Discarded, Failure, InvalidArgument
from greenproc.future.callbacks import (
    ABANDONMENT,
    ANY,
    DISCARDED,
    END,
    FAILED,
    PENDING,
    READY,
    Callback,
    CallbackKind,
    Completion,
    append,
)
from greenproc.future.delivery import Call, deliver, deliver_here
from greenproc.future.gevent_links import Link, notify_links, wake_waiter
from greenproc.future.unread import UnreadFailure, mark_read
from greenproc.hub.lifetime import has_ended
from greenproc.hub.native import allocate_lock
from greenproc.tracing import TRACING, InTrace

T_co = TypeVar("T_co", covariant=True)

MISSING: Final[Any] = object()
"""The default of an argument for which None is a value."""

PROMISED: Final[Any] = object()
"""The value of a future that its promise is going to complete."""

MAX_CIRCLE = 100
"""How many futures are looked at to find out whether they wait for each other in a circle."""


class FutureState(Generic[T_co]):
    """The fields of a future. `Future` adds the methods that programs use.

    Without a value it is abandoned from the start; with `PROMISED` it waits for its promise.
    """

    __slots__ = (
        "__weakref__",
        "_is_abandoned",
        "_callbacks",
        "_hub",
        "_links",
        "_lock",
        "_is_open",
        "_outcome",
        "_has_discard",
        "_discard_callbacks",
        "_state",
        "_waiter",
    )

    _state: Completion
    _outcome: Any
    """When READY the value. When FAILED the exception, its traceback and, of a dispatch, the
    `UnreadFailure`. When abandoned the reason, a text or None."""
    _is_open: bool
    """Whether the promise may still complete, associate or abandon it."""
    _has_discard: bool
    """Whether a discard was requested."""
    _is_abandoned: bool
    _callbacks: list[Callback] | None
    """The callbacks of completion and abandonment. Not None in a completed future while their
    delivery is under way: a callback that is registered meanwhile joins them."""
    _discard_callbacks: list[Call] | None
    """The callbacks of a discard request, apart because most futures complete without one."""
    _links: dict[Link, Hub | None] | None
    """The links of gevent's protocol, each with the hub that calls it once, after the end; None is
    a native thread without a hub."""
    _waiter: Waiter[Any] | None
    """The waiter of the first greenlet that waits for the end. Most futures have no other."""
    _hub: Hub | None
    """The hub of the thread that made the future. Callbacks run in that thread."""

    def __init__(self, value: T_co = MISSING) -> None:
        self._state = PENDING
        self._outcome = None
        self._has_discard = False
        self._callbacks = None
        self._discard_callbacks = None
        self._links = None
        self._waiter = None
        self._lock = allocate_lock()
        self._hub = get_hub_if_exists()
        # Here and not in a function, whose call would be a tenth of what a promise costs.
        if value is PROMISED:
            self._is_open = True
            self._is_abandoned = False
        else:
            self._is_open = False
            self._is_abandoned = value is MISSING
            if value is not MISSING:
                resolve(self, value)


NO_PLAIN_VALUE: Final = (FutureState, Failure)
"""The types that no value of a future has: a future is followed, and a `Failure` fails."""


# For other parts, which must not use the fields


def is_open(future: FutureState[Any]) -> bool:
    """Return whether the promise of *future* can complete it: not if it follows another one."""
    return future._is_open


def hub_of(future: FutureState[Any]) -> Hub | None:
    """Return the hub of the thread that made *future*; None if that thread had none."""
    return future._hub


def completes_quietly(future: FutureState[Any], hub: Hub) -> bool:
    """Return whether completing *future* in the thread of *hub* calls nothing at once.

    A caller that must not wait, such as a reader of a connection, completes such a future itself.
    """
    return future._callbacks is None and future._hub is hub


def waiting_greenlet(future: FutureState[Any]) -> object | None:
    """Return the first greenlet that waits for *future*, or None."""
    return getattr(future._waiter, "greenlet", None)


def set_discard_callback(future: FutureState[Any], call: Call) -> None:
    """Make *call* on a discard request. *future* must be new, since this takes no lock."""
    future._discard_callbacks = [call]


# Completion


def complete(future: FutureState[Any], state: Completion, outcome: Any) -> bool:
    """Complete *future* for its promise; return whether that had an effect."""
    lock = future._lock
    lock.acquire()  # costs a third of a with statement, and every dispatch comes here
    try:
        if not future._is_open:
            return False
        future._is_open = False
        future._outcome = outcome
        future._state = state
    finally:
        lock.release()
    announce(future)
    return True


def fail(
    future: FutureState[Any], error: BaseException | str, *, unread: str | None = None
) -> bool:
    """Fail *future* for its promise; return whether that had an effect.

    A text becomes a `Failure`; a `Discarded` discards the future.

    Args:
        unread: what failed, for the log entry of an error that nothing reads. None logs nothing,
            and neither does a future whose discard was requested.

    Raises:
        InvalidArgument: *error* is neither an exception nor a text.
    """
    if isinstance(error, str):
        error = Failure(error)
    elif isinstance(error, Discarded):  # raised by `get` of another future, or to stop this one
        return complete(future, DISCARDED, None)
    elif not isinstance(error, BaseException):
        raise InvalidArgument(f"expected an exception or a text, got {error!r}")
    # Kept apart from the error, because each raise of it adds frames to its own traceback.
    traceback = error.__traceback__
    if unread is None or future._has_discard:
        return complete(future, FAILED, (error, traceback))
    guard = UnreadFailure(error, traceback, unread)
    if complete(future, FAILED, (error, traceback, guard)):
        return True
    guard.disarm()  # the future was complete already, and its own outcome is what counts
    return False


def claim(future: FutureState[Any]) -> bool:
    """Take the right to complete *future* from its promise; return whether the promise had it."""
    with future._lock:
        was_open = future._is_open
        future._is_open = False
    return was_open


def complete_claimed(future: FutureState[Any], state: Completion, outcome: Any) -> bool:
    """Complete a claimed *future*; return whether that had an effect."""
    lock = future._lock
    lock.acquire()
    try:
        # Open or claimed: continuations complete what they made without claiming it first.
        if future._state is not PENDING or future._is_abandoned:
            return False
        future._is_open = False
        future._outcome = outcome
        future._state = state
    finally:
        lock.release()
    announce(future)
    return True


def resolve(future: FutureState[Any], value: Any) -> None:
    """Complete a claimed *future* with *value*, the result of a function.

    A future is followed, and a `Failure` fails.
    """
    if not isinstance(value, NO_PLAIN_VALUE):
        complete_claimed(future, READY, value)
    elif isinstance(value, FutureState):
        follow(future, value)
    else:
        complete_claimed(future, FAILED, (value, value.__traceback__))


def follow(future: FutureState[Any], source: FutureState[Any]) -> None:
    """Let a claimed *future* end as *source* does, and pass discard requests on to *source*.

    If *source* itself waits for *future*, neither would ever end: *future* fails, and with it
    *source*.
    """
    # The common case of a function that returns a ready future, without two callbacks.
    if source._state is not PENDING:
        inherit_outcome(future, source)
        return
    if source is future or (source._discard_callbacks and _waits_for(source, future)):
        told = "the future was to follow one that itself waits for it, and would never end"
        error = Deadlock(told)
        complete_claimed(future, FAILED, (error, error.__traceback__))
        return
    future._is_open = False
    # The source holds the follower by its callback. Held strongly the other way, both would live
    # as long as either, and a source whose promise is garbage could not be abandoned.
    register_discard(future, request_weakly, ref(source))
    register(source, END, inherit_outcome, future)


def _waits_for(source: FutureState[Any], future: FutureState[Any]) -> bool:
    """Whether *source* follows *future* or continues it, perhaps by way of others.

    Found by the requests that they pass on, which lead from each to the one that it waits for.
    """
    following: FutureState[Any] | None = source
    for _ in range(MAX_CIRCLE):
        if following is None:
            return False
        if following is future:
            return True
        # The last one counts: what a continuation got from its function, not what it began with.
        requests = reversed(following._discard_callbacks or ())
        references = (call[1][0] for call in requests if call[0] is request_weakly)
        reference = next(references, None)
        following = None if reference is None else reference()
    return False


def copy_outcome(future: FutureState[Any], source: FutureState[Any]) -> None:
    """Let *future* end as *source* has ended, for its promise."""
    if source._state is PENDING:
        abandon(future, source._outcome)
    else:
        complete(future, source._state, source._outcome)


def inherit_outcome(future: FutureState[Any], source: FutureState[Any]) -> None:
    """Let a claimed *future* end as *source* has ended."""
    if source._state is PENDING:
        abandon_claimed(future, source._outcome)
    else:
        complete_claimed(future, source._state, source._outcome)


def announce(future: FutureState[Any]) -> None:
    """Wake the waiter, notify the links and run the callbacks of a completed *future*."""
    # They never run any more, and what they hold should not live as long as the value.
    future._discard_callbacks = None
    if future._waiter is not None:
        wake_waiter(future)
    if future._links is not None:
        notify_links(future)
    if future._callbacks is not None:
        deliver(future._hub, _take_completed, future)


def _take_completed(future: FutureState[Any]) -> Iterable[Call]:
    """Return the calls of a completion: first those for its state, then those for any."""
    # Taken when the delivery starts and not before, so that callbacks registered until then join.
    lock = future._lock
    lock.acquire()
    try:
        callbacks = future._callbacks
        future._callbacks = None
    finally:
        lock.release()
    if callbacks is None:
        return ()
    if len(callbacks) == 1 and callbacks[0][0] is END:  # a link of a chain: the common case
        _, function, first, runtime = callbacks[0]
        return ((function, (*first, future), runtime),)
    state = future._state
    return [
        _call(future, callback)
        for kinds in ((state,), (ANY, END))
        for callback in callbacks
        if callback[0] in kinds
    ]


# Abandonment


def abandon(future: FutureState[Any], reason: str | None = None) -> bool:
    """Abandon *future* for its promise; return whether that had an effect."""
    with future._lock:
        if not future._is_open:
            return False
        future._is_open = False
        future._outcome = reason
        future._is_abandoned = True
    spread_abandonment(future)
    return True


def abandon_claimed(future: FutureState[Any], reason: str | None = None) -> None:
    """Abandon a claimed *future*."""
    with future._lock:
        if future._state is not PENDING or future._is_abandoned:
            return
        future._is_open = False
        future._outcome = reason
        future._is_abandoned = True
    spread_abandonment(future)


def abandon_unreferenced(future: FutureState[Any]) -> None:
    """Abandon an open *future* from the finalizer of its promise.

    A finalizer interrupts any code in any thread, even a transition of this very *future*. So it
    waits for no lock, which the interrupted code may hold, and runs no callback.
    """
    future._is_open = False
    future._is_abandoned = True
    if future._waiter is None and future._links is None and future._callbacks is None:
        return
    if sys.is_finalizing():  # greenlets do not run any more
        return
    # Callbacks belong in the thread of the future; without that thread, any hub is as good.
    hub = get_hub_if_exists() if future._hub is None or has_ended(future._hub) else future._hub
    if hub is not None:
        hub.loop.run_callback_threadsafe(spread_abandonment, future)
    elif future._lock.acquire(blocking=False):
        future._lock.release()
        spread_abandonment(future)
    # Else the holder of the lock spreads it: each function that adds to a future looks afterwards.


def spread_abandonment(future: FutureState[Any]) -> None:
    """Wake and notify all that waits for the end of an abandoned *future*. Safe to repeat."""
    if future._waiter is not None:
        wake_waiter(future)
    if future._links is not None:
        notify_links(future)
    with future._lock:
        taken = _pull(future, (ABANDONMENT, END))
    if taken:
        deliver(future._hub, iter, [_call(future, callback) for callback in taken])


def abandonment_error(future: FutureState[Any]) -> Abandoned:
    """Return the error that an abandoned *future* raises."""
    return Abandoned() if future._outcome is None else Abandoned(future._outcome)


# Requests and callbacks


def request_discard(future: FutureState[Any]) -> bool:
    """Request a discard; return whether it is the first request of a pending future."""
    if future._has_discard or future._state is not PENDING:  # neither is ever undone
        return False
    with future._lock:
        if future._has_discard or future._state is not PENDING:
            return False
        future._has_discard = True
        requests = future._discard_callbacks
        if requests:
            # `_waits_for` looks at these, and they hold nothing.
            kept = [call for call in requests if call[0] is request_weakly]
            future._discard_callbacks = kept or None
    # A finalizer may have abandoned it meanwhile, and left the rest to this holder of the lock.
    if future._is_abandoned:
        spread_abandonment(future)
    if requests:
        deliver(future._hub, iter, requests)
    return True


def request_weakly(reference: Callable[[], FutureState[Any] | None]) -> None:
    """Request a discard of a future unless it is garbage."""
    future = reference()
    if future is not None:
        request_discard(future)


def register(
    future: FutureState[Any], kind: CallbackKind, function: Callable[..., object], *first: Any
) -> None:
    """Call *function* when *kind* happens: at once if it has, never if it no longer can.

    Args:
        first: the arguments of *function* before those that *kind* gives.
    """
    if TRACING.is_active:
        function = InTrace(function)
    callback = (kind, function, first, RUNTIME.get())
    future._lock.acquire()
    try:
        # A completed future with callbacks is delivering them: one more keeps the order.
        is_open = future._state is PENDING or future._callbacks is not None
        if is_open:
            if future._callbacks is None:
                future._callbacks = [callback]
            else:
                append(future._callbacks, callback)
    finally:
        future._lock.release()
    if not is_open:
        # In this thread, whichever made the future: the caller expects the call before the return.
        if _applies(future, kind):
            deliver_here(iter, (_call(future, callback),))
    elif future._is_abandoned:
        spread_abandonment(future)


def register_discard(
    future: FutureState[Any], function: Callable[..., object], *arguments: Any
) -> None:
    """Call ``function(*arguments)`` on a discard request: at once if there was one.

    Raises:
        InvalidArgument: *function* is not callable.
    """
    check_callable(function)
    if TRACING.is_active and function is not request_weakly:
        function = InTrace(function)
    call = (function, arguments, RUNTIME.get())
    with future._lock:
        is_open = future._state is PENDING and not future._has_discard
        if is_open:
            if future._discard_callbacks is None:
                future._discard_callbacks = [call]
            else:
                future._discard_callbacks.append(call)
    if future._has_discard and not is_open:
        deliver_here(iter, [call])
    elif future._is_abandoned:
        spread_abandonment(future)


def _applies(future: FutureState[Any], kind: CallbackKind) -> bool:
    if kind is ABANDONMENT:
        return future._is_abandoned
    return kind is ANY or kind is END or kind is future._state


def _call(future: FutureState[Any], callback: Callback) -> Call:
    kind, function, first, runtime = callback
    return function, (*first, *_arguments(future, kind)), runtime


def _arguments(future: FutureState[Any], kind: CallbackKind) -> tuple[Any, ...]:
    """Return the arguments that a callback of *kind* gets from *future*."""
    if kind is READY:
        return (future._outcome,)
    if kind is FAILED:
        mark_read(future._outcome)  # a callback for failures is how a program reads the error
        return (future._outcome[0],)
    if kind is ANY and future._state is FAILED:
        mark_read(future._outcome)
    return (future,) if kind is ANY or kind is END else ()


def _pull(future: FutureState[Any], kinds: Iterable[CallbackKind]) -> list[Callback]:
    """Remove and return the callbacks of *kinds*. Requires the lock."""
    callbacks = future._callbacks
    if callbacks is None:
        return []
    taken = [callback for callback in callbacks if callback[0] in kinds]
    if taken:
        future._callbacks = [
            callback for callback in callbacks if callback[0] not in kinds
        ] or None
    return taken
