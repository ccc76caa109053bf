"""Copying from one descriptor to another until the end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from greenproc.errors import InvalidArgument
from greenproc.future import Break, Continue, Future, loop
from greenproc.hub.native import close_unwatched
from greenproc.io.descriptor import READ, Descriptor, duplicate_async, is_storage, number_of
from greenproc.io.transfer import attempt_read, run, steps_of_write, when_ready

PAGE = 4096  # bytes, as in libprocess


def redirect(
    source: Descriptor,
    target: Descriptor | None = None,
    *,
    chunk: int = PAGE,
    hooks: Iterable[Callable[[bytes], object]] = (),
) -> Future[None]:
    """Copy *source* to *target* until *source* ends, and return the future of that.

    It uses duplicates, so both may be closed at once. They become non-blocking; see
    `prepare_async`. A discard request stops the copying where it is.

    Args:
        target: None drops all bytes.
        chunk: how many bytes to read at most before they are written.
        hooks: functions that take the bytes of each read, in order, before these are written. An
            exception of one ends the copying with that error.

    Raises:
        InvalidArgument: *chunk* is no positive number, a hook is not callable, or *source* or
            *target* has no descriptor.

    Source: libprocess src/io.cpp, redirect.
    Differs: it fails with OSError.
    """
    if isinstance(chunk, bool) or not isinstance(chunk, int) or chunk < 1:
        raise InvalidArgument(f"expected a chunk of one byte or more, got {chunk!r}")
    called = tuple(hooks)
    for hook in called:
        if not callable(hook):
            raise InvalidArgument(f"expected a function to call with each chunk, got {hook!r}")
    try:
        numbers = _duplicate_both(source, target)
    except OSError as error:
        return Future.failed(error)
    return _copy(*numbers, chunk, called)


def _duplicate_both(source: Descriptor, target: Descriptor | None) -> tuple[int, int]:
    if target is not None:
        # First, because a new duplicate could get the number of a target that is closed.
        number_of(target)
    number = duplicate_async(source)
    try:
        if target is None:
            return number, os.open(os.devnull, os.O_WRONLY)
        return number, duplicate_async(target)
    except BaseException:  # nothing else knows the first duplicate
        close_unwatched(number)
        raise


def _copy(
    source: int, target: int, size: int, hooks: tuple[Callable[[bytes], object], ...]
) -> Future[None]:
    to_storage = is_storage(target)

    def go_on(chunk: bytes | None) -> Any:
        if chunk is None:
            return when_ready(source, READ)
        if not chunk:
            return Break()
        for hook in hooks:
            hook(chunk)
        # Inline, so that a chunk which fits is written without another greenlet.
        steps = steps_of_write(target, memoryview(chunk), to_storage)
        return loop(*steps, inline=True).then(lambda _: Continue())

    attempt = partial(attempt_read, source, size, in_thread=is_storage(source))
    return run(attempt, go_on, (source, target))
