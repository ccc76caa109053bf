"""The record of a future and the moves that change it, for the modules of this package.

A move is made under the lock of its record, calls nothing, and is announced after the lock is
free. What is offered to programs is in `greenproc.future.future` and `greenproc.future.promise`.

Source: libprocess include/process/future.hpp, struct Future<T>::Data.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, Final, Generic, TypeAlias, TypeVar
from weakref import ref

from gevent._hub_local import get_hub_if_exists
from gevent.hub import Hub, Waiter
from gevent.monkey import get_original

from greenproc.checks import check_callable
from greenproc.clock.hub import has_ended
from greenproc.current import RUNTIME
from greenproc.errors import Abandoned, Discarded, Failure, InvalidArgument
from greenproc.future.delivery import Call, deliver, deliver_here
from greenproc.future.gevent_links import Link, notify_links, wake_waiter
from greenproc.future.unread import UnreadFailure, mark_read

T_co = TypeVar("T_co", covariant=True)

allocate_lock = get_original("_thread", "allocate_lock")
"""Makes a native lock, which other threads need, also in a monkey-patched program."""

MISSING: Final[Any] = object()
"""Stands for an argument that was not given."""

PROMISED: Final[Any] = object()
"""The value of a future that its promise is going to complete."""


# States and callbacks


class Completion(Enum):
    """Whether and how a future has completed."""

    PENDING = "Pending"
    READY = "Ready"
    FAILED = "Failed"
    DISCARDED = "Discarded"


class Trigger(Enum):
    """What sets a callback off, besides one certain state."""

    ANY = "completion"
    END = "completion or abandonment"
    ABANDONMENT = "abandonment"


CallbackKind: TypeAlias = Completion | Trigger
"""When a callback runs."""

# On hot paths: an attribute of an Enum costs several times a global name.
PENDING = Completion.PENDING
READY = Completion.READY
FAILED = Completion.FAILED
DISCARDED = Completion.DISCARDED
ANY = Trigger.ANY
END = Trigger.END
ABANDONMENT = Trigger.ABANDONMENT


Callback: TypeAlias = tuple[CallbackKind, Callable[..., object], tuple[Any, ...], Any]
"""When to call, what, with which arguments before those that the kind gives, and the runtime of
who registered it."""

SWEEP_FROM = 16
"""How many callbacks there are before the first sweep of those whose subscription is over."""


class Subscription:
    """Waits for several things, of which one can last for ever when the others have come.

    An callback whose first argument is a subscription is dropped some time after that `is_over`, so a
    future that outlives many of them does not keep them all.
    """

    __slots__ = ("is_over",)

    is_over: bool
    """Whether it does nothing any more, whatever it is told."""

    def __init__(self) -> None:
        self.is_over = False


def append(callbacks: list[Callback], callback: Callback) -> None:
    """Add *callback*, and drop those that are of no use whenever the number has doubled."""
    count = len(callbacks)
    if count >= SWEEP_FROM and not count & (count - 1):
        callbacks[:] = [one for one in callbacks if not _is_over(one)]
    callbacks.append(callback)


def _is_over(callback: Callback) -> bool:
    arguments = callback[2]
    return bool(arguments) and isinstance(arguments[0], Subscription) and arguments[0].is_over


# The record


class FutureState(Generic[T_co]):
    """The record: state, flags, and who is to be told.

    It leaves PENDING at most once, and never once it is abandoned. Without a value it is
    abandoned from the start; with `PROMISED` it waits for its promise.
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
    """The value when READY; the exception, its traceback and, of a dispatch, the `UnreadFailure`
    when FAILED; why, as a text or None, when abandoned."""
    _is_open: bool
    """Whether the holder of the promise may still complete, associate or abandon it."""
    _has_discard: bool
    """Whether a discard was requested."""
    _is_abandoned: bool
    _callbacks: list[Callback] | None
    """Of the end. Not None when complete: their delivery is still under way."""
    _discard_callbacks: list[Call] | None
    """Of a discard request. They are apart because most futures end without one."""
    _links: dict[Link, Hub | None] | None
    """What the hubs call, once, after the end; each with its hub, None for a thread without."""
    _waiter: Waiter[Any] | None
    """The first greenlet that waits for the end, while it does. Most futures have just that."""
    _hub: Hub | None
    """The hub of the thread that made this; callbacks run in its thread."""

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
        if value is PROMISED:
            self._is_open = True
            self._is_abandoned = False
        else:
            self._is_open = False
            self._is_abandoned = value is MISSING
            if value is not MISSING:
                resolve(self, value)


