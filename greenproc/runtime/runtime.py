"""`Runtime`: one node. Owns the parts and delegates to them; has no logic of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from types import NoneType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, overload
from weakref import ref

from gevent import socket

from greenproc.address import Address
from greenproc.auth import Authenticator, Authenticators, Authorization
from greenproc.checks import check_callable, refuse_method
from greenproc.clock import Clock, Timer
from greenproc.clock.cross_thread import clock_of_thread
from greenproc.clock.microseconds import check_duration
from greenproc.current import default, deselect_runtime, select_runtime
from greenproc.errors import InvalidArgument, StateError
from greenproc.future import Failure, Future
from greenproc.message import Message
from greenproc.metrics import Registry
from greenproc.pid import NO_SENDER, PID, UPID, PlainUPID
from greenproc.process.arguments import as_named_body, as_upid, check_delay
from greenproc.process.base import Process
from greenproc.process.current import current_process
from greenproc.process.debug import MethodWatch
from greenproc.process.defer import Deferred
from greenproc.process.executor import Executor, run_async
from greenproc.process.manager import ProcessManager
from greenproc.process.runner import EventFilter
from greenproc.process.waiting import settle, wait_with_limit
from greenproc.process.weak_method import WeakMethod, is_over, weaken
from greenproc.runtime.dead_letters import DeadLetters
from greenproc.runtime.life import RuntimeLife
from greenproc.runtime.lifecycle import RuntimeState
from greenproc.runtime.signals import Signals
from greenproc.settings import Settings, check_settings
from greenproc.subprocess import Reaper
from greenproc.supervision.reports import SupervisionCounts
from greenproc.web import Firewall, RequestRouter
from greenproc.websockets import WebSocketRegistry

P = TypeVar("P", bound=Process)
Q = ParamSpec("Q")
R = TypeVar("R")
T = TypeVar("T")


class Runtime(RuntimeLife):
    """Everything that libprocess keeps in globals, in one object: one node.

    Several runtimes work side by side in one OS process. A runtime belongs to the hub, and so to
    the native thread, that started it; `post`, `dispatch`, `terminate` and `Process.send` may be
    called from other threads, everything else goes through `call_from_thread`. As a context
    manager it starts and stops itself, and is the current runtime of the block.

    Args:
        settings: what `Settings` says by default when None; the environment is not read.
        delegate: id of the process that answers HTTP requests whose path names no process.
        readwrite_realm: the authentication realm of built-in endpoints that change something.
        readonly_realm: the one of built-in endpoints that only show something.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        delegate: str | None = None,
        readwrite_realm: str | None = None,
        readonly_realm: str | None = None,
    ) -> None:
        super().__init__()
        check_settings(settings)
        if not isinstance(delegate, (str, NoneType)):
            raise InvalidArgument(f"expected the id of a process as delegate, got {delegate!r}")
        self.settings = settings if settings is not None else Settings()
        self.delegate = delegate
        self.readwrite_realm = readwrite_realm
        self.readonly_realm = readonly_realm
        self.signals = Signals()
        self.dead_letters = DeadLetters(self.signals.dead_letter, self.settings.max_dead_letters)
        self.firewall = Firewall()
        self.authenticators = Authenticators()
        self.authorization = Authorization()
        self.metrics = Registry()
        self.supervision = SupervisionCounts()
        self.random = Random()  # noqa: S311 -- spreads restarts, no secret
        """Where the random part of delays comes from; a seed makes them repeat."""
        self._executor: Executor | None = None
        self._watch = MethodWatch() if self.settings.debug else None

    @contextmanager
    def selected(self) -> Iterator[Self]:
        """Make this the current runtime of the block, for the module-level functions."""
        token = select_runtime(self)
        try:
            yield self
        finally:
            deselect_runtime(self, token)

    # Parts

    @property
    def address(self) -> Address:
        """Where this node is reached: what every local UPID carries."""
        address = self._parts().address
        assert address is not None
        return address

    @property
    def clock(self) -> Clock:
        """The time of this node, which tests can pause.

        Another native thread gets a `CrossThreadClock`, which tells the time and makes timers.
        """
        return clock_of_thread(self._parts().clock)

    @property
    def processes(self) -> ProcessManager:
        """The registry of local processes; for the parts of the runtime."""
        return self._parts().processes

    @property
    def router(self) -> RequestRouter:
        """Hands HTTP requests to processes; for the parts of the runtime."""
        return self._parts().router

    @property
    def websockets(self) -> WebSocketRegistry:
        """The connections that speak WebSocket; for the parts of the runtime."""
        return self._parts().websockets

    @property
    def reaper(self) -> Reaper:
        """Tells how OS processes end, until this node stops."""
        return self._parts().reaper

    @property
    def transport(self) -> Any:
        """The connections to other nodes."""
        return self._parts().sockets

    def statistics(self) -> dict[str, Any]:
        """Count what this node has: processes, turns, connections, timers, dropped messages."""
        self.check_thread("statistics")
        parts = self._parts()
        return {
            "state": self.state.value,
            "processes": parts.processes.statistics(),
            "clock": parts.clock.statistics(),
            "inbound": parts.listener.statistics(),
            "outbound": parts.sockets.statistics() if parts.sockets is not None else {},
            "websockets": parts.websockets.statistics(),
            "event_streams": dict(parts.router.event_streams),
            "messages_dropped": dict(parts.dropped),
        }

    # Processes

    def spawn(self, process: P, *, manage: bool = False) -> PID[P]:
        """Start *process* and return its address.

        The empty PID, which is false, comes back when a running process has the same id, when
        *process* was spawned before, or when the runtime is stopping; a warning tells which.

        Args:
            process: the process, which was not spawned before.
            manage: for compatibility with libprocess. The runtime holds a process while it runs,
                and memory is not managed by hand after it.

        Source: libprocess src/process.cpp, process::spawn.
        """
        pid = self.processes.spawn(process)
        if self._watch is not None and pid:
            self._watch.watch(process)
        return pid

    def terminate(self, pid: UPID | Process, *, inject: bool = True) -> None:
        """Ask a local process to terminate; nothing happens if it is not running or remote.

        Nor does in a runtime that was stopped, with which all processes have ended: what ends things
        may come late.

        Args:
            inject: drop what is queued. When False, what is queued already is served first.

        Source: libprocess src/process.cpp, process::terminate.
        """
        self.processes.terminate(pid, inject=inject)

    def wait(self, pid: UPID | Process, timeout: float | None = None) -> bool:
        """Wait for a process to end and return whether it did.

        Without a timeout only a running local process is waited for; for any other the answer is
        False at once. With one, a process that is not running counts as ended (True), and a remote
        one as ended when the connection to it is lost.

        Args:
            timeout: seconds of this runtime's clock, so that a paused clock holds it.

        Raises:
            Deadlock: the process waits for itself.

        Source: libprocess src/process.cpp, process::wait.
        """
        processes = self.processes
        processes.check_thread("wait")
        if timeout is None:
            return processes.wait(pid)
        check_duration(timeout)
        return wait_with_limit(processes, as_upid(pid), timeout)

    @overload
    def post(
        self, to: UPID | Process, name: str, body: object = b"", *, sender: UPID | None = None
    ) -> None: ...
    @overload
    def post(self, to: UPID | Process, name: object, *, sender: UPID | None = None) -> None: ...
    def post(
        self, to: UPID | Process, name: Any, body: Any = b"", *, sender: UPID | None = None
    ) -> None:
        """Send a message from outside of any process; *sender* is the empty UPID when None.

        Name and body are as for `Process.send`.

        Raises:
            InvalidArgument: an argument has another type, a value has no encoding, or *name* is
                empty.
            StateError: this runtime, or that of *to*, was stopped.

        Source: libprocess include/process/process.hpp, process::post.
        """
        source = NO_SENDER if sender is None else sender
        name, body = as_named_body(name, body)
        if not name:
            raise InvalidArgument(f"expected the name of a message as a text, got {name!r}")
        pid = as_upid(to)
        self._refuse_ended(pid, "post")
        self.processes.send(Message(name, source, pid, body))

    @overload
    def ask(
        self,
        to: UPID | Process,
        name: str,
        body: Any = b"",
        *,
        returns: None = None,
        timeout: float | None = None,
    ) -> Future[bytes]: ...
    @overload
    def ask(
        self,
        to: UPID | Process,
        name: str,
        body: Any = b"",
        *,
        returns: type[T],
        timeout: float | None = None,
    ) -> Future[T]: ...
    @overload
    def ask(
        self,
        to: UPID | Process,
        name: str,
        body: Any = b"",
        *,
        returns: Any,
        timeout: float | None = None,
    ) -> Future[Any]: ...
    def ask(
        self,
        to: UPID | Process,
        name: str,
        body: Any = b"",
        *,
        returns: Any = None,
        timeout: float | None = None,
    ) -> Future[Any]:
        """Send a message, here or to another node, and return the future of the answer.

        A temporary process sends it, so that the receiver sees a sender of its own for each ask;
        the first message to that is the answer, whatever its name and wherever it is from. The
        receiver may be any libprocess process.

        The future is abandoned, with a text that says why, when the process is not there, ends
        first, has no handler for the message or no room for it, when the connection to its node is
        lost, and when this runtime stops. A process of another node that has served the message and
        ends before it answers is not noticed, nor what a node that is no greenproc drops: give a
        timeout. Beyond `Settings.max_open_asks` it fails with `TooManyAsks`. A discard drops the ask, and the receiver is not told. What comes
        after the end is dropped and counted as late.

        Args:
            to: the receiver, here or on another node.
            name: what the receiver installed a handler for.
            body: as that of `Process.send`.
            returns: the type of the answer, as for `greenproc.install`; an answer that is none fails the
                future with `InvalidMessage`. The bytes as they came when None.
            timeout: seconds of this runtime's clock; then the future fails with `AskTimeout`.
                None sets no limit: an ask that is never answered is then there until the runtime
                stops.

        Raises:
            InvalidArgument: an argument has another type, or *timeout* is negative.
            StateError: this runtime was stopped.

        Source: libprocess include/process/protobuf.hpp, ReqResProcess.
        Differs: there is a time limit, and the end of what is asked is watched.
        """
        return self.processes.asks.ask(to, name, body, returns, timeout)

    @overload
    def dispatch(
        self,
        target: UPID | Process,
        method: Callable[Q, Future[R] | Failure],
        /,
        *args: Q.args,
        **kwargs: Q.kwargs,
    ) -> Future[R]: ...
    @overload
    def dispatch(
        self,
        target: UPID | Process,
        method: Callable[Q, R | Failure],
        /,
        *args: Q.args,
        **kwargs: Q.kwargs,
    ) -> Future[R]: ...
    @overload
    def dispatch(
        self,
        target: PlainUPID,
        method: Callable[..., Future[R] | Failure],
        /,
        *args: Any,
        **kwargs: Any,
    ) -> Future[R]: ...
    @overload
    def dispatch(
        self, target: PlainUPID, method: Callable[..., R | Failure], /, *args: Any, **kwargs: Any
    ) -> Future[R]: ...
    @overload
    def dispatch(
        self,
        target: PID[P] | P,
        method: Callable[Concatenate[P, Q], Future[R] | Failure],
        /,
        *args: Q.args,
        **kwargs: Q.kwargs,
    ) -> Future[R]: ...
    @overload
    def dispatch(
        self,
        target: PID[P] | P,
        method: Callable[Concatenate[P, Q], R | Failure],
        /,
        *args: Q.args,
        **kwargs: Q.kwargs,
    ) -> Future[R]: ...
    def dispatch(
        self, target: Any, method: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Future[Any]:
        """Call *method* in a local process and return the future of its result.

        Never runs inline. A function of the target's class is called as its method, any other
        callable as it is. A future that it returns is followed. If the process is not there, or
        ends first, the future is abandoned.

        Type checkers hold the arguments against the method's parameters, and the method against
        the class of the process where *target* is a `PID` or a process.

        Raises:
            InvalidArgument: *method* cannot be called, or *target* is no process.

        Source: libprocess include/process/dispatch.hpp.
        """
        if not callable(method):
            refuse_method(method)
        return self.processes.dispatch(target, method, *args, **kwargs)

    @overload
    def defer(self, function: Callable[..., R | Failure], /) -> Deferred[R]: ...
    @overload
    def defer(
        self, target: UPID | Process, method: Callable[..., R | Failure], /
    ) -> Deferred[R]: ...
    @overload
    def defer(
        self,
        target: UPID | Process,
        method: Callable[Q, R | Failure],
        /,
        *args: Q.args,
        **kwargs: Q.kwargs,
    ) -> Deferred[R]: ...
    @overload
    def defer(
        self, target: PlainUPID, method: Callable[..., R | Failure], /, *args: Any, **kwargs: Any
    ) -> Deferred[R]: ...
    @overload
    def defer(
        self,
        target: PID[P] | P,
        method: Callable[Concatenate[P, Q], R | Failure],
        /,
        *args: Q.args,
        **kwargs: Q.kwargs,
    ) -> Deferred[R]: ...
    def defer(
        self,
        target: Any,
        method: Callable[..., Any] | None = None,
        /,
        *args: Any,
        **kwargs: Any,
    ) -> Deferred[Any]:
        """Return a callable that dispatches *method* to *target* each time it is called.

        ``defer(function)`` runs it in the current process, or, outside of any, in an executor of
        the runtime. See `Deferred` about the arguments.

        Source: libprocess include/process/defer.hpp.
        """
        if method is not None:
            return Deferred(self.processes, as_upid(target), method, args, kwargs)
        if not callable(target):
            refuse_method(target)
        process = current_process()
        if process is not None:
            return Deferred(self.processes, process.pid, target)
        if self._executor is None:
            self._executor = Executor(self.processes)
        return self._executor.defer(target)

    @overload
    def delay(
        self,
        seconds: float,
        target: UPID | Process,
        method: Callable[Q, object],
        /,
        *args: Q.args,
        **kwargs: Q.kwargs,
    ) -> Timer: ...
    @overload
    def delay(
        self,
        seconds: float,
        target: PlainUPID,
        method: Callable[..., object],
        /,
        *args: Any,
        **kwargs: Any,
    ) -> Timer: ...
    @overload
    def delay(
        self,
        seconds: float,
        target: PID[P] | P,
        method: Callable[Concatenate[P, Q], object],
        /,
        *args: Q.args,
        **kwargs: Q.kwargs,
    ) -> Timer: ...
    def delay(
        self,
        seconds: float,
        target: Any,
        method: Callable[..., Any],
        /,
        *args: Any,
        **kwargs: Any,
    ) -> Timer:
        """Dispatch *method* to *target* after a while; the result is dropped.

        The wait follows the runtime's clock, so a paused clock holds it. An error in the method
        is the process' own, as in a message handler.

        Args:
            seconds: 0 still goes through the mailbox.
            target: another process that has its id by then is called, too, except by a timer that
                a process makes for itself: that ends with it.
            method: one that is bound to a process does not keep it, and is not called when that
                has ended, even if another process has the target's id by then.

        Raises:
            InvalidArgument: *seconds* is negative or no number, or *method* cannot be called.
            StateError: this runtime, or that of *target*, was stopped.

        Source: libprocess include/process/delay.hpp.
        """
        if not callable(method):
            refuse_method(method)
        check_delay("delay", seconds, target)
        pid = as_upid(target)
        self._refuse_ended(pid, "delay")
        self.processes.refuse_others_method(pid, method, args)
        dispatch = self.processes.dispatch_quietly
        called = weaken(method)
        maker = current_process()
        own = ref(maker) if maker is not None and maker.pid == pid else None

        def fire() -> None:
            if own is not None and is_over(own()):
                return  # a successor makes timers of its own
            found = called.find() if isinstance(called, WeakMethod) else called
            if found is not None:
                dispatch(pid, found, args, kwargs)

        return self.clock.timer(seconds, fire)

    @overload
    def run_async(
        self, function: Callable[Q, Future[R] | Failure], /, *args: Q.args, **kwargs: Q.kwargs
    ) -> Future[R]: ...
    @overload
    def run_async(
        self, function: Callable[Q, R | Failure], /, *args: Q.args, **kwargs: Q.kwargs
    ) -> Future[R]: ...
    def run_async(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run *function* in a process of its own; a discard of its future does not stop it."""
        return run_async(self.processes, function, *args, **kwargs)

    def filter(self, filter: EventFilter | None) -> None:
        """Let *filter* look at each event before it is served and drop it by returning true.

        There is one filter at a time; None removes it. See `greenproc.process.Filter`.

        Raises:
            InvalidArgument: it cannot be called.

        Source: libprocess src/process.cpp, process::filter.
        """
        if filter is not None:
            check_callable(filter)
        self.processes.set_filter(filter)

    def _refuse_ended(self, pid: UPID, what: str) -> None:
        """Refuse to do *what* in a runtime that was stopped, or for a process of one."""
        self._parts()
        self._refuse_stopped(what)
        if pid.address in default.stopped:
            raise StateError(
                f"the runtime of process {pid} was stopped: spawn the process again, and {what}() "
                "to the pid that spawn() returns"
            )

    def _refuse_stopped(self, what: str) -> None:
        if self.state is RuntimeState.STOPPED and self.processes.is_in_own_thread:
            raise StateError(f"{what}() was called on a runtime that was stopped: make a new one")

    def settle(self, timeout: float = 15.0) -> None:
        """Wait until no process has anything to do and no timer is due.

        Args:
            timeout: the limit, in real seconds.

        Raises:
            NotSettled: processes are still busy; the message names them.
            StateError: called from a process, or on a runtime that was stopped.

        Source: libprocess include/process/clock.hpp, Clock::settle.
        """
        self.check_thread("settle")
        self._refuse_stopped("settle")
        settle(self.processes, timeout)

    def absolute_path(self, path: str) -> str:
        """Return *path* with the delegate's id in front if its first segment is no process."""
        return self._parts().router.absolute_path(path)

    def workers(self) -> int:
        """Return the number of worker threads that libprocess would have; nothing here uses it."""
        return self.settings.num_worker_threads

    def set_authenticator(self, realm: str, authenticator: Authenticator) -> Future[None]:
        """Authenticate the requests of *realm* by *authenticator*. See `Authenticators.set`."""
        return self.authenticators.set(realm, authenticator)

    def unset_authenticator(self, realm: str) -> Future[None]:
        """Remove the authenticator of *realm*. See `Authenticators.unset`."""
        return self.authenticators.unset(realm)

    # Threads and greenlets

    def call_from_thread(
        self, function: Callable[Q, object], /, *args: Q.args, **kwargs: Q.kwargs
    ) -> None:
        """Call *function* in a greenlet of this runtime. Safe from every native thread."""
        self.processes.run_in_hub(lambda: self.spawn_greenlet(function, *args, **kwargs))

    def resolve(self, host: str) -> str:
        """Return the first IPv4 address of *host*, without blocking the hub."""
        found = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)
        return str(found[0][4][0])
