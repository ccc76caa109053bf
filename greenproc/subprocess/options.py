"""`Options`: the settings of a launch, besides its command and its standard streams."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from greenproc.errors import InvalidArgument
from greenproc.io.descriptor import Descriptor
from greenproc.subprocess.supervision import IS_POSSIBLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The settings of a launch.

    Raises:
        InvalidArgument: a value has the wrong type, or *supervised* is set outside of Linux.

    Source: libprocess include/process/subprocess.hpp, the arguments of subprocess().
    """

    path: str | os.PathLike[str] | None = None
    """The program to execute; None means the first argument of the command. A path without a
    slash is looked up in the PATH of the child's environment."""
    flags: Mapping[str, object] | None = None
    """Each flag that is not None is appended to the arguments as ``--name=value``."""
    environment: Mapping[str, str] | None = None
    """The complete environment of the child; None inherits that of this OS process."""
    cwd: str | os.PathLike[str] | None = None
    """The working directory; None inherits that of this OS process."""
    new_session: bool = False
    """Whether the child leads a new session and a new process group."""
    supervised: bool = False
    """Whether the child's process group is killed when this OS process ends, for any reason. A
    supervisor process then runs as the parent of the program: it leads the group, has the
    `Subprocess` handle's pid, forwards the signals that it receives, and exits with the program's
    status. Linux only."""
    whitelist_fds: Collection[Descriptor] = ()
    """Descriptors that the child inherits under their numbers. All but these and 0, 1, 2 are
    closed."""
    parent_hooks: Sequence[Callable[[int], object]] = ()
    """Called in this OS process, in order, with the child's pid, before the exec. They may
    block their greenlet."""
    child_hooks: Sequence[Callable[[], object]] = ()
    """Called in the child, in order, before the exec. The fork keeps only the calling thread and
    greenlet, so a lock held elsewhere is never released: a hook should be a few system calls."""

    def __post_init__(self) -> None:
        _check_containers(self)
        for hook in (*self.parent_hooks, *self.child_hooks):
            if not callable(hook):
                raise InvalidArgument(f"expected a function as a hook, got {hook!r}")
        if self.supervised and not IS_POSSIBLE:
            raise InvalidArgument(
                "expected Linux for a supervised program, got a system without prctl()"
            )
        _check_environment(self.environment or {})
        for path in (self.path, self.cwd):
            if path is not None and not _is_path(path):
                raise InvalidArgument(f"expected a path, got {path!r}")


_CONTAINERS: tuple[tuple[str, Any, str], ...] = (
    ("flags", Mapping | None, "a mapping"),
    ("environment", Mapping | None, "a mapping"),
    ("whitelist_fds", Collection, "a list of descriptors"),
    ("parent_hooks", Sequence, "a list of functions"),
    ("child_hooks", Sequence, "a list of functions"),
)


def _check_containers(options: Options) -> None:
    for name, kind, what in _CONTAINERS:
        value = getattr(options, name)
        if not isinstance(value, kind) or isinstance(value, (str, bytes)):
            raise InvalidArgument(f"expected {what} as {name}, got {value!r}")
    for file in options.whitelist_fds:
        if isinstance(file, bool) or not (isinstance(file, int) or hasattr(file, "fileno")):
            raise InvalidArgument(f"expected a descriptor or a file object, got {file!r}")


def _check_environment(environment: Mapping[str, str]) -> None:
    for name, value in environment.items():
        if not isinstance(name, str) or not name or "=" in name or "\0" in name:
            raise InvalidArgument(f"expected the name of a variable, got {name!r}")
        if not isinstance(value, str) or "\0" in value:
            raise InvalidArgument(f"expected a string as the variable {name}, got {value!r}")


def _is_path(path: object) -> bool:
    return isinstance(path, (str, bytes, os.PathLike)) and "\0" not in os.fsdecode(path)


def arguments_of(command: str | Sequence[str], options: Options) -> list[str]:
    """Return the arguments of a program, its name first. A string becomes a shell command.

    Raises:
        InvalidArgument: the command is empty or has an argument of the wrong type, a flag cannot
            be encoded, or a shell command is combined with flags or a path.
    """
    flags = [
        f"--{name}={flag_text(name, value)}"
        for name, value in (options.flags or {}).items()
        if value is not None
    ]
    if isinstance(command, str):
        if flags or options.path is not None:
            raise InvalidArgument(
                "expected a list of arguments with a path or flags, got a string"
            )
        command = ["sh", "-c", command]
    try:
        arguments = [os.fsdecode(argument) for argument in command]
    except TypeError as error:
        raise InvalidArgument(
            f"expected a string or a list of strings, got {command!r}"
        ) from error
    if not arguments:
        raise InvalidArgument("expected a command, got no arguments at all")
    if not arguments[0]:
        raise InvalidArgument("expected the name of a program as the first argument, got ''")
    for argument in (*arguments, *flags):
        if "\0" in argument:
            raise InvalidArgument(f"expected arguments without null characters, got {argument!r}")
    return arguments + flags


def flag_text(name: str, value: object) -> str:
    """Encode the value of a flag: strings unchanged, other values as JSON.

    Raises:
        InvalidArgument: JSON cannot encode the value.
    """
    try:
        return value if isinstance(value, str) else json.dumps(value)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"expected a value for the flag {name}, got {value!r}") from error
