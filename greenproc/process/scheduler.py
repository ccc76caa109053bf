"""The run queue: it gives processes their turns, each in its greenlet."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from gevent.hub import Hub
from greenlet import greenlet

from greenproc.hub.native import sleep_for_real
from greenproc.process.deadlock import WaitingGreenlet
from greenproc.process.interrupts import raise_in_main
from greenproc.process.record import BLOCKED, BOTTOM, READY, TERMINATING, ProcessRecord
from greenproc.process.runner import ProcessRunner

TURNS_PER_CLOCK_READ = 16  # reading the clock for each turn would cost 5 % of a round trip
# Processes that are always ready never release the GIL for long; native threads would starve.
THREADS_PERIOD = 0.02  # seconds between two pauses for native threads
# Each failed rescue is a fault of the runtime or one more signal; without a bound a fault would loop.
MAX_RESCUES = 3  # consecutive failures
THREADS_SECONDS = 0.0001  # enough for a thread to wake up; 0.5 % of the period


_TURN = object()  # what the scheduler switches a parked greenlet in with


@dataclass(frozen=True, slots=True)
class TurnLimits:
    """The limits that keep one process, or all of them, from starving the rest of the hub."""

    events: int = 100
    """The maximum number of events in one turn; then the next process has its turn."""
    turns: int = 1000
    """The maximum number of turns in one hub callback; then I/O and timers run."""
    seconds: float = 0.002
    """The maximum duration of such a callback, which delays I/O and timers meanwhile."""
    parked: int = 1000
    """The maximum number of greenlets of idle processes that are kept for the next event."""


class ProcessGreenlet(WaitingGreenlet):
    """The greenlet of one process; its repr names the process, as do gevent's run info and errors."""

    def __init__(
        self, run: Callable[[ProcessRecord], None], parent: greenlet, record: ProcessRecord
    ) -> None:
        super().__init__(run, parent)
        self.record = record

    def __repr__(self) -> str:
        return f"<ProcessGreenlet {self.record.pid} {self.record.state.name.lower()}>"


