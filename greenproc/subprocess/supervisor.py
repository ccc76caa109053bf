"""The supervisor of a program: ``supervisor.py LAUNCHER PROGRAM``, with the pids of both.

It leads the process group of the program, its child. It exits with the status of the program,
forwards the signals that it receives, and kills the group when the launcher ends. `supervision`
executes this file by its path in an isolated interpreter, so it must not import greenproc.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress

READY = b"r"
READY_NUMBER = 1  # the descriptor that receives READY

PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4
# Resolved on import, since dlsym() is not safe in a child forked from a multi-threaded process.
PRCTL = getattr(ctypes.CDLL(None, use_errno=True), "prctl", None)  # None: not Linux


def set_property(option: int, value: int) -> None:
    """Set a property of this OS process by prctl().

    Raises:
        OSError: the kernel refuses it.
    """
    assert PRCTL is not None
    if PRCTL(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def supervise(launcher: int, program: int) -> int:
    """Wait for the child *program* and return its status; kill the group if *launcher* ends."""
    # Blocked signals stay pending for sigwait(), so none is lost between two calls.
    signals = set(signal.valid_signals())
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # an inherited SIG_IGN would discard statuses
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
            with suppress(PermissionError):  # the program has changed its user
                os.kill(program, number)
    os.killpg(0, signal.SIGKILL)  # includes this OS process
    return signal.SIGKILL


def end_as(status: int) -> None:
    """End this OS process with the wait status of the program."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        set_property(PR_SET_DUMPABLE, 0)  # the program has already dumped core
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os._exit(os.WEXITSTATUS(status))


if __name__ == "__main__":
    end_as(supervise(int(sys.argv[1]), int(sys.argv[2])))
