"""`Proxy`: an object whose method calls are dispatched to a process: ``proxy(pid).increment(5)``."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from greenproc.errors import InvalidArgument, StateError
from greenproc.pid import UPID
from greenproc.process.base import Process, record_of
from greenproc.process.current import PROCESS
from greenproc.process.record import BOTTOM

if TYPE_CHECKING:
    from greenproc.process.manager import ProcessManager

P = TypeVar("P", bound=Process)


class Proxy(Generic[P]):
    """Represents a local process: method calls are dispatched, attributes are read by dispatch.

    Both return a `Future`; a future that the method returns is followed. The class of the process
    decides: a name of a method is called, every other attribute of the class or the process is
    read. An unknown name and a private name raise `AttributeError` immediately; before
    ``initialize``, which may add attributes, has run, an unknown name fails the future instead.

    The value of an attribute is not copied: do not use a mutable value that the process changes.

    Type checkers know the class of the process, but Python has no type for "its methods, returning
    futures", so every attribute has the type ``Any``; `dispatch` is fully checked.

    Args:
        manager: the process manager of the runtime.
        pid: the address of a running process of that runtime.

    Raises:
        InvalidArgument: the process is on another node.
        StateError: no such process is running.
    """

    __slots__ = ("__dict__", "__weakref__")

    def __init__(self, manager: ProcessManager, pid: UPID) -> None:
        process = manager.find_process(pid)
        if process is None:
            is_remote = bool(pid) and pid.address != manager.address
            reason = manager.ended.explain(pid, manager.address, accepting=manager.accepting)
            if is_remote:
                raise InvalidArgument(f"expected a process of this node, got {pid}: ask() it")
            raise StateError(f"expected a process that is running: {reason}")
        # The namespace of a proxy caches methods of the process; a mangled name cannot clash.
        vars(self)["_Proxy__subject"] = manager, pid, type(process)

    def __getattr__(self, name: str) -> Any:
        subject = vars(self).get("_Proxy__subject")
        if subject is None:  # copy.copy() looks methods up before it fills the new object
            raise AttributeError(name)
        manager, pid, cls = subject
        if name.startswith("_"):
            raise AttributeError(f"{name!r} of process {pid} is private", name=name, obj=self)
        found = getattr(cls, name, None)
        if type(found) is FunctionType:
            call = partial(manager.dispatch, pid, found)
        elif callable(found) and not isinstance(found, type):
            call = partial(manager.dispatch, pid, _call, name)
        else:
            process = manager.find_process(pid)
            if not hasattr(cls, name) and not _has(cls, process, name):
                raise AttributeError(_explain(cls, process, name), name=name, obj=self)
            return manager.dispatch(pid, _read, name)
        vars(self)[name] = call  # methods of a class do not change: cached
        return call

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(
            f"{name!r} cannot be set through a proxy: give the process a method that does so",
            name=name,
            obj=self,
        )

    def __dir__(self) -> Iterable[str]:
        manager, pid, cls = vars(self)["_Proxy__subject"]
        return sorted(_names(cls, manager.find_process(pid)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Proxy):
            return NotImplemented
        return _pid_of(self) == _pid_of(other)

    def __hash__(self) -> int:
        return hash(_pid_of(self))

    def __repr__(self) -> str:
        return f"<Proxy of {_pid_of(self)}>"


def _pid_of(proxy: Proxy[Any]) -> UPID:
    pid: UPID = vars(proxy)["_Proxy__subject"][1]
    return pid


def _read(name: str) -> Any:
    """Return an attribute of the current process."""
    return getattr(PROCESS.get(), name)


def _call(name: str, /, *args: Any, **kwargs: Any) -> Any:
    """Call a method, such as a ``classmethod``, of the current process."""
    return getattr(PROCESS.get(), name)(*args, **kwargs)


def _has(cls: type, process: Process | None, name: str) -> bool:
    """Return whether the process has the attribute, or may have it when it is read."""
    if process is None or record_of(process).state is BOTTOM:
        return True  # the future fails if not
    return name in getattr(process, "__dict__", ()) or name in _declared(cls)


def _declared(cls: type) -> set[str]:
    """Return the annotated names of *cls* and its bases."""
    return {name for base in cls.__mro__ for name in vars(base).get("__annotations__", ())}


def _names(cls: type, process: Process | None) -> set[str]:
    names = {*dir(cls), *_declared(cls), *getattr(process, "__dict__", ())}
    return {name for name in names if not name.startswith("_")}


def _explain(cls: type, process: Process | None, name: str) -> str:
    told = f"{cls.__name__!r} process has no attribute {name!r}"
    close = get_close_matches(name, _names(cls, process), 1)
    return f"{told}. Did you mean: {close[0]!r}?" if close else told
