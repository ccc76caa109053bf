"""The program above a supervised program: ``supervisor.py LAUNCHER PROGRAM``, both by their pids.

It leads a process group, and the program, its child, is in it. It ends as the program ends, passes
on the signals that it gets, and kills the whole group when the launcher is gone. `supervision` runs
it by its path in an interpreter of its own, so it imports nothing of greenproc.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress

READY = b"r"
READY_NUMBER = 1  # the descriptor that it says so to

PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4
# Found now, since a child that was forked beside native threads must not search.
PRCTL = getattr(ctypes.CDLL(None, use_errno=True), "prctl", None)  # None: this is not Linux


def set_property(option: int, value: int) -> None:
    """Set a property of this OS process."""
    assert PRCTL is not None
    if PRCTL(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def supervise(launcher: int, program: int) -> int:
    """Wait until the child *program* ends and return its status; kill all without *launcher*."""
    # Blocked signals wait for sigwait(), and none is lost in between.
    signals = set(signal.valid_signals())
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # or a status may be thrown away
    set_property(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == launcher:
        os.write(READY_NUMBER, READY)
        os.close(READY_NUMBER)
    while os.getppid() == launcher:
        number = signal.sigwait(signals)
        if number == signal.SIGCHLD:
            pid, status = os.waitpid(program, os.WNOHANG)
            if pid == program:
                return status
        elif os.getppid() == launcher:
            with suppress(PermissionError):  # it has become another user's
                os.kill(program, number)
    os.killpg(0, signal.SIGKILL)  # this OS process too
    return signal.SIGKILL


def end_as(status: int) -> None:
    """End this OS process with the status of another one."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        set_property(PR_SET_DUMPABLE, 0)  # the core was dumped by the other one
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os._exit(os.WEXITSTATUS(status))


if __name__ == "__main__":
    end_as(supervise(int(sys.argv[1]), int(sys.argv[2])))
