"""Methods of processes in timers, which neither keep a process that ended nor run on it."""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any
from weakref import ref

from greenproc.process.base import Process, record_of
from greenproc.process.record import TERMINATING


class WeakMethod:
    """A method of a process, for as long as that has not ended."""

    __slots__ = ("_found", "_function", "_kept", "_type")

    def __init__(self, process: Process, method: MethodType) -> None:
        self._function = method.__func__
        self._type = type(method)
        self._found = ref(process)
        # Nothing else keeps a process that is not spawned yet; the runtime keeps one that is.
        is_new = record_of(process).context is None and not is_over(process)
        self._kept = process if is_new else None

    def find(self) -> Callable[..., Any] | None:
        """Return the method; None when its process has ended."""
        process = self._found()
        if process is None or is_over(process):
            return None
        return self._type(self._function, process)

    def __call__(self) -> object:
        """Call the method, if its process has not ended."""
        method = self.find()
        return None if method is None else method()

    def __repr__(self) -> str:
        return f"<WeakMethod {self._function.__qualname__} of {self._found()!r}>"


def weaken(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return *method* as a `WeakMethod` if it is one of a process, else as it is."""
    if not isinstance(method, MethodType) or not isinstance(method.__self__, Process):
        return method
    try:
        return WeakMethod(method.__self__, method)
    except AttributeError:  # its __init__ did not call that of Process
        return method


def is_over(owner: object) -> bool:
    """Return whether *owner* is a process that has ended, or what is left of one: None."""
    return owner is None or (isinstance(owner, Process) and record_of(owner).state is TERMINATING)
