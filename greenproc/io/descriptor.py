"""File descriptors: their kind, closing them, and waiting until they are ready."""

from __future__ import annotations

import errno
import os
import stat
from functools import partial
from typing import Any, Protocol, TypeAlias
from weakref import ref

from gevent import get_hub
from gevent._hub_local import get_hub_if_exists

from greenproc.errors import Closed, InvalidArgument, StateError
from greenproc.future import Future, Promise
from greenproc.hub.native import close_unwatched

READ = 1
WRITE = 2


class HasDescriptor(Protocol):
    """An object with a descriptor: a file, a socket, the end of a pipe."""

    def fileno(self) -> int:
        """Return the number of the descriptor."""


Descriptor: TypeAlias = int | HasDescriptor
"""The argument of all functions here. Pass the object rather than its number: it is kept alive."""

MAX_NUMBER = 2**31 - 1
"""The largest C int, the type of a descriptor."""


def number_of(file: Descriptor) -> int:
    """Return the number of an open descriptor.

    Raises:
        InvalidArgument: *file* has no descriptor.
        OSError: it has been closed.
    """
    number: object = file
    if hasattr(file, "fileno"):
        try:
            number = file.fileno()
        except OSError as error:  # a file in memory raises an io.UnsupportedOperation
            if error.errno is not None:
                raise
            raise InvalidArgument(f"expected a file with a descriptor, got {file!r}") from error
        except (ValueError, Closed) as error:
            raise OSError(errno.EBADF, f"{file!r} is closed") from error
    if isinstance(number, bool) or not isinstance(number, int):
        raise InvalidArgument(f"expected a descriptor or a file object, got {file!r}")
    if not 0 <= number <= MAX_NUMBER:
        raise OSError(errno.EBADF, f"{os.strerror(errno.EBADF)}: {number}")
    # Checked here, since libev ends the OS process when a watched descriptor is not open.
    os.fstat(number)
    return number


def is_async(file: Descriptor) -> bool:
    """Return whether the descriptor is non-blocking: reading and writing never wait.

    Raises:
        InvalidArgument: *file* has no descriptor.
        OSError: it is not open.

    Source: libprocess src/posix/io.cpp, is_async.
    """
    return not os.get_blocking(number_of(file))


def prepare_async(file: Descriptor) -> None:
    """Make a descriptor non-blocking.

    This is a property of the open file, so every duplicate of the descriptor becomes non-blocking,
    also in other OS processes, such as those that share a terminal.

    Raises:
        InvalidArgument: *file* has no descriptor.
        OSError: it is not open.

    Source: libprocess src/posix/io.cpp, prepare_async.
    """
    os.set_blocking(number_of(file), False)


def close(number: int) -> None:
    """Close a descriptor. Polls of it, by gevent or by `poll`, are ended before.

    Raises:
        InvalidArgument: *number* is not a number, such as a file object, which closes itself.
        OSError: it is not open.
    """
    if not isinstance(number, int):
        raise InvalidArgument(f"expected the number of a descriptor, got {number!r}")
    number_of(number)
    hub = get_hub_if_exists()
    if hub is not None and hub.loop.closing_fd(number):
        # The pending polls end before. A timer, unlike a callback, fires after them, and keeps
        # the loop from waiting meanwhile.
        timer = hub.loop.timer(0.0)
        timer.start(_close_at_last, number, timer)
    else:
        close_unwatched(number)


def _close_at_last(number: int, timer: Any) -> None:
    timer.close()
    close_unwatched(number)


def require_async(number: int) -> None:
    """Refuse a descriptor on which reading and writing would block the hub.

    Raises:
        StateError: it is a blocking one.
    """
    if os.get_blocking(number):
        raise StateError(
            f"expected a non-blocking descriptor, got {number}: call prepare_async() first"
        )


def duplicate_async(file: Descriptor) -> int:
    """Return a non-blocking duplicate of a descriptor, which child processes do not inherit.

    Raises:
        InvalidArgument: *file* has no descriptor.
        OSError: it is not open, or there are too many descriptors.
    """
    number = os.dup(number_of(file))
    try:
        os.set_blocking(number, False)
    except BaseException:
        close_unwatched(number)
        raise
    return number


def is_storage(number: int) -> bool:
    """Return whether it is a regular file or a disk, which is always ready and yet may be slow."""
    mode = os.fstat(number).st_mode
    return stat.S_ISREG(mode) or stat.S_ISBLK(mode)


def poll(file: Descriptor, events: int) -> Future[int]:
    """Return the future of those *events* that are possible, once there is one.

    An error or the end of the other side counts as all *events*. A discard request stops the watch
    and discards the future, unless the loop has noticed readiness already. Polls of one descriptor
    are independent of each other. It need not be non-blocking. A polled descriptor must be closed
    by `close`, which ends the poll: libev ends an OS process that polls a closed one.

    Args:
        events: `READ`, `WRITE` or both, as ``READ | WRITE``.

    Raises:
        InvalidArgument: *events* is something else, or *file* has no descriptor.

    Source: libprocess src/posix/libev/libev_poll.cpp.
    Differs: a descriptor that is not open fails the future with an OSError; a regular file is
    always ready.
    """
    if type(events) is not int or events not in {READ, WRITE, READ | WRITE}:
        raise InvalidArgument(f"expected READ, WRITE or both, got {events!r}")
    try:
        number = number_of(file)
        if is_storage(number):
            return Future(events)
    except OSError as error:
        return Future.failed(error)
    hub = get_hub()  # before the promise, whose callbacks are to run in the thread of this hub
    watch = _Watch(hub.loop.io(number, events), file, events)
    future = watch.promise.future
    future.on_discard(partial(_stop, ref(watch)))
    return future


class _Watch:
    """One descriptor until it is ready. Only the loop holds it."""

    __slots__ = ("__weakref__", "events", "file", "promise", "watcher")

    def __init__(self, watcher: Any, file: Descriptor, events: int) -> None:
        self.watcher = watcher
        self.file = file  # held, since the garbage collection of a file closes the descriptor
        self.events = events
        self.promise: Promise[int] = Promise()
        watcher.start(self.finish, pass_events=True)

    def finish(self, events: int) -> None:
        self.close()
        self.promise.set(events & self.events)

    def discard(self) -> None:
        # Readiness that the loop has noticed, and not delivered yet, wins over the request.
        if not self.watcher.pending:
            self.close()
            self.promise.discard()

    def close(self) -> None:
        self.watcher.stop()
        self.watcher.close()


def _stop(reference: ref[_Watch]) -> None:
    watch = reference()
    if watch is not None:
        watch.discard()
