"""Watching files for changes, by inotify. Linux only."""

from __future__ import annotations

import ctypes
import logging
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache, partial
from types import TracebackType
from typing import Any, Self
from weakref import ref

from gevent import GreenletExit, Timeout

from greenproc.errors import Broken, Closed, InvalidArgument
from greenproc.failures import log_failure
from greenproc.future import Break, Continue, Future, loop
from greenproc.future.state import hub_of
from greenproc.hub.native import close_unwatched
from greenproc.io.transfer import read
from greenproc.sync.queue import Queue

# From <sys/inotify.h>.
IN_MODIFY = 0x00000002
IN_DELETE_SELF = 0x00000400
IN_MOVE_SELF = 0x00000800
IN_Q_OVERFLOW = 0x00004000
IN_IGNORED = 0x00008000
IN_MASK_CREATE = 0x10000000  # Linux 4.18: refuse what is watched already; older ones ignore it

_RECORD = struct.Struct("iIII")  # watch, mask, cookie, length of the name that follows

MASK = IN_MODIFY | IN_DELETE_SELF | IN_MOVE_SELF | IN_MASK_CREATE
BUFFER = 32 * (16 + 256)  # bytes: 32 records with the longest name, as in libprocess
MAX_EVENTS = 16 * 1024  # events that were not fetched; the kernel queues as many

log = logging.getLogger("greenproc.io")


class EventType(Enum):
    """What happened to a watched file."""

    WRITE = "Write"
    """The content changed, and may go on changing."""
    REMOVE = "Remove"
    """The file was deleted, or its file system unmounted. It is not watched any more."""
    RENAME = "Rename"
    """The file was moved away. It is not watched any more."""
    FAILURE = "Failure"
    """The watcher itself has failed. No event follows."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a watched file."""

    type: EventType
    path: str
    """The path that was added; of a failure, the text of the error."""


class Watcher:
    """Watches files, each by its path, and queues their events.

    A program that adds a file before it reads it misses no change. The watching ends when the
    watcher is closed or garbage. Linux only.

    Raises:
        OSError: the system has no inotify, or no queue of events to spare.

    Source: libprocess include/process/io.hpp, src/posix/io.cpp, class Watcher.
    """

    def __init__(self) -> None:
        self._watches = _Watches()
        self._done = _follow(self._watches)

    def add(self, path: str | os.PathLike[str]) -> None:
        """Watch a file from now on.

        Raises:
            InvalidArgument: it is a folder, or is watched already.
            OSError: it cannot be watched, for example because it does not exist.
            Closed: the watcher was closed.
        """
        self._watches.add(os.fspath(path))

    def remove(self, path: str | os.PathLike[str]) -> None:
        """Stop watching a file. A path that is not watched is ignored."""
        self._watches.remove(os.fspath(path))

    @property
    def events(self) -> Queue[Event]:
        """The events, in order. When 16384 events were not fetched the watcher fails."""
        return self._watches.events

    def close(self) -> None:
        """Stop watching. Queued events can still be fetched; waiting futures are abandoned."""
        self._done.discard()
        self._watches.events.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # A finalizer runs in any thread, inside any code, so it leaves the work to the hub.
        done = getattr(self, "_done", None)
        if done is None:  # the constructor has raised
            return
        hub = hub_of(done)
        if hub is not None and hub.loop is not None:
            hub.loop.run_callback_threadsafe(done.discard)

    def __repr__(self) -> str:
        return f"<Watcher of {len(self._watches.watches)} files>"


