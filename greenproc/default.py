"""The default runtime, and the functions bound to the current one.

One rule: a function acts on the runtime of its greenlet, else on the default one, which it starts
if there is none. Two runtimes in one OS process is what `Runtime` objects are for.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Concatenate, ParamSpec, TypeVar, overload

from greenproc.address import Address, canonical_ip
from greenproc.clock import Timer
from greenproc.current import default, find_runtime
from greenproc.errors import Abandoned, InvalidAddress, InvalidArgument, NoRuntime, StateError
from greenproc.future import Failure, Future, Promise
from greenproc.hub.fork import call_after_fork
from greenproc.hub.lifetime import ENDED, has_ended
from greenproc.hub.native import allocate_lock
from greenproc.patterns import Cron, Repetition
from greenproc.pid import PID, UPID, PlainUPID
from greenproc.process.arguments import as_upid
from greenproc.process.base import Process
from greenproc.process.defer import Deferred
from greenproc.process.proxy import Proxy
from greenproc.process.runner import EventFilter
from greenproc.runtime import BackgroundRuntime, DeadLetters, Runtime, RuntimeState, Signals
from greenproc.settings import Settings, check_settings

logger = logging.getLogger("greenproc.runtime")

P = TypeVar("P", bound=Process)
Q = ParamSpec("Q")
R = TypeVar("R")
T = TypeVar("T")


FINALIZED = (
    "the runtime was stopped; it ran in a thread, so that none is started in this one by itself: call "
    "greenproc.start_in_thread() again, or greenproc.initialize() where gevent's hub turns"
)
IN_PARENT = (
    "the runtime runs in a thread of the parent process, which has forked this one: call "
    "greenproc.start_in_thread() here"
)


class _Guard:
    """Held while it is decided which of several greenlets and threads starts the runtime."""

    lock = allocate_lock()


def _forget_parent() -> None:
    """Begin anew in a forked child. What another thread of the parent held is held there."""
    if isinstance(default.runtime, BackgroundRuntime):
        default.refusal = IN_PARENT
    default.end_start(None)
    _Guard.lock = allocate_lock()


call_after_fork(_forget_parent)


def initialize(
    delegate: str | None = None,
    readwrite_realm: str | None = None,
    readonly_realm: str | None = None,
    *,
    settings: Settings | None = None,
    ip: str | None = None,
    port: int | None = None,
) -> bool:
    """Start the default runtime; see `Runtime`.

    Returns whether this call did it. When it runs already, the arguments are ignored, with a
    warning. When another greenlet or native thread is starting it, that is waited for, and an error there is
    raised here too. One that is stopping, or whose stop was interrupted, is stopped first.

    Args:
        settings: those of the environment when None, which is not read otherwise.
        ip: replaces that of the settings, which is the loopback address unless they say another
            one; ``0.0.0.0`` opens the node to the network.
        port: replaces that of the settings; 0 lets the system choose.

    Raises:
        InvalidSettings: an argument or a ``LIBPROCESS_`` variable has no valid value.
        InvalidArgument: *delegate* is no id of a process, or *settings* are none.
        BindError: the address cannot be bound.

    Source: libprocess src/process.cpp, process::initialize. Differs: works after `finalize`.
    """
    _check_delegate(delegate)
    given = (delegate, readwrite_realm, readonly_realm, settings, ip, port)
    has_arguments = any(argument is not None for argument in given)
    if _is_running(default.runtime):
        return _ignore(has_arguments)
    return _start(
        Runtime(
            _settings(settings, ip=ip, port=port),
            delegate=delegate,
            readwrite_realm=readwrite_realm,
            readonly_realm=readonly_realm,
        )
    ) or _ignore(has_arguments)


def start_in_thread(
    settings: Settings | None = None,
    *,
    delegate: str | None = None,
    readwrite_realm: str | None = None,
    readonly_realm: str | None = None,
    ip: str | None = None,
    port: int | None = None,
) -> BackgroundRuntime:
    """Start the default runtime in a native thread of its own, for programs without gevent.

    ::

        greenproc.start_in_thread()
        greenproc.dispatch(greenproc.spawn(Counter()), Counter.increment).get()

    Its node answers whatever this thread does, and all functions of the package work from every
    thread: at a prompt, in a notebook, in a server of threads. See `BackgroundRuntime` for the rest.
    It is stopped by `finalize`, by its own `stop`, at the end of a block that it is the context
    manager of, or at the exit of the program. In a program that gevent has monkey-patched it runs by
    the hub of the main thread.

    When it runs already, it is returned, and the arguments are ignored, with a warning. A forked
    child has none, and starts its own by calling this.

    Args:
        settings: those of the environment when None, which is not read otherwise.
        delegate: as for `Runtime`, and so the realms.
        ip: replaces that of the settings.
        port: replaces that of the settings; 0 lets the system choose.

    Raises:
        StateError: the default runtime runs by a hub of the program.
        InvalidSettings: an argument or a ``LIBPROCESS_`` variable has no valid value.
        BindError: the address cannot be bound.
    """
    given = (settings, delegate, readwrite_realm, readonly_realm, ip, port)
    has_arguments = any(argument is not None for argument in given)
    if not _is_running(default.runtime):
        runtime = BackgroundRuntime(
            _settings(settings, ip=ip, port=port),
            delegate=delegate,
            readwrite_realm=readwrite_realm,
            readonly_realm=readonly_realm,
        )
        if _start(runtime):
            return runtime
    running = default.runtime
    if not isinstance(running, BackgroundRuntime):
        raise StateError(
            f"expected no default runtime, got {running!r}, which runs by the hub of the thread that "
            "started it: call start_in_thread() before the first spawn(), or finalize() first; under "
            "gunicorn's gevent workers leave it out"
        )
    _ignore(has_arguments, "start_in_thread")
    return running


def _ignore(has_arguments: bool, name: str = "initialize") -> bool:
    """Warn of arguments that come too late; a first `spawn` may have started the runtime."""
    if has_arguments:
        logger.warning(
            "%s() ignored its arguments, as the default runtime runs already: "
            "call it before the first spawn(), or finalize() first",
            name,
        )
    return False


def _is_running(runtime: Runtime | None) -> bool:
    if runtime is None or runtime.hub is None or has_ended(runtime.hub):
        return False
    return runtime.state is RuntimeState.RUNNING


def _start(runtime: Runtime) -> bool:
    """Start *runtime* as the default one, unless there is one; tell whether it was started.

    It is shown to others once it runs.
    """
    start: Promise[None] = Promise()
    while not _claim_start(start.future):
        if default.starting is not None:
            if _has_started(default.starting):
                return False
        elif _is_running(default.runtime):
            return False
        elif default.runtime is not None:
            default.runtime.stop()
    try:
        runtime.start()
    except BaseException as error:
        # Interrupted twice it is left half stopped: then `finalize` or `initialize` finish that.
        default.end_start(runtime if runtime.state is RuntimeState.STOPPING else None)
        if isinstance(error, Exception):
            start.fail(error)
        else:
            start.abandon()  # what interrupts this greenlet is no business of the others
        raise
    default.end_start(runtime)
    start.set(None)
    return True


def _claim_start(start: Future[None]) -> bool:
    """Make *start* what others wait for, if there is neither a runtime nor another start."""
    with _Guard.lock:
        runtime: Runtime | None = default.runtime
        is_free = runtime is None or runtime.state is RuntimeState.STOPPED
        if not is_free or default.starting is not None:
            return False
        default.runtime, default.starting = None, start
        return True


def _has_started(start: Future[None]) -> bool:
    """Wait for a start elsewhere; False if it was interrupted. Raises what it has raised."""
    try:
        start.get()
    except Abandoned:
        return False
    return True


def _check_delegate(delegate: object) -> None:
    """Refuse as the first argument of `initialize` what is meant for one of the others."""
    if delegate is None or (isinstance(delegate, str) and not _begins_with_ip(delegate)):
        return
    meant = {int: "port=5050", str: "ip='127.0.0.1'", Settings: "settings=Settings(...)"}
    argument = meant.get(type(delegate))
    advice = f": give it by its name, as in initialize({argument})" if argument else ""
    got = f"{delegate!r:.80}"
    raise InvalidArgument(f"expected the id of a process as delegate, got {got}{advice}")


def _begins_with_ip(text: str) -> bool:
    for ip in (text, text.rpartition(":")[0]):
        try:
            canonical_ip(ip)
        except InvalidAddress:
            continue
        return True
    return False


def _settings(settings: Settings | None, **given: str | int | None) -> Settings:
    """Return *settings*, else those of the environment, with what was *given* beside them."""
    if settings is None:
        settings = Settings.from_environ(os.environ)
    check_settings(settings)
    fields: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return replace(settings, **fields)


def finalize() -> None:
    """Stop the default runtime, if there is one. A later `initialize` starts a new one.

    When another greenlet is starting it, that is waited for. Interrupted, it is finished by
    calling it, or `initialize`, again.

    Source: libprocess src/process.cpp, process::finalize.
    """
    if default.starting is not None:
        default.starting.wait()
    runtime = default.runtime
    if runtime is not None:
        runtime.stop()
        if default.runtime is runtime:
            default.runtime = None
            if isinstance(runtime, BackgroundRuntime):
                default.refusal = FINALIZED


def current_runtime() -> Runtime:
    """Return the runtime of this greenlet, else the default one. Starts nothing.

    Raises:
        NoRuntime: neither exists, or the native thread of the default one has ended.
    """
    runtime: Runtime | None = _find_living()
    if runtime is None:
        if default.refusal is not None:
            raise NoRuntime(default.refusal)
        if default.runtime is not None:
            raise NoRuntime(ENDED)
        before = "the runtime was stopped, " if default.stopped else ""
        raise NoRuntime(f"{before}call greenproc.initialize() first, or work on a Runtime object")
    return runtime


def _find_living() -> Runtime | None:
    """Return the current runtime, but no default one whose native thread has ended.

    One that was stopped is returned: what is asked of it says so.
    """
    runtime: Runtime | None = find_runtime()
    if runtime is None or runtime.hub is None or not has_ended(runtime.hub):
        return runtime
    is_default = runtime is default.runtime
    return None if is_default and runtime.state is not RuntimeState.STOPPED else runtime


def _runtime() -> Runtime:
    runtime = _find_living()
    if runtime is not None:
        return runtime
    if default.implicit_start and default.refusal is None:
        initialize()
    return current_runtime()


def address() -> Address:
    """Return where this node is reached. See `Runtime.address`."""
    return _runtime().address


def signals() -> Signals:
    """Return what observers connect to. See `Runtime.signals`."""
    return _runtime().signals


def dead_letters() -> DeadLetters:
    """Return what this node dropped. See `Runtime.dead_letters`."""
    return _runtime().dead_letters


def spawn(process: P, *, manage: bool = False) -> PID[P]:
    """Start *process* in the current runtime. See `Runtime.spawn`."""
    return _runtime().spawn(process, manage=manage)


def terminate(pid: UPID | Process, *, inject: bool = True) -> None:
    """Ask a process of the current runtime to terminate. See `Runtime.terminate`."""
    _runtime().terminate(pid, inject=inject)


def wait(pid: UPID | Process, timeout: float | None = None) -> bool:
    """Wait for a process to end. See `Runtime.wait`."""
    return _runtime().wait(pid, timeout)


@overload
def post(
    to: UPID | Process, name: str, body: object = b"", *, sender: UPID | None = None
) -> None: ...
@overload
def post(to: UPID | Process, name: object, *, sender: UPID | None = None) -> None: ...
def post(to: UPID | Process, name: Any, body: Any = b"", *, sender: UPID | None = None) -> None:
    """Send a message from outside of any process. See `Runtime.post`."""
    _runtime().post(to, name, body, sender=sender)


@overload
def ask(
    to: UPID | Process,
    name: str,
    body: Any = b"",
    *,
    returns: None = None,
    timeout: float | None = None,
) -> Future[bytes]: ...
@overload
def ask(
    to: UPID | Process,
    name: str,
    body: Any = b"",
    *,
    returns: type[T],
    timeout: float | None = None,
) -> Future[T]: ...
@overload
def ask(
    to: UPID | Process,
    name: str,
    body: Any = b"",
    *,
    returns: Any,
    timeout: float | None = None,
) -> Future[Any]: ...
def ask(
    to: UPID | Process,
    name: str,
    body: Any = b"",
    *,
    returns: Any = None,
    timeout: float | None = None,
) -> Future[Any]:
    """Send a message and return the future of the answer. See `Runtime.ask`."""
    return _runtime().ask(to, name, body, returns=returns, timeout=timeout)


@overload
def dispatch(
    target: UPID | Process,
    method: Callable[Q, Future[R] | Failure],
    /,
    *args: Q.args,
    **kwargs: Q.kwargs,
) -> Future[R]: ...
@overload
def dispatch(
    target: UPID | Process,
    method: Callable[Q, R | Failure],
    /,
    *args: Q.args,
    **kwargs: Q.kwargs,
) -> Future[R]: ...
@overload
def dispatch(
    target: PlainUPID,
    method: Callable[..., Future[R] | Failure],
    /,
    *args: Any,
    **kwargs: Any,
) -> Future[R]: ...
@overload
def dispatch(
    target: PlainUPID, method: Callable[..., R | Failure], /, *args: Any, **kwargs: Any
) -> Future[R]: ...
@overload
def dispatch(
    target: PID[P] | P,
    method: Callable[Concatenate[P, Q], Future[R] | Failure],
    /,
    *args: Q.args,
    **kwargs: Q.kwargs,
) -> Future[R]: ...
@overload
def dispatch(
    target: PID[P] | P,
    method: Callable[Concatenate[P, Q], R | Failure],
    /,
    *args: Q.args,
    **kwargs: Q.kwargs,
) -> Future[R]: ...
def dispatch(target: Any, method: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
    """Call *method* in a process of the current runtime. See `Runtime.dispatch`."""
    return _runtime().dispatch(target, method, *args, **kwargs)


@overload
def proxy(target: PID[P] | P) -> Proxy[P]: ...
@overload
def proxy(target: UPID) -> Proxy[Any]: ...
def proxy(target: Any) -> Proxy[Any]:
    """Return an object that stands for a process of the current runtime. See `Proxy`.

    Raises:
        InvalidArgument: *target* is on another node, or no process.
        StateError: it is not running.
    """
    return Proxy(_runtime().processes, as_upid(target))


@overload
def defer(function: Callable[..., R | Failure], /) -> Deferred[R]: ...
@overload
def defer(target: UPID | Process, method: Callable[..., R | Failure], /) -> Deferred[R]: ...
@overload
def defer(
    target: UPID | Process,
    method: Callable[Q, R | Failure],
    /,
    *args: Q.args,
    **kwargs: Q.kwargs,
) -> Deferred[R]: ...
@overload
def defer(
    target: PlainUPID, method: Callable[..., R | Failure], /, *args: Any, **kwargs: Any
) -> Deferred[R]: ...
@overload
def defer(
    target: PID[P] | P,
    method: Callable[Concatenate[P, Q], R | Failure],
    /,
    *args: Q.args,
    **kwargs: Q.kwargs,
) -> Deferred[R]: ...
def defer(
    target: Any,
    method: Callable[..., Any] | None = None,
    /,
    *args: Any,
    **kwargs: Any,
) -> Deferred[Any]:
    """Return a callable that dispatches each time it is called. See `Runtime.defer`."""
    defer_in: Callable[..., Deferred[Any]] = _runtime().defer
    return defer_in(target, method, *args, **kwargs)


@overload
def delay(
    seconds: float,
    target: UPID | Process,
    method: Callable[Q, object],
    /,
    *args: Q.args,
    **kwargs: Q.kwargs,
) -> Timer: ...
@overload
def delay(
    seconds: float,
    target: PlainUPID,
    method: Callable[..., object],
    /,
    *args: Any,
    **kwargs: Any,
) -> Timer: ...
@overload
def delay(
    seconds: float,
    target: PID[P] | P,
    method: Callable[Concatenate[P, Q], object],
    /,
    *args: Q.args,
    **kwargs: Q.kwargs,
) -> Timer: ...
def delay(
    seconds: float,
    target: Any,
    method: Callable[..., Any],
    /,
    *args: Any,
    **kwargs: Any,
) -> Timer:
    """Dispatch *method* to *target* after a while. See `Runtime.delay`."""
    return _runtime().delay(seconds, target, method, *args, **kwargs)


@overload
def run_async(
    function: Callable[Q, Future[R] | Failure], /, *args: Q.args, **kwargs: Q.kwargs
) -> Future[R]: ...
@overload
def run_async(
    function: Callable[Q, R | Failure], /, *args: Q.args, **kwargs: Q.kwargs
) -> Future[R]: ...
def run_async(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
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


def every(
    seconds: float | Cron,
    target: UPID | Process,
    method: Callable[..., object],
    /,
    *args: Any,
    **kwargs: Any,
) -> Repetition:
    """Dispatch *method* to *target* every so many seconds, the first time after that many; or by a `Cron`.

    It ends with the process, or by `Repetition.cancel`. A call that is not over when the next one is due, or whose
    future is not, makes that one be left out: calls never pile up. The times follow the runtime's clock, so
    that a paused one holds them, and keep their rhythm; when it jumps over several, one call is made for all of
    them. When it is set back, calls go on once it comes to the next time again. An
    error in the method is the process' own, as in a message handler.

    Args:
        seconds: 0.001 or more; or a `Cron`, such as ``Cron("30 9 * * mon-fri", zone="Europe/Paris")``.
        target: a local process that runs; in its ``initialize`` it does.

    Raises:
        InvalidArgument: the period is too short, *method* cannot be called, or *target* does not run here.
        StateError: this is another native thread than that of the runtime.
    """
    return Repetition(_runtime(), seconds, target, (method, args, kwargs))
