"""`Settings.debug`: a warning when a method runs outside of its process.

Without the setting no code here runs and no process is changed.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from functools import wraps
from types import FunctionType
from typing import Any
from weakref import ref

import gevent

from greenproc.errors import StateError
from greenproc.process.base import Process, record_of
from greenproc.process.record import TERMINATING

_STACK_LEVEL = 3  # of the call of the method: _warn, the method's stand-in, its caller


class MethodWatch:
    """Watches the public methods of processes, and warns once for each that is misused.

    A method runs in its process when the process' own greenlet runs it. Watched are the methods
    that classes of users add, in instances that have a ``__dict__``; a name that begins with an
    underscore is not.
    """

    def __init__(self) -> None:
        self._warned: set[tuple[type, str]] = set()

    def watch(self, process: Process) -> None:
        """Put a stand-in for each method into *process*, which was just spawned."""
        attributes: dict[str, Any] = getattr(process, "__dict__", {})
        for name, function in _methods(type(process)):
            if name not in attributes:
                attributes[name] = self._stand_in(process, name, function)

    def _stand_in(self, process: Process, name: str, function: FunctionType) -> Callable[..., Any]:
        owner = ref(process)  # a strong one would be a cycle through the process itself

        @wraps(function)
        def watched(*args: Any, **kwargs: Any) -> Any:
            called = owner()
            if called is None:
                raise StateError(
                    f"{name}() was called of a process that is gone: keep the process"
                )
            if _is_outside(called):
                self._warn(called, name)
            return function(called, *args, **kwargs)

        watched.__signature__ = inspect.signature(function.__get__(process))  # type: ignore[attr-defined]
        return watched

    def _warn(self, process: Process, name: str) -> None:
        cls = type(process)
        if (cls, name) in self._warned:
            return
        self._warned.add((cls, name))
        called = f"{cls.__name__}.{name}"
        warnings.warn(
            f"{called} of {process.pid} runs outside of its process, beside what that does: use "
            f"dispatch(pid, {called}, ...), or a name with an underscore if this is meant",
            RuntimeWarning,
            stacklevel=_STACK_LEVEL,
        )

    def __repr__(self) -> str:
        return f"<MethodWatch, {len(self._warned)} warned of>"


def _methods(cls: type) -> Iterator[tuple[str, FunctionType]]:
    """Find the public methods of *cls* that are neither greenproc's nor overrides of such."""
    seen = set(dir(Process))
    for base in cls.__mro__:
        is_ours = base.__module__.partition(".")[0] == "greenproc"
        for name, value in vars(base).items():
            if name in seen:
                continue
            seen.add(name)
            if isinstance(value, FunctionType) and not is_ours and not name.startswith("_"):
                yield name, value


def _is_outside(process: Process) -> bool:
    """Whether *process* lives and it is not its own greenlet that runs."""
    record = record_of(process)
    return record.state is not TERMINATING and gevent.getcurrent() is not record.greenlet
