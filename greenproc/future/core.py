"""The record of a future and the moves that change it, for the modules of this package.

A move is made under the lock of its record, calls nothing, and is announced after the lock is
free. What is offered to programs is in `greenproc.future.future` and `greenproc.future.promise`.

Source: libprocess include/process/future.hpp, struct Future<T>::Data.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any, Final, Generic, TypeVar
from weakref import ref

from gevent._hub_local import get_hub_if_exists
from gevent.hub import Hub, Waiter
from gevent.monkey import get_original

from greenproc.checks import check_callable
from greenproc.clock.hub import has_ended
from greenproc.current import RUNTIME
from greenproc.errors import Abandoned, Discarded, Failure, InvalidArgument
from greenproc.future.delivery import Call, deliver, deliver_here
from greenproc.future.entries import Entry, append
from greenproc.future.links import Link, notify, wake
from greenproc.future.state import (
    ABANDONMENT,
    ANY,
    DISCARDED,
    END,
    FAILED,
    PENDING,
    READY,
    Kind,
    State,
)
from greenproc.future.unread import UnreadFailure, mark_read

T_co = TypeVar("T_co", covariant=True)

allocate_lock = get_original("_thread", "allocate_lock")
"""Makes a native lock, which other threads need, also in a monkey-patched program."""

MISSING: Final[Any] = object()
"""Stands for an argument that was not given."""


class Core(Generic[T_co]):
    """The record: state, flags, and who is to be told.

    It leaves PENDING at most once, and never once it is abandoned. Without a value it is
    abandoned from birth, unless `open_up` follows.
    """

    __slots__ = (
        "__weakref__",
        "abandoned",
        "callbacks",
        "home",
        "links",
        "lock",
        "open",
        "outcome",
        "requested",
        "requests",
        "state",
        "waiter",
    )

    state: State
    outcome: Any
    """The value when READY; the exception, its traceback and, of a dispatch, the `UnreadFailure`
    when FAILED; why, as a text or None, when abandoned."""
    open: bool
    """Whether the holder of the promise may still complete, associate or abandon it."""
    requested: bool
    """Whether a discard was requested."""
    abandoned: bool
    callbacks: list[Entry] | None
    """Of the end. Not None when complete: their delivery is still under way."""
    requests: list[Call] | None
    """Of a discard request. They are apart because most futures end without one."""
    links: dict[Link, Hub | None] | None
    """What the hubs call, once, after the end; each with its hub, None for a thread without."""
    waiter: Waiter[Any] | None
    """The first greenlet that waits for the end, while it does. Most futures have just that."""
    home: Hub | None
    """The hub of the thread that made this; callbacks run in its thread."""

    def __init__(self, value: T_co = MISSING) -> None:
        self.state = PENDING
        self.outcome = None
        self.open = False
        self.requested = False
        self.abandoned = True
        self.callbacks = None
        self.requests = None
        self.links = None
        self.waiter = None
        self.lock = allocate_lock()
        self.home = get_hub_if_exists()
        if value is not MISSING:
            self.abandoned = False
            adopt(self, value)


NO_PLAIN_VALUE: Final = (Core, Failure)
"""What a future cannot have as its value: the one is followed, the other fails."""


def open_up(core: Core[Any]) -> None:
    """Make a new record pending: somebody has its promise."""
    core.abandoned = False
    core.open = True


# Completion


def settle(core: Core[Any], state: State, outcome: Any) -> bool:
    """Complete *core* on behalf of its promise; tell whether that was still possible."""
    lock = core.lock
    lock.acquire()  # a third of the price of a with statement, and this is the hot path
    try:
        if not core.open:
            return False
        core.open = False
        core.outcome = outcome
        core.state = state
    finally:
        lock.release()
    announce(core)
    return True


def fail(core: Core[Any], error: BaseException | str, *, unread: str | None = None) -> bool:
    """Fail *core* on behalf of its promise; tell whether that was still possible.

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
        return settle(core, DISCARDED, None)
    elif not isinstance(error, BaseException):
        raise InvalidArgument(f"expected an exception or a text, got {error!r}")
    traceback = error.__traceback__
    if unread is None or core.requested:
        return settle(core, FAILED, (error, traceback))
    guard = UnreadFailure(error, traceback, unread)
    if settle(core, FAILED, (error, traceback, guard)):
        return True
    guard.disarm()
    return False


