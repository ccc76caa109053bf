"""`GreenprocWorker`: a gunicorn worker that runs a node."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import import_module
from time import monotonic
from typing import Any, ClassVar
from weakref import WeakValueDictionary

import gevent
from gunicorn.workers.ggevent import GeventWorker

from greenproc.current import default
from greenproc.default import current_runtime, finalize, initialize
from greenproc.errors import BindError, Failure, InvalidSettings
from greenproc.failures import FAILURES
from greenproc.process.interrupts import raise_in_main
from greenproc.runtime import Runtime
from greenproc.settings import Settings
from greenproc.websockets import CloseCode

ON_START = "GREENPROC_ON_START"
"""The variable with the hook ``module:function``, called with each worker's runtime."""

MAX_SLOTS = 1000  # the number of ports tried above the first one
MIN_STOP_SECONDS = 1.0  # for the node, when requests used up the graceful timeout

IN_MASTER = (
    "a runtime was started in the master of gunicorn, where nothing is served: with --preload the "
    "app is imported there. Spawn processes in a function app.greenproc, which each worker calls "
    "with its runtime, or leave out --preload"
)


class GreenprocWorker(GeventWorker):  # type: ignore[misc]  # gunicorn has no type hints
    """The gevent worker of gunicorn with a node of its own, the default runtime of the worker.

    ::

        gunicorn -k greenproc.wsgi.GreenprocWorker app:app

    The node starts before the import of the app, with the settings of the environment. If these
    have a port, the workers of one master bind it and the following ones; else the system chooses
    each port. Then the processes of the app are spawned: by `on_start`, which a subclass may
    override, by the function that the variable ``GREENPROC_ON_START`` names, and by the function
    ``app.greenproc``. Each is called once with the runtime; if one raises, the worker fails to
    boot, and gunicorn stops.

    When the worker ends, streams that come through `Middleware` end first, see
    ``signals.runtime_draining``; then the running requests; then the processes, within the rest
    of the graceful timeout; then the node.

    Source: gunicorn 23 to 27, workers/base.py and workers/ggevent.py.
    """

    _slots: ClassVar[WeakValueDictionary[int, GreenprocWorker]] = WeakValueDictionary()
    # Filled in the master only; the entry of a worker ends when the master reaps it.

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.runtime: Runtime | None = None
        """The runtime of the node; None before its start and after its stop."""
        self.slot = next(number for number in range(len(self._slots) + 1) if self._is_free(number))
        """The index of the worker among the live ones, from 0; a successor reuses it."""
        self._slots[self.slot] = self
        self._has_master_runtime = default.runtime is not None
        self._ending_since: float | None = None

    def on_start(self, runtime: Runtime) -> None:
        """Spawn processes; a hook for subclasses, empty here."""

    def init_process(self) -> None:
        """Start the node, serve requests until the worker ends, and stop the node."""
        # Until init_signals() the master's handler is active, which puts a SIGTERM in a queue
        # that a worker never reads: the master would wait for the whole graceful timeout.
        signal.signal(signal.SIGTERM, self._end_before_it_begins)
        try:
            super().init_process()
        finally:
            self._stop_node()

    def load_wsgi(self) -> None:
        """Start the node, import the app, and call the hooks that spawn its processes.

        Raises:
            Failure: a runtime was started in the master.
            BindError: the address of the node cannot be bound.
            InvalidSettings: a setting of the environment is invalid.
        """
        if self._has_master_runtime:
            raise Failure(IN_MASTER)
        self.runtime = self._start_node()
        self.log.info("greenproc node at %s", self.runtime.address)
        super().load_wsgi()
        for spawn in (self.on_start, _named_function(), getattr(self.wsgi, "greenproc", None)):
            if callable(spawn):
                self._call(spawn)

    def notify(self) -> None:
        """Send the heartbeat to the master; called each second."""
        super().notify()
        if not self.alive:
            self._drain()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Start the shutdown; gunicorn 23 may call this repeatedly."""
        super().handle_exit(sig, frame)
        gevent.spawn(self._drain)

    def _end_before_it_begins(self, _number: int, _frame: object) -> None:
        self.alive = False

    def handle_abort(self, sig: int, frame: Any) -> None:
        """Abort the request that blocks the hub; the main greenlet ends an idle worker.

        An exception raised in the hub itself would kill it, and no process could finalize.
        """
        try:
            super().handle_abort(sig, frame)
        except SystemExit as error:
            hub = gevent.get_hub()
            if gevent.getcurrent() is not hub:
                raise
            raise_in_main(hub, error)

    def _start_node(self) -> Runtime:
        settings = Settings.from_environ(os.environ)
        ports = [0]
        if settings.port:
            last = min(settings.port + MAX_SLOTS, 0xFFFF)
            ports = [*range(settings.port + self.slot, last + 1)]
        for port in ports:
            try:
                initialize(settings=replace(settings, port=port))
            except BindError as error:
                # A second master, as after USR2, has workers with the same indices.
                if port == ports[-1]:
                    raise
                self.log.debug("greenproc node: %s", error)
            else:
                break
        else:
            raise InvalidSettings(
                f"expected a port for worker {self.slot} from {settings.port} on"
            )
        return current_runtime()

    def _call(self, spawn: Callable[[Runtime], object]) -> None:
        assert self.runtime is not None
        try:
            spawn(self.runtime)
        except gevent.Timeout as error:
            # gunicorn does not count a timeout as a failed boot, and would restart for ever.
            raise Failure(f"{spawn!r} ran into a timeout: {error}") from error

    def _drain(self) -> None:
        """Send ``runtime_draining``, once."""
        if self._ending_since is None and self.runtime is not None:
            self._ending_since = monotonic()
            self.runtime.signals.runtime_draining.emit(self.runtime)
            self.runtime.websockets.end_all(CloseCode.SERVICE_RESTART)

    def _stop_node(self) -> None:
        runtime, self.runtime = self.runtime, None
        if runtime is None:
            return
        spent = 0.0 if self._ending_since is None else monotonic() - self._ending_since
        left = max(self.cfg.graceful_timeout - spent, MIN_STOP_SECONDS)
        # If a timeout or a receiver interrupts the first step, the second completes it.
        for step in (partial(runtime.stop, min(left, runtime.settings.stop_timeout)), finalize):
            try:
                killed = step()
            except FAILURES:
                self.log.exception("the greenproc node did not stop in order")
            else:
                if killed:
                    self.log.warning("killed at the end: %s", ", ".join(map(str, killed)))

    def _is_free(self, slot: int) -> bool:
        return slot not in self._slots


def _named_function() -> Callable[[Runtime], object] | None:
    """Return the hook that the environment names, or None.

    Raises:
        InvalidSettings: the function does not exist.
    """
    name = os.environ.get(ON_START)
    if not name:
        return None
    module, _, function = name.partition(":")
    try:
        found: Callable[[Runtime], object] = getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidSettings(f"{ON_START}: expected module:function, got {name!r}") from error
    return found
