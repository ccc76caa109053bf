"""What can be set about a launch, besides its command and its standard streams."""

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
    """What can be set about a launch.

    Raises:
        InvalidArgument: a value is of no use.

    Source: libprocess include/process/subprocess.hpp, the arguments of subprocess().
    """

    path: str | os.PathLike[str] | None = None
    """The program to run, when it is not the first word of the command. Without a slash it is
    looked up in the PATH of the child's environment."""
    flags: Mapping[str, object] | None = None
    """Each one that is not None becomes an argument ``--name=value`` after the others."""
    environment: Mapping[str, str] | None = None
    """All the child has, nothing being inherited; None is the environment of this OS process."""
    cwd: str | os.PathLike[str] | None = None
    """The working directory; None is that of this OS process."""
    new_session: bool = False
    """Whether the child leads a session and a process group of its own."""
    supervised: bool = False
    """Whether the child is killed, with all of its process group, when this OS process ends,
    however it does. A supervisor stands in between then: it leads the group, has the child's pid,
    passes on the signals that it gets, and ends as the program does. Linux only."""
    whitelist_fds: Collection[Descriptor] = ()
    """Descriptors that the child keeps under their numbers. All others but 0, 1, 2 are closed."""
    parent_hooks: Sequence[Callable[[int], object]] = ()
    """Called here, in order, with the child's pid, before the program begins. They may wait."""
    child_hooks: Sequence[Callable[[], object]] = ()
    """Called in the child, in order, before the program begins. Only this greenlet goes on there,
    and no other thread, so a hook should do no more than a few system calls."""

    def __post_init__(self) -> None:
        _check_containers(self)
        for hook in (*self.parent_hooks, *self.child_hooks):
            if not callable(hook):
                raise InvalidArgument(f"expected a function as a hook, got {hook!r}")
        if self.supervised and not IS_POSSIBLE:
            raise InvalidArgument("expected Linux, since nothing else has supervised programs")
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
            raise InvalidArgument(f"expected a text as the variable {name}, got {value!r}")


def _is_path(path: object) -> bool:
    return isinstance(path, (str, bytes, os.PathLike)) and "\0" not in os.fsdecode(path)


def arguments_of(command: str | Sequence[str], options: Options) -> list[str]:
    """Return the arguments of a program, its own name first. A text is left to the shell.

    Raises:
        InvalidArgument: there is no command, it is no text, a flag has no text, or the shell is
            given flags.
    """
    flags = [
        f"--{name}={flag_text(name, value)}"
        for name, value in (options.flags or {}).items()
        if value is not None
    ]
    if isinstance(command, str):
        if flags or options.path is not None:
            raise InvalidArgument("expected a list of arguments with a path or flags, got a text")
        command = ["sh", "-c", command]
    try:
        arguments = [os.fsdecode(argument) for argument in command]
    except TypeError as error:
        raise InvalidArgument(f"expected a text or a list of texts, got {command!r}") from error
    if not arguments:
        raise InvalidArgument("expected a command, got no arguments at all")
    if not arguments[0]:
        raise InvalidArgument("expected the name of a program as the first argument, got ''")
    for argument in (*arguments, *flags):
        if "\0" in argument:
            raise InvalidArgument(f"expected arguments without null characters, got {argument!r}")
    return arguments + flags


def flag_text(name: str, value: object) -> str:
    """Return the text of a flag: true, false, a text as it is, other values as JSON.

    Raises:
        InvalidArgument: it has none.
    """
    try:
        return value if isinstance(value, str) else json.dumps(value)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"expected a value for the flag {name}, got {value!r}") from error
