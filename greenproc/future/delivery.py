"""Where the callbacks of a future run, and how deep they may nest.

Nothing here knows what a future is: work comes as a function that gives the calls to make.
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

from greenproc.clock.hub import has_ended
from greenproc.current import RUNTIME
from greenproc.failures import graver

T = TypeVar("T")

log = logging.getLogger("greenproc.future")

Call: TypeAlias = tuple[Callable[..., object], tuple[Any, ...], Any]
"""A function, its arguments, and the runtime of who wanted it called."""

Take: TypeAlias = Callable[[Any], Iterable[Call]]
"""Gives the calls to make, from what is passed along with it."""

PendingCalls: TypeAlias = tuple[Take, Any]
"""Calls to make, and what they are taken from."""

MAX_DEPTH = 32
"""How deep callbacks nest in one greenlet. Each level takes about six Python frames, and the
interpreter allows 1000; below it, code in a callback sees the effects of what it does at once."""


class CallbackStack:
    """The deliveries that nest in one greenlet, and those that were too deep to nest."""

    __slots__ = ("backlog", "depth", "hub", "is_own", "owner")

    owner: int
    hub: Hub | None
    """Of the thread of the owner."""
    is_own: bool
    """Whether the owner is a greenlet that does nothing else, so that no user has a timeout there."""

    def __init__(self, owner: int, hub: Hub | None, *, is_own: bool = False) -> None:
        self.owner = owner
        self.hub = hub
        self.is_own = is_own
        self.depth = 0
        self.backlog: deque[PendingCalls] | None = None


CALLBACK_STACK: ContextVar[CallbackStack | None] = ContextVar(
    "greenproc.future.callback_stack", default=None
)
"""The stack of this greenlet, if its owner is this greenlet: a context can be copied into another.

The owner is known by its id, as holding it would be a cycle. A greenlet that got the id of one
that is dead finds the stack idle, and takes it over."""


def deliver(home: Hub | None, take: Take, source: Any) -> None:
    """Make the calls that ``take(source)`` gives: now, if this is the right place, else soon.

    The right place is a greenlet of the thread of *home* (without one, or after its end, of any
    thread) that is not the hub: callbacks may wait, and a hub cannot. A new greenlet has no
    context of its own, so there each call is made in the runtime of who wanted it.
    """
    stack = CALLBACK_STACK.get()
    if stack is not None and stack.depth and stack.hub is home and stack.owner == id(getcurrent()):
        _nest(stack, take, source)  # the shortest way, which the links of a chain take
        return
    here = get_hub_if_exists()
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
    """Call what must not wait in the thread of *hub*: now, if this is it or None is, else soon."""
    if hub is None or hub is get_hub_if_exists():
        function(*arguments)
    elif not has_ended(hub):
        hub.loop.run_callback_threadsafe(function, *arguments)


def run(take: Take, source: Any) -> None:
    """Make the calls in this greenlet, or leave them to the outermost `run` when too deep.

    All calls are made. An Exception is reported; what ends a greenlet is raised at the end. So is
    a `gevent.Timeout`, which may be one that the caller has set; see `is_outermost`.
    """
    stack = CALLBACK_STACK.get()
    me = id(getcurrent())
    if stack is None or stack.owner != me:
        stack = CallbackStack(me, get_hub_if_exists())
        CALLBACK_STACK.set(stack)
    _nest(stack, take, source)


def _nest(stack: CallbackStack, take: Take, source: Any) -> None:
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
                _report(function)
            except BaseException as error:
                if depth == 0 and stack.is_own and isinstance(error, Timeout):
                    _report(function)
                else:
                    fatal = graver(fatal, error)
        if stack.backlog and not depth:
            fatal = _drain(stack.backlog, fatal)
    finally:
        stack.depth = depth
    if fatal is not None:
        raise fatal


def hand_over_backlog() -> None:
    """Give what waits for this greenlet's outermost `run` to a new greenlet.

    To be called before this greenlet waits: it could wait for just that.
    """
    stack = CALLBACK_STACK.get()
    if stack is not None and stack.backlog and stack.owner == id(getcurrent()):
        spawn_raw(_run_elsewhere, _take_all, list(stack.backlog))
        stack.backlog.clear()


def is_outermost() -> bool:
    """Tell whether nothing called the running callback but the greenlet that exists for it.

    A `gevent.Timeout` out of it then is its own, and no business of a caller.
    """
    stack = CALLBACK_STACK.get()
    return (
        stack is not None and stack.is_own and stack.depth == 1 and stack.owner == id(getcurrent())
    )


def _run_elsewhere(take: Take, source: Any) -> None:
    """Make, in a greenlet for that alone, the calls that could not be made where they came up."""
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
        log.error("error in %r", function, exc_info=error)
    else:
        hub.handle_error(function, *error)


def call_all(calls: Iterable[Callable[[], object]]) -> None:
    """Make all *calls*. What ends a greenlet, raised by a callback in one of them, comes last."""
    fatal: BaseException | None = None
    for call in calls:
        try:
            call()
        except BaseException as error:
            fatal = graver(fatal, error)
    if fatal is not None:
        raise fatal


# Greenlets that run functions of a runtime for a while, and end with it


def run_owned(function: Callable[..., T], *args: Any) -> T:
    """Call *function* in this greenlet, which the runtime of the context kills if it stops meanwhile."""
    owned, me = _owned_here(), getcurrent()
    if owned is None or me in owned:
        return function(*args)
    owned.add(me)
    try:
        return function(*args)
    finally:
        owned.discard(me)


def each_owned(calls: Iterable[tuple[Any, Any, Any]]) -> Iterator[Any]:
    """Give *calls*, each to be made in the runtime that is its last item, which owns it meanwhile."""
    me = getcurrent()
    for call in calls:
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
