"""The default runtime, and the functions bound to the current one.

One rule: a function acts on the runtime of its greenlet, else on the default one, which it starts
if there is none. Two runtimes in one OS process is what `Runtime` objects are for.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

from greenproc.address import Address
from greenproc.clock import Timer
from greenproc.current import default, find_runtime
from greenproc.errors import NoRuntime
from greenproc.future import Future
from greenproc.pid import PID, UPID
from greenproc.process.base import Process
from greenproc.process.defer import Deferred
from greenproc.process.life import EventFilter
from greenproc.runtime import Runtime, Signals
from greenproc.settings import Settings

P = TypeVar("P", bound=Process)


def initialize(
    delegate: str | None = None,
    readwrite_realm: str | None = None,
    readonly_realm: str | None = None,
) -> bool:
    """Start the default runtime with the settings of the environment; see `Runtime`.

    Returns whether this call did it. When it runs already, the arguments are ignored; when
    another greenlet is starting it, that is waited for.

    Raises:
        InvalidSettings: a ``LIBPROCESS_`` variable has no valid value.
        BindError: the address cannot be bound.

    Source: libprocess src/process.cpp, process::initialize. Differs: works after `finalize`.
    """
    if default.runtime is not None:
        default.runtime.wait_started()
        return False
    runtime = Runtime(
        Settings.from_environ(os.environ),
        delegate=delegate,
        readwrite_realm=readwrite_realm,
        readonly_realm=readonly_realm,
    )
    default.runtime = runtime
    try:
        runtime.start()
    except BaseException:
        default.runtime = None
        raise
    return True


def finalize() -> None:
    """Stop the default runtime, if there is one. A later `initialize` starts a new one.

    Source: libprocess src/process.cpp, process::finalize.
    """
    runtime = default.runtime
    if runtime is not None:
        runtime.stop()
        default.runtime = None


def current_runtime() -> Runtime:
    """Return the runtime of this greenlet, else the default one. Starts nothing.

    Raises:
        NoRuntime: neither exists.
    """
    runtime: Runtime | None = find_runtime()
    if runtime is None:
        raise NoRuntime("call greenproc.initialize() first, or work on a Runtime object")
    return runtime


def _runtime() -> Runtime:
    if find_runtime() is None and default.implicit_start:
        initialize()
    return current_runtime()


def address() -> Address:
    """Return where this node is reached. See `Runtime.address`."""
    return _runtime().address


def signals() -> Signals:
    """Return what observers connect to. See `Runtime.signals`."""
    return _runtime().signals


def spawn(process: P, *, manage: bool = False) -> PID[P]:
    """Start *process* in the current runtime. See `Runtime.spawn`."""
    return _runtime().spawn(process, manage=manage)


def terminate(pid: UPID | Process, *, inject: bool = True) -> None:
    """Ask a process of the current runtime to terminate. See `Runtime.terminate`."""
    _runtime().terminate(pid, inject=inject)


def wait(pid: UPID | Process, timeout: float | None = None) -> bool:
    """Wait for a process to end. See `Runtime.wait`."""
    return _runtime().wait(pid, timeout)


def post(to: UPID | Process, name: str, body: bytes = b"", *, sender: UPID | None = None) -> None:
    """Send a message from outside of any process. See `Runtime.post`."""
    _runtime().post(to, name, body, sender=sender)


def dispatch(
    target: UPID | Process, method: Callable[..., Any], *args: Any, **kwargs: Any
) -> Future[Any]:
    """Call *method* in a process of the current runtime. See `Runtime.dispatch`."""
    return _runtime().dispatch(target, method, *args, **kwargs)


def defer(
    target: UPID | Process | Callable[..., Any],
    method: Callable[..., Any] | None = None,
    *args: Any,
) -> Deferred:
    """Return a callable that dispatches each time it is called. See `Runtime.defer`."""
    return _runtime().defer(target, method, *args)


def delay(seconds: float, target: UPID | Process, method: Callable[..., Any], *args: Any) -> Timer:
    """Dispatch *method* to *target* after a while. See `Runtime.delay`."""
    return _runtime().delay(seconds, target, method, *args)


def run_async(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[Any]:
    """Run *function* in a process of its own. See `Runtime.run_async`."""
    return _runtime().run_async(function, *args, **kwargs)


def filter(filter: EventFilter | None) -> None:
    """Install or remove the current runtime's event filter. See `Runtime.filter`."""
    _runtime().filter(filter)


def absolute_path(path: str) -> str:
    """Return *path* with the delegate in front where it is meant. See `Runtime.absolute_path`."""
    return _runtime().absolute_path(path)


def workers() -> int:
    """Return the number of workers of the settings. See `Runtime.workers`."""
    return _runtime().workers()