class Scheduler:
    """Gives ready processes their turns from one hub callback.

    A process whose mailbox is empty costs no waiter and no hub callback to wake: it is put into
    the run queue, and `_run` switches straight into its greenlet. When that has served its
    mailbox, or its turn is over, it switches straight into the next one of the queue, or to the
    hub when the queue is empty or the time is up. A handler that blocks switches to the hub like
    any greenlet, and whatever it waits for switches it in again.

    Greenlets of idle processes are kept up to a number; a process that becomes idle beyond that
    gives its greenlet back and gets a new one, in the same context, with its next event.

    An exception can come out of any line, since Python runs signal handlers between two of them:
    after calls, at the start of functions and at jumps back. So a process stays in the queue until
    its own greenlet takes it out, and *rescue* makes the record of a process whole again after an
    exception that its handlers do not raise.

    Source: libprocess has the run queue, ProcessManager::dequeue in src/process.cpp.
    """

    def __init__(
        self,
        hub: Hub,
        runner: ProcessRunner,
        rescue: Callable[[ProcessRecord, BaseException], None],
        limits: TurnLimits,
    ) -> None:
        self._hub = hub
        self._run_callback = hub.loop.run_callback
        # gevent runs callbacks that callbacks add in the same pass, up to 50 of them before it
        # looks at the time. A timer of zero seconds comes after a pass over the descriptors.
        self._continue = hub.loop.timer(0.0)
        self._serve_turn = runner.serve_turn
        self._on_thrown = runner.thrown
        self._rescue = rescue
        self._limits = limits
        self._max_parked = limits.parked
        self._callback: Any = None
        self._runner = self._run()
        self._run_turns = self._runner.__next__
        self._turns_left = 0
        self._deadline = 0.0
        self._threads_due = 0.0
        self.ready: deque[ProcessRecord] = deque()
        """The run queue; only to be read by others."""
        self.scheduled = False
        """Whether a callback or the timer is going to run the queue, or one is doing so."""
        self.running = False
        """Whether a callback is running the queue: it is suspended while processes run."""
        self.parked = 0
        """How many greenlets wait for the next turn of their process."""
        self.busy = 0
        """How many processes are running, wait in a handler, or are in the run queue."""
        self._run_turns()  # up to where it waits for the hub

    def schedule(self, record: ProcessRecord) -> None:
        """Put *record*, which is not there yet, into the run queue, and see that that is run.

        Nothing else appends to the queue. The order of the lines is that of the class' promise.
        """
        if not self.scheduled:
            self._callback = self._run_callback(self._run_turns)
            self.scheduled = True
        state = record.state
        if state is not READY:
            self.busy += 1
            if state is BLOCKED:
                record.state = READY
        self.ready.append(record)

    def close(self) -> None:
        """Give the hub's timer back. Call when no process is left."""
        self._continue.close()
        self._runner.close()

    @property
    def will_run(self) -> bool:
        """Whether the queue is being run, or a callback or the timer is there that will do so."""
        pending = self._callback is not None and self._callback.pending
        armed: bool = self._continue.active  # type: ignore[attr-defined]
        return self.running or pending or armed

    def recount(
        self, running: ProcessRecord, records: Iterable[ProcessRecord], ending: int
    ) -> None:
        """Look everything up that is otherwise counted, after an exception came out of any line.

        Args:
            running: the process whose greenlet calls this.
            records: all processes, without those that are *ending* in number.
        """
        while running in self.ready:
            self.ready.remove(running)
        if running.state is BLOCKED:
            running.state = READY
        queued = set(self.ready)
        others = [
            record for record in records if record is not running and record.greenlet is not None
        ]
        self.parked = sum(record.state is BLOCKED or record in queued for record in others)
        self.busy = ending + sum(record.state in (BOTTOM, READY) for record in records)

    def disown(self) -> None:
        """Give no turn any more: the processes are those of the parent process."""
        self._inherited = list(self.ready)
        self.ready.clear()
        self._continue.close()

    def _run(self) -> Generator[None, None, None]:
        """Give turns, in the hub, each time it is resumed, until the run queue is empty or the time is up.

        A generator, since it catches also what a signal handler raises at its first instruction.
        """
        limits = self._limits
        while True:
            try:
                while True:
                    self._turns_left = 0
                    self.running = False
                    if self.ready:
                        self._continue.start(self._run_turns)
                        self._let_threads_run()
                    else:
                        self.scheduled = False
                    yield
                    self.running = True
                    self._turns_left = limits.turns
                    self._deadline = perf_counter() + limits.seconds
                    while (record := self._next()) is not None:
                        self._give_turn(record)
            except GeneratorExit:
                return
            except self._hub.SYSTEM_ERROR as error:
                raise_in_main(self._hub, error)
            except BaseException:
                self._hub.handle_error(self, *sys.exc_info())

    def _let_threads_run(self) -> None:
        """Give native threads the interpreter now and then, when the run queue is never empty.

        The hub gives the interpreter's lock up each time it looks at the descriptors, and takes
        it back before a waiting thread has woken. A thread insists only after it has waited for
        5 ms in vain, which never happens then: name lookups would take seconds.
        """
        now = perf_counter()
        if now >= self._threads_due:
            sleep_for_real(THREADS_SECONDS)
            self._threads_due = now + THREADS_PERIOD

    def _next(self) -> ProcessRecord | None:
        """Return the first process of the queue; None when the hub has to have its turn."""
        if not self.ready or not self._turns_left:
            return None
        if self._turns_left % TURNS_PER_CLOCK_READ == 0 and perf_counter() >= self._deadline:
            self._turns_left = 0
            return None
        self._turns_left -= 1
        return self.ready[0]

    def _give_turn(self, record: ProcessRecord) -> None:
        """Switch from the hub into the greenlet of *record*, which takes itself out of the queue."""
        running = record.greenlet
        if running is not None:
            running.switch(_TURN)
            return
        fresh = record.greenlet = ProcessGreenlet(self._be_process, self._hub, record)
        fresh.gr_context = record.context
        try:
            fresh.switch(record)
        except BaseException:  # a signal handler's, before the first line
            if fresh.dead:
                record.greenlet = None
            raise

    def _be_process(self, record: ProcessRecord) -> None:
        """Be the greenlet of *record*: the last line of defence around all that a process does."""
        try:
            self.ready.popleft()
            self._take_turns(record)
        except BaseException as error:
            self._carry_on(record, error)

    def _carry_on(self, record: ProcessRecord, error: BaseException) -> None:
        """Go on after *error*, which no handler is to blame for, and after those that follow it."""
        attempts = 0
        while attempts < MAX_RESCUES:
            try:
                attempts += 1
                self._rescue(record, error)
                attempts = 0
                self._take_turns(record)
            except BaseException as another:
                error = another
            else:
                return
        self._hub.handle_error(record.greenlet, type(error), error, error.__traceback__)

    def _take_turns(self, record: ProcessRecord) -> None:
        """Have a turn and wait for the next one, until the process is over."""
        wait_in_hub = self._hub.switch
        serve_turn = self._serve_turn
        ready = self.ready
        while record.state is not TERMINATING and serve_turn(record):
            if record.events:
                # It used up its turn, which took as long as many others: look at the clock.
                self._turns_left -= self._turns_left % TURNS_PER_CLOCK_READ
                self.schedule(record)
            else:
                record.state = BLOCKED
                self.busy -= 1
                if self.parked >= self._max_parked:
                    record.greenlet = None
                    if record.mailbox is None or not record.mailbox.is_shown:
                        record.mailbox = record.events = None
                    return
            self.parked += 1
            try:
                # Straight on to the next process: by way of the hub it would be two switches.
                # Only the hub starts greenlets, since a new one inherits the depth of recursion.
                following = self._next() if ready and ready[0].greenlet is not None else None
                if following is not record:
                    if following is None:
                        given = wait_in_hub()
                    else:
                        given = following.greenlet.switch(_TURN)  # type: ignore[union-attr]
                    # Only the scheduler gives turns; a stale callback that switches here is ignored.
                    while given is not _TURN:
                        given = wait_in_hub()
                ready.popleft()
                self.parked -= 1
            except BaseException as error:
                self._take_back(record)
                self._on_thrown(record, error)

    def count_ended(self) -> None:
        """Count a process that has been cleaned up as busy no longer."""
        self.busy -= 1

    def wait_for_event(self, record: ProcessRecord) -> None:
        """Wait in the middle of a turn of *record*, which is running, until it has an event.

        It is parked as between two turns, and so is woken and killed in the same way.
        """
        state = record.state
        record.state = BLOCKED
        self.busy -= 1
        self.parked += 1
        try:
            while self._hub.switch() is not _TURN:
                pass
            self.ready.popleft()
            self.parked -= 1
        except BaseException:
            self._take_back(record)
            raise
        finally:
            record.state = state

    def _take_back(self, record: ProcessRecord) -> None:
        """Make *record* a running one after something was thrown into its parked greenlet."""
        self.parked -= 1
        if record.state is BLOCKED:
            record.state = READY
            self.busy += 1
        elif record in self.ready:
            self.ready.remove(record)
