"""`InterruptHandler`: Ctrl-C of a node arrives in the main greenlet, once, and nowhere else."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

import gevent

from greenproc.process.interrupts import raise_in_main


class InterruptHandler:
    """Stands in for Python's own handler of SIGINT while runtimes of the main thread run.

    Python's handler raises KeyboardInterrupt in whatever greenlet happens to run. On a busy node
    that is a process, which would die of it, or the hub. This one raises it in the main greenlet: at
    once if that is running, else as soon as the hub has its turn. When the next signal comes and
    the hub has not had its turn, because something blocks it, that is interrupted in place.

    Only Python's own handler is replaced: one that a program has installed stays.

    Source: trio and asyncio.Runner replace signal.default_int_handler under the same conditions.
    """

    def __init__(self) -> None:
        self._hub = gevent.get_hub()
        self._runtimes = 0
        self._is_pending = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Raise KeyboardInterrupt here or see that the main greenlet does."""
        main, loop = self._hub.parent, self._hub.loop
        if self._is_pending or loop is None or gevent.getcurrent() is main:
            self._is_pending = False
            raise KeyboardInterrupt
        self._is_pending = True
        loop.run_callback_threadsafe(self._interrupt)

    def _interrupt(self) -> None:
        if self._is_pending:
            self._is_pending = False
            raise_in_main(self._hub, KeyboardInterrupt())

    def __repr__(self) -> str:
        return f"<InterruptHandler of {self._runtimes} runtimes>"

    def hold(self) -> bool:
        """Take the place of Python's handler, and return whether this thread may."""
        if not _install(self):
            return False
        self._runtimes += 1
        return True

    def release(self) -> None:
        """Give the place back after the last runtime, unless something else has taken it."""
        self._runtimes -= 1
        if not self._runtimes and signal.getsignal(signal.SIGINT) is self:
            _install(signal.default_int_handler)


class Interrupts:
    """The part of one runtime in the handler of SIGINT that all of them share."""

    def __init__(self) -> None:
        self._handler: InterruptHandler | None = None

    def start(self) -> None:
        """Let Ctrl-C arrive in the main greenlet, if this is its thread and Python's handler is set."""
        handler: Any = signal.getsignal(signal.SIGINT)
        if handler is signal.default_int_handler:
            handler = InterruptHandler()
        if isinstance(handler, InterruptHandler) and handler.hold():
            self._handler = handler

    def stop(self) -> None:
        """Give up that part, once."""
        handler, self._handler = self._handler, None
        if handler is not None:
            handler.release()


def _install(handler: Any) -> bool:
    """Let *handler* handle SIGINT; return False where only the main thread may have that done.

    Python is asked, not `threading`, to which each greenlet of a patched program is a thread.
    """
    try:
        signal.signal(signal.SIGINT, handler)
    except ValueError:
        return False
    return True
