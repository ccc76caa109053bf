"""`stacks_after`: a watchdog that prints all stacks of a program that hangs."""

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
    """Write the stacks of all threads and greenlets once if the block exceeds a time limit.

    The block continues; the watchdog does not end it. The watchdog is a native thread, since a
    block that never switches to the hub would starve a greenlet.

    Args:
        seconds: the limit in real seconds; 0 starts no watchdog.
        write: called with the report, in the native thread.
        what: the name of the block in the report.
    """
    if seconds <= 0:
        yield
        return
    over = allocate_lock()
    over.acquire()

    block = getcurrent()

    def watch() -> None:
        if not over.acquire(timeout=seconds):
            # types-gevent declares that it returns None.
            greenlets: Any = format_run_info()  # type: ignore[func-returns-value]
            stacks = "\n".join([_format_stack(block), *greenlets])
            write(f"\n{what} takes more than {seconds} s; all stacks:\n{stacks}\n")

    start_new_thread(watch, ())
    try:
        yield
    finally:
        over.release()


def _format_stack(block: greenlet) -> str:
    """Format the stack of *block*: gevent's report omits that of a suspended main greenlet."""
    if block.gr_frame is None:
        return "It is running; see the threads below."
    return "It waits here:\n" + "".join(traceback.format_stack(block.gr_frame))
