"""Waiting for the end of a future, in a greenlet or in a native thread without a hub."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final
from weakref import WeakKeyDictionary

from gevent._hub_local import get_hub_if_exists
from gevent.exceptions import InvalidSwitchError, LoopExit
from gevent.hub import Hub, Waiter
from greenlet import getcurrent

from greenproc.clock.microseconds import from_seconds, to_seconds
from greenproc.current import find_runtime
from greenproc.errors import WaitTimeout
from greenproc.future.callbacks import PENDING
from greenproc.future.delivery import CALLBACK_STACK, hand_over_backlog
from greenproc.future.gevent_links import Link, notify_links
from greenproc.future.state import FutureState, spread_abandonment
from greenproc.hub.lifetime import (
    TurnWatch,
    keep_hub_alive,
    keep_hub_alive_for_threads,
)
from greenproc.hub.native import allocate_lock, count_threads

MAX_WAIT = 86_400.0 * 365  # seconds; a longer time overflows locks and is for ever anyway

_TIMED_OUT: Final = object()

_PRODUCERS: Final[WeakKeyDictionary[FutureState[Any], Hub]] = WeakKeyDictionary()
"""For futures that another thread has to complete, the hub of that thread."""


def add_link(future: FutureState[Any], link: Link, hub: Hub | None) -> None:
    """Call *link* soon after the end of *future*, in *hub*. Adding it twice counts once."""
    with future._lock:
        # A dictionary: adding a link twice counts once, and they are called in their order.
        if future._links is None:
            future._links = {link: hub}
        else:
            future._links[link] = hub
        is_over = future._state is not PENDING
    # After the lock, since a finalizer that could not take it has left the rest to its holder.
    if future._is_abandoned:
        spread_abandonment(future)
    elif is_over:
        notify_links(future)


def remove_link(future: FutureState[Any], link: Link) -> None:
    """Remove *link*, even if its call is scheduled."""
    with future._lock:
        if future._links is not None:
            future._links.pop(link, None)
    if future._is_abandoned:
        spread_abandonment(future)


def attach_waiter(future: FutureState[Any], waiter: Waiter[Any]) -> bool:
    """Let the hub of *waiter* switch to it soon after the end of *future*; False if that is over.

    It must be called in the thread of that hub. Of a future that is over, the hub may switch to
    the waiter or not.
    """
    if future._waiter is None and waiter.hub is future._hub:
        # Without the lock: only greenlets of one thread come here, and none switches in between.
        # Another thread that completes the future now finds the waiter, or is seen on return.
        future._waiter = waiter
        return future._state is PENDING and not future._is_abandoned
    add_link(future, waiter.switch, waiter.hub)
    return True


def wait(future: FutureState[Any], timeout: float | None) -> None:
    """Wait until *future* is over, or *timeout* seconds have passed.

    In a thread with a hub only this greenlet waits; without one the thread waits.

    Raises:
        LoopExit: nothing in this program could complete the future.
        InvalidSwitchError: other code has switched into this greenlet.
    """
    hub = get_hub_if_exists()
    if hub is None:
        _wait_in_thread(future, timeout)
        return
    # The context is looked at first, as most greenlets that wait run no callbacks.
    if CALLBACK_STACK.get() is not None:
        hand_over_backlog()
    here = getcurrent()
    # The greenlet of a process records what it waits for without a limit, to find deadlocks.
    end_wait = None
    if timeout is None and (begin_wait := getattr(here, "begin_wait", None)) is not None:
        begin_wait(future)
        end_wait = here.end_wait  # type: ignore[attr-defined]
    waiter: Waiter[Any] = Waiter(hub)
    close: Callable[[], object] | None = None
    result = None
    try:
        if not attach_waiter(future, waiter):
            return
        if timeout is not None:
            timer = hub.loop.timer(bounded_timeout(timeout))
            close = timer.close
            timer.start(waiter.switch, _TIMED_OUT)
        else:
            # Without a timer the hub may have nothing to wait for, and would raise LoopExit.
            close = keep_hub_alive_for_threads(hub) if count_threads() else None
        result = waiter.get()
    finally:
        if end_wait is not None:
            end_wait()
        if close is not None:
            close()
        # After a timeout or a kill. A late switch by the hub would resume this greenlet elsewhere.
        if result is not future:
            _remove_waiter(future, waiter)
    if result is not future and result is not _TIMED_OUT:
        raise InvalidSwitchError(
            f"expected a switch of the hub, but other code switched into {here!r} with {result!r}"
        )


def bounded_timeout(timeout: float) -> float:
    """Return *timeout* in the range that event loops and native locks take.

    Raises:
        InvalidArgument: *timeout* is no number.
    """
    return min(max(to_seconds(from_seconds(timeout)), 0.0), MAX_WAIT)


def wait_for(future: FutureState[Any], timeout: float) -> None:
    """Wait as `wait` does, with a limit.

    Raises:
        WaitTimeout: the time is over. The text says if the thread that has to complete the
            future, else that of the runtime, could not run meanwhile.
    """
    watch = watch_hub(_PRODUCERS.get(future) if _PRODUCERS else None)
    wait(future, timeout)
    if future._state is PENDING and not future._is_abandoned:
        raise WaitTimeout(
            f"the future is pending {describe_timeout(timeout)}{explain_wait(watch)}"
        )


def describe_timeout(timeout: float | None) -> str:
    """Return the words of a `WaitTimeout` for how long the wait was.

    A negative timeout is over at once, since the rest until a deadline may be negative. Locks of
    `threading` take -1 for no limit, which is not meant here.
    """
    if timeout is not None and timeout < 0:
        return f"at once, as the timeout was {timeout} s (None waits for ever)"
    return f"after {timeout} s"


def watch_hub(producer: Hub | None = None) -> TurnWatch | None:
    """Return a watch that tells, after a wait, whether another thread could do its part meanwhile.

    That is the thread of *producer*, else of the runtime of this context. None if it is this
    thread, whose hub turns when a greenlet waits.
    """
    hub = producer or getattr(find_runtime(), "hub", None)
    return None if hub is None or hub is get_hub_if_exists() else TurnWatch(hub)


def explain_wait(watch: TurnWatch | None) -> str:
    """Return what a `WaitTimeout` adds to its text."""
    return "" if watch is None else watch.explain()


def keep_hub_alive_until(future: FutureState[Any], producer: Hub | None = None) -> None:
    """Keep the hub of this thread, if it has one, alive until the end of *future*.

    It is for a future that another thread completes, of which the hub knows nothing.

    Args:
        producer: the hub of that thread; its turns explain a `WaitTimeout`.
    """
    # Kept outside of the future, since few futures need it and all would have the slot.
    if producer is not None:
        _PRODUCERS[future] = producer
    hub = get_hub_if_exists()
    if hub is not None:
        add_link(future, partial(_release, keep_hub_alive(hub)), hub)


def _release(release: Callable[[], None], _: object) -> None:
    release()


def _remove_waiter(future: FutureState[Any], waiter: Waiter[Any]) -> None:
    if future._waiter is waiter:
        future._waiter = None
    remove_link(future, waiter.switch)


def _wait_in_thread(future: FutureState[Any], timeout: float | None) -> None:
    # As a hub does: the thread would wait for ever, without a sign of the mistake.
    if timeout is None and not count_threads():
        raise LoopExit(
            "nothing can complete the future: this program has no other thread, and no hub with "
            "something to wait for"
        )
    # A lock that is acquired twice: the second one waits for the link to release the first.
    gate = allocate_lock()
    gate.acquire()

    def open_gate(_: object) -> None:
        gate.release()

    add_link(future, open_gate, None)
    try:
        gate.acquire(timeout=-1 if timeout is None else bounded_timeout(timeout))
    finally:
        remove_link(future, open_gate)
