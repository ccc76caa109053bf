"""What the tests of child processes share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import gevent

from greenproc import io
from greenproc.subprocess import PATH, PIPE, Subprocess, current_reaper, launch
from tests.descriptors import nothing_left_open

LIMIT = 15.0  # seconds; a last limit
NULL = PATH(os.devnull)


@contextmanager
def nothing_left_over() -> Iterator[None]:
    """Check that no descriptor is left open, and that no child is awaited any more."""
    before = current_reaper().statistics()
    with nothing_left_open():
        yield
        gevent.idle()
        assert current_reaper().statistics() == before


def output_of(child: Subprocess) -> bytes:
    """Return all that *child* writes to its stdout, which is a pipe."""
    assert child.stdout is not None
    return io.read(child.stdout).get(timeout=LIMIT)


def waiter() -> Subprocess:
    """Start a program that runs until it is killed."""
    return launch(["sleep", "1000"], stdin=NULL, stdout=NULL, stderr=NULL)


def orphan() -> int:
    """Start a program that runs until it is killed, is nobody's child here, and return its pid."""
    child = launch("sleep 1000 </dev/null >/dev/null 2>&1 & echo $!", stdout=PIPE)
    pid = int(output_of(child))
    assert child.status.get(timeout=LIMIT) == 0
    return pid
