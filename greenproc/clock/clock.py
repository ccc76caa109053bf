"""The clock: what time it is, for everybody and for each process, and what happens when.

How long real time takes is the business of `greenproc.clock.source`; the order of timers that of
`greenproc.clock.timers`.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from types import MethodType
from typing import Any, cast, overload
from weakref import ref

from gevent import Timeout, spawn_raw
from gevent.event import AsyncResult

from greenproc.clock.iteration_budget import iteration_budget
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

log = logging.getLogger("greenproc.clock")

# What Clock._watched holds when it is no time: earlier than any due time, and later.
SOON = -(2.0**63)  # the timers are going to be looked at anyway
NEVER = 2.0**63  # nothing is armed

CALLS = 16  # of timers, between two looks at how long they have taken

_CALLER = object()  # stands for the owner that is calling; None is the world outside of any


class Clock:
    """Real time that a test can pause and move by hand, and timers that follow it.

    While it runs there is one time. While it is paused, real time does not flow, and besides the
    global time each owner (a process, or any object) has a time of its own, so that
    causes come before effects: `order` moves the receiver of something up to its sender. The
    global time fires timers; None is the owner of whatever is outside of any.

    What was advanced is never taken back: it stays added to real time after `resume`.

    Timers are called one after the other in a greenlet of the clock, never in the hub and never
    inside an owner. One that waits holds up those that were due with it, until the next are due.

    A clock belongs to one thread, the first that starts it or makes a timer; `current_clock` gives
    others a `CrossThreadClock`. It runs from the start; `start` is needed only after `stop`.

    Args:
        source: where real time comes from.
        current: tells the owner of the running greenlet, None outside of any.
        spawn: starts a function in a new greenlet, later; it must give it a context without owner.
        owners: the class of owners, if they have one.
        loosen: returns what a timer calls instead of a method of one of *owners*, so that it does
            not keep an owner that is gone.
        is_over: tells whether an owner is gone, and has no time of its own any more.

    Source: libprocess include/process/clock.hpp, src/clock.cpp.
    """

    source: Source
    """Where real time comes from, and which thread this belongs to."""
    paused: bool
    """Whether time is held. Only to be read; an attribute because it is read for every event."""
    stopped: bool
    """Whether it takes no timers. Only to be read."""

    def __init__(
        self,
        source: Source,
        *,
        current: Callable[[], object | None] = lambda: None,
        spawn: Callable[[Callable[[], None]], object] | None = None,
        owners: type | tuple[()] = (),
        loosen: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda method: method,
        is_over: Callable[[object], bool] = lambda owner: False,
    ) -> None:
        self.paused = False
        self._pause_changed: Callable[[], object] = lambda: None
        self.source = source
        self._wall = source.now
        self._current = current
        self._spawn = spawn_raw if spawn is None else spawn
        self._owners = owners
        self._loosen = loosen
        self._is_over = is_over
        self.stopped = False
        self._advanced = 0
        self._initial = 0
        self._global = 0
        self._times: dict[int, tuple[object, int]] = {}  # by identity: owners may have no hash
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
        """Count what is pending: timers, ticks whose timers are being called, sleepers."""
        return {
            "timers": len(self._queue) + len(self._expired),
            "ticks": self._ticks,
            "sleepers": len(self._sleepers),
            "owners": len(self._times),
            "advanced": to_seconds(self._advanced),
        }

    # Life

    def start(self) -> None:
        """Belong to this thread, and accept timers again after `stop`."""
        self.source.open()
        self.stopped = False
        self._push = self._queue.push

    def stop(self) -> None:
        """Resume, drop all timers, and wake those who sleep with `Closed`.

        Nothing stays armed, so timers made after a later `start` fire on time.

        Source: libprocess src/clock.cpp, Clock::finalize; it kept the record of what was armed,
        which its test TimerAfterReinitialize is about.
        """
        self.resume()
        self.stopped = True
        self._push = self._refuse
        self._queue.clear()
        for timer in self._expired:
            timer.thunk = None
        self._expired.clear()
        self.source.close()
        self._watched = NEVER
        for sleeper in self._sleepers:
            sleeper.set_exception(Closed("the clock was stopped"))

    def disown(self) -> None:
        """Fire nothing any more, and tell nobody: this is the clock of the parent process."""
        self.stopped = True
        self._push = self._refuse
        self._inherited = (self._queue, self._expired)  # no finalizer of a thunk may run
        self._queue, self._expired = TimerQueue(), deque()
        self.source.close()
        self._watched = NEVER

    # Time

    def now(self, owner: object | None = _CALLER) -> float:
        """Return the seconds since 1970.

        Args:
            owner: whose time, while paused. Without it the time of the caller, which outside of
                any owner is the global one, as it is for None. An owner that nothing has moved
                yet is at the time of the pause.
        """
        return to_seconds(self._time(self._current() if owner is _CALLER else owner))

    def pause(self) -> None:
        """Hold the time. Nothing happens if it is held already."""
        if self.paused:
            return
        self._initial = self._global = self._time(None)
        self.paused = True
        self._watch()
        self._pause_changed()

    def resume(self) -> None:
        """Let real time flow again, from now plus what was advanced, and forget owners' times."""
        if not self.paused:
            return
        self.paused = False
        self._times.clear()
        self._watch()
        self._pause_changed()

    def watch_pauses(self, changed: Callable[[], object]) -> None:
        """Call *changed*, and nothing else, after each time that the clock was paused or resumed."""
        self._pause_changed = changed

    @overload
    def advance(self, seconds: float, /) -> None: ...

    @overload
    def advance(self, *, seconds: float) -> None: ...

    @overload
    def advance(self, owner: object | None, seconds: float) -> None: ...

    def advance(self, owner: object | None = None, seconds: float | None = None) -> None:
        """Move the paused time: ``advance(seconds)``, or that of one owner: with both.

        Timers that become due fire afterwards, not before this returns. Moving an owner fires
        none. A running clock ignores it.

        Raises:
            InvalidArgument: *seconds* is negative, no number, or leads beyond the year 2262.
        """
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
        """Move the paused time forward to *time*: ``update(time)``, or that of one owner: with both.

        If it is later already, nothing happens. A running clock ignores it.

        Args:
            time: seconds since 1970.
            force: move the owner even if that is back. The global time never goes back.

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
        """Move *after* forward to the time of *before*: something got from the one to the other.

        A running clock ignores it, and None as *after* is not moved.

        Source: libprocess src/clock.cpp, Clock::order.
        """
        if self.paused:
            self._bring(after, self._time(before))

    def forget(self, owner: object) -> None:
        """Drop the time of an owner that is gone."""
        self._times.pop(id(owner), None)

    # Timers

    def timer(self, seconds: float, thunk: Callable[[], object]) -> Timer:
        """Call *thunk* after a while, in a greenlet of the clock.

        The wait starts at the time of the caller. Paused, an owner may be behind the global
        time; then its timer may be due at once.

        Args:
            seconds: zero or less fires soon too, never before this returns; infinity never.
            thunk: a bound method of a process is called only while the process has not ended, and
                does not keep it; any other function is called in any case.

        Raises:
            InvalidArgument: *seconds* is no number, or *thunk* cannot be called.
            StateError: the clock was stopped.
        """
        if type(thunk) is MethodType:
            if isinstance(thunk.__self__, self._owners):
                thunk = self._loosen(thunk)
        elif not callable(thunk):
            raise InvalidArgument(f"expected a function to call, got {thunk!r}")
        creator = self._current()
        # This is _time plus from_seconds, spelt out because it is most of what a timer costs.
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
        timer.microseconds = due
        timer.thunk = thunk
        timer.maker = creator if creator is None else ref(creator)
        timer.canceller = self._queue
        timer.is_queued = True
        self._push(timer)
        if due < self._watched:
            self._watch()
        return timer

    def cancel(self, timer: Timer) -> bool:
        """Keep *timer* from firing; tell whether that was still possible.

        Raises:
            InvalidArgument: *timer* is one of another clock.

        Differs: libprocess answers whether any timer is pending at the same due time, and no
        longer cancels a timer once others of its tick are being called.
        """
        if timer.canceller is not self._queue:
            raise InvalidArgument(f"expected a timer of this clock, got {timer!r}")
        return self._queue.cancel(timer)

    def sleep(self, seconds: float) -> None:
        """Wait for *seconds* of this clock. Killing the greenlet that waits leaves no timer.

        Raises:
            InvalidArgument: *seconds* is negative or no number.
            StateError: the clock was stopped.
            Closed: the clock was stopped meanwhile.
        """
        check_duration(seconds)
        sleeper: AsyncResult[None] = AsyncResult()
        timer = self.timer(seconds, sleeper.set)
        self._sleepers.add(sleeper)
        try:
            sleeper.get()
        finally:
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
        """Queue a timer that another thread has made; drop it if the clock was stopped since."""
        if self.stopped:
            timer.thunk = None
            return
        timer.is_queued = True
        self._push(timer)
        self._watch()

    def take_back(self, timer: Timer) -> None:
        """Cancel a timer that another thread has made."""
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
        self._advanced += time - self._global
        self._global = time
        self._watch()

    def _refuse(self, timer: Timer) -> None:
        raise StateError("expected a running clock, but it was stopped; start() it again")

    def _watch(self) -> None:
        # However many timers come and go before the hub gets its turn, it arms one wait for them.
        if self._watched != SOON:
            self._watched = SOON
            self.source.soon(self._look)

    def _look(self) -> None:
        """Start a tick if a timer is due, else arm the wait for the next one. Runs in the hub.

        Looking once more than needed is harmless, so nobody has to take back a look or a wait:
        one that is early, or left over from before a pause, finds nothing due.
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
            # An armed wait for nothing would keep the loop of a finished program alive.
            self._queue.emptied = self._watch
            self.source.arm(to_seconds(wait), self._look)

    def _tick(self) -> None:
        """Call the timers that are due, and those that a waiting tick before left over."""
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
            if self._expired:  # this greenlet was killed
                self._spawn(self._tick)

    def _call_some(self) -> None:
        """Call some of the timers that are due; whether there is time for more is asked then."""
        expired = self._expired
        for _ in range(CALLS):
            if not expired:
                return
            timer = expired.popleft()
            thunk = timer.thunk
            if thunk is None:
                continue
            timer.thunk = None
            try:
                thunk()
            except (Exception, Timeout):
                log.exception("the function of a timer failed: %r", thunk)

    def _expire(self) -> None:
        timers = self._queue.pop_due(self._time(None))
        self._expired.extend(timers)
        if self.paused:
            for timer in timers:
                creator = timer.creator
                if creator is not None and not self._is_over(creator):
                    self._bring(creator, round(timer.microseconds))
        self._look()

    def _bring(self, owner: object | None, time: int) -> None:
        """Move a paused owner forward to *time*; None has no time of its own to move."""
        if owner is not None and time > self._time(owner):
            self._times[id(owner)] = owner, time