class _Watches:
    """The descriptor of inotify, the paths that it watches, and the queue of events."""

    def __init__(self) -> None:
        self.events: Queue[Event] = Queue()
        self.paths: dict[int, str] = {}
        self.watches: dict[str, int] = {}
        self.number: int | None = open_queue()

    def add(self, path: str) -> None:
        if self.number is None:
            raise Closed("the watcher was closed or has failed; make a new one")
        if os.path.isdir(path):  # noqa: PTH112 -- the path is a text of the caller
            raise InvalidArgument(f"expected a file to watch, got the folder {path!r}")
        if path in self.watches:
            raise InvalidArgument(f"expected a file that is not watched yet, got {path!r}")
        try:
            watch = add_watch(self.number, path, MASK)
        except FileExistsError as error:  # a hard link, or another spelling of the path
            raise InvalidArgument(f"{path!r} is watched already by another name") from error
        self.paths[watch] = path
        self.watches[path] = watch

    def remove(self, path: str) -> None:
        watch = self.watches.pop(path, None)
        if watch is not None:
            del self.paths[watch]
            if self.number is not None:
                remove_watch(self.number, watch)

    def take(self, watch: int, mask: int) -> None:
        """Queue the event of one record.

        Raises:
            Broken: events were lost, because the program does not fetch them.
        """
        # Losing events silently would leave a program with a stale file for good.
        if mask & IN_Q_OVERFLOW or self.events.size() >= MAX_EVENTS:
            raise Broken("events of watched files came faster than they were fetched")
        path = self.paths.get(watch)
        if path is None or mask & IN_IGNORED:
            return  # a record that was queued before the path was removed
        if mask & IN_MODIFY:
            kind = EventType.WRITE
        else:
            is_move = mask & IN_MOVE_SELF
            kind = EventType.RENAME if is_move else EventType.REMOVE
            self.remove(path)
        self.queue_event(Event(kind, path))

    def queue_event(self, event: Event) -> None:
        """Queue *event*, unless the queue was closed.

        The callbacks of a future that waits for it run in here, in the greenlet of the watcher. A
        timeout or a kill from one is theirs alone, and the watching goes on.
        """
        try:
            self.events.put(event)
        except Closed:
            log.debug("%r comes after the end", event)
        except Timeout:
            log_failure(log, "a callback of an event of a watched file failed")
        except GreenletExit:
            log.debug("a callback of an event of a watched file was killed")

    def close(self) -> None:
        if self.number is not None:
            close_unwatched(self.number)
            self.number = None


def _follow(watches: _Watches) -> Future[None]:
    """Read events until a discard is requested or something fails."""
    number = watches.number
    assert number is not None

    def take_all(data: bytes) -> Any:
        if not data:
            return Break()
        for watch, mask in records(data):
            watches.take(watch, mask)
        return Continue()

    # The reading must not keep the watcher alive, so it holds its state and not the watcher.
    done: Future[None] = loop(lambda: read(number, BUFFER), take_all)
    done.on_failed(partial(_tell, ref(watches)))
    done.add_done_callback(lambda _: watches.close())
    return done


def _tell(reference: ref[_Watches], error: BaseException) -> None:
    watches = reference()
    if watches is not None:
        watches.queue_event(Event(EventType.FAILURE, str(error)))


# The system calls of inotify


def open_queue() -> int:
    """Return the descriptor of a new inotify queue, non-blocking and not inherited by children.

    Raises:
        OSError: there are too many, or this system has no inotify.
    """
    return _checked(_library().inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), "inotify")


def add_watch(queue: int, path: str, mask: int) -> int:
    """Watch *path* and return the number of the watch.

    Raises:
        InvalidArgument: *path* contains a zero, which would end it for the system.
        OSError: it cannot be read, is watched already, or there are too many watches.
    """
    encoded = os.fsencode(path)
    if b"\0" in encoded:
        raise InvalidArgument(f"expected a path without a zero, got {path!r}")
    return _checked(_library().inotify_add_watch(queue, encoded, mask), path)


def remove_watch(queue: int, watch: int) -> None:
    """Stop a watch. One that has ended already is ignored."""
    _library().inotify_rm_watch(queue, watch)


def records(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the watch and the mask of each record in *data*.

    Raises:
        ValueError: the last record is not whole.
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
