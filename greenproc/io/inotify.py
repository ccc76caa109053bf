"""The three system calls of inotify, and how its records are laid out. Linux only."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from functools import cache
from typing import Any

from greenproc.errors import InvalidArgument

# From <sys/inotify.h>.
MODIFY = 0x00000002
DELETE_SELF = 0x00000400
MOVE_SELF = 0x00000800
UNMOUNT = 0x00002000
OVERFLOW = 0x00004000
IGNORED = 0x00008000
MASK_CREATE = 0x10000000  # Linux 4.18: refuse what is watched already; older ones ignore it

_RECORD = struct.Struct("iIII")  # watch, mask, cookie, length of the name that follows


def open_queue() -> int:
    """Return the descriptor of a new queue of events, non-blocking and not inherited.

    Raises:
        OSError: there are too many, or this system has no inotify.
    """
    return _checked(_library().inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), "inotify")


def add_watch(queue: int, path: str, mask: int) -> int:
    """Watch *path* and return the number of the watch.

    Raises:
        InvalidArgument: *path* contains a zero, where the system would take it to end.
        OSError: it cannot be read, is watched already, or there are too many watches.
    """
    encoded = os.fsencode(path)
    if b"\0" in encoded:
        raise InvalidArgument(f"expected a path without a zero, got {path!r}")
    return _checked(_library().inotify_add_watch(queue, encoded, mask), path)


def remove_watch(queue: int, watch: int) -> None:
    """Stop a watch; what has ended already is no error."""
    _library().inotify_rm_watch(queue, watch)


def records(data: bytes) -> Iterator[tuple[int, int]]:
    """Give watch and mask of each record that was read.

    Raises:
        ValueError: the last one is not whole.
    """
    offset = 0
    while offset < len(data):
        if len(data) - offset < _RECORD.size:
            raise ValueError("expected whole inotify records")
        watch, mask, _, length = _RECORD.unpack_from(data, offset)
        offset += _RECORD.size + length
        if offset > len(data):
            raise ValueError("expected whole inotify records")
        yield watch, mask


@cache
def _library() -> Any:
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "inotify_init1"):
        raise OSError("this system has no inotify")
    return library


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result
