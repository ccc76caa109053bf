"""`BackgroundRuntime`: a runtime in a native thread of its own, for programs without gevent."""

from __future__ import annotations

import atexit
import logging
import os
from collections.abc import Callable
from functools import partial, wraps
from inspect import signature
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar
from weakref import WeakSet

import gevent
from gevent.monkey import is_module_patched

from greenproc.clock.microseconds import check_duration
from greenproc.current import select_runtime
from greenproc.errors import StateError, WaitTimeout
from greenproc.future.waiting import bounded_timeout
from greenproc.pid import UPID
from greenproc.process.manager import ProcessManager
from greenproc.runtime.hub_thread import ENDED, HubThread
from greenproc.runtime.lifecycle import RuntimeState
from greenproc.runtime.runtime import Runtime
from greenproc.subprocess.reaper import let_collect

Q = ParamSpec("Q")
R = TypeVar("R")

logger = logging.getLogger("greenproc.runtime")

THREAD_NAME = "greenproc"

UNWIND_SECONDS = 5.0
"""The seconds that a stop may exceed its timeout by, as each stage needs time to close sockets."""

FORKED = (
    "this OS process has forked while a thread of it carries a node; the child has none until it "
    "calls greenproc.start_in_thread() itself. Start nodes after the fork: where the parent only "
    "forks, as the master of gunicorn with --preload, its node is of no use"
)

_carried_here: WeakSet[BackgroundRuntime] = WeakSet()
"""The runtimes in threads of this OS process that have not logged a fork yet."""


def _elsewhere(name: str) -> Callable[..., Any]:
    """Return the method *name* of `Runtime`, called in the thread of the runtime from any thread."""
    method: Callable[..., Any] = getattr(Runtime, name)
    has_limit = "timeout" in signature(method).parameters

    @wraps(method)
    def call(self: BackgroundRuntime, *args: Any, **kwargs: Any) -> Any:
        thread = self._thread
        if not has_limit or thread is None or thread.is_here:
            return self.call(method, self, *args, **kwargs)
        bound = signature(method).bind(self, *args, **kwargs)
        bound.apply_defaults()
        timeout = bound.arguments["timeout"]
        within = None if timeout is None else bounded_timeout(timeout)
        return thread.call(partial(method, self, *args, **kwargs), within=within)

    return call


class BackgroundRuntime(Runtime):
    """A runtime with a native thread, and so a hub, of its own, independent of the program's threads.

    Everything that a `Runtime` refuses in other threads than its own works in all of them: the call
    is made in a greenlet of the runtime's thread, with the caller's context, and the caller waits on
    a plain lock, which Ctrl-C interrupts at once. What is bound to a greenlet there, `clock.pause`,
    `spawn_greenlet`, `Process.link`, goes through `call`.

    Handlers, timers, receivers of signals and callbacks of futures run in the thread of the runtime.
    It is stopped at the exit of the program if it was not before, within `Settings.stop_timeout`.

    In a program that gevent has monkey-patched, each thread is a greenlet and the hub of the main
    thread turns: there it runs by that hub.
    """

    _thread: HubThread | None = None
    _os_process = 0  # of the thread

    @property
    def runtime(self) -> Self:
        """This: the handle of the thread and the node in it are one object."""
        return self

    def start(self) -> None:
        """Start the thread and, in it, the runtime. See `Runtime.start`.

        Raises:
            BindError: the address cannot be bound, or no address to advertise is found.
            StateError: it was started before; or the program is monkey-patched, and this is not
                its main thread.
        """
        if self.state is not RuntimeState.NEW:
            super().start()  # refuses
        if is_module_patched("_thread"):
            if not gevent.get_hub().loop.default:
                raise StateError("expected the main thread of this monkey-patched program")
            super().start()
        else:
            self._os_process = os.getpid()
            thread = self._thread = HubThread(THREAD_NAME)
            thread.start()
            try:
                thread.call(self._start_here)
            except BaseException:
                thread.end()
                raise
            _carried_here.add(self)
        atexit.register(self._stop_at_exit)

    def _start_here(self) -> None:
        let_collect(gevent.get_hub())
        super().start()

    def stop(self, timeout: float | None = None) -> tuple[UPID, ...]:
        """Stop in order, from any thread, and end the thread. See `Runtime.stop`.

        Raises:
            StateError: called from one of its own processes, whose end it would wait for.
            InvalidArgument: *timeout* is negative or no number.
            WaitTimeout: something blocks its hub, so that it does not come to stop.
        """
        if timeout is not None:
            check_duration(timeout)
        thread = self._thread
        if thread is None or self.state in (RuntimeState.NEW, RuntimeState.STOPPED):
            return super().stop(timeout)
        if thread.is_here:
            killed = super().stop(timeout)
            thread.end()
        else:
            killed = self._stop_elsewhere(thread, timeout)
        _carried_here.discard(self)
        atexit.unregister(self._stop_at_exit)
        return killed

    def _stop_elsewhere(self, thread: HubThread, timeout: float | None) -> tuple[UPID, ...]:
        seconds = self.settings.stop_timeout if timeout is None else timeout
        limit = seconds + UNWIND_SECONDS
        try:
            killed = thread.begin(partial(super().stop, timeout)).get(limit)[0]
        except WaitTimeout as error:
            raise WaitTimeout(
                f"expected the runtime to stop within {seconds:g} s, but something blocks its hub"
            ) from error
        thread.end()
        thread.join(limit)
        return killed

    def call(self, function: Callable[Q, R], /, *args: Q.args, **kwargs: Q.kwargs) -> R:
        """Call *function* in a greenlet of the runtime's thread, and return what it returns.

        ::

            runtime.call(lambda: runtime.clock.pause())

        A caller that is interrupted kills the greenlet.

        Raises:
            StateError: the runtime is not started, was stopped, or belongs to the parent process.
            Exception: whatever *function* raises.
        """
        thread = self._thread
        if thread is None or thread.is_here:
            return function(*args, **kwargs)
        return thread.call(partial(function, *args, **kwargs))

    if not TYPE_CHECKING:  # for which they are as those of Runtime
        spawn, wait, defer, run_async, settle, statistics = map(
            _elsewhere, ("spawn", "wait", "defer", "run_async", "settle", "statistics")
        )

    @property
    def processes(self) -> ProcessManager:
        """The registry of local processes; for the parts of the runtime."""
        if self._thread is not None and self._thread.is_over and self.hub is not None:
            raise StateError(ENDED)
        return super().processes

    def disown(self) -> None:
        """Release everything without notice to peers. See `RuntimeLife.disown`."""
        super().disown()
        if self._thread is not None and os.getpid() != self._os_process:
            self._thread.disown()
            self.hub = None  # whether its thread seems to have ended or not, in this child

    def __enter__(self) -> Self:
        if self.state is RuntimeState.NEW:
            self.start()
        self._token = select_runtime(self)
        return self

    def _stop_at_exit(self) -> None:
        try:
            self.stop()
        except WaitTimeout as error:
            logger.warning("at exit: %s", error)


def _warn_of_fork() -> None:
    for runtime in list(_carried_here):
        thread = runtime._thread  # noqa: SLF001 -- of this module
        if thread is not None and not thread.is_here:  # else a handler starts a program
            _carried_here.discard(runtime)
            logger.warning(FORKED)


os.register_at_fork(after_in_parent=_warn_of_fork, after_in_child=_carried_here.clear)
