"""`RuntimeLife`: how a runtime starts and stops, also when that is interrupted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextvars import Context, Token, copy_context
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, cast

import gevent
from gevent._hub_local import get_hub_if_exists
from gevent.hub import Hub
from gevent.lock import RLock

from greenproc.clock.microseconds import check_duration
from greenproc.current import RUNTIME, deselect_runtime, select_runtime
from greenproc.errors import StateError
from greenproc.hub.fork import silence, watch_fork
from greenproc.hub.lifetime import INHERITED, has_ended, kill_within, note_runtime
from greenproc.pid import UPID
from greenproc.process.current import PROCESS, current_process
from greenproc.runtime.lifecycle import RuntimeState
from greenproc.runtime.parts import Parts
from greenproc.runtime.signals import Signals
from greenproc.settings import Settings
from greenproc.tracing import TRACE

if TYPE_CHECKING:
    from greenproc.runtime.runtime import Runtime
    from greenproc.web import Firewall

Q = ParamSpec("Q")
R = TypeVar("R")

KILL_SECONDS = 1.0  # how long the greenlets of a runtime that stops may take to end

log = logging.getLogger("greenproc.runtime")


class RuntimeLife:
    """Starts and stops the parts of a runtime. What offers them is `greenproc.runtime.Runtime`.

    ::

        NEW -> STARTING -> RUNNING -> STOPPING -> STOPPED
                   |                     ^
                   `---------------------'  the start failed or was interrupted

    Start and stop exclude each other. Either may be interrupted at any point, by a
    `gevent.Timeout`, a kill or Ctrl-C: what is left of the stop is then done by the next call of
    `stop`, or by a greenlet that waits for its turn in one.
    """

    settings: Settings
    signals: Signals
    firewall: Firewall
    delegate: str | None
    state: RuntimeState

    def __init__(self) -> None:
        self.state = RuntimeState.NEW
        self.hub: Hub | None = None
        """The hub of the native thread that started it."""
        self.owned: set[Any] = set()
        """Greenlets that run a function of this runtime, but are not its own."""
        self._built: Parts | None = None
        self._context: Context | None = None
        self._turn = RLock()  # receivers of the signals may call start and stop
        self._token: Token[Any] | None = None

    def start(self) -> None:
        """Bind, listen and accept processes. The runtime now belongs to this thread's hub.

        Raises:
            BindError: the address cannot be bound, or no address to advertise is found.
            StateError: it was started before; make a new runtime.
        """
        if self.state is not RuntimeState.NEW:
            state = self.state.value
            raise StateError(f"a runtime starts once, this one is {state}: make a new one")
        self.state = RuntimeState.STARTING
        with self._turn:
            try:
                self.hub = gevent.get_hub()
                self._context = copy_context()
                self._context.run(self._enter)
                self._built = self._build()
                watch_fork(self)
                self._built.lifecycle.start()
                self.state = RuntimeState.RUNNING
                note_runtime(self.hub, 1)
                self.signals.runtime_started.emit(self)
            except BaseException:
                self._begin_stop()
                self._finish(self.settings.stop_timeout)
                raise

    def stop(self, timeout: float | None = None) -> tuple[UPID, ...]:
        """Stop in order and return the processes that had to be killed.

        Accepting ends first; processes serve what they have and terminate one after the other;
        what is queued for other nodes is sent; then every socket is closed. When another greenlet
        is starting or stopping it, that is waited for; nothing happens when it does not run. A
        stop that was interrupted is finished by calling it again.

        Args:
            timeout: real seconds for all of it, `Settings.stop_timeout` when None. Handlers that
                are still running then are killed, and queued events are dropped.

        Raises:
            StateError: called from one of its own processes, whose end it would wait for, or from
                another native thread.
            InvalidArgument: *timeout* is negative or no number.
        """
        if timeout is not None:
            check_duration(timeout)
        if self.state in (RuntimeState.NEW, RuntimeState.STOPPED):
            return ()
        if self.hub is not None and has_ended(self.hub):
            self.disown()
            return ()
        if self._built is not None:
            self.check_thread("stop")
        self._refuse_own_processes()
        with self._turn:
            if self.state is RuntimeState.RUNNING:
                self._begin_stop()
                self.signals.runtime_stopping.emit(self)
            if self.state is RuntimeState.STOPPING:
                self._finish(self.settings.stop_timeout if timeout is None else timeout)
                self.signals.runtime_stopped.emit(self, killed=self._killed())
            return self._killed()

    def _begin_stop(self) -> None:
        if self.state is RuntimeState.RUNNING and self.hub is not None:
            note_runtime(self.hub, -1)
        self.state = RuntimeState.STOPPING

    def _finish(self, seconds: float) -> None:
        """Do what is left of the stop. Interrupted, it can be called again."""
        if self._built is not None:
            self._built.lifecycle.stop(seconds)
            self._end_greenlets(self._built.processes.greenlets)
            self._end_owned()
            self._built.processes.close()
        self.state = RuntimeState.STOPPED

    def disown(self) -> None:
        """Let go of everything without a word, in a forked child or when the thread has ended."""
        if self.state is not RuntimeState.STOPPED:
            self._begin_stop()
        self.state = RuntimeState.STOPPED
        if self._built is not None:
            self._built.disown()
            silence(self._built.processes.greenlets)
            silence(self.owned)
        if self.hub is not None and not has_ended(self.hub):
            self.hub = None
        if RUNTIME.get() is self:  # the child goes on in what was a block or a handler of it
            RUNTIME.set(None)
            PROCESS.set(None)

    def _killed(self) -> tuple[UPID, ...]:
        return () if self._built is None else tuple(self._built.killed)

    def _refuse_own_processes(self) -> None:
        process = current_process()
        if process is not None and process.runtime is self:
            raise StateError("a process cannot wait for its runtime to stop: use another greenlet")

    def __enter__(self) -> Self:
        self.start()
        self._token = select_runtime(self._runtime)
        return self

    def __exit__(self, *error: object) -> None:
        token, self._token = self._token, None
        try:
            self.stop()
        finally:
            if token is not None:
                deselect_runtime(self._runtime, token)

    def check_thread(self, what: str) -> None:
        """Refuse what is done by *what* in another native thread than that of the runtime.

        Raises:
            StateError: this is another one, or the runtime is not started.
        """
        self._parts().processes.check_thread(what)

    @property
    def is_here(self) -> bool:
        """Whether it belongs to this native thread."""
        return self.hub is get_hub_if_exists()

    def spawn_greenlet(
        self, function: Callable[Q, R], /, *args: Q.args, **kwargs: Q.kwargs
    ) -> gevent.Greenlet[..., R]:
        """Start a greenlet whose current runtime is this one; `stop` ends it.

        Raises:
            StateError: called from another native thread.
        """
        self.check_thread("spawn_greenlet")
        assert self._context is not None
        # Bound here: gevent has a parameter of its own, which *kwargs* may have the name of.
        greenlet = gevent.Greenlet(partial(function, *args, **kwargs))
        greenlet.gr_context = self._context.copy()
        self._parts().processes.keep_greenlet(greenlet)
        greenlet.start()
        return greenlet

    def _end_greenlets(self, greenlets: Iterable[gevent.Greenlet[..., Any]]) -> None:
        """Kill what this runtime and its processes started and still runs, but for the caller."""
        others = [greenlet for greenlet in greenlets if greenlet is not gevent.getcurrent()]
        stuck = kill_within(KILL_SECONDS, others)
        if stuck:
            log.warning("%d greenlets of the runtime did not end when they were killed", stuck)

    def _end_owned(self) -> None:
        """Kill greenlets of others where they run functions for this runtime, and what comes next."""
        deadline = monotonic() + KILL_SECONDS
        while others := self.owned - {gevent.getcurrent()}:
            stuck = kill_within(max(deadline - monotonic(), 0.0), others)
            if stuck:
                log.warning("%d functions of the runtime did not end when killed", stuck)
                return
            gevent.sleep(0)  # a sequence goes on with the next function, which may be of this one

    @property
    def _runtime(self) -> Runtime:
        """This runtime as the class that is complete, which is the only subclass."""
        return cast("Runtime", self)

    def _enter(self) -> None:
        RUNTIME.set(self._runtime)
        PROCESS.set(None)
        TRACE.set(None)

    def _build(self) -> Parts:
        return Parts(
            self._runtime,
            self.settings,
            self.signals,
            delegate=self.delegate,
            firewall=self.firewall,
            spawn=self.spawn_greenlet,
        )

    def _parts(self) -> Parts:
        built = self._built
        if built is None or self.hub is None:
            raise StateError(
                INHERITED if built else "the runtime is not started: call start() first"
            )
        return built

    def __repr__(self) -> str:
        where = self._built.address if self._built is not None else "unbound"
        return f"<{type(self).__name__} {where} {self.state.value}>"
