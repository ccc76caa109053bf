"""The run queue: which process has a turn, and in which greenlet."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from time import perf_counter

from gevent.hub import Hub
from gevent.monkey import get_original
from greenlet import greenlet

from greenproc.process.cell import BLOCKED, READY, TERMINATING, Cell

MAX_TURNS = 1000  # of one callback; then I/O and timers have theirs ...
MAX_SECONDS = 0.005  # ... or after this long, Python's own switch interval
TURNS_PER_CLOCK_READ = 16  # reading the clock for each turn would cost 5 % of a round trip
THREADS_PERIOD = 0.02  # how often native threads get the interpreter while processes keep it busy
THREADS_SECONDS = 0.0001  # enough for one to wake up; half a percent of the period

sleep_for_real = get_original("time", "sleep")

_TURN = object()  # what the scheduler switches a parked greenlet in with


class ProcessGreenlet(greenlet):
    """The greenlet of one process; its repr names the process, as do gevent's run info and errors."""

    def __init__(self, run: Callable[[Cell], None], parent: greenlet, cell: Cell) -> None:
        super().__init__(run, parent)
        self.cell = cell

    def __repr__(self) -> str:
        return f"<ProcessGreenlet {self.cell.pid} {self.cell.state.name.lower()}>"


class Scheduler:
    """Gives ready processes their turns from one hub callback.

    A process whose mailbox is empty costs no waiter and no hub callback to wake: it is put into
    the run queue, and `_run_turns` switches straight into its greenlet. When that has served its
    mailbox, or its turn is over, it switches straight into the next one of the queue, or to the
    hub when the queue is empty or the time is up. A handler that blocks switches to the hub like
    any greenlet, and whatever it waits for switches it in again.

    Up to *max_parked* greenlets of idle processes are kept; a process that becomes idle beyond
    that gives its greenlet back and gets a new one, in the same context, with its next event.

    Source: libprocess has the run queue, ProcessManager::dequeue in src/process.cpp.
    """

    def __init__(
        self,
        hub: Hub,
        serve_turn: Callable[[Cell], bool],
        on_thrown: Callable[[Cell, BaseException], None],
        *,
        max_parked: int,
    ) -> None:
        self._hub = hub
        self._run_callback = hub.loop.run_callback
        # gevent runs callbacks that callbacks add in the same pass, up to 50 of them before it
        # looks at the time. A timer of zero seconds comes after a pass over the descriptors.
        self._continue = hub.loop.timer(0.0)
        self._serve_turn = serve_turn
        self._on_thrown = on_thrown
        self._max_parked = max_parked
        self._ready: deque[Cell] = deque()
        self._scheduled = False
        self._turns_left = 0
        self._deadline = 0.0
        self._threads_due = 0.0
        self.parked = 0
        self.busy = 0

    def wake(self, cell: Cell) -> None:
        """Give the BLOCKED process of *cell* a turn."""
        cell.state = READY
        self.schedule(cell)

    def schedule(self, cell: Cell) -> None:
        """Put *cell*, which is neither running nor there yet, into the run queue."""
        self.busy += 1
        self._ready.append(cell)
        if not self._scheduled:
            self._scheduled = True
            self._run_callback(self._run_turns)

    def close(self) -> None:
        """Give the hub's timer back. Call when no process is left."""
        self._continue.close()

    def _run_turns(self) -> None:
        """Give turns, in the hub, until nobody is ready or the time is up."""
        self._turns_left = MAX_TURNS
        self._deadline = perf_counter() + MAX_SECONDS
        while (cell := self._next()) is not None:
            self._give_turn(cell)
        self._turns_left = 0
        if self._ready:
            self._let_threads_run()
            self._continue.start(self._run_turns)
        else:
            self._scheduled = False

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

    def _next(self) -> Cell | None:
        """Take the next ready process out of the queue; None when the hub has to have its turn."""
        if not self._ready or not self._turns_left:
            return None
        self._turns_left -= 1
        if self._turns_left % TURNS_PER_CLOCK_READ == 0 and perf_counter() >= self._deadline:
            self._turns_left = 0
            return None
        return self._ready.popleft()

    def _give_turn(self, cell: Cell) -> object:
        """Switch into the greenlet of *cell*; return what the caller is switched back in with."""
        running = cell.greenlet
        if running is not None:
            self.parked -= 1
            return running.switch(_TURN)
        fresh = cell.greenlet = ProcessGreenlet(self._be_process, self._hub, cell)
        fresh.gr_context = cell.context
        return fresh.switch(cell)

    def _be_process(self, cell: Cell) -> None:
        """Be the greenlet of *cell*. What gets out of here would end up in `_run_turns`."""
        try:
            self._take_turns(cell)
        except BaseException:
            self._hub.handle_error(cell.greenlet, *sys.exc_info())

    def _take_turns(self, cell: Cell) -> None:
        """Have a turn and wait for the next one, until the process is over."""
        wait_in_hub = self._hub.switch
        serve_turn = self._serve_turn
        while cell.state is not TERMINATING and serve_turn(cell):
            if cell.events:
                self._ready.append(cell)
            else:
                cell.state = BLOCKED
                self.busy -= 1
                if self.parked >= self._max_parked:
                    cell.greenlet = cell.mailbox = cell.events = None
                    return
            self.parked += 1
            try:
                # Straight on to the next process: by way of the hub it would be two switches.
                # Only the hub starts greenlets, since a new one inherits the depth of recursion.
                ready = self._ready
                following = self._next() if ready and ready[0].greenlet is not None else None
                if following is cell:
                    self.parked -= 1
                    continue
                given = wait_in_hub() if following is None else self._give_turn(following)
                # Only the scheduler gives turns; a stale callback that switches here is ignored.
                while given is not _TURN:
                    given = wait_in_hub()
            except BaseException as error:
                self._take_back(cell)
                self._on_thrown(cell, error)

    def _take_back(self, cell: Cell) -> None:
        """Make *cell* a running one after something was thrown into its parked greenlet."""
        self.parked -= 1
        if cell.state is BLOCKED:
            cell.state = READY
            self.busy += 1
        else:
            self._ready.remove(cell)
