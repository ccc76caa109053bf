"""Hubs and their native threads: keeping a hub alive, noticing its end, calling into it.

What a greenlet waits for is not known here; that is in `greenproc.future.waiting`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Protocol
from weakref import ref

from gevent import Timeout, killall
from gevent._hub_local import get_hub_if_exists
from gevent.hub import Hub
from gevent.monkey import get_original, is_module_patched
from greenlet import greenlet

from greenproc.errors import StateError

count_threads: Callable[[], int] = get_original("_thread", "_count")
"""Count the native threads of Python besides the main one."""


RUNTIMES = "greenproc_runtimes"
"""The attribute of a hub that counts the runtimes that run by it; absent when there are none."""

POOLS = "greenproc_pools"
"""The attribute of a hub with weak references to the pools of native threads that work for it."""

THREAD = "greenproc_thread"
"""The attribute of a hub with the object of its native thread, if that tells of the end."""

INHERITED = (
    "the runtime belongs to the parent process, which has forked this one: make a new one, or call "
    "greenproc.initialize() or greenproc.start_in_thread() here"
)
"""What is wrong with a runtime whose hub is None: see `greenproc.clock.fork`."""

ENDED = (
    "the native thread that started the runtime has ended, and the runtime with it: "
    "make a new one, or call greenproc.initialize()"
)


def keep_hub_alive(hub: Hub) -> Callable[[], None]:
    """Let *hub* wait until what this returns is called, in its thread.

    A hub with nothing to wait for gives up, with LoopExit. It does not know of what another thread
    is going to do.
    """
    watcher = hub.loop.async_()
    watcher.start(_nothing)
    return watcher.close


class Pool(Protocol):
    """Native threads that work for one hub, which stays awake by itself while they do."""

    @property
    def size(self) -> int:
        """How many there are, busy or idle."""


def note_pool(hub: Hub, pool: Pool) -> None:
    """Let the threads of *pool*, which works for *hub* of this thread, end no wait there."""
    alive = [other for other in vars(hub).get(POOLS, ()) if other() is not None]
    vars(hub)[POOLS] = [*alive, ref(pool)]


def count_others(hub: Hub) -> int:
    """Count the native threads that may end a wait in *hub*, besides this one and the main one."""
    others = count_threads()
    own_pool: Pool | None = getattr(hub, "_threadpool", None)  # hub.threadpool would make it
    if own_pool is not None:
        others -= own_pool.size
    for reference in hub.__dict__.get(POOLS, ()):
        pool: Pool | None = reference()
        if pool is not None:
            others -= pool.size
    return others


def keep_hub_alive_for_threads(hub: Hub) -> Callable[[], None] | None:
    """Do as `keep_hub_alive` if there is another native thread, which could end the wait; else None.

    In a program of one thread, LoopExit is right: it tells of a wait that nothing can end. A
    runtime keeps its hub awake by itself. Each wait asks, so there `count_threads` is asked first.
    """
    if RUNTIMES in hub.__dict__ or count_others(hub) <= 0:
        return None
    return keep_hub_alive(hub)


def note_runtime(hub: Hub, change: int) -> None:
    """Count the runtimes that run by *hub*, of this thread: one more or one less."""
    if change > 0 and THREAD not in vars(hub):
        vars(hub)[THREAD] = _find_thread()
    running = vars(hub).pop(RUNTIMES, 0) + change
    if running:
        vars(hub)[RUNTIMES] = running


def _find_thread() -> threading.Thread | None:
    """Return the object of this native thread, if there is one that tells of its end."""
    if is_module_patched("threading"):
        return None  # the threads there are greenlets
    ident = threading.get_ident()
    # current_thread() would make an object, which never ends, for a thread that has none.
    thread = next((one for one in threading.enumerate() if one.ident == ident), None)
    # That of the main thread counts as ended when the program begins to exit.
    return None if thread is threading.main_thread() else thread


def has_ended(hub: Hub) -> bool:
    """Tell whether *hub* never runs again: it was destroyed, or its native thread has ended."""
    if hub is get_hub_if_exists():
        return False  # that of this thread, as mostly
    loop: object | None = hub.loop
    if loop is None:
        return True
    thread: threading.Thread | None = vars(hub).get(THREAD)
    if thread is not None and not thread.is_alive():
        return True  # greenlets hear of it a moment after join() has returned
    root: greenlet = hub
    while root.parent is not None:
        root = root.parent
    return bool(root.dead)  # the main greenlet of a thread dies with it


def call_in_hub(hub: Hub | None, function: Callable[..., object], *arguments: object) -> None:
    """Call *function*, which must not wait, in *hub* of a runtime soon; from every native thread.

    Raises:
        StateError: it would never be called.
    """
    _check_end(hub)
    assert hub is not None
    hub.loop.run_callback_threadsafe(function, *arguments)


def check_here(hub: Hub | None, what: str) -> None:
    """Refuse what is done by *what* in another native thread than that of *hub* of a runtime.

    Raises:
        StateError: this is another one.
    """
    if hub is None or get_hub_if_exists() is not hub:
        _check_end(hub)
        raise StateError(
            f"{what}() was called from another native thread than the runtime's: "
            "use runtime.call_from_thread()"
        )


def _check_end(hub: Hub | None) -> None:
    if hub is None:
        raise StateError(INHERITED)
    if has_ended(hub):
        raise StateError(ENDED)


class TurnWatch:
    """Tells whether the hub of another native thread has made a turn since this was made."""

    __slots__ = ("_has_turned", "_hub")

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._has_turned = False
        if not has_ended(hub):
            hub.loop.run_callback_threadsafe(self._turn)

    def explain(self) -> str:
        """Return why nothing could happen in that thread, and what to do; no text if it turned."""
        if has_ended(self._hub):
            return ": the native thread that has to do it has ended"
        if self._has_turned:
            return ""
        return (
            ": the hub of the native thread that has to do it has made no turn meanwhile; "
            "let that thread wait by gevent, such as in gevent.sleep() or gevent.wait()"
        )

    def _turn(self) -> None:
        self._has_turned = True


def kill_within(seconds: float, greenlets: Iterable[greenlet]) -> int:
    """Kill *greenlets*, and return how many still run after *seconds*.

    A greenlet may catch its kill, and thousands need a while. ``gevent.killall`` raises its
    `gevent.Timeout` then, which this does not.
    """
    alive = list(greenlets)
    with Timeout(seconds, False):  # type: ignore[arg-type]  # False: end quietly
        killall(alive)
    return sum(not one.dead for one in alive)


def _nothing() -> None:
    """Do nothing: the callback of a watcher that only keeps its hub alive."""
