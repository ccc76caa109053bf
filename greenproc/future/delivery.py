"""The greenlet in which callbacks run, how deep they nest, and which runtime owns it.

Work comes as a function that returns the calls to make; futures are not known here.
"""

from __future__ import annotations

import logging
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Any, TypeAlias, TypeVar

from gevent import Timeout, spawn_raw
from gevent._hub_local import get_hub_if_exists
from gevent.hub import Hub
from greenlet import getcurrent

from greenproc.current import RUNTIME
from greenproc.failures import graver
from greenproc.hub.lifetime import has_ended

T = TypeVar("T")

log = logging.getLogger("greenproc.future")

Call: TypeAlias = tuple[Callable[..., object], tuple[Any, ...], Any]
"""A function, its arguments, and the runtime in which it was registered."""

Take: TypeAlias = Callable[[Any], Iterable[Call]]
"""Returns the calls to make, from its argument. It runs as late as possible: when the calls
start."""

PendingCalls: TypeAlias = tuple[Take, Any]
"""A function that returns calls, and its argument."""

MAX_DEPTH = 32
"""How deep callbacks nest in one greenlet.

A level takes about six Python frames of the 1000 that the interpreter allows. Up to this depth a
callback sees the effects of completing a future as soon as it has done so."""


class CallbackStack:
    """The callbacks that nest in one greenlet, and a backlog of those nested too deep."""

    __slots__ = ("backlog", "depth", "hub", "is_own", "owner")

    owner: int
    hub: Hub | None
    """The hub of the owner's thread."""
    is_own: bool
    """Whether the owner exists for these callbacks alone, so that no timeout of a program is set
    there."""

    def __init__(self, owner: int, hub: Hub | None, *, is_own: bool = False) -> None:
        self.owner = owner
        self.hub = hub
        self.is_own = is_own
        self.depth = 0
        self.backlog: deque[PendingCalls] | None = None


CALLBACK_STACK: ContextVar[CallbackStack | None] = ContextVar(
    "greenproc.future.callback_stack", default=None
)
"""The stack of this greenlet, if it owns the stack: a context can be copied into another greenlet.

The owner is an id, since holding the greenlet would be a cycle. A new greenlet with the id of a
dead one finds an idle stack, and takes it over."""


def deliver(home: Hub | None, take: Take, source: Any) -> None:
    """Make the calls of ``take(source)``: at once in the right place, else soon.

    The right place is a greenlet in the thread of *home*, and not its hub: callbacks may wait, and
    a hub cannot. Without *home*, or after its end, every thread is right. A new greenlet has an
    empty context, so each call is made there in the runtime in which it was registered.
    """
    stack = CALLBACK_STACK.get()
    # Only while it has callbacks running: an idle stack may be that of a dead greenlet.
    if stack is not None and stack.depth and stack.hub is home and stack.owner == id(getcurrent()):
        _nest(stack, take, source)  # the common case: the links of a chain
        return
    here = get_hub_if_exists()
    # A greenlet cannot leave its thread, so the calls go to the thread of the future.
    if home is not here and home is not None and not has_ended(home):
        home.loop.run_callback_threadsafe(spawn_raw, _run_elsewhere, take, source)
    else:
        deliver_here(take, source)


def deliver_here(take: Take, source: Any) -> None:
    """Make the calls in this thread: at once, unless this is its hub."""
    here = get_hub_if_exists()
    if here is not None and getcurrent() is here:
        spawn_raw(_run_elsewhere, take, source)
    else:
        run(take, source)


def call_in(hub: Hub | None, function: Callable[..., object], *arguments: Any) -> None:
    """Call *function*, which must not wait, in the thread of *hub*: at once if it is this one.

    Args:
        hub: None is this thread. After the end of its thread nothing is called.
    """
    if hub is None or hub is get_hub_if_exists():
        function(*arguments)
    elif not has_ended(hub):
        hub.loop.run_callback_threadsafe(function, *arguments)


def run(take: Take, source: Any) -> None:
    """Make the calls in this greenlet; those that are too deep are left to the outermost `run`.

    All calls are made. The hub reports an Exception of one; an exception that ends a greenlet is
    raised after the last. So is a `gevent.Timeout`, which the caller may have set; see
    `is_outermost`.
    """
    stack = CALLBACK_STACK.get()
    me = id(getcurrent())
    # A stack of another owner came with a copied context, and counts the depth of that greenlet.
    if stack is None or stack.owner != me:
        stack = CallbackStack(me, get_hub_if_exists())
        CALLBACK_STACK.set(stack)
    _nest(stack, take, source)


