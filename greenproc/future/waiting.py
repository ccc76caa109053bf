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

from greenproc.clock.hub import (
    TurnWatch,
    count_threads,
    keep_hub_alive,
    keep_hub_alive_for_threads,
)
from greenproc.clock.microseconds import from_seconds, to_seconds
from greenproc.current import find_runtime
from greenproc.errors import WaitTimeout
from greenproc.future.delivery import CALLBACK_STACK, hand_over_backlog
from greenproc.future.gevent_links import Link, notify_links
from greenproc.future.state import PENDING, FutureState, allocate_lock, spread_abandonment

MAX_WAIT = 86_400.0 * 365  # seconds; a longer time overflows locks and is for ever anyway

_TIMED_OUT: Final = object()

_PRODUCERS: Final[WeakKeyDictionary[FutureState[Any], Hub]] = WeakKeyDictionary()
"""The hub of the thread that was asked for the value of a future, where that is another one."""


def add_link(future: FutureState[Any], link: Link, hub: Hub | None) -> None:
    """Call *link* soon after the end of *future*, in *hub*. What is there already is not added."""
    with future._lock:
        if future._links is None:
            future._links = {link: hub}
        else:
            future._links[link] = hub
        is_over = future._state is not PENDING
    if future._is_abandoned:
        spread_abandonment(future)
    elif is_over:
        notify_links(future)


def remove_link(future: FutureState[Any], link: Link) -> None:
    """Forget *link*, even if its call has been scheduled."""
    with future._lock:
        if future._links is not None:
            future._links.pop(link, None)
    if future._is_abandoned:
        spread_abandonment(future)


def attach_waiter(future: FutureState[Any], waiter: Waiter[Any]) -> bool:
    """Let the hub of *waiter* switch to it soon after the end of *future*; False if that is over.

    To be called in the thread of that hub. Once it is over, the hub may switch or not.
    """
    if future._waiter is None and waiter.hub is future._hub:
        # No lock: only greenlets of one thread do this, and they do not switch in between. A
        # foreign thread that ends it now has seen the waiter, or is seen in the next line.
        future._waiter = waiter
        return future._state is PENDING and not future._is_abandoned
    add_link(future, waiter.switch, waiter.hub)
    return True


def wait(future: FutureState[Any], timeout: float | None) -> None:
    """Wait until *future* has completed or is abandoned, or *timeout* seconds have passed.

    In a thread with a hub only this greenlet waits, else the thread.
    """
    hub = get_hub_if_exists()
    if hub is None:
        _wait_in_thread(future, timeout)
        return
    if CALLBACK_STACK.get() is not None:
        hand_over_backlog()
    here = getcurrent()
    # A greenlet may want to know what it waits for without a limit, and may refuse to.
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
            close = keep_hub_alive_for_threads(hub) if count_threads() else None
        result = waiter.get()
    finally:
        if end_wait is not None:
            end_wait()
        if close is not None:
            close()
        if result is not future:
            _remove_waiter(future, waiter)
    if result is not future and result is not _TIMED_OUT:
        raise InvalidSwitchError(f"somebody switched into {here!r} with {result!r}")


def bounded_timeout(timeout: float) -> float:
    """Return seconds that loops and native locks can wait.

    Raises:
        InvalidArgument: *timeout* is no number.
    """
    return min(max(to_seconds(from_seconds(timeout)), 0.0), MAX_WAIT)


def wait_for(future: FutureState[Any], timeout: float) -> None:
    """Wait as `wait` does, with a limit.

    Raises:
        WaitTimeout: the time is over. The text says if the thread that was asked for the value,
            else that of the runtime, could not do anything about it.
    """
    watch = watch_hub(_PRODUCERS.get(future) if _PRODUCERS else None)
    wait(future, timeout)
    if future._state is PENDING and not future._is_abandoned:
        raise WaitTimeout(
            f"the future is pending {describe_timeout(timeout)}{explain_wait(watch)}"
        )


def describe_timeout(timeout: float | None) -> str:
    """Return the words of a `WaitTimeout` for how long was waited.

    A negative time is over at once, as what is left until a deadline may be; it is also what
    locks of `threading` take for no limit, which is not meant here.
    """
    if timeout is not None and timeout < 0:
        return f"at once, as the timeout was {timeout} s (None waits for ever)"
    return f"after {timeout} s"


def watch_hub(producer: Hub | None = None) -> TurnWatch | None:
    """Return what tells, after a wait, whether another thread could do its part meanwhile.

    That is the thread of *producer*, else of the runtime of this context. None if it is this
    thread: its hub turns when a greenlet waits.
    """
    hub = producer or getattr(find_runtime(), "hub", None)
    return None if hub is None or hub is get_hub_if_exists() else TurnWatch(hub)


def explain_wait(watch: TurnWatch | None) -> str:
    """Return what a `WaitTimeout` adds to its text."""
    return "" if watch is None else watch.explain()


def keep_hub_alive_until(future: FutureState[Any], producer: Hub | None = None) -> None:
    """Let the hub of this thread, if it has one, wait for the end of *future*, whatever it may be.

    This is to be called where another thread, that of *producer*, is asked to complete a future.
    """
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
    if timeout is None and not count_threads():
        raise LoopExit(
            "nothing can complete the future: this program has no other thread, and no hub with "
            "something to wait for"
        )
    gate = allocate_lock()
    gate.acquire()

    def open_gate(_: object) -> None:
        gate.release()

    add_link(future, open_gate, None)
    try:
        gate.acquire(timeout=-1 if timeout is None else bounded_timeout(timeout))
    finally:
        remove_link(future, open_gate)
