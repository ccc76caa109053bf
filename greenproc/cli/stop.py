"""How a command is asked to stop: SIGTERM, SIGINT as of Ctrl-C, or SIGHUP of a closed terminal."""

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
"""The signals that kill when they come a second time."""

SIGNALS = (*FATAL, signal.SIGHUP)

INIT = 1
"""The number of the first OS process of a container, which default actions of signals spare."""


class StopSignals:
    """Within a ``with`` block the first signal sets `event`; the second SIGTERM or SIGINT kills.

    The handlers are those of Python, not watchers of the hub: a handler of a process that computes
    without end keeps the hub from its turn, but not the interpreter from calling them. Only C code
    that holds the interpreter's lock delays the first signal, and nothing the second one.

    SIGINT and SIGHUP stay ignored where the parent ignores them, as ``nohup`` and shells without
    job control do. A later SIGHUP never kills: a closed terminal sends it twice, one from the
    kernel and one from the shell.

    Args:
        limit: seconds after the first signal at which the stacks are printed and the OS process
            ends with exit code 1, whatever blocks it; None waits for ever.
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
        """Note the first signal. Runs between two instructions of whatever is running."""
        if self.received is not None:
            return  # the other signal came before its handler was replaced
        self.received = number
        # The interpreter may have noted another one already, and would print a traceback if it
        # found that without a handler. This has it call the handlers of all of them, which return.
        signal.raise_signal(number)
        for other in self._previous:
            signal.signal(other, kill_action() if other in FATAL else ignore)
        if self._limit is not None and sys.stderr is not None:
            faulthandler.dump_traceback_later(self._limit, exit=True)
        # Not at once: what is interrupted here may be the hub's own bookkeeping.
        self._loop.run_callback_threadsafe(self.event.set)


def kill_action() -> Any:
    """Return what makes a signal kill at once: the system's default, where there is one."""
    return exit_at_once if os.getpid() == INIT else signal.SIG_DFL


def exit_at_once(number: int, _frame: FrameType | None) -> None:
    """End with the exit code that a shell gives to a program that the signal killed."""
    os._exit(128 + number)


def ignore(_number: int, _frame: FrameType | None) -> None:
    """Be the handler of a signal without effect; unlike SIG_IGN, programs do not inherit it."""
