"""`RuntimeLife`: how a runtime starts and stops, also when that is interrupted."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, Token, copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

import gevent
from gevent.lock import RLock

from greenproc.current import RUNTIME, deselect_runtime, select_runtime
from greenproc.errors import StateError
from greenproc.pid import UPID
from greenproc.process.current import PROCESS, current_process
from greenproc.runtime.lifecycle import RuntimeState
from greenproc.runtime.parts import Parts
from greenproc.runtime.signals import Signals
from greenproc.settings import Settings

if TYPE_CHECKING:
    from greenproc.web import Firewall

Q = ParamSpec("Q")
R = TypeVar("R")

KILL_SECONDS = 1.0  # how long the greenlets of a runtime that stops may take to end


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
        self._built: Parts | None = None
        self._context: Context | None = None
        self._greenlets: set[gevent.Greenlet[..., Any]] = set()
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
                self._context = copy_context()
                self._context.run(self._enter)
                self._built = self._build()
                self._built.lifecycle.start()
                self.state = RuntimeState.RUNNING
                self.signals.runtime_started.emit(self)
            except BaseException:
                self.state = RuntimeState.STOPPING
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
            StateError: called from one of its own processes, whose end it would wait for.
        """
        if self.state in (RuntimeState.NEW, RuntimeState.STOPPED):
            return ()
        self._refuse_own_processes()
        with self._turn:
            if self.state is RuntimeState.RUNNING:
                self.state = RuntimeState.STOPPING
                self.signals.runtime_stopping.emit(self)
            if self.state is RuntimeState.STOPPING:
                self._finish(self.settings.stop_timeout if timeout is None else timeout)
                self.signals.runtime_stopped.emit(self, killed=self._killed())
            return self._killed()

    def _finish(self, seconds: float) -> None:
        """Do what is left of the stop. Interrupted, it can be called again."""
        if self._built is not None:
            self._built.lifecycle.stop(seconds)
        self._end_greenlets()
        self.state = RuntimeState.STOPPED

    def _killed(self) -> tuple[UPID, ...]:
        return () if self._built is None else tuple(self._built.killed)

    def _refuse_own_processes(self) -> None:
        process = current_process()
        if process is not None and process.runtime is self:
            raise StateError("a process cannot wait for its runtime to stop: use another greenlet")

    def __enter__(self) -> Self:
        self.start()
        self._token = select_runtime(self)
        return self

    def __exit__(self, *error: object) -> None:
        token, self._token = self._token, None
        try:
            self.stop()
        finally:
            if token is not None:
                deselect_runtime(self, token)

    def spawn_greenlet(
        self, function: Callable[Q, R], /, *args: Q.args, **kwargs: Q.kwargs
    ) -> gevent.Greenlet[..., R]:
        """Start a greenlet whose current runtime is this one; `stop` ends it."""
        assert self._context is not None
        # Bound here: gevent has a parameter of its own, which *kwargs* may have the name of.
        greenlet = gevent.Greenlet(partial(function, *args, **kwargs))
        greenlet.gr_context = self._context.copy()
        self._greenlets.add(greenlet)
        greenlet.rawlink(self._greenlets.discard)
        greenlet.start()
        return greenlet

    def _end_greenlets(self) -> None:
        """Kill what `spawn_greenlet` started and still runs, but for who is calling."""
        others = [greenlet for greenlet in self._greenlets if greenlet is not gevent.getcurrent()]
        gevent.killall(others, timeout=KILL_SECONDS)

    def _enter(self) -> None:
        RUNTIME.set(self)
        PROCESS.set(None)

    def _build(self) -> Parts:
        return Parts(
            self,
            self.settings,
            self.signals,
            delegate=self.delegate,
            firewall=self.firewall,
            spawn=self.spawn_greenlet,
        )

    def _parts(self) -> Parts:
        if self._built is None:
            raise StateError("the runtime is not started: call start() first")
        return self._built

    def __repr__(self) -> str:
        where = self._built.address if self._built is not None else "unbound"
        return f"<Runtime {where} {self.state.value}>"