def _nest(stack: CallbackStack, take: Take, source: Any) -> None:
    # Deeper calls would end in a RecursionError, in the middle of a chain of any length.
    depth = stack.depth
    if depth >= MAX_DEPTH:
        if stack.backlog is None:
            stack.backlog = deque()
        stack.backlog.append((take, source))
        return
    stack.depth = depth + 1
    fatal: BaseException | None = None
    try:
        for function, arguments, _ in take(source):
            try:
                function(*arguments)
            except Exception:
                # The code that completed the future could do nothing about it.
                _report(function)
            except BaseException as error:
                # The timer of this timeout was started in the callback: no caller waits for it.
                if depth == 0 and stack.is_own and isinstance(error, Timeout):
                    _report(function)
                else:
                    fatal = graver(fatal, error)
        # At the outermost level, where the stack of Python frames is short again.
        if stack.backlog and not depth:
            fatal = _drain(stack.backlog, fatal)
    finally:
        stack.depth = depth
    if fatal is not None:
        raise fatal


def hand_over_backlog() -> None:
    """Move the backlog of this greenlet to a new greenlet, before this one waits.

    The wait could be for the very effect of one of these callbacks.
    """
    stack = CALLBACK_STACK.get()
    if stack is not None and stack.backlog and stack.owner == id(getcurrent()):
        spawn_raw(_run_elsewhere, _take_all, list(stack.backlog))
        stack.backlog.clear()  # in place: the outermost `run` is draining this very queue


def is_outermost() -> bool:
    """Return whether the running callback was called by a greenlet that exists for it.

    A `gevent.Timeout` from it is then its own, and not one of a caller.
    """
    stack = CALLBACK_STACK.get()
    return (
        stack is not None and stack.is_own and stack.depth == 1 and stack.owner == id(getcurrent())
    )


def _run_elsewhere(take: Take, source: Any) -> None:
    """Make the calls in this new greenlet, which is for them alone."""
    CALLBACK_STACK.set(CallbackStack(id(getcurrent()), get_hub_if_exists(), is_own=True))
    run(each_owned, take(source))


def _drain(backlog: deque[PendingCalls], fatal: BaseException | None) -> BaseException | None:
    while backlog:
        try:
            run(*backlog.popleft())
        except BaseException as error:
            fatal = graver(fatal, error)
    return fatal


def _take_all(backlog: Iterable[PendingCalls]) -> Iterator[Call]:
    for take, source in backlog:
        yield from take(source)


def _report(function: object) -> None:
    hub = get_hub_if_exists()
    error = sys.exc_info()
    if hub is None:
        log.error("error in %r", function, exc_info=error)  # as a hub would print it
    else:
        hub.handle_error(function, *error)


def call_all(calls: Iterable[Callable[[], object]]) -> None:
    """Make all *calls*; raise at the end what would have ended the greenlet in between."""
    fatal: BaseException | None = None
    for call in calls:
        try:
            call()
        except BaseException as error:
            fatal = graver(fatal, error)
    if fatal is not None:
        raise fatal


# Greenlets that a runtime owns while they run its functions


def run_owned(function: Callable[..., T], *args: Any) -> T:
    """Call *function* in this greenlet, owned by the runtime of the context.

    A runtime that stops kills the greenlets that it owns.
    """
    owned, me = _owned_here(), getcurrent()
    if owned is None or me in owned:
        return function(*args)
    # A set and not a gevent.pool.Group, since raw greenlets have no links to leave a group by.
    owned.add(me)
    try:
        return function(*args)
    finally:
        owned.discard(me)


def each_owned(calls: Iterable[tuple[Any, Any, Any]]) -> Iterator[Any]:
    """Yield *calls*. While one is made, the runtime that is its last item owns this greenlet."""
    me = getcurrent()
    for call in calls:
        # For good: nothing else runs in this greenlet, so there is no context to restore.
        RUNTIME.set(call[2])
        owned = _owned_here()
        if owned is None or me in owned:
            yield call
            continue
        owned.add(me)
        try:
            yield call
        finally:
            owned.discard(me)


def _owned_here() -> set[Any] | None:
    """Return the greenlets that the runtime of this context owns, if it belongs to this thread."""
    runtime = RUNTIME.get()
    owned: set[Any] | None = getattr(runtime, "owned", None)
    return owned if runtime is not None and owned is not None and runtime.is_here else None
