"""File descriptors: their kind, closing them, and waiting until they are ready."""

from __future__ import annotations

import errno
import os
import stat
from functools import partial
from typing import Any, Protocol, TypeAlias
from weakref import ref

from gevent import get_hub, monkey
from gevent._hub_local import get_hub_if_exists

from greenproc.errors import Closed, InvalidArgument, StateError
from greenproc.future import Future, Promise

READ = 1
WRITE = 2


class HasDescriptor(Protocol):
    """A file object, a socket, the end of a pipe: whatever has a descriptor."""

    def fileno(self) -> int:
        """Return the number of the descriptor."""


Descriptor: TypeAlias = int | HasDescriptor
"""What all functions here take. Give the object rather than its number: it is held while needed."""

MAX_NUMBER = 2**31 - 1
"""What a C int holds, which a descriptor is."""

# In a patched program os.close waits for the next turn of the loop, which may be far away. This
# one is for descriptors that nobody else knows; see `close` for others.
close_unwatched = monkey.get_original("os", "close")


def number_of(file: Descriptor) -> int:
    """Return the number of an open descriptor.

    Raises:
        InvalidArgument: *file* is nothing that has a descriptor.
        OSError: it has been closed.
    """
    number: object = file
    if hasattr(file, "fileno"):
        try:
            number = file.fileno()
        except OSError as error:  # of a file in memory, an io.UnsupportedOperation
            if error.errno is not None:
                raise
            raise InvalidArgument(f"expected a file with a descriptor, got {file!r}") from error
        except (ValueError, Closed) as error:
            raise OSError(errno.EBADF, f"{file!r} is closed") from error
    if isinstance(number, bool) or not isinstance(number, int):
        raise InvalidArgument(f"expected a descriptor or a file object, got {file!r}")
    if not 0 <= number <= MAX_NUMBER:
        raise OSError(errno.EBADF, f"{os.strerror(errno.EBADF)}: {number}")
    os.fstat(number)
    return number


def is_async(file: Descriptor) -> bool:
    """Tell whether reading and writing never wait: the descriptor is non-blocking.

    Raises:
        InvalidArgument: *file* is nothing that has a descriptor.
        OSError: it is not open.

    Source: libprocess src/posix/io.cpp, is_async.
    """
    return not os.get_blocking(number_of(file))


def prepare_async(file: Descriptor) -> None:
    """Make a descriptor non-blocking.

    That is a property of what was opened, so every duplicate of the descriptor becomes
    non-blocking too, also in other OS processes, such as those that share a terminal.

    Raises:
        InvalidArgument: *file* is nothing that has a descriptor.
        OSError: it is not open.

    Source: libprocess src/posix/io.cpp, prepare_async.
    """
    os.set_blocking(number_of(file), False)


def close(number: int) -> None:
    """Close a descriptor. Who polls it, by gevent or by `greenproc.io.poll`, is told before.

    Raises:
        InvalidArgument: *number* is something else, such as a file object, which closes itself.
        OSError: it is not open.
    """
    if not isinstance(number, int):
        raise InvalidArgument(f"expected the number of a descriptor, got {number!r}")
    number_of(number)
    hub = get_hub_if_exists()
    if hub is not None and hub.loop.closing_fd(number):
        # It goes after who is told of it. A timer, unlike a callback, comes after them, and keeps
        # the loop from going to sleep before.
        timer = hub.loop.timer(0.0)
        timer.start(_close_at_last, number, timer)
    else:
        close_unwatched(number)


def _close_at_last(number: int, timer: Any) -> None:
    timer.close()
    close_unwatched(number)


def require_async(number: int) -> None:
    """Refuse a descriptor on which reading and writing would hold up everybody.

    Raises:
        StateError: it is a blocking one.
    """
    if os.get_blocking(number):
        raise StateError(
            f"expected a non-blocking descriptor, got {number}: call prepare_async() first"
        )


def duplicate_async(file: Descriptor) -> int:
    """Return a non-blocking duplicate of a descriptor, which programs started do not inherit."""
    number = os.dup(number_of(file))
    try:
        os.set_blocking(number, False)
    except BaseException:
        close_unwatched(number)
        raise
    return number


def is_storage(number: int) -> bool:
    """Tell whether this is a regular file or a disk: never "not ready", but slow at times."""
    mode = os.fstat(number).st_mode
    return stat.S_ISREG(mode) or stat.S_ISBLK(mode)


def poll(file: Descriptor, events: int) -> Future[int]:
    """Return the future of those *events* that are possible now, once there is one.

    An error or the end of the other side shows as the events asked for. A discard request stops
    the watch and discards, unless the loop has noticed readiness already. Several polls on
    one descriptor are independent. A descriptor that is polled must be closed by `close`, which
    ends the poll: libev ends an OS process that polls what is not open. It need not be
    non-blocking.

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
    hub = get_hub()  # before the promise, whose home it becomes
    watch = _Watch(hub.loop.io(number, events), file, events)
    future = watch.promise.future
    future.on_discard(partial(_stop, ref(watch)))
    return future


class _Watch:
    """One descriptor until it is ready. The loop holds it; nobody else does."""

    __slots__ = ("__weakref__", "events", "file", "promise", "watcher")

    def __init__(self, watcher: Any, file: Descriptor, events: int) -> None:
        self.watcher = watcher
        self.file = file  # must not be closed by the garbage collector meanwhile
        self.events = events
        self.promise: Promise[int] = Promise()
        watcher.start(self.finish, pass_events=True)

    def finish(self, events: int) -> None:
        self.close()
        self.promise.set(events & self.events)

    def discard(self) -> None:
        # What the loop has noticed and not yet told wins over the request.
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