NO_PLAIN_VALUE: Final = (FutureState, Failure)
"""What a future cannot have as its value: the one is followed, the other fails."""


# What other parts may see of a future, and do to a new one


def is_open(future: FutureState[Any]) -> bool:
    """Tell whether the promise of *future* may still complete it: it follows no other future."""
    return future._is_open


def hub_of(future: FutureState[Any]) -> Hub | None:
    """Return the hub of the thread that made *future*, None if that had none."""
    return future._hub


def completes_quietly(future: FutureState[Any], hub: Hub) -> bool:
    """Tell whether completing *future* in the thread of *hub* calls nothing there at once."""
    return future._callbacks is None and future._hub is hub


def waiting_greenlet(future: FutureState[Any]) -> object | None:
    """Return the greenlet that was the first to wait for *future*, while it does."""
    return getattr(future._waiter, "greenlet", None)


def set_discard_callback(future: FutureState[Any], call: Call) -> None:
    """Make *call* when a discard of *future* is requested. It must be new: this takes no lock."""
    future._discard_callbacks = [call]


# Completion


def complete(future: FutureState[Any], state: Completion, outcome: Any) -> bool:
    """Complete *future* on behalf of its promise; tell whether that was still possible."""
    lock = future._lock
    lock.acquire()  # a third of the price of a with statement, and this is the hot path
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
    """Fail *future* on behalf of its promise; tell whether that was still possible.

    A text becomes a `Failure`, and `Discarded` discards instead.

    Args:
        unread: what failed, for the log, unless something reads the error or has asked for a
            discard; None logs nothing.

    Raises:
        InvalidArgument: *error* is neither an exception nor a text.
    """
    if isinstance(error, str):
        error = Failure(error)
    elif isinstance(error, Discarded):
        return complete(future, DISCARDED, None)
    elif not isinstance(error, BaseException):
        raise InvalidArgument(f"expected an exception or a text, got {error!r}")
    traceback = error.__traceback__
    if unread is None or future._has_discard:
        return complete(future, FAILED, (error, traceback))
    guard = UnreadFailure(error, traceback, unread)
    if complete(future, FAILED, (error, traceback, guard)):
        return True
    guard.disarm()
    return False


def claim(future: FutureState[Any]) -> bool:
    """Take the right to complete *future* from its promise; tell whether it was there to take."""
    with future._lock:
        was_open = future._is_open
        future._is_open = False
    return was_open


def complete_claimed(future: FutureState[Any], state: Completion, outcome: Any) -> bool:
    """Complete *future* on behalf of who has claimed it; tell whether that was still possible."""
    lock = future._lock
    lock.acquire()
    try:
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
    """Complete a claimed *future* with what a function returned.

    A future is followed, and a `Failure` fails.
    """
    if not isinstance(value, NO_PLAIN_VALUE):
        complete_claimed(future, READY, value)
    elif isinstance(value, FutureState):
        follow(future, value)
    else:
        complete_claimed(future, FAILED, (value, value.__traceback__))


def follow(future: FutureState[Any], source: FutureState[Any]) -> None:
    """Let a claimed *future* end as *source* does, and pass discard requests on to *source*."""
    if source._state is not PENDING:
        inherit_outcome(future, source)
        return
    future._is_open = False
    register_discard(future, request_weakly, ref(source))
    register(source, END, inherit_outcome, future)


def copy_outcome(future: FutureState[Any], source: FutureState[Any]) -> None:
    """End *future* as *source* did, on behalf of its promise."""
    if source._state is PENDING:
        abandon(future, source._outcome)
    else:
        complete(future, source._state, source._outcome)


def inherit_outcome(future: FutureState[Any], source: FutureState[Any]) -> None:
    """Let a claimed *future* end as *source* did."""
    if source._state is PENDING:
        abandon_claimed(future, source._outcome)
    else:
        complete_claimed(future, source._state, source._outcome)


def announce(future: FutureState[Any]) -> None:
    """Tell everybody concerned of a completion."""
    future._discard_callbacks = None
    if future._waiter is not None:
        wake_waiter(future)
    if future._links is not None:
        notify_links(future)
    if future._callbacks is not None:
        deliver(future._hub, _take_completed, future)


