"""Calls that are dispatched each time they are made: `Deferred` and its placeholders."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from greenproc.errors import InvalidArgument
from greenproc.future import Future
from greenproc.pid import UPID

if TYPE_CHECKING:
    from greenproc.process.manager import ProcessManager


class Placeholder:
    """Stands in a deferred call for the argument that is given when it is called."""

    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index

    def __repr__(self) -> str:
        return f"_{self.index + 1}"


_1, _2, _3, _4, _5, _6, _7, _8, _9 = (Placeholder(index) for index in range(9))


class Deferred:
    """A callable that dispatches a call to a process and returns the future of its result.

    With bound arguments, the arguments of the call go where the placeholders are and the others
    are dropped. Without bound arguments, as many of the call's arguments are passed as the method
    takes. Calling it from the target itself goes through the mailbox, too.

    Source: libprocess include/process/deferred.hpp.
    """

    __slots__ = ("_args", "_manager", "_method", "_pid")

    def __init__(
        self,
        manager: ProcessManager,
        pid: UPID,
        method: Callable[..., Any],
        args: tuple[Any, ...] = (),
    ) -> None:
        if not callable(method):
            raise InvalidArgument(f"expected a function to defer, got {method!r}")
        self._manager = manager
        self._pid = pid
        self._method = method
        self._args = args

    def __call__(self, *call_args: Any) -> Future[Any]:
        if self._args:
            args = tuple(self._fill(bound, call_args) for bound in self._args)
        else:
            args = call_args[: self._accepted()]
        return self._manager.dispatch(self._pid, self._method, *args)

    def _fill(self, bound: Any, call_args: tuple[Any, ...]) -> Any:
        if not isinstance(bound, Placeholder):
            return bound
        if bound.index >= len(call_args):
            raise InvalidArgument(
                f"expected at least {bound.index + 1} arguments for {bound!r}, got {call_args!r}"
            )
        return call_args[bound.index]

    def _accepted(self) -> int | None:
        """Return how many positional arguments the method takes; None means any number."""
        process = self._manager.find_process(self._pid)
        method = self._method if process is None else resolve_method(process, self._method)
        try:
            parameters = inspect.signature(method).parameters.values()
        except (TypeError, ValueError):
            return None  # some built-in functions have no signature
        if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
            return None
        positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        return sum(parameter.kind in positional for parameter in parameters)

    def __repr__(self) -> str:
        return f"<Deferred {getattr(self._method, '__name__', self._method)} to {self._pid}>"


def resolve_method(process: object, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return *function* bound to *process* if its class or a base has it, else *function* itself.

    A method that a subclass overrides is replaced by the override, as a virtual one is.
    """
    bases = type(process).__mro__
    name = getattr(function, "__name__", "")
    for base in bases:
        if vars(base).get(name) is function:
            return bound_method(process, name)
    # A function can be on a class under another name than its own.
    for base in bases:
        for other, value in vars(base).items():
            if value is function:
                return bound_method(process, other)
    return function


def bound_method(process: object, name: str) -> Callable[..., Any]:
    """Return the method of *process* called *name*."""
    method: Callable[..., Any] = getattr(process, name)
    return method
