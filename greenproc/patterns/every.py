"""`Repetition`: a periodic dispatch to a process, with a fixed period or the times of a `Cron`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from greenproc.checks import refuse_method
from greenproc.clock import Timer
from greenproc.clock.microseconds import check_duration, check_time
from greenproc.errors import InvalidArgument
from greenproc.future import Future
from greenproc.patterns.cron import Cron
from greenproc.pid import UPID
from greenproc.process.arguments import as_upid, check_delay
from greenproc.process.base import Process
from greenproc.process.current import current_process
from greenproc.process.defer import resolve_method
from greenproc.process.event import DispatchEvent
from greenproc.process.record import TERMINATING, ProcessRecord
from greenproc.tracing import TraceContext, current_trace

if TYPE_CHECKING:
    from greenproc.runtime.runtime import Runtime

MIN_SECONDS = 0.001
"""The minimum period: a shorter one would keep the hub busy."""

MAX_WAIT = 60.0
"""How long a `Cron` waits at most before it looks at the time again, as cron does. Timers do not notice that
the clock of the system was set forward, as it is after a suspension of the machine."""

MAX_MISSED = 1000
"""How many times of a `Cron` that have passed at once are counted; each takes some 10 microseconds."""


class Seconds:
    """Times with a fixed distance in seconds."""

    max_wait: float | None = None

    def __init__(self, seconds: float) -> None:
        if check_duration(seconds) < check_duration(MIN_SECONDS):
            raise InvalidArgument(f"expected a period of {MIN_SECONDS} s or more, got {seconds!r}")
        check_time(check_duration(seconds))
        self._seconds = seconds

    def __str__(self) -> str:
        return f"every {self._seconds:g} s"

    def first(self, now: float) -> float:
        """Return the first time."""
        return now + self._seconds

    def following(self, due: float, now: float) -> tuple[float | None, int]:
        """Return the first time after *now*, and how many there were since *due*."""
        missed = max(int((now - due) // self._seconds), 0)
        return due + (missed + 1) * self._seconds, missed


class CronTimes:
    """The times of a *cron*."""

    max_wait: float | None = MAX_WAIT

    def __init__(self, cron: Cron) -> None:
        self._cron = cron

    def __str__(self) -> str:
        return f"at {self._cron.text!r} {self._cron.zone}"

    def first(self, now: float) -> float | None:
        """Return the first time."""
        return self._cron.next_time(now)

    def following(self, due: float, now: float) -> tuple[float | None, int]:
        """Return the first time after *now*, and how many there were since *due*, if not too many."""
        missed, following = 0, self._cron.next_time(due)
        while following is not None and following <= now:
            if missed == MAX_MISSED:
                return self._cron.next_time(now), missed
            missed += 1
            following = self._cron.next_time(following)
        return following, missed


class Repetition:
    """A periodic dispatch of a method, until the process ends. See `every`."""

    def __init__(
        self,
        runtime: Runtime,
        period: float | Cron,
        target: UPID | Process,
        call: tuple[Callable[..., Any], tuple[Any, ...], Mapping[str, Any]],
    ) -> None:
        if isinstance(period, Cron):
            self._times: CronTimes | Seconds = CronTimes(period)
        else:
            check_delay("every", period, target)
            self._times = Seconds(period)
        method, args, kwargs = call
        if not callable(method):
            refuse_method(method)
        runtime.check_thread("every")
        pid = as_upid(target)
        record = runtime.processes.find_record(pid)
        if record is None:
            raise InvalidArgument(f"expected a local process that runs, got {pid}: spawn it first")
        runtime.processes.refuse_others_method(pid, method, args)
        self._manager = runtime.processes
        self._clock = runtime.clock
        self._record: ProcessRecord = record
        self._call = method, args, kwargs
        self._is_busy = False
        self.is_active = True
        """Whether further calls are due."""
        self.calls = 0
        """The number of dispatched calls."""
        self.skipped = 0
        """The number of calls that were skipped: the previous call was still running, or the clock
        jumped over their time."""
        self._timer: Timer | None = None
        self._wait_for(self._times.first(self._clock.now()))

    def __repr__(self) -> str:
        state = str(self._times) if self.is_active else "over"
        return f"<Repetition to {self._record.pid} {state}, {self.calls} calls>"

    @property
    def due(self) -> float | None:
        """When the next call is due, in seconds since 1970; None if there is none."""
        return self._due if self.is_active else None

    def cancel(self) -> None:
        """Cancel all further calls; a queued or running call is not affected. Can be repeated."""
        self.is_active = False
        if self._timer is not None:
            self._timer.cancel()

    def _wait_for(self, due: float | None) -> None:
        if due is None:
            self.is_active = False
            return
        self._due = due
        wait = max(due - self._clock.now(), MIN_SECONDS)
        if self._times.max_wait is not None:
            wait = min(wait, self._times.max_wait)
        self._timer = self._clock.timer(wait, self._fire)

    def _fire(self) -> None:
        if not self.is_active:
            return
        if self._record.state is TERMINATING:
            self.is_active = False
            return
        now = self._clock.now()
        if now < self._due - MIN_SECONDS:
            self._wait_for(self._due)
            return
        # Times that have passed are skipped, so the phase is preserved.
        due, missed = self._times.following(self._due, now)
        self._wait_for(due)
        self.skipped += missed
        if self._is_busy:
            self.skipped += 1
            return
        self._is_busy = True
        self.calls += 1
        self._manager.push(self._record, _RepeatedCall(self))

    def run(self) -> None:
        """Make the call, in a turn of the process."""
        method, args, kwargs = self._call
        result: object = None
        try:
            result = resolve_method(current_process(), method)(*args, **kwargs)
        finally:
            if isinstance(result, Future):
                result.on_any(self.note_end)
            else:
                self.note_end()

    def note_end(self, _result: object = None) -> None:
        """Note that the call has completed or was dropped."""
        self._is_busy = False

    @property
    def method(self) -> Callable[..., Any]:
        """The function that is called."""
        return self._call[0]


class _RepeatedCall(DispatchEvent):
    """One call of a `Repetition`. It fails the process, as a message handler does."""

    __slots__ = ("_repetition", "trace")

    trace: TraceContext | None

    def __init__(self, repetition: Repetition) -> None:
        super().__init__(repetition.run)
        self._repetition = repetition
        self.trace = current_trace()

    @property
    def content(self) -> tuple[str, int, bytes] | None:
        return DispatchEvent(self._repetition.method).content

    def drop(self, reason: str | None = None) -> None:
        self._repetition.note_end()
