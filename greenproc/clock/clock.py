"""The clock: the time, globally and of each process, and the timers that follow it.

`greenproc.clock.source` measures real time, and `greenproc.clock.timers` orders the timers.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from types import MethodType
from typing import Any, cast, overload
from weakref import ref

from gevent import spawn_raw
from gevent.event import AsyncResult

from greenproc.clock.microseconds import (
    MICROSECONDS,
    check_duration,
    check_time,
    from_seconds,
    to_seconds,
)
from greenproc.clock.source import Source
from greenproc.clock.timers import Timer, TimerQueue
from greenproc.errors import Closed, InvalidArgument, StateError
from greenproc.failures import FAILURES, log_failure
from greenproc.hub.iteration_budget import iteration_budget
from greenproc.tracing import TRACING, InTrace

log = logging.getLogger("greenproc.clock")

# Values of Clock._watched that are no time: earlier than any due time, and later.
SOON = -(2.0**63)  # a look at the timers is scheduled
NEVER = 2.0**63  # no wait is armed

CALLS = 16  # timers between two looks at the budget, so that looks cost little beside them

_CALLER = object()  # the default owner: that of the running greenlet; None is outside of any


class Clock:
    """Real time that a test can pause and move by hand, and timers that follow it.

    A running clock has one time. In a paused one real time does not flow, and besides the global
    time each owner (a process, or any object) has a time of its own, so that causes come before
    effects: `order` moves the receiver of something up to its sender. The global time fires
    timers; the owner None is all code outside of owners.

    Advances are never taken back: after `resume` they stay added to real time.

    Timers are called one after the other in a greenlet of the clock, never in the hub and never
    inside an owner. A timer that waits holds up those that were due with it, until the next ones
    are due.

    A clock belongs to one thread, the first that starts it or makes a timer; `current_clock` gives
    other threads a `CrossThreadClock`. It runs from the start; only `stop` makes `start` needed.

    Args:
        source: the source of real time.
        current: returns the owner of the running greenlet, None outside of owners.
        spawn: starts a function in a new greenlet, later, in a context without an owner.
        owners: the class of owners, if they have one.
        weaken: returns what a timer calls instead of a method of one of *owners*, so that the
            timer does not keep the owner alive.
        is_over: tells whether an owner has ended, and has no time of its own any more.

    Source: libprocess include/process/clock.hpp, src/clock.cpp.
    """

    source: Source
    """The source of real time, which belongs to the thread of the clock."""
    paused: bool
    """Whether time is held. Read-only; no property, because it is read for every event."""
    stopped: bool
    """Whether it refuses timers. Read-only."""

    def __init__(
        self,
        source: Source,
        *,
        current: Callable[[], object | None] = lambda: None,
        spawn: Callable[[Callable[[], None]], object] | None = None,
        owners: type | tuple[()] = (),
        weaken: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda method: method,
        is_over: Callable[[object], bool] = lambda owner: False,
    ) -> None:
        self.paused = False
        self._pause_changed: Callable[[], object] = lambda: None
        self.source = source
        self._wall = source.now
        self._current = current
        self._spawn = spawn_raw if spawn is None else spawn
        self._owners = owners
        self._weaken = weaken
        self._is_over = is_over
        self.stopped = False
        self._advanced = 0
        self._initial = 0
        self._global = 0
        # By identity, since owners may have no hash; with the owner, which keeps its id unique.
        self._times: dict[int, tuple[object, int]] = {}
        self._queue = TimerQueue()
        self._push = self._queue.push
        self._watched = NEVER
        self._expired: deque[Timer] = deque()
        self._ticks = 0
        self._sleepers: set[AsyncResult[None]] = set()

    def __repr__(self) -> str:
        state = "stopped" if self.stopped else "paused" if self.paused else "running"
        return f"<Clock {state} at {self.now(None)!r}, {len(self._queue)} timers>"

    def statistics(self) -> dict[str, float]:
        """Count timers, ticks whose timers are being called, sleepers, and owners with a time."""
        return {
            "timers": len(self._queue) + len(self._expired),
            "ticks": self._ticks,
            "sleepers": len(self._sleepers),
            "owners": len(self._times),
            "advanced": to_seconds(self._advanced),
        }

    # Life

    def start(self) -> None:
        """Belong to this thread, and accept timers, also after `stop`."""
        self.source.open()
        self.stopped = False
        self._push = self._queue.push

    def stop(self) -> None:
        """Resume, drop all timers, and wake the greenlets in `sleep` with `Closed`.

        No wait stays armed, so timers that are made after a later `start` fire on time.

        Source: libprocess src/clock.cpp, Clock::finalize; it kept the record of what was armed,
        which its test TimerAfterReinitialize is about.
        """
        self.resume()
        self.stopped = True
        # Checking `stopped` in each `timer` would cost the many that succeed.
        self._push = self._refuse
        self._queue.clear()
        for timer in self._expired:
            timer._thunk = None
        self._expired.clear()
        self.source.close()
        self._watched = NEVER
        # Their timers are gone, so nothing else would wake them.
        for sleeper in self._sleepers:
            sleeper.set_exception(Closed("the clock was stopped"))

    def disown(self) -> None:
        """Fire nothing any more, in a forked child: the clock belongs to the parent process."""
        self.stopped = True
        self._push = self._refuse
        # Kept, because dropping a timer runs finalizers, which are for the parent to run.
        self._inherited = (self._queue, self._expired)
        self._queue, self._expired = TimerQueue(), deque()
        self.source.close()
        self._watched = NEVER

    # Time

    def now(self, owner: object | None = _CALLER) -> float:
        """Return the seconds since 1970.

        Args:
            owner: whose time, in a paused clock. By default that of the running greenlet, which
                outside of owners is the global one, as it is for None. An owner that was not moved
                yet has the time of the pause.
        """
        return to_seconds(self._time(self._current() if owner is _CALLER else owner))

    def pause(self) -> None:
        """Hold the time. A paused clock stays as it is."""
        if self.paused:
            return
        # Before the flag, which makes _time read what is set here.
        self._initial = self._global = self._time(None)
        self.paused = True
        self._watch()
        self._pause_changed()

    def resume(self) -> None:
        """Let real time flow again, from now plus all advances, and drop the times of owners."""
        if not self.paused:
            return
        self.paused = False
        self._times.clear()
        self._watch()
        self._pause_changed()

    def watch_pauses(self, changed: Callable[[], object]) -> None:
        """Call *changed*, instead of an earlier function, at each pause and resume."""
        self._pause_changed = changed

    @overload
    def advance(self, seconds: float, /) -> None: ...

    @overload
    def advance(self, *, seconds: float) -> None: ...

    @overload
    def advance(self, owner: object | None, seconds: float) -> None: ...

    def advance(self, owner: object | None = None, seconds: float | None = None) -> None:
        """Move the paused time: ``advance(seconds)``, or that of one owner with both arguments.

        Timers that become due fire afterwards, not before this returns. Moving an owner fires
        none. A running clock ignores it.

        Raises:
            InvalidArgument: *seconds* is negative, no number, or leads beyond the year 2262.
        """
        # With one argument it is the time, as in libprocess, where the owner comes first of two.
        if seconds is None:
            owner, seconds = None, cast("float", owner)
        step = check_duration(seconds)
        if self.paused:
            self._move(owner, check_time(self._time(owner) + step))

    @overload
    def update(self, time: float, /) -> None: ...

    @overload
    def update(self, *, time: float) -> None: ...

    @overload
    def update(self, owner: object | None, time: float, *, force: bool = False) -> None: ...

    def update(
        self, owner: object | None = None, time: float | None = None, *, force: bool = False
    ) -> None:
        """Move the paused time forward: ``update(time)``, or that of one owner with both
        arguments.

        A time that is later already stays. A running clock ignores it.

        Args:
            time: seconds since 1970.
            force: move the owner even backwards. The global time never goes back.

        Raises:
            InvalidArgument: *time* is no number or after the year 2262, or force without an owner.
        """
        if time is None:
            owner, time = None, cast("float", owner)
        if force and owner is None:
            raise InvalidArgument("expected an owner with force: the global time never goes back")
        target = check_time(from_seconds(time))
        if self.paused and (force or target > self._time(owner)):
            self._move(owner, target)

    def order(self, before: object | None, after: object | None) -> None:
        """Move *after* forward to the time of *before*, from which it received something.

        A running clock ignores it, and None as *after* is not moved.

        Source: libprocess src/clock.cpp, Clock::order.
        """
        if self.paused:
            self._bring(after, self._time(before))

    def forget(self, owner: object) -> None:
        """Drop the time of an owner that has ended."""
        self._times.pop(id(owner), None)

    # Timers

    def timer(self, seconds: float, thunk: Callable[[], object]) -> Timer:
        """Call *thunk* after a while, in a greenlet of the clock.

        The wait starts at the time of the running owner. In a paused clock that may be behind the
        global time; then the timer may be due at once.

        Args:
            seconds: zero or less fires soon too, never before this returns; infinity never fires.
            thunk: a bound method of a process is called only while the process has not ended, and
                does not keep it alive; any other function is called in any case.

        Raises:
            InvalidArgument: *seconds* is no number, or *thunk* is not callable.
            StateError: the clock was stopped.
        """
        if type(thunk) is MethodType:
            if isinstance(thunk.__self__, self._owners):
                thunk = self._weaken(thunk)
        elif not callable(thunk):
            raise InvalidArgument(f"expected a function to call, got {thunk!r}")
        if TRACING.is_active:
            thunk = InTrace(thunk)
        creator = self._current()
        # As _time plus from_seconds, without their calls, which are most of what a timer costs.
        try:
            if self.paused:
                due = self._time(creator) + seconds * MICROSECONDS
            else:
                due = (self._wall() + seconds) * MICROSECONDS + self._advanced
            if not SOON < due < NEVER:
                due = self._time(creator) + from_seconds(seconds)
        except (TypeError, OverflowError):
            due = self._time(creator) + from_seconds(seconds)
        timer = Timer()
        timer._microseconds = due
        timer._thunk = thunk
        timer._maker = creator if creator is None else ref(creator)
        timer._canceller = self._queue
        timer._is_queued = True
        self._push(timer)
        if due < self._watched:
            self._watch()
        return timer

    def cancel(self, timer: Timer) -> bool:
        """Keep *timer* from firing; return whether that was still possible.

        Raises:
            InvalidArgument: *timer* is one of another clock.

        Differs: libprocess answers whether any timer is pending at the same due time, and no
        longer cancels a timer once others of its tick are being called.
        """
        if timer._canceller is not self._queue:
            raise InvalidArgument(f"expected a timer of this clock, got {timer!r}")
        return self._queue.cancel(timer)

    def sleep(self, seconds: float) -> None:
        """Wait for *seconds* of this clock. Killing the greenlet leaves no timer behind.

        Raises:
            InvalidArgument: *seconds* is negative or no number.
            StateError: the clock was stopped before.
            Closed: the clock was stopped meanwhile.
        """
        check_duration(seconds)
        sleeper: AsyncResult[None] = AsyncResult()
        timer = self.timer(seconds, sleeper.set)
        self._sleepers.add(sleeper)
        try:
            sleeper.get()
        finally:  # also after a kill: the timer would set a result that nothing waits for
            self._sleepers.discard(sleeper)
            timer.cancel()

    @property
    def settled(self) -> bool:
        """Whether no timer is due and none is being called.

        Source: libprocess src/clock.cpp, Clock::settled.
        """
        if self._ticks or self._expired:
            return False
        due = self._queue.next_due()
        return due is None or due > self._time(None)

    def take(self, timer: Timer) -> None:
        """Queue a timer of another thread; drop it if the clock was stopped meanwhile."""
        if self.stopped:  # after the other thread has called this
            timer._thunk = None
            return
        timer._is_queued = True
        self._push(timer)
        self._watch()

    def take_back(self, timer: Timer) -> None:
        """Cancel a timer of another thread."""
        self._queue.cancel(timer)

    # Inside

    def _time(self, owner: object | None) -> int:
        if not self.paused:
            return round(self._wall() * MICROSECONDS) + self._advanced
        if owner is None:
            return self._global
        known = self._times.get(id(owner))
        return self._initial if known is None else known[1]

    def _move(self, owner: object | None, time: int) -> None:
        if owner is not None:
            self._times[id(owner)] = owner, time
            return
        # Added up now, so that `resume` goes on from here without a jump back.
        self._advanced += time - self._global
        self._global = time
        self._watch()

    def _refuse(self, timer: Timer) -> None:
        raise StateError("expected a running clock, but it was stopped; start() it again")

    def _watch(self) -> None:
        # One look for all timers that come and go before the hub gets its turn.
        if self._watched != SOON:
            self._watched = SOON
            self.source.soon(self._look)

    def _look(self) -> None:
        """Start a tick if a timer is due, else arm the wait for the next one. Runs in the hub.

        A look too many is harmless, so looks and waits are not taken back: one that is early, or
        was armed before a pause, finds nothing due.
        """
        due = self._queue.next_due()
        if due is None or (self.paused and due > self._global):
            self._watched = NEVER
            self._queue.emptied = None
            self.source.disarm()
            return
        wait = due - self._time(None)
        if wait <= 0:
            self._watched = SOON
            self._spawn(self._tick)
        else:
            self._watched = due
            # A wait for no timer would keep the loop of a finished program alive.
            self._queue.emptied = self._watch
            self.source.arm(to_seconds(wait), self._look)

    def _tick(self) -> None:
        """Call the timers that are due, and those left over by a tick that waits."""
        self._ticks += 1
        try:
            self._expire()
            self._call_some()
            budget = iteration_budget()
            while self._expired:
                if budget.is_spent():
                    budget.wait()
                self._call_some()
        finally:
            self._ticks -= 1
            if self._expired:  # a thunk was killed, or raised what ends a greenlet
                self._spawn(self._tick)

    def _call_some(self) -> None:
        """Call some of the due timers; the budget decides about more."""
        expired = self._expired
        for _ in range(CALLS):
            if not expired:
                return
            timer = expired.popleft()
            thunk = timer._thunk
            if thunk is None:
                continue
            timer._thunk = None  # before the call, which may cancel the timer or look at it
            try:
                thunk()
            except FAILURES:
                log_failure(log, "the function of a timer failed: %r", thunk)

    def _expire(self) -> None:
        timers = self._queue.pop_due(self._time(None))
        self._expired.extend(timers)
        # The time of an owner that waited for a timer is at least that at which it fired.
        if self.paused:
            for timer in timers:
                creator = timer.creator
                if creator is not None and not self._is_over(creator):
                    self._bring(creator, round(timer._microseconds))
        self._look()

    def _bring(self, owner: object | None, time: int) -> None:
        """Move a paused owner forward to *time*; None has no time of its own."""
        if owner is not None and time > self._time(owner):
            self._times[id(owner)] = owner, time