def claim(core: Core[Any]) -> bool:
    """Take the right to complete *core* from its promise; tell whether it was there to take."""
    with core.lock:
        was_open = core.open
        core.open = False
    return was_open


def conclude(core: Core[Any], state: State, outcome: Any) -> bool:
    """Complete *core* on behalf of who has claimed it; tell whether that was still possible."""
    lock = core.lock
    lock.acquire()
    try:
        if core.state is not PENDING or core.abandoned:
            return False
        core.open = False
        core.outcome = outcome
        core.state = state
    finally:
        lock.release()
    announce(core)
    return True


def adopt(core: Core[Any], value: Any) -> None:
    """Complete a claimed *core* with what a function returned.

    A future is followed, and a `Failure` fails.
    """
    if not isinstance(value, NO_PLAIN_VALUE):
        conclude(core, READY, value)
    elif isinstance(value, Core):
        follow(core, value)
    else:
        conclude(core, FAILED, (value, value.__traceback__))


def follow(core: Core[Any], source: Core[Any]) -> None:
    """Let a claimed *core* end as *source* does, and pass discard requests on to *source*."""
    if source.state is not PENDING:
        inherit(core, source)
        return
    core.open = False
    register_request(core, request_weakly, ref(source))
    register(source, END, inherit, core)


def copy(core: Core[Any], source: Core[Any]) -> None:
    """End *core* as *source* did, on behalf of its promise."""
    if source.state is PENDING:
        abandon(core, source.outcome)
    else:
        settle(core, source.state, source.outcome)


def inherit(core: Core[Any], source: Core[Any]) -> None:
    """Let a claimed *core* end as *source* did."""
    if source.state is PENDING:
        lose(core, source.outcome)
    else:
        conclude(core, source.state, source.outcome)


def announce(core: Core[Any]) -> None:
    """Tell everybody concerned of a completion."""
    core.requests = None
    if core.waiter is not None:
        wake(core)
    if core.links is not None:
        notify(core)
    if core.callbacks is not None:
        deliver(core.home, _take_completed, core)


def _take_completed(core: Core[Any]) -> Iterable[Call]:
    """Give the calls of a completion: of its state first, then any. The others are dropped."""
    lock = core.lock
    lock.acquire()
    try:
        callbacks = core.callbacks
        core.callbacks = None
    finally:
        lock.release()
    if callbacks is None:
        return ()
    if len(callbacks) == 1 and callbacks[0][0] is END:  # most have one continuation and no more
        _, function, first, runtime = callbacks[0]
        return ((function, (*first, core), runtime),)
    state = core.state
    return [
        _call(core, entry)
        for kinds in ((state,), (ANY, END))
        for entry in callbacks
        if entry[0] in kinds
    ]


# Abandonment


def abandon(core: Core[Any], reason: str | None = None) -> bool:
    """Abandon *core* on behalf of its promise; tell whether that was still possible."""
    with core.lock:
        if not core.open:
            return False
        core.open = False
        core.outcome = reason
        core.abandoned = True
    spread_abandonment(core)
    return True


def lose(core: Core[Any], reason: str | None = None) -> None:
    """Abandon *core* on behalf of who has claimed it."""
    with core.lock:
        if core.state is not PENDING or core.abandoned:
            return
        core.open = False
        core.outcome = reason
        core.abandoned = True
    spread_abandonment(core)


