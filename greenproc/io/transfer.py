"""Reading from a descriptor and writing to it."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from greenproc.errors import Discarded, InvalidArgument, StateError
from greenproc.future import Break, Continue, Future, loop, offload
from greenproc.hub.native import close_unwatched
from greenproc.io.descriptor import (
    READ,
    WRITE,
    Descriptor,
    duplicate_async,
    is_storage,
    number_of,
    poll,
    require_async,
)

T = TypeVar("T")

BUFFERED_READ_SIZE = 64 * 1024  # bytes, as in libprocess; a pipe of Linux holds as much
MAX_READ_SIZE = 1024**3  # bytes, which os.read allocates before it reads


def read(file: Descriptor, size: int | None = None) -> Future[bytes]:
    """Return the future of at most *size* bytes, or of everything up to the end.

    With a *size* the descriptor must be non-blocking. The first attempt is made at once, the next
    ones when the descriptor is ready; ``b""`` is the end. A discarded read consumes nothing.

    Without *size* it uses a duplicate, so *file* may be closed or used at once. The duplicate
    makes *file* non-blocking; see `prepare_async`. A discard or failure loses the bytes read.

    Files on disks are read in a native thread, by `offload`, which is not stopped in between.

    Args:
        size: in bytes; 0 reads nothing. None means up to the end.

    Raises:
        InvalidArgument: *size* is negative or no number, or *file* has no descriptor.

    Source: libprocess src/io.cpp, src/posix/io.cpp.
    Differs: it fails with OSError, or with StateError when the descriptor is a blocking one.
    """
    if size is None:
        return _read_all(file)
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise InvalidArgument(f"expected a size in bytes, zero or more, got {size!r}")
    # The state of a descriptor is no mistake of the caller, so it fails the future, not the call.
    try:
        number = number_of(file)
        require_async(number)
    except (OSError, StateError) as error:
        return Future.failed(error)
    if size == 0:
        return Future(b"")
    attempt = partial(attempt_read, number, size, in_thread=is_storage(number))
    return loop(attempt, partial(_finish_or_wait, file, READ), inline=True)


def write(file: Descriptor, data: bytes, *, partial_write: bool = False) -> Future[int]:
    """Write *data*, and return the future of how many bytes were written.

    That is all of it by default. It uses a duplicate, so *file* may be closed or used at once. The
    duplicate makes *file* non-blocking; see `prepare_async`. A discard or failure leaves an
    unknown part written. The first attempt is made at once.

    Args:
        data: bytes, or an object with a buffer, which must not change before the end.
        partial_write: write once, as much as there is room for, to a non-blocking *file*.

    Raises:
        InvalidArgument: *data* has no buffer, or *file* no descriptor.

    Source: libprocess src/io.cpp, src/posix/io.cpp.
    Differs: it fails with OSError, or with StateError when the descriptor is a blocking one; the
    result of a whole write is a number, too.
    """
    try:
        view = memoryview(data).cast("B")
    except TypeError as error:
        raise InvalidArgument(f"expected bytes to write, got {data!r}") from error
    if not partial_write:
        return _write_all(file, view)
    try:
        number = number_of(file)
        require_async(number)
    except (OSError, StateError) as error:
        return Future.failed(error)
    if not view:
        return Future(0)
    attempt = partial(attempt_write, number, view, in_thread=is_storage(number))
    return loop(attempt, partial(_finish_or_wait, file, WRITE), inline=True)


def _read_all(file: Descriptor) -> Future[bytes]:
    try:
        number = duplicate_async(file)
    except OSError as error:
        return Future.failed(error)
    chunks: list[bytes] = []
    attempt = partial(attempt_read, number, BUFFERED_READ_SIZE, in_thread=is_storage(number))

    def go_on(chunk: bytes | None) -> Any:
        if chunk is None:
            return when_ready(number, READ)
        if not chunk:
            return Break(b"".join(chunks))
        chunks.append(chunk)
        return Continue()

    return run(attempt, go_on, (number,))


def _write_all(file: Descriptor, view: memoryview) -> Future[int]:
    try:
        number = duplicate_async(file)
    except OSError as error:
        return Future.failed(error)
    return run(*steps_of_write(number, view, is_storage(number)), (number,), inline=True)


def steps_of_write(
    number: int, view: memoryview, in_thread: bool
) -> tuple[Callable[[], Any], Callable[[int | None], Any]]:
    """Return the two functions of a `loop` that writes all of *view*."""
    written = 0

    def attempt() -> Any:
        # A slice of a memoryview copies nothing, however large the data is.
        return attempt_write(number, view[written:], in_thread=in_thread)

    def go_on(count: int | None) -> Any:
        nonlocal written
        if count is None:
            return when_ready(number, WRITE)
        written += count
        return Continue() if written < len(view) else Break(written)

    return attempt, go_on


def run(
    attempt: Callable[[], Any],
    go_on: Callable[[Any], Any],
    owned: tuple[int, ...],
    *,
    inline: bool = False,
) -> Future[Any]:
    """Loop over descriptors that are closed at its end.

    A discard request also ends a loop that never has to wait.
    """
    # A loop passes a request on to what it waits for, and this one may never have to wait.
    requests: list[bool] = []

    def attempt_unless_discarded() -> Any:
        if requests:
            raise Discarded
        return attempt()

    future = loop(attempt_unless_discarded, go_on, inline=inline)
    # On any end, also abandonment: the duplicates belong to this loop alone.
    future.add_done_callback(lambda _: _close_all(owned))
    future.on_discard(lambda: requests.append(True))
    return future


def attempt_read(number: int, size: int, *, in_thread: bool) -> bytes | Future[bytes] | None:
    """Read what is there; return None if that would block."""
    size = min(size, MAX_READ_SIZE)
    # A disk is always ready, but a read of it blocks: non-blocking mode does not apply to files.
    if in_thread:
        return offload(os.read, number, size)
    try:
        return os.read(number, size)
    except BlockingIOError:
        return None


def attempt_write(number: int, data: memoryview, *, in_thread: bool) -> int | Future[int] | None:
    """Write what there is room for; return None if that would block."""
    if in_thread:
        return offload(os.write, number, data)
    try:
        return os.write(number, data)
    except BlockingIOError:
        return None


def when_ready(file: Descriptor, events: int) -> Future[Continue]:
    """Return the future of going on once *file* is ready; a discard request stops it."""
    return poll(file, events).then(lambda _: Continue())


def _finish_or_wait(file: Descriptor, events: int, outcome: T | None) -> Any:
    return when_ready(file, events) if outcome is None else Break(outcome)


def _close_all(numbers: tuple[int, ...]) -> None:
    for number in numbers:
        close_unwatched(number)
