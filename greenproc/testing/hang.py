"""Printing every stack of a program that does not come to an end."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gevent.util import format_run_info
from greenlet import getcurrent, greenlet

from greenproc.hub.native import allocate_lock, start_new_thread


@contextmanager
def stacks_after(seconds: float, write: Callable[[str], object], what: str) -> Iterator[None]:
    """Write the stacks of all threads and greenlets once if the block takes longer.

    It goes on all the same: ending it is somebody else's business. A native thread keeps watch,
    since a block that never gives control back would keep a greenlet from it.

    Args:
        seconds: how long it may take; 0 keeps no watch.
        write: is called in that thread.
        what: names the block in what is written.
    """
    if seconds <= 0:
        yield
        return
    over = allocate_lock()
    over.acquire()

    block = getcurrent()

    def watch() -> None:
        if not over.acquire(timeout=seconds):
            # types-gevent says that it returns nothing.
            greenlets: Any = format_run_info()  # type: ignore[func-returns-value]
            stacks = "\n".join([_format_stack(block), *greenlets])
            write(f"\n{what} takes more than {seconds} s; all stacks:\n{stacks}\n")

    start_new_thread(watch, ())
    try:
        yield
    finally:
        over.release()


def _format_stack(block: greenlet) -> str:
    """Return where *block* waits: gevent tells no stack of a main greenlet that does."""
    if block.gr_frame is None:
        return "It is running; see the threads below."
    return "It waits here:\n" + "".join(traceback.format_stack(block.gr_frame))
