"""The signals that stop a command: SIGTERM, SIGINT (Ctrl-C), and SIGHUP of a closed terminal."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from types import FrameType
from typing import Any, Self

import gevent
from gevent.event import Event

FATAL = (signal.SIGINT, signal.SIGTERM)
"""The signals whose second delivery kills."""

SIGNALS = (*FATAL, signal.SIGHUP)

INIT = 1
"""The pid of a container's init process, for which the kernel skips default signal actions."""


class StopSignals:
    """Within a ``with`` block the first signal sets `event`; the second SIGTERM or SIGINT kills.

    The handlers are those of Python's `signal`, not watchers of the hub: an endless computation
    blocks the hub, but the interpreter still calls them. Only C code that holds the GIL delays the
    first signal; nothing delays the second one.

    SIGINT and SIGHUP stay ignored where the parent ignores them, as ``nohup`` and shells without
    job control do. A later SIGHUP never kills: a closed terminal sends it twice, one from the
    kernel and one from the shell.

    Args:
        limit: seconds from the first signal until all stacks are printed and the OS process
            exits with code 1, even when blocked; None waits for ever.
    """

    def __init__(self, limit: float | None = None) -> None:
        self.event = Event()
        self.received: int | None = None
        self._limit = limit
        self._loop: Any = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._loop = gevent.get_hub().loop
        for number in SIGNALS:
            if number == signal.SIGTERM or signal.getsignal(number) is not signal.SIG_IGN:
                self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *error: object) -> None:
        if self.received is not None and self._limit is not None:
            faulthandler.cancel_dump_traceback_later()
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        """Record the first signal. Runs between two bytecodes of any code, the hub's included."""
        if self.received is not None:
            return  # another signal arrived before its handler was replaced
        self.received = number
        # The interpreter may have another signal pending, and would print a traceback if it had
        # no handler by then. Raising one here runs all pending handlers, which return at once.
        signal.raise_signal(number)
        for other in self._previous:
            signal.signal(other, kill_action() if other in FATAL else ignore)
        if self._limit is not None and sys.stderr is not None:
            faulthandler.dump_traceback_later(self._limit, exit=True)
        # Deferred to the loop, since the interrupted code may be the hub's own bookkeeping.
        self._loop.run_callback_threadsafe(self.event.set)


def kill_action() -> Any:
    """Return the handler that kills: the default action, or `exit_at_once` for init."""
    return exit_at_once if os.getpid() == INIT else signal.SIG_DFL


def exit_at_once(number: int, _frame: FrameType | None) -> None:
    """Exit with 128 and *number*, the code that a shell reports for a killed program."""
    os._exit(128 + number)


def ignore(_number: int, _frame: FrameType | None) -> None:
    """Handle a signal without effect; unlike SIG_IGN, child programs do not inherit it."""
