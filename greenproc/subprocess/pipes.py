"""Where a child's standard streams come from and go to."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, replace
from typing import Protocol, Self

from greenproc.errors import Closed, InvalidArgument
from greenproc.hub.native import close_unwatched
from greenproc.io.descriptor import Descriptor, close, number_of

INPUT = 0  # the number of the standard stream that a child reads
NEW_FILE_MODE = 0o644  # libprocess' choice


@dataclass(frozen=True, slots=True)
class Ends:
    """The two ends of a stream, as descriptors of this OS process."""

    child: int
    parent: int | None = None
    is_owned: bool = False
    """Whether the child's end was the caller's before."""


class Stream(Protocol):
    """A way to connect a standard stream: `PIPE`, `FD` or `PATH`."""

    def open(self, number: int) -> Ends:
        """Open it as standard stream *number*: 0 is read by the child, 1 and 2 are written."""


class Pipe:
    """A new pipe, of which this side keeps the other end. Use the constant `PIPE`.

    The end kept is a blocking descriptor; `greenproc.io` makes it non-blocking where needed.

    Source: libprocess include/process/subprocess.hpp, Subprocess::PIPE.
    """

    __slots__ = ()

    def open(self, number: int) -> Ends:
        """Make the pipe."""
        reading, writing = os.pipe()
        if number == INPUT:
            return Ends(child=reading, parent=writing)
        return Ends(child=writing, parent=reading)

    def __repr__(self) -> str:
        return "PIPE"


PIPE = Pipe()


class FD:
    """A descriptor of this OS process, or an object that has one.

    The child gets a duplicate. What was opened is shared, and becomes blocking, since programs
    expect that of their streams.

    Args:
        owned: the launch closes the descriptor or object here, once, whatever comes of it.

    Raises:
        InvalidArgument: *file* has no descriptor.

    Source: libprocess include/process/subprocess.hpp, Subprocess::FD.
    """

    __slots__ = ("file", "owned")

    def __init__(self, file: Descriptor, *, owned: bool = False) -> None:
        if isinstance(file, bool) or not (isinstance(file, int) or hasattr(file, "fileno")):
            raise InvalidArgument(f"expected a descriptor or a file object, got {file!r}")
        self.file = file
        self.owned = owned

    def open(self, number: int) -> Ends:
        """Duplicate the descriptor, or take it if it is owned."""
        descriptor = number_of(self.file)
        if self.owned:
            return Ends(child=descriptor, is_owned=True)
        return Ends(child=os.dup(descriptor))

    def __repr__(self) -> str:
        return f"FD({self.file!r}{', owned=True' if self.owned else ''})"


class PATH:
    """A file: read from its beginning, or appended to and made if it is not there.

    Raises:
        InvalidArgument: *path* is no path.

    Source: libprocess include/process/subprocess.hpp, Subprocess::PATH.
    """

    __slots__ = ("path",)

    def __init__(self, path: str | os.PathLike[str]) -> None:
        try:
            self.path = os.fspath(path)
        except TypeError as error:
            raise InvalidArgument(f"expected the path of a file, got {path!r}") from error

    def open(self, number: int) -> Ends:
        """Open the file."""
        flags = os.O_RDONLY if number == INPUT else os.O_WRONLY | os.O_CREAT | os.O_APPEND
        return Ends(child=os.open(self.path, flags, NEW_FILE_MODE))

    def __repr__(self) -> str:
        return f"PATH({self.path!r})"


class PipeEnd:
    """This side's end of a pipe to a child. `greenproc.io` takes it as it is.

    It is closed by `close`, or by itself once nobody holds it.
    """

    __slots__ = ("__weakref__", "_number")

    def __init__(self, number: int) -> None:
        self._number: int | None = number

    def fileno(self) -> int:
        """Return the number of the descriptor.

        Raises:
            Closed: it was closed.
        """
        if self._number is None:
            raise Closed("this end of the pipe was closed")
        return self._number

    def close(self) -> None:
        """Close it, which a child that reads it sees as the end. Doing so again does nothing."""
        number, self._number = self._number, None
        if number is not None:
            _close_watched(number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __del__(self) -> None:
        # Nobody polls it: whoever does holds it.
        number = getattr(self, "_number", None)
        if number is not None:
            self._number = None
            close_unwatched(number)

    def __repr__(self) -> str:
        return f"<PipeEnd {'closed' if self._number is None else self._number}>"


class Streams:
    """The three standard streams of one launch. `close` must follow, whatever happens.

    Raises:
        InvalidArgument: one is none of the modes.
    """

    def __init__(self, *modes: Stream) -> None:
        for mode in modes:
            if not callable(getattr(mode, "open", None)) or isinstance(mode, type):
                raise InvalidArgument(f"expected PIPE, FD(...) or PATH(...), got {mode!r}")
        self._modes = modes
        self._ends: list[Ends] = []

    def open(self) -> list[int]:
        """Open all and return what becomes stdin, stdout and stderr of the child.

        Raises:
            OSError: one cannot be opened.
        """
        for mode in self._modes:
            # Before anything is opened, which could get the number of one that is closed.
            if isinstance(mode, FD):
                number_of(mode.file)
        for number, mode in enumerate(self._modes):
            self._ends.append(mode.open(number))
        return [ends.child for ends in self._ends]

    def take_parent_ends(self) -> list[PipeEnd | None]:
        """Hand over this side's ends."""
        taken, self._ends = self._ends, [replace(ends, parent=None) for ends in self._ends]
        return [None if ends.parent is None else PipeEnd(ends.parent) for ends in taken]

    def close(self) -> None:
        """Close what is here, and the descriptors that are owned, each once."""
        for ends in self._ends:
            if not ends.is_owned:
                close_unwatched(ends.child)
            if ends.parent is not None:
                close_unwatched(ends.parent)
        self._ends = []
        owned: dict[int, Descriptor] = {}
        for mode in self._modes:
            # Also one that was not opened, because one before it could not be.
            if isinstance(mode, FD) and mode.owned:
                number = _find_number(mode.file)
                if number is not None and not hasattr(owned.get(number), "close"):
                    owned[number] = mode.file
        for number, file in owned.items():
            _close_owned(number, file)


def _find_number(file: Descriptor) -> int | None:
    try:
        return number_of(file)
    except OSError:
        return None  # closed already


def _close_owned(number: int, file: Descriptor) -> None:
    """Close what the caller gave away: an object by itself, or it would close the number again."""
    close_itself = getattr(file, "close", None)
    if close_itself is None:
        _close_watched(number)
    else:
        close_itself()


def _close_watched(number: int) -> None:
    """Close a descriptor that may be polled; one that is closed already is no error."""
    try:
        close(number)
    except OSError as error:
        if error.errno != errno.EBADF:
            raise
