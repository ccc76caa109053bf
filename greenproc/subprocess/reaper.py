"""Learning how OS processes end, children or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from gevent import get_hub
from gevent._hub_local import get_hub_if_exists
from gevent.hub import Hub

from greenproc.clock import Clock, HubSource, Timer
from greenproc.current import find_runtime
from greenproc.errors import Closed, InvalidArgument, StateError
from greenproc.future import Future, undiscardable
from greenproc.subprocess.watch import Watch

HUB_ATTRIBUTE = "greenproc_reaper"

COLLECTS = "greenproc_collects"
"""The attribute of a hub, not of the main thread, in whose thread children are started all the same."""

# libprocess' intervals, and how many processes are awaited then.
MIN_INTERVAL, FEW = 0.1, 50
MAX_INTERVAL, MANY = 1.0, 500


class Reaper:
    """Tells how OS processes end.

    The kernel and gevent wake it. Where the kernel has no way to tell the end of that process, it
    looks from time to time, by its clock.

    It works in the main thread, where gevent collects the children, and in the thread of a
    `BackgroundRuntime`, where it does so itself. A runtime has one, which is closed when it stops;
    beside a runtime there is that of the hub.

    Args:
        clock: tells how long to wait between two looks.

    Source: libprocess src/reap.cpp.
    Differs: that always looks from time to time, and misses a status that somebody else takes.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._hub = get_hub()
        self._watches: dict[int, Watch] = {}
        self._is_closed = False

    def reap(self, pid: int) -> Future[int | None]:
        """Return the future of the status of an OS process, as ``os.waitpid`` has it.

        It is None if there is no such process, if it is no child of this one, or if somebody else
        took the status. The future never fails, and a discard request does nothing.

        Raises:
            InvalidArgument: *pid* is no positive number.
            StateError: this is another thread.
            Closed: the reaper was closed.
        """
        if isinstance(pid, bool) or not isinstance(pid, int) or pid <= 0:
            raise InvalidArgument(f"expected the pid of a process, got {pid!r}")
        return self._watch(pid, is_launched=False)

    def reap_launched(self, pid: int) -> Future[int | None]:
        """Do as `reap` for a child that `launch` has made, so that it is left to no other code."""
        return self._watch(pid, is_launched=True)

    def _watch(self, pid: int, *, is_launched: bool) -> Future[int | None]:
        self.require_open()
        watch = self._watches.get(pid)
        if watch is None:
            watch = Watch(pid, self._look_later, self._forget, is_launched=is_launched)
            self._watches[pid] = watch
            watch.start()
        return undiscardable(watch.promise.future)

    def require_open(self) -> None:
        """Make sure that `reap` can be called here.

        Raises:
            StateError: this is another thread.
            Closed: the reaper was closed.
        """
        hub = self._hub
        is_here = get_hub_if_exists() is hub
        if not is_here or not (hub.loop.default or COLLECTS in vars(hub)):
            raise StateError(
                "expected the main thread, where gevent starts and collects children, or that of a "
                "runtime from start_in_thread(), where a process is, and runtime.call(launch, ...)"
            )
        if self._is_closed:
            raise Closed("the reaper was closed: its runtime has stopped")

    def interval(self) -> float:
        """Return the seconds between two looks: longer, the more processes are awaited."""
        excess = (len(self._watches) - FEW) / (MANY - FEW)
        return MIN_INTERVAL + (MAX_INTERVAL - MIN_INTERVAL) * min(max(excess, 0.0), 1.0)

    def statistics(self) -> dict[str, int]:
        """Count the OS processes that are watched."""
        return {"watched": len(self._watches)}

    def close(self) -> None:
        """Stop watching. Futures that are pending are abandoned."""
        self._is_closed = True
        for watch in list(self._watches.values()):
            watch.close()
            watch.promise.abandon()

    def disown(self) -> None:
        """Stop watching, in a forked child: the OS processes are the children of the parent."""
        self._is_closed = True
        for watch in self._watches.values():
            watch.disown()

    def __repr__(self) -> str:
        return f"<Reaper{' closed' if self._is_closed else ''}, {len(self._watches)} watched>"

    def _look_later(self, look: Callable[[], None]) -> Timer:
        return self._clock.timer(self.interval(), look)

    def _forget(self, watch: Watch) -> None:
        self._watches.pop(watch.pid, None)


def current_reaper() -> Reaper:
    """Return the reaper of the runtime of this greenlet, else that of this thread's hub."""
    runtime = find_runtime()
    return hub_reaper() if runtime is None else runtime.reaper


def hub_reaper() -> Reaper:
    """Return the reaper that lives as long as this thread's hub."""
    # It needs the loop of one hub and has its life, as the clock of `greenproc.clock.current`.
    attributes = vars(get_hub())
    reaper = attributes.get(HUB_ATTRIBUTE)
    if reaper is None:
        reaper = attributes[HUB_ATTRIBUTE] = Reaper(Clock(HubSource()))
    return cast(Reaper, reaper)


def let_collect(hub: Hub) -> None:
    """Let children be started and collected in the thread of *hub*, which is not the main one.

    There the children are collected one by one: gevent does it for its default loop only. So
    gevent.subprocess must not be used in the main thread beside it, which collects every child.
    """
    vars(hub)[COLLECTS] = True


def reap(pid: int) -> Future[int | None]:
    """Return the future of the status of an OS process, child or not. See `Reaper.reap`."""
    return current_reaper().reap(pid)
