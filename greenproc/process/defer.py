"""Calls that are dispatched each time they are made: `Deferred` and its placeholders."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from types import CoroutineType, FunctionType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from greenproc.checks import refuse_method
from greenproc.errors import InvalidArgument
from greenproc.future import Failure, Future
from greenproc.pid import UPID
from greenproc.process.event import DispatchEvent
from greenproc.process.record import ProcessRecord
from greenproc.process.signatures import explain_arguments, refused_coroutine

if TYPE_CHECKING:
    from greenproc.process.manager import ProcessManager


R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Placeholder:
    """Stands in a deferred call for the argument that is given when it is called."""

    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index

    def __repr__(self) -> str:
        return f"_{self.index + 1}"


_PLACEHOLDERS: tuple[Any, ...] = tuple(Placeholder(index) for index in range(9))
# For type checkers they are of any type, so that they stand for an argument of any.
_1, _2, _3, _4, _5, _6, _7, _8, _9 = _PLACEHOLDERS


class Deferred(Generic[R_co]):
    """A callable that dispatches a call to a process and returns the future of its result.

    With bound arguments, the arguments of the call go where the placeholders are and the others
    are dropped. Without bound arguments, as many of the call's arguments are passed as the method
    takes. Calling it from the target itself goes through the mailbox, too.

    ``Deferred[int]`` is one of a method that returns an int, so the call gives a ``Future[int]``;
    so does the call of a ``Deferred[Future[int]]``.

    Source: libprocess include/process/deferred.hpp.
    """

    __slots__ = ("_args", "_kwargs", "_manager", "_method", "_pid")

    def __init__(
        self,
        manager: ProcessManager,
        pid: UPID,
        method: Callable[..., R_co | Failure],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        if not callable(method):
            refuse_method(method)
        manager.refuse_others_method(pid, method, args)
        self._manager = manager
        self._pid = pid
        self._method = method
        self._args = args
        self._kwargs = kwargs or {}

    @overload
    def __call__(self: Deferred[Future[R]], *call_args: Any) -> Future[R]: ...
    @overload
    def __call__(self, *call_args: Any) -> Future[R_co]: ...
    def __call__(self, *call_args: Any) -> Future[Any]:
        if self._args or self._kwargs:
            args = tuple(self._fill(bound, call_args) for bound in self._args)
        else:
            args = call_args[: self._accepted()]
        kwargs = {name: self._fill(bound, call_args) for name, bound in self._kwargs.items()}
        return self._manager.dispatch(self._pid, self._method, *args, **kwargs)

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


def make_call(process: object, event: DispatchEvent) -> Any:
    """Make the call of *event* in *process*, and return its result."""
    method = resolve_method(process, event.method)
    kwargs = event.kwargs
    try:
        result = method(*event.args, **kwargs) if kwargs else method(*event.args)
    except TypeError as error:
        if error.__traceback__ is not None and error.__traceback__.tb_next is None:
            # Raised by the call: the method was not entered.
            explain_arguments(error, method, event.args, kwargs or {}, type(process).__name__)
        raise
    if result.__class__ is CoroutineType:
        raise refused_coroutine(result)
    return result


def check_owner(process: object, method: Callable[..., Any], first: object) -> None:
    """Refuse *method* if it is not of *process* but of *first*, a process or the address of one.

    Raises:
        InvalidArgument: it is; the text tells both classes.
    """
    if resolve_method(process, method) is not method:
        return
    if isinstance(first, UPID):
        is_others = type(method) is FunctionType and is_written_as_method(method)
        where = str(first)
    else:
        is_others = resolve_method(first, method) is not method
        where = "the pid that spawn() returned for it"
    if is_others:
        name = method.__qualname__.rpartition("<locals>.")[2]
        owner, _, function = name.rpartition(".")
        raise InvalidArgument(
            f"{name} is a method of {owner or type(first).__name__}, and the target is a "
            f"{type(process).__name__}: make {where} the target, and pass no process to {function}"
        )


def is_written_as_method(function: FunctionType) -> bool:
    """Whether *function* stands in a class and takes ``self``."""
    in_class = "." in function.__qualname__.rpartition("<locals>.")[2]
    return in_class and function.__code__.co_varnames[:1] == ("self",)


def bound_method(process: object, name: str) -> Callable[..., Any]:
    """Return the method of *process* called *name*."""
    method: Callable[..., Any] = getattr(process, name)
    return method


class Offloaded(Generic[R]):
    """A call in a native thread, whose result comes back to the process that made it.

    The process serves other events meanwhile. ``future`` is the future of the result, which a
    handler may wait for.
    """

    def __init__(self, record: ProcessRecord, future: Future[R]) -> None:
        self._record = record
        self.future = future

    def __repr__(self) -> str:
        return f"<Offloaded by {self._record.pid}: {self.future!r}>"

    def then(self, method: Callable[[R], object]) -> None:
        """Call *method* with the result, in a turn of the process, unless that has ended.

        An error of what was called is the process' own, as in a message handler; so is one of
        *method*.

        Raises:
            InvalidArgument: *method* cannot be called.
        """
        if not callable(method):
            refuse_method(method)
        self.future.on_any(partial(_give_back, self._record, method))


def _give_back(
    record: ProcessRecord, method: Callable[[Any], object], future: Future[Any]
) -> None:
    def serve() -> None:
        method(future.get())

    assert record.manager is not None
    record.manager.push(record, DispatchEvent(serve))
