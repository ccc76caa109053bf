"""Waiting until a descriptor can be read or written."""

from __future__ import annotations

from functools import partial
from typing import Any
from weakref import ref

from gevent import get_hub

from greenproc.errors import InvalidArgument
from greenproc.future import Future, Promise
from greenproc.io.descriptor import Descriptor, is_storage, number_of

READ = 1
WRITE = 2


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