def finalize(core: Core[Any]) -> None:
    """Abandon an open *core* from the finalizer of its promise.

    A finalizer runs in any thread in the middle of anything, even of a move of *core*. So this
    takes no lock that could be held by whom it interrupts, and calls nothing that could wait.
    """
    core.open = False
    core.abandoned = True
    if core.waiter is None and core.links is None and core.callbacks is None:
        return
    if sys.is_finalizing():  # no greenlet runs any more
        return
    hub = get_hub_if_exists() if core.home is None or has_ended(core.home) else core.home
    if hub is not None:
        hub.loop.run_callback_threadsafe(spread_abandonment, core)
    elif core.lock.acquire(blocking=False):
        core.lock.release()
        spread_abandonment(core)
    # Else who has the lock spreads it: every move that adds to a record looks afterwards.


def spread_abandonment(core: Core[Any]) -> None:
    """Tell those who wait for an end that there will be none. Doing so again is harmless."""
    if core.waiter is not None:
        wake(core)
    if core.links is not None:
        notify(core)
    with core.lock:
        taken = _pull(core, (ABANDONMENT, END))
    if taken:
        deliver(core.home, iter, [_call(core, entry) for entry in taken])


def abandonment(core: Core[Any]) -> Abandoned:
    """Return the error that an abandoned *core* stands for."""
    return Abandoned() if core.outcome is None else Abandoned(core.outcome)


# Requests and callbacks


def request_discard(core: Core[Any]) -> bool:
    """Request a discard; tell whether this is the first request of a pending future."""
    if core.requested or core.state is not PENDING:
        return False
    with core.lock:
        if core.requested or core.state is not PENDING:
            return False
        core.requested = True
        requests = core.requests
        core.requests = None
    if core.abandoned:
        spread_abandonment(core)
    if requests:
        deliver(core.home, iter, requests)
    return True


def request_weakly(reference: Callable[[], Core[Any] | None]) -> None:
    """Request a discard of a future if it still exists."""
    core = reference()
    if core is not None:
        request_discard(core)


def register(core: Core[Any], kind: Kind, function: Callable[..., object], *first: Any) -> None:
    """Call *function* when *kind* happens: at once if it has, never if it cannot any more.

    Its arguments are *first*, then what *kind* gives.
    """
    entry = (kind, function, first, RUNTIME.get())
    core.lock.acquire()
    try:
        is_open = core.state is PENDING or core.callbacks is not None
        if is_open:
            if core.callbacks is None:
                core.callbacks = [entry]
            else:
                append(core.callbacks, entry)
    finally:
        core.lock.release()
    if not is_open:
        if _applies(core, kind):
            deliver_here(iter, (_call(core, entry),))
    elif core.abandoned:
        spread_abandonment(core)


def register_request(core: Core[Any], function: Callable[..., object], *arguments: Any) -> None:
    """Call ``function(*arguments)`` when a discard is requested: at once if it was."""
    check_callable(function)
    call = (function, arguments, RUNTIME.get())
    with core.lock:
        is_open = core.state is PENDING and not core.requested
        if is_open:
            if core.requests is None:
                core.requests = [call]
            else:
                core.requests.append(call)
    if core.requested and not is_open:
        deliver_here(iter, [call])
    elif core.abandoned:
        spread_abandonment(core)


def _applies(core: Core[Any], kind: Kind) -> bool:
    if kind is ABANDONMENT:
        return core.abandoned
    return kind is ANY or kind is END or kind is core.state


def _call(core: Core[Any], entry: Entry) -> Call:
    kind, function, first, runtime = entry
    return function, (*first, *_arguments(core, kind)), runtime


def _arguments(core: Core[Any], kind: Kind) -> tuple[Any, ...]:
    if kind is READY:
        return (core.outcome,)
    if kind is FAILED:
        mark_read(core.outcome)
        return (core.outcome[0],)
    if kind is ANY and core.state is FAILED:
        mark_read(core.outcome)
    return (core,) if kind is ANY or kind is END else ()


def _pull(core: Core[Any], kinds: Iterable[Kind]) -> list[Entry]:
    """Take out the callbacks of *kinds*, under the lock."""
    callbacks = core.callbacks
    if callbacks is None:
        return []
    taken = [entry for entry in callbacks if entry[0] in kinds]
    if taken:
        core.callbacks = [entry for entry in callbacks if entry[0] not in kinds] or None
    return taken
