"""`Repetition`: a call that is dispatched to a process again and again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from greenproc.checks import refuse_method
from greenproc.clock import Timer
from greenproc.clock.microseconds import check_duration
from greenproc.errors import InvalidArgument
from greenproc.future import Future
from greenproc.pid import UPID
from greenproc.process.arguments import as_upid
from greenproc.process.base import Process
from greenproc.process.cell import TERMINATING, Cell
from greenproc.process.current import current_process
from greenproc.process.defer import resolve_method
from greenproc.process.event import DispatchEvent

MIN_SECONDS = 0.001
"""The shortest period; the clock counts microseconds, and a shorter one would keep the hub busy."""


class Repetition:
    """Calls a method of a process every so many seconds, until the process ends. See `every`."""

    def __init__(
        self,
        runtime: Any,
        seconds: float,
        target: UPID | Process,
        call: tuple[Callable[..., Any], tuple[Any, ...], Mapping[str, Any]],
    ) -> None:
        if check_duration(seconds) < check_duration(MIN_SECONDS):
            raise InvalidArgument(f"expected a period of {MIN_SECONDS} s or more, got {seconds!r}")
        method, args, kwargs = call
        if not callable(method):
            refuse_method(method)
        runtime.check_thread("every")
        pid = as_upid(target)
        cell = runtime.processes.find_cell(pid)
        if cell is None:
            raise InvalidArgument(f"expected a local process that runs, got {pid}: spawn it first")
        runtime.processes.refuse_others_method(pid, method, args)
        self._manager = runtime.processes
        self._clock = runtime.clock
        self._cell: Cell = cell
        self._seconds = seconds
        self._call = method, args, kwargs
        self._is_busy = False
        self.is_active = True
        """Whether there are calls to come."""
        self.calls = 0
        """How many calls were dispatched."""
        self.skipped = 0
        """How many were left out, as the one before was not over."""
        self._due = self._clock.now() + seconds
        self._timer: Timer = self._clock.timer(seconds, self._fire)

    def __repr__(self) -> str:
        state = f"every {self._seconds:g} s" if self.is_active else "over"
        return f"<Repetition to {self._cell.pid} {state}, {self.calls} calls>"

    def cancel(self) -> None:
        """Make no further call; one that is queued or runs is not stopped. Can be repeated."""
        self.is_active = False
        self._timer.cancel()

    def _fire(self) -> None:
        if not self.is_active:
            return
        if self._cell.state is TERMINATING:
            self.is_active = False
            return
        now = self._clock.now()
        # The times that have passed meanwhile are left out, and the rhythm is kept.
        missed = max(int((now - self._due) // self._seconds), 0)
        self._due += (missed + 1) * self._seconds
        self._timer = self._clock.timer(max(self._due - now, MIN_SECONDS), self._fire)
        self.skipped += missed
        if self._is_busy:
            self.skipped += 1
            return
        self._is_busy = True
        self.calls += 1
        self._manager.push(self._cell, _RepeatedCall(self))

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
        """Note that the call is over, or was dropped."""
        self._is_busy = False

    @property
    def method(self) -> Callable[..., Any]:
        """What is called."""
        return self._call[0]


class _RepeatedCall(DispatchEvent):
    """One call of a `Repetition`. An error in it is the process' own, as in a message handler."""

    __slots__ = ("_repetition",)

    def __init__(self, repetition: Repetition) -> None:
        super().__init__(repetition.run)
        self._repetition = repetition

    @property
    def content(self) -> tuple[str, int, bytes] | None:
        return DispatchEvent(self._repetition.method).content

    def drop(self, reason: str | None = None) -> None:
        self._repetition.note_end()