def _take_completed(future: FutureState[Any]) -> Iterable[Call]:
    """Give the calls of a completion: of its state first, then any. The others are dropped."""
    lock = future._lock
    lock.acquire()
    try:
        callbacks = future._callbacks
        future._callbacks = None
    finally:
        lock.release()
    if callbacks is None:
        return ()
    if len(callbacks) == 1 and callbacks[0][0] is END:  # most have one continuation and no more
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
    """Abandon *future* on behalf of its promise; tell whether that was still possible."""
    with future._lock:
        if not future._is_open:
            return False
        future._is_open = False
        future._outcome = reason
        future._is_abandoned = True
    spread_abandonment(future)
    return True


def abandon_claimed(future: FutureState[Any], reason: str | None = None) -> None:
    """Abandon *future* on behalf of who has claimed it."""
    with future._lock:
        if future._state is not PENDING or future._is_abandoned:
            return
        future._is_open = False
        future._outcome = reason
        future._is_abandoned = True
    spread_abandonment(future)


def abandon_unreferenced(future: FutureState[Any]) -> None:
    """Abandon an open *future* from the finalizer of its promise.

    A finalizer runs in any thread in the middle of anything, even of a move of *future*. So this
    takes no lock that could be held by whom it interrupts, and calls nothing that could wait.
    """
    future._is_open = False
    future._is_abandoned = True
    if future._waiter is None and future._links is None and future._callbacks is None:
        return
    if sys.is_finalizing():  # no greenlet runs any more
        return
    hub = get_hub_if_exists() if future._hub is None or has_ended(future._hub) else future._hub
    if hub is not None:
        hub.loop.run_callback_threadsafe(spread_abandonment, future)
    elif future._lock.acquire(blocking=False):
        future._lock.release()
        spread_abandonment(future)
    # Else who has the lock spreads it: every move that adds to a record looks afterwards.


def spread_abandonment(future: FutureState[Any]) -> None:
    """Tell those who wait for an end that there will be none. Doing so again is harmless."""
    if future._waiter is not None:
        wake_waiter(future)
    if future._links is not None:
        notify_links(future)
    with future._lock:
        taken = _pull(future, (ABANDONMENT, END))
    if taken:
        deliver(future._hub, iter, [_call(future, callback) for callback in taken])


def abandonment_error(future: FutureState[Any]) -> Abandoned:
    """Return the error that an abandoned *future* stands for."""
    return Abandoned() if future._outcome is None else Abandoned(future._outcome)


# Requests and callbacks


def request_discard(future: FutureState[Any]) -> bool:
    """Request a discard; tell whether this is the first request of a pending future."""
    if future._has_discard or future._state is not PENDING:
        return False
    with future._lock:
        if future._has_discard or future._state is not PENDING:
            return False
        future._has_discard = True
        requests = future._discard_callbacks
        future._discard_callbacks = None
    if future._is_abandoned:
        spread_abandonment(future)
    if requests:
        deliver(future._hub, iter, requests)
    return True


def request_weakly(reference: Callable[[], FutureState[Any] | None]) -> None:
    """Request a discard of a future if it still exists."""
    future = reference()
    if future is not None:
        request_discard(future)


def register(
    future: FutureState[Any], kind: CallbackKind, function: Callable[..., object], *first: Any
) -> None:
    """Call *function* when *kind* happens: at once if it has, never if it cannot any more.

    Its arguments are *first*, then what *kind* gives.
    """
    callback = (kind, function, first, RUNTIME.get())
    future._lock.acquire()
    try:
        is_open = future._state is PENDING or future._callbacks is not None
        if is_open:
            if future._callbacks is None:
                future._callbacks = [callback]
            else:
                append(future._callbacks, callback)
    finally:
        future._lock.release()
    if not is_open:
        if _applies(future, kind):
            deliver_here(iter, (_call(future, callback),))
    elif future._is_abandoned:
        spread_abandonment(future)


def register_discard(
    future: FutureState[Any], function: Callable[..., object], *arguments: Any
) -> None:
    """Call ``function(*arguments)`` when a discard is requested: at once if it was."""
    check_callable(function)
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
    if kind is READY:
        return (future._outcome,)
    if kind is FAILED:
        mark_read(future._outcome)
        return (future._outcome[0],)
    if kind is ANY and future._state is FAILED:
        mark_read(future._outcome)
    return (future,) if kind is ANY or kind is END else ()


def _pull(future: FutureState[Any], kinds: Iterable[CallbackKind]) -> list[Callback]:
    """Take out the callbacks of *kinds*, under the lock."""
    callbacks = future._callbacks
    if callbacks is None:
        return []
    taken = [callback for callback in callbacks if callback[0] in kinds]
    if taken:
        future._callbacks = [
            callback for callback in callbacks if callback[0] not in kinds
        ] or None
    return taken
