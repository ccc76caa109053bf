"""Running plain functions as processes: `Executor` and `run_async`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, overload

from greenproc.checks import check_callable
from greenproc.future import Failure, Future
from greenproc.process.base import Process
from greenproc.process.defer import Deferred, check_owner
from greenproc.process.manager import ProcessManager

Q = ParamSpec("Q")
R = TypeVar("R")


class Executor:
    """A process of its own that runs functions one after the other.

    Source: libprocess include/process/executor.hpp.
    """

    def __init__(self, manager: ProcessManager) -> None:
        self._manager = manager
        self._process = Process(manager.names.generate("__executor__"))
        self._pid = manager.spawn(self._process)

    @overload
    def defer(self, function: Callable[..., R | Failure], /) -> Deferred[R]: ...
    @overload
    def defer(
        self, function: Callable[Q, R | Failure], /, *args: Q.args, **kwargs: Q.kwargs
    ) -> Deferred[R]: ...
    def defer(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Deferred[Any]:
        """Return a callable that runs *function* in this executor. See `Deferred`."""
        return Deferred(self._manager, self._pid, function, args, kwargs)

    @overload
    def execute(
        self, function: Callable[Q, Future[R] | Failure], /, *args: Q.args, **kwargs: Q.kwargs
    ) -> Future[R]: ...
    @overload
    def execute(
        self, function: Callable[Q, R | Failure], /, *args: Q.args, **kwargs: Q.kwargs
    ) -> Future[R]: ...
    def execute(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run *function* in this executor and return the future of its result."""
        return self._manager.dispatch(self._pid, function, *args, **kwargs)

    def stop(self) -> None:
        """Drop what is queued; a function that is running goes on to its end."""
        self._manager.terminate(self._pid)

    def __repr__(self) -> str:
        return f"<Executor {self._pid}>"


def run_async(
    manager: ProcessManager, function: Callable[..., Any], /, *args: Any, **kwargs: Any
) -> Future[Any]:
    """Run *function* in a process of its own and return the future of its result.

    A discard request cannot interrupt *function*. It is passed on to a future that *function* has
    returned.

    Raises:
        InvalidArgument: *function* cannot be called.

    Source: libprocess include/process/async.hpp. Differs: a future that *function* returns is
    followed, not nested.
    """
    check_callable(function)
    if args and isinstance(args[0], Process):
        check_owner(Process(), function, args[0])
    pid = manager.spawn(Process(manager.names.generate("__async_executor__")))
    future = manager.dispatch(pid, function, *args, **kwargs)
    manager.terminate(pid, inject=False)
    return future
