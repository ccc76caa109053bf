"""Which descriptors are open, so that tests can tell that none is left."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gevent
from gevent import get_hub

FOLDER = Path("/proc/self/fd")
LOOKS = 500  # turns of the loop; a child that ended a moment ago is collected within a few


def open_descriptors() -> dict[int, str]:
    """Return what each descriptor of this OS process stands for."""
    found = {}
    for entry in FOLDER.iterdir():
        try:
            found[int(entry.name)] = str(entry.readlink())
        except FileNotFoundError:
            continue  # that of the listing itself
    return found


@contextmanager
def nothing_left_open() -> Iterator[None]:
    """Check that what is opened in the block is closed at its end, or within a few turns."""
    get_hub().threadpool.apply(int)  # opened now, so that the block does not
    gevent.idle()
    before = open_descriptors()
    yield
    for _ in range(LOOKS):
        left = open_descriptors().items() - before.items()
        if not left:
            return
        gc.collect()
        gevent.idle()
    raise AssertionError(f"left open: {sorted(left)}")
