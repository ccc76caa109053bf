"""Sources of real time: the gevent loop, or a number that a test moves."""

from __future__ import annotations

from collections.abc import Callable
from time import time
from typing import Any, Protocol

from gevent import get_hub
from gevent._hub_local import get_hub_if_exists

from greenproc.clock.microseconds import from_seconds, to_seconds
from greenproc.hub.lifetime import has_ended

MAX_WAIT = 86_400.0  # seconds: a wake-up each day costs nothing, and no loop overflows on it


class Source(Protocol):
    """Tells the time and calls back later. A callback may be early, and must look at the time."""

    @property
    def is_elsewhere(self) -> bool:
        """Whether it belongs to another thread, which may only use `now` and `call`."""

    @property
    def has_ended(self) -> bool:
        """Whether its thread has ended, so that it never calls back."""

    def open(self) -> None:
        """Belong to this thread from now on."""

    def now(self) -> float:
        """Return the seconds since 1970."""

    def call(self, function: Callable[..., object], *args: object) -> None:
        """Call *function*, which must not wait, in the thread of the source; from any thread."""

    def soon(self, callback: Callable[[], object]) -> None:
        """Call *callback*, which must not wait, before the loop waits for anything."""

    def arm(self, seconds: float, callback: Callable[[], object]) -> None:
        """Call *callback*, which must not wait, once, after *seconds*; replace an armed one."""

    def disarm(self) -> None:
        """Drop the armed callback."""

    def close(self) -> None:
        """Disarm and release resources; the source may be used again."""


class HubSource:
    """The wall clock, and the loop of the hub of the thread that first opens or uses it.

    Source: libprocess src/posix/libev/libev.cpp, EventLoop::time and EventLoop::delay.
    """

    __slots__ = ("_hub", "_watcher")

    now = staticmethod(time)
    """Return the seconds since 1970."""

    def __init__(self) -> None:
        self._hub: Any = None
        self._watcher: Any = None

    def __repr__(self) -> str:
        return f"<HubSource{'' if self._watcher is None else ' armed'}>"

    @property
    def is_elsewhere(self) -> bool:
        """Whether it belongs to the hub of another thread."""
        return self._hub is not None and self._hub is not get_hub_if_exists()

    @property
    def has_ended(self) -> bool:
        """Whether it belongs to the hub of a thread that has ended."""
        return self.is_elsewhere and has_ended(self._hub)

    def open(self) -> None:
        """Belong to the hub of this thread."""
        self._hub = get_hub()

    def call(self, function: Callable[..., object], *args: object) -> None:
        """Call *function* soon in the hub; after its end, never."""
        loop = None if self._hub is None else self._hub.loop
        if loop is not None:
            loop.run_callback_threadsafe(function, *args)

    def soon(self, callback: Callable[[], object]) -> None:
        """Call *callback* in the hub, as soon as the running greenlet yields."""
        self._loop().run_callback(callback)

    def arm(self, seconds: float, callback: Callable[[], object]) -> None:
        """Call *callback* in the hub after *seconds*."""
        self.disarm()
        loop = self._loop()
        # libuv counts milliseconds, and warns of a shorter wait.
        wait = max(min(seconds, MAX_WAIT), loop.approx_timer_resolution)
        # The wait of a gevent watcher cannot change, so each wait needs a new watcher.
        self._watcher = loop.timer(wait)
        # The time of the loop is as old as the running callback; *update* refreshes it.
        self._watcher.start(self._fire, callback, update=True)

    def disarm(self) -> None:
        """Stop the watcher."""
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None

    def close(self) -> None:
        """Stop the watcher and release the hub."""
        self.disarm()
        self._hub = None

    def _fire(self, callback: Callable[[], object]) -> None:
        self.disarm()  # first, since the callback usually arms the next wait
        callback()

    def _loop(self) -> Any:
        if self._hub is None:
            self.open()
        return self._hub.loop


class ManualSource:
    """A number as the time, which only moves by `move`. For tests: no loop, no waiting."""

    __slots__ = ("_armed", "_elapsed", "_start")

    is_elsewhere = False
    """It belongs to no thread, so to no other one."""
    has_ended = False

    def __init__(self, seconds: float = 1_000_000_000.0) -> None:
        self._start = from_seconds(seconds)
        self._elapsed = 0
        self._armed: tuple[int, Callable[[], object]] | None = None

    def __repr__(self) -> str:
        return f"<ManualSource {self.now()!r}{' armed' if self.is_armed else ''}>"

    @property
    def is_armed(self) -> bool:
        """Whether a callback is armed."""
        return self._armed is not None

    def move(self, seconds: float) -> None:
        """Let *seconds* pass, and call the armed callbacks at their times."""
        end = self._elapsed + from_seconds(seconds)
        while self._armed is not None and self._armed[0] <= end:
            # The time of the callback and not the end of the move: it may arm another one between.
            self._elapsed, callback = self._armed
            self._armed = None
            callback()
        self._elapsed = end

    def step(self, seconds: float) -> None:
        """Set the wall clock forward or back, as an operator may; no time passes."""
        self._start += from_seconds(seconds)

    def now(self) -> float:
        """Return the seconds since 1970."""
        return to_seconds(self._start + self._elapsed)

    def open(self) -> None:
        """Do nothing: it belongs to no thread."""

    def call(self, function: Callable[..., object], *args: object) -> None:
        """Call *function* at once."""
        function(*args)

    def soon(self, callback: Callable[[], object]) -> None:
        """Call *callback* at once."""
        callback()

    def arm(self, seconds: float, callback: Callable[[], object]) -> None:
        """Call *callback* in the `move` that reaches *seconds* from now."""
        self._armed = (self._elapsed + from_seconds(seconds), callback)

    def disarm(self) -> None:
        """Drop the armed callback."""
        self._armed = None

    def close(self) -> None:
        """Drop the armed callback."""
        self._armed = None
