"""Learning how OS processes end, children or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from gevent import get_hub

from greenproc.clock import Clock, HubSource, Timer
from greenproc.current import find_runtime
from greenproc.errors import Closed, InvalidArgument, StateError
from greenproc.future import Future, undiscardable
from greenproc.subprocess.watch import Watch

HUB_ATTRIBUTE = "greenproc_reaper"

# libprocess' intervals, and how many processes are awaited then.
MIN_INTERVAL, FEW = 0.1, 50
MAX_INTERVAL, MANY = 1.0, 500


class Reaper:
    """Tells how OS processes end.

    The kernel and gevent wake it. Where the kernel has no way to tell the end of that process, it
    looks from time to time, by its clock.

    It works in the main thread, where gevent collects the children. A runtime has one, which is
    closed when it stops; beside a runtime there is that of the hub.

    Args:
        clock: tells how long to wait between two looks.

    Source: libprocess src/reap.cpp.
    Differs: that always looks from time to time, and misses a status that somebody else takes.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._watches: dict[int, Watch] = {}
        self._is_closed = False

    def reap(self, pid: int) -> Future[int | None]:
        """Return the future of the status of an OS process, as ``os.waitpid`` has it.

        It is None if there is no such process, if it is no child of this one, or if somebody else
        took the status. The future never fails, and a discard request does nothing.

        Raises:
            InvalidArgument: *pid* is no positive number.
            StateError: this is not the main thread.
            Closed: the reaper was closed.
        """
        if isinstance(pid, bool) or not isinstance(pid, int) or pid <= 0:
            raise InvalidArgument(f"expected the pid of a process, got {pid!r}")
        self.require_open()
        watch = self._watches.get(pid)
        if watch is None:
            watch = self._watches[pid] = Watch(pid, self._look_later, self._forget)
            watch.start()
        return undiscardable(watch.promise.future)

    def require_open(self) -> None:
        """Make sure that `reap` can be called here.

        Raises:
            StateError: this is not the main thread.
            Closed: the reaper was closed.
        """
        if not get_hub().loop.default:
            raise StateError(
                "expected the main thread: gevent starts and collects children only there"
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
    return hub_reaper() if runtime is None else cast(Reaper, runtime.reaper)


def hub_reaper() -> Reaper:
    """Return the reaper that lives as long as this thread's hub."""
    # It needs the loop of one hub and has its life, as the clock of `greenproc.clock.current`.
    attributes = vars(get_hub())
    reaper = attributes.get(HUB_ATTRIBUTE)
    if reaper is None:
        reaper = attributes[HUB_ATTRIBUTE] = Reaper(Clock(HubSource()))
    return cast(Reaper, reaper)


def reap(pid: int) -> Future[int | None]:
    """Return the future of the status of an OS process, child or not. See `Reaper.reap`."""
    return current_reaper().reap(pid)
