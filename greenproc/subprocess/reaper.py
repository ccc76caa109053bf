"""`Reaper`: futures of the exit statuses of OS processes, children or not."""

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
"""The attribute of a hub outside of the main thread whose thread may launch children."""

# libprocess' polling intervals in seconds, and the numbers of watched processes they apply to.
MIN_INTERVAL, FEW = 0.1, 50
MAX_INTERVAL, MANY = 1.0, 500


class Reaper:
    """Completes futures with the exit statuses of OS processes.

    The kernel and gevent notify it of the end of a process. Where the kernel has no notification
    for that process, the reaper polls it by its clock.

    A reaper works in the main thread, where gevent collects the children, and in the thread of a
    `BackgroundRuntime`, where it collects them itself. A runtime has one and closes it when it
    stops; greenlets without a runtime use that of the hub.

    Args:
        clock: schedules the polls.

    Source: libprocess src/reap.cpp.
    Differs: libprocess always polls, and misses a status that other code collects.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._hub = get_hub()
        self._watches: dict[int, Watch] = {}
        self._is_closed = False

    def reap(self, pid: int) -> Future[int | None]:
        """Return the future of the status of an OS process, as ``os.waitpid`` has it.

        The status is None if there is no such process, if it is not a child, or if other code
        collected it. The future never fails and ignores discard requests.

        Raises:
            InvalidArgument: *pid* is not a positive int.
            StateError: the calling thread is not the reaper's, or collects no children.
            Closed: the reaper was closed.
        """
        if isinstance(pid, bool) or not isinstance(pid, int) or pid <= 0:
            raise InvalidArgument(f"expected the pid of a process, got {pid!r}")
        return self._watch(pid, is_launched=False)

    def reap_launched(self, pid: int) -> Future[int | None]:
        """Reap a child of `launch`, which no other code collects. See `reap`."""
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
        """Check that `reap` can be called in this thread.

        Raises:
            StateError: the calling thread is not the reaper's, or collects no children.
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
        """Return the polling interval in seconds; it grows with the number of watched processes."""
        excess = (len(self._watches) - FEW) / (MANY - FEW)
        return MIN_INTERVAL + (MAX_INTERVAL - MIN_INTERVAL) * min(max(excess, 0.0), 1.0)

    def statistics(self) -> dict[str, int]:
        """Return the number of watched OS processes."""
        return {"watched": len(self._watches)}

    def close(self) -> None:
        """Stop watching and abandon the pending futures."""
        self._is_closed = True
        for watch in list(self._watches.values()):
            watch.close()
            watch.promise.abandon()

    def disown(self) -> None:
        """Stop watching in a forked child, whose parent owns the watched children."""
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
    """Return the reaper of the current runtime, or of this thread's hub without one."""
    runtime = find_runtime()
    return hub_reaper() if runtime is None else runtime.reaper


def hub_reaper() -> Reaper:
    """Return the reaper of this thread's hub, created on first use."""
    # A reaper uses the loop of one hub, so it is stored on the hub and shares its lifetime.
    attributes = vars(get_hub())
    reaper = attributes.get(HUB_ATTRIBUTE)
    if reaper is None:
        reaper = attributes[HUB_ATTRIBUTE] = Reaper(Clock(HubSource()))
    return cast(Reaper, reaper)


def let_collect(hub: Hub) -> None:
    """Allow launches in the thread of *hub*, which is not the main thread.

    The reaper collects each of its children there, since gevent does so only for its default loop.
    gevent.subprocess must not be used in the main thread meanwhile: it collects every child.
    """
    vars(hub)[COLLECTS] = True


def reap(pid: int) -> Future[int | None]:
    """Return the future of the status of an OS process, child or not. See `Reaper.reap`."""
    return current_reaper().reap(pid)
