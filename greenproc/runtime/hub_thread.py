"""`HubThread`: a native thread with a hub of its own, and calls into it from other threads.

What is called there is not known here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any, TypeVar

import gevent
from gevent import GreenletExit
from gevent.event import Event
from gevent.hub import Hub

from greenproc.errors import StateError, WaitTimeout
from greenproc.future import Future, Promise
from greenproc.future.waiting import keep_hub_alive_until
from greenproc.hub.fork import watch_fork
from greenproc.hub.lifetime import INHERITED, TurnWatch, keep_hub_alive, kill_within
from greenproc.hub.native import allocate_lock

R = TypeVar("R")

ENDED = "the runtime was stopped, and its thread with it: call greenproc.start_in_thread() again"
STALL_SECONDS = 1.0  # in which a hub that is not blocked makes a turn
KILL_SECONDS = 1.0  # how long the calls that run at the end may take to end


class HubThread:
    """A native daemon thread whose hub turns until `end`, whatever other threads do.

    A thread without a hub waits for a call on a plain lock, which needs no hub and which Ctrl-C
    interrupts at once; a thread that has a hub waits by that.

    Source: gevent's loop.run_callback_threadsafe is the one way into a hub from outside.
    """

    def __init__(self, name: str) -> None:
        self._hub: Hub | None = None
        self._refusal = ENDED
        self._is_to_end: Event
        self._calls: dict[Promise[Any], gevent.Greenlet[..., Any] | None] = {}
        self._lock = allocate_lock()  # between what is called and the end
        self._begun, self._over = allocate_lock(), allocate_lock()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def is_here(self) -> bool:
        """Whether this is the thread that asks."""
        return threading.get_ident() == self._thread.ident

    @property
    def is_over(self) -> bool:
        """Whether nothing can be called any more."""
        return self._hub is None

    def start(self) -> None:
        """Start the thread. Once this returns its hub turns."""
        self._begun.acquire()
        self._over.acquire()
        self._thread.start()
        self._begun.acquire()
        watch_fork(self)

    def begin(self, function: Callable[[], R]) -> Future[list[R]]:
        """Call *function* in a greenlet of the thread, in this context.

        Returns the future of a list with the result, which may be a future. It fails when the
        thread ends first.

        Raises:
            StateError: the thread has ended, or it belongs to the parent process.
        """
        outcome: Promise[list[R]] = Promise()
        future = outcome.future
        with self._lock:
            hub = self._hub
            if hub is None:
                raise StateError(self._refusal)
            self._calls[outcome] = None
            hub.loop.run_callback_threadsafe(self._begin, outcome, function, copy_context())
        keep_hub_alive_until(future, hub)
        return future

    def call(self, function: Callable[[], R], *, within: float | None = None) -> R:
        """Call *function* in a greenlet of the thread, in this context, and return its result.

        A caller that is interrupted kills the greenlet.

        Args:
            within: seconds in which *function* itself means to end; None if it has no limit.

        Raises:
            StateError: the thread has ended or ends meanwhile, or it belongs to the parent process.
            WaitTimeout: that time is over, and something blocks the hub.
        """
        future = self.begin(function)
        try:
            if within is not None:
                self._wait(future, within)
            return future.get()[0]
        finally:
            if future.is_pending:
                self._kill(future)

    def _wait(self, future: Future[Any], seconds: float) -> None:
        """Wait for *future* as long as the hub turns, and for *seconds* if it does not."""
        seconds = max(seconds, STALL_SECONDS)
        while (hub := self._hub) is not None:
            watch = TurnWatch(hub)
            if future.await_(seconds) or future.is_abandoned:
                return
            if blame := watch.explain():
                raise WaitTimeout(f"expected an end within {seconds:g} s{blame}")

    def end(self) -> None:
        """Let the thread end, after what is called now. From any thread."""
        with self._lock:
            if self._hub is not None:
                self._hub.loop.run_callback_threadsafe(self._is_to_end.set)

    def join(self, seconds: float) -> bool:
        """Wait for the end of the thread, and return whether it came in *seconds*."""
        if not self._over.acquire(timeout=seconds):
            return False
        self._over.release()
        return True

    def disown(self) -> None:
        """Refuse everything, in a forked child, which has no such thread."""
        self._hub = None
        self._refusal = INHERITED
        self._lock = allocate_lock()  # the old one may be held by a thread that is not here

    def _run(self) -> None:
        self._is_to_end = Event()
        hub = gevent.get_hub()
        release = keep_hub_alive(hub)  # or the hub would give up when it has nothing to wait for
        self._hub = hub
        self._begun.release()
        try:
            self._is_to_end.wait()
            with self._lock:
                self._hub = None
            self._end_calls()
        finally:
            release()
            hub.destroy(destroy_loop=True)
            self._over.release()

    def _begin(
        self, outcome: Promise[list[R]], function: Callable[[], R], context: Context
    ) -> None:
        """Be called in the hub."""
        greenlet = gevent.Greenlet(self._work, outcome, function)
        greenlet.gr_context = context
        self._calls[outcome] = greenlet
        greenlet.start()

    def _work(self, outcome: Promise[list[R]], function: Callable[[], R]) -> None:
        try:
            outcome.set([function()])
        except GreenletExit:
            outcome.fail(StateError(self._refusal))
        except BaseException as error:
            outcome.fail(error)  # the caller raises it
        finally:
            self._calls.pop(outcome, None)

    def _kill(self, future: Future[Any]) -> None:
        with self._lock:
            if self._hub is not None:
                self._hub.loop.run_callback_threadsafe(self._kill_here, future)

    def _kill_here(self, future: Future[Any]) -> None:
        for outcome, greenlet in list(self._calls.items()):
            if outcome.future is future and greenlet is not None:
                greenlet.kill(block=False)

    def _end_calls(self) -> None:
        """Kill what is running still, and fail what does not end by that or has not begun."""
        running = [greenlet for greenlet in self._calls.values() if greenlet is not None]
        kill_within(KILL_SECONDS, running)
        for outcome in list(self._calls):
            outcome.fail(StateError(self._refusal))
        self._calls.clear()

    def __repr__(self) -> str:
        state = "over" if self.is_over else f"{len(self._calls)} calls"
        return f"<HubThread {self._thread.name} {state}>"
