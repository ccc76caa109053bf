"""The standard streams of a child: pipes, descriptors and files."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, replace
from typing import Protocol, Self

from greenproc.errors import Closed, InvalidArgument
from greenproc.hub.native import close_unwatched
from greenproc.io.descriptor import Descriptor, close, number_of

INPUT = 0  # the number of the standard stream that a child reads
NEW_FILE_MODE = 0o644  # the mode that libprocess uses


@dataclass(frozen=True, slots=True)
class Ends:
    """The two ends of a stream, as descriptors of this OS process."""

    child: int
    parent: int | None = None
    is_owned: bool = False
    """Whether `child` is a descriptor of the caller, which the launch closes as owned."""


class Stream(Protocol):
    """The mode of a standard stream: `PIPE`, `FD` or `PATH`."""

    def open(self, number: int) -> Ends:
        """Open the stream with descriptor *number*: the child reads 0 and writes 1 and 2."""


class Pipe:
    """A new pipe between the child and this OS process. Use the constant `PIPE`.

    The parent's end is a blocking descriptor; `greenproc.io` makes it non-blocking if needed.

    Source: libprocess include/process/subprocess.hpp, Subprocess::PIPE.
    """

    __slots__ = ()

    def open(self, number: int) -> Ends:
        """Create the pipe."""
        reading, writing = os.pipe()
        if number == INPUT:
            return Ends(child=reading, parent=writing)
        return Ends(child=writing, parent=reading)

    def __repr__(self) -> str:
        return "PIPE"


PIPE = Pipe()


class FD:
    """A descriptor of this OS process, or an object with ``fileno()``.

    The child inherits a duplicate. Both share the open file description, which is set to blocking
    mode, since programs expect blocking standard streams.

    Args:
        file: a descriptor, or a file object.
        owned: whether the launch closes *file* in this OS process, once, even if it fails.

    Raises:
        InvalidArgument: *file* is neither an int nor an object with ``fileno()``.

    Source: libprocess include/process/subprocess.hpp, Subprocess::FD.
    """

    __slots__ = ("file", "owned")

    def __init__(self, file: Descriptor, *, owned: bool = False) -> None:
        if isinstance(file, bool) or not (isinstance(file, int) or hasattr(file, "fileno")):
            raise InvalidArgument(f"expected a descriptor or a file object, got {file!r}")
        self.file = file
        self.owned = owned

    def open(self, number: int) -> Ends:
        """Duplicate the descriptor, or use it directly if it is owned."""
        descriptor = number_of(self.file)
        if self.owned:
            return Ends(child=descriptor, is_owned=True)
        return Ends(child=os.dup(descriptor))

    def __repr__(self) -> str:
        return f"FD({self.file!r}{', owned=True' if self.owned else ''})"


class PATH:
    """A file: stdin reads from its start, stdout and stderr append and create it if missing.

    Raises:
        InvalidArgument: *path* is not a path.

    Source: libprocess include/process/subprocess.hpp, Subprocess::PATH.
    """

    __slots__ = ("path",)

    def __init__(self, path: str | os.PathLike[str]) -> None:
        try:
            self.path = os.fspath(path)
        except TypeError as error:
            raise InvalidArgument(f"expected the path of a file, got {path!r}") from error

    def open(self, number: int) -> Ends:
        """Open the file, for reading as stdin and else for appending.

        Raises:
            OSError: the file cannot be opened.
        """
        flags = os.O_RDONLY if number == INPUT else os.O_WRONLY | os.O_CREAT | os.O_APPEND
        return Ends(child=os.open(self.path, flags, NEW_FILE_MODE))

    def __repr__(self) -> str:
        return f"PATH({self.path!r})"


class PipeEnd:
    """The parent's end of a pipe to a child. `greenproc.io` accepts it as a descriptor.

    `close` closes it, and else its finalizer.
    """

    __slots__ = ("__weakref__", "_number")

    def __init__(self, number: int) -> None:
        self._number: int | None = number

    def fileno(self) -> int:
        """Return the number of the descriptor.

        Raises:
            Closed: this end was closed.
        """
        if self._number is None:
            raise Closed("this end of the pipe was closed")
        return self._number

    def close(self) -> None:
        """Close this end; a child that reads the pipe gets end-of-file. Idempotent."""
        number, self._number = self._number, None
        if number is not None:
            _close_watched(number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __del__(self) -> None:
        # A pending operation refers to this object, so no watcher polls the descriptor here.
        number = getattr(self, "_number", None)
        if number is not None:
            self._number = None
            close_unwatched(number)

    def __repr__(self) -> str:
        return f"<PipeEnd {'closed' if self._number is None else self._number}>"


class Streams:
    """The three standard streams of one launch. The caller must call `close`.

    Raises:
        InvalidArgument: a stream is not a mode such as `PIPE`.
    """

    def __init__(self, *modes: Stream) -> None:
        for mode in modes:
            if not callable(getattr(mode, "open", None)) or isinstance(mode, type):
                raise InvalidArgument(f"expected PIPE, FD(...) or PATH(...), got {mode!r}")
        self._modes = modes
        self._ends: list[Ends] = []

    def open(self) -> list[int]:
        """Open all streams and return the descriptors of the child's stdin, stdout and stderr.

        Raises:
            OSError: a stream cannot be opened.
        """
        for mode in self._modes:
            # Checked before any open(), which could reuse the number of a closed descriptor.
            if isinstance(mode, FD):
                number_of(mode.file)
        for number, mode in enumerate(self._modes):
            self._ends.append(mode.open(number))
        return [ends.child for ends in self._ends]

    def take_parent_ends(self) -> list[PipeEnd | None]:
        """Transfer the parent's ends to the caller; `close` no longer closes them."""
        taken, self._ends = self._ends, [replace(ends, parent=None) for ends in self._ends]
        return [None if ends.parent is None else PipeEnd(ends.parent) for ends in taken]

    def close(self) -> None:
        """Close all remaining ends, and each owned descriptor once."""
        for ends in self._ends:
            if not ends.is_owned:
                close_unwatched(ends.child)
            if ends.parent is not None:
                close_unwatched(ends.parent)
        self._ends = []
        owned: dict[int, Descriptor] = {}
        for mode in self._modes:
            # Includes streams that were not opened because an earlier one failed.
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
        return None  # already closed


def _close_owned(number: int, file: Descriptor) -> None:
    """Close an owned file: an object by its close(), or it would close the number a second time."""
    close_itself = getattr(file, "close", None)
    if close_itself is None:
        _close_watched(number)
    else:
        close_itself()


def _close_watched(number: int) -> None:
    """Close a descriptor that may have watchers; EBADF is ignored, since it is already closed."""
    try:
        close(number)
    except OSError as error:
        if error.errno != errno.EBADF:
            raise
