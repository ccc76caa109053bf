"""Detection of leaked greenlets, sockets, timers, native threads and child processes.

This module does not depend on pytest; the plugin and other test tools use the same functions::

    before = take_snapshot()
    ...
    assert not find_leaks(before)
"""

from __future__ import annotations

import gc
import os
import socket
import stat
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import gevent
from gevent import get_hub
from gevent.hub import Hub
from greenlet import getcurrent, greenlet

GRACE = 2.0  # seconds, since a kill or a close may complete asynchronously
PAUSE = 0.01  # seconds between two comparisons within the grace period
STACK_DEPTH = 3  # the innermost frames identify the wait and its caller

DESCRIPTORS = Path("/dev/fd")  # on Linux a link to /proc/self/fd
TASKS = Path("/proc/self/task")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The resources at one moment; created by `take_snapshot`, compared by `find_leaks`."""

    greenlets: tuple[greenlet, ...]
    timers: tuple[Any, ...]
    sockets: frozenset[tuple[int, int]]
    threads: frozenset[threading.Thread]
    children: frozenset[int]


def take_snapshot() -> Snapshot:
    """Return the resources of this thread's hub and of this OS process."""
    get_hub()  # created here, so that its own descriptors do not count as leaks
    greenlets, timers = _find_watched()
    return Snapshot(
        greenlets=greenlets,
        timers=timers,
        sockets=frozenset(_find_sockets()),
        threads=frozenset(_find_threads()),
        children=frozenset(_find_children()),
    )


def find_leaks(before: Snapshot, *, grace: float = GRACE) -> list[str]:
    """Return descriptions of the resources created since *before* and still present.

    Only greenlets and timers of the calling thread's hub are compared, and of descriptors only
    sockets, since event loops and resolvers open other descriptors lazily.

    Args:
        before: the resources that are no leaks.
        grace: real seconds to wait for resources to be released. Without leaks the function
            returns at once.
    """
    deadline = monotonic() + grace
    while True:
        gevent.sleep(0)  # lets pending kills and closes run
        leaks = _compare(before, take_snapshot())
        if not leaks or monotonic() >= deadline:
            return leaks
        gc.collect()  # an unreferenced suspended greenlet is no leak
        gevent.sleep(PAUSE)


def _compare(before: Snapshot, now: Snapshot) -> list[str]:
    known = {id(thing) for thing in (*before.greenlets, *before.timers)}
    return [
        *(_describe_greenlet(found) for found in now.greenlets if id(found) not in known),
        *(f"timer {found!r}" for found in now.timers if id(found) not in known),
        *(_describe_socket(number) for number, _ in sorted(now.sockets - before.sockets)),
        *(f"thread {found!r}" for found in now.threads - before.threads),
        *(f"child process {pid}" for pid in sorted(now.children - before.children)),
    ]


def _find_watched() -> tuple[tuple[greenlet, ...], tuple[Any, ...]]:
    """Return the running greenlets of this thread and the active timers of its loop."""
    loop = get_hub().loop
    timer = loop.timer(0)
    timer_type: type[Any] = type(timer)
    timer.close()
    here = getcurrent()
    root = _root(here)
    kinds = {timer_type, *_subclasses(greenlet)} - {Hub, *_subclasses(Hub)}
    greenlets, timers = [], []
    # type(), since isinstance() runs the __class__ property of proxies. A set lookup takes a tenth
    # of the time of issubclass(), for some 100 000 objects.
    watched: list[Any] = [one for one in gc.get_objects() if type(one) in kinds]
    for found in watched:
        if type(found) is timer_type:
            if found.active and found.loop is loop:
                timers.append(found)
        elif (
            found  # started and not finished
            and found is not here
            and found is not root
            and _root(found) is root
        ):
            greenlets.append(found)
    return tuple(greenlets), tuple(timers)


def _subclasses(kind: type[Any]) -> set[type[Any]]:
    """Return *kind* and all its direct and indirect subclasses."""
    found: set[type[Any]] = {kind}
    below: list[type[Any]] = type.__subclasses__(kind)
    for one in below:
        found |= _subclasses(one)
    return found


def _root(found: greenlet) -> greenlet:
    """Return the main greenlet of the thread of *found*."""
    while found.parent is not None:
        found = found.parent
    return found


def _find_sockets() -> Iterator[tuple[int, int]]:
    """Yield the number and the inode of each descriptor that is a socket."""
    if not DESCRIPTORS.exists():
        return
    for entry in DESCRIPTORS.iterdir():
        number = int(entry.name)
        try:
            status = os.fstat(number)
        except OSError:
            continue  # the descriptor of the listing itself
        if stat.S_ISSOCK(status.st_mode):
            yield number, status.st_ino


def _find_threads() -> Iterator[threading.Thread]:
    for thread in threading.enumerate():
        # threading did not start the thread of a dummy, such as a worker of gevent's pool, which
        # outlives a test by design.
        if not isinstance(thread, threading._DummyThread):  # noqa: SLF001 -- it has no public name
            yield thread


def _find_children() -> Iterator[int]:
    """Yield the pids of child processes and zombies; none if the kernel does not list them."""
    if not TASKS.exists():
        return
    for task in TASKS.iterdir():
        try:
            text = (task / "children").read_text()
        except OSError:
            continue  # the kernel has no such file, or the thread has ended
        yield from map(int, text.split())


def _describe_greenlet(found: greenlet) -> str:
    frames = traceback.extract_stack(found.gr_frame)[-STACK_DEPTH:]
    where = " < ".join(f"{frame.name} ({frame.filename}:{frame.lineno})" for frame in frames[::-1])
    return f"greenlet {found!r} in {where or 'no Python code'}"


def _describe_socket(number: int) -> str:
    try:
        with socket.socket(fileno=os.dup(number)) as copy:
            return f"socket {number}: {copy.family.name} {_ends(copy)}"
    except OSError as error:
        return f"socket {number}: {error}"


def _ends(found: socket.socket) -> str:
    try:
        return f"{found.getsockname()} connected to {found.getpeername()}"
    except OSError:
        return f"{found.getsockname()} without a peer"
