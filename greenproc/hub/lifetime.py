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
from gevent.monkey import is_module_patched
from greenlet import greenlet

from greenproc.errors import StateError
from greenproc.hub.native import count_threads

# State of a hub is kept in its attributes, and so has the life of the hub.

RUNTIMES = "greenproc_runtimes"
"""The number of runtimes that use the hub; absent when there are none."""

POOLS = "greenproc_pools"
"""Weak references to the pools of native threads that work for the hub."""

THREAD = "greenproc_thread"
"""The object of the hub's native thread, if that one notices the end of the thread."""

INHERITED = (
    "the runtime belongs to the parent process, which has forked this one: make a new one, or call "
    "greenproc.initialize() or greenproc.start_in_thread() here"
)
"""The error of a runtime whose hub is None, that of a parent process; see `greenproc.hub.fork`."""

ENDED = (
    "the native thread that started the runtime has ended, and the runtime with it: "
    "make a new one, or call greenproc.initialize()"
)
"""The error of a runtime whose thread has ended."""


def keep_hub_alive(hub: Hub) -> Callable[[], None]:
    """Keep *hub* alive until the returned function is called, in its thread.

    A hub with nothing to wait for raises LoopExit. It does not know that another thread is going
    to call into it.
    """
    watcher = hub.loop.async_()
    watcher.start(_nothing)
    return watcher.close


class Pool(Protocol):
    """Native threads that work for one hub, and keep it alive meanwhile."""

    @property
    def size(self) -> int:
        """How many threads there are, busy or idle."""


def note_pool(hub: Hub, pool: Pool) -> None:
    """Register *pool*, whose threads work for *hub*, and so end no wait there."""
    alive = [other for other in vars(hub).get(POOLS, ()) if other() is not None]
    vars(hub)[POOLS] = [*alive, ref(pool)]


def count_others(hub: Hub) -> int:
    """Count the native threads that may end a wait in *hub*, besides this one and the main one."""
    others = count_threads()
    own_pool: Pool | None = getattr(hub, "_threadpool", None)  # the public property would make one
    if own_pool is not None:
        others -= own_pool.size
    for reference in hub.__dict__.get(POOLS, ()):
        pool: Pool | None = reference()
        if pool is not None:
            others -= pool.size
    return others


def keep_hub_alive_for_threads(hub: Hub) -> Callable[[], None] | None:
    """Do as `keep_hub_alive` if another native thread could end the wait; else return None.

    In a program of one thread, LoopExit is right: it reports a wait that nothing can end. A
    runtime keeps its hub alive by itself. Callers should check `count_threads` first, since this
    is called for each wait.
    """
    if RUNTIMES in hub.__dict__ or count_others(hub) <= 0:
        return None
    return keep_hub_alive(hub)


def note_runtime(hub: Hub, change: int) -> None:
    """Add *change*, 1 or -1, to the number of runtimes that use *hub*, of this thread."""
    if change > 0 and THREAD not in vars(hub):
        vars(hub)[THREAD] = _find_thread()
    running = vars(hub).pop(RUNTIMES, 0) + change
    if running:
        vars(hub)[RUNTIMES] = running


def _find_thread() -> threading.Thread | None:
    """Return the object of this native thread, if it notices the end of the thread."""
    if is_module_patched("threading"):
        return None  # its threads are greenlets
    ident = threading.get_ident()
    # For a thread without an object, current_thread() would make one that never ends.
    thread = next((one for one in threading.enumerate() if one.ident == ident), None)
    # The object of the main thread counts as ended when the program begins to exit.
    return None if thread is threading.main_thread() else thread


def has_ended(hub: Hub) -> bool:
    """Return whether *hub* never runs again: it was destroyed, or its native thread has ended."""
    if hub is get_hub_if_exists():
        return False  # that of this thread: the common case
    loop: object | None = hub.loop
    if loop is None:
        return True
    thread: threading.Thread | None = vars(hub).get(THREAD)
    if thread is not None and not thread.is_alive():
        return True  # the greenlets of the thread die a moment after join() has returned
    root: greenlet = hub
    while root.parent is not None:
        root = root.parent
    return bool(root.dead)  # the main greenlet of a thread dies with the thread


def call_in_hub(hub: Hub | None, function: Callable[..., object], *arguments: object) -> None:
    """Call *function*, which must not wait, in *hub* of a runtime soon; from every native thread.

    Raises:
        StateError: the hub never runs again, or belongs to the parent process.
    """
    _check_end(hub)
    assert hub is not None
    hub.loop.run_callback_threadsafe(function, *arguments)


def check_here(hub: Hub | None, what: str) -> None:
    """Refuse the use of *what* outside the native thread of *hub*, that of a runtime.

    Args:
        what: the name of the method, for the error.

    Raises:
        StateError: this is another thread.
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
    """Tells whether the hub of another native thread has run since the watch was made."""

    __slots__ = ("_has_turned", "_hub")

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._has_turned = False
        if not has_ended(hub):
            hub.loop.run_callback_threadsafe(self._turn)

    def explain(self) -> str:
        """Return why that thread could do nothing, and what to do; no text if its hub has run."""
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

    A greenlet may catch its kill, and thousands need a while. ``gevent.killall`` would raise its
    `gevent.Timeout` then.
    """
    alive = list(greenlets)
    with Timeout(seconds, False):  # type: ignore[arg-type]  # False: end quietly
        killall(alive)
    return sum(not one.dead for one in alive)


def _nothing() -> None:
    """Do nothing: the callback of a watcher that only keeps its hub alive."""
