"""Supervision of a child. Everything here runs in the child, before the exec of its program."""

from __future__ import annotations

import errno
import os
import signal
import sys
from typing import NoReturn

from greenproc.hub.native import close_unwatched, fork
from greenproc.subprocess import supervisor

IS_POSSIBLE = supervisor.PRCTL is not None
NOT_STARTED = 127  # the exit code of a shell that cannot start a program


def go_below_supervisor(launcher: int, *, new_session: bool) -> int:
    """Fork: the parent executes the supervisor, the child returns the supervisor's pid.

    The supervisor is a separate program: a fork without an exec would keep the launcher's memory,
    and the pipe by which Popen detects the exec, open.

    Source: libprocess src/subprocess.cpp, Subprocess::ChildHook::SUPERVISOR.
    Differs: libprocess' supervisor is a fork without an exec, exits with 1 when a signal kills the
    program, and treats SIGTERM as the end of the launcher.

    Raises:
        OSError: the fork fails, or the supervisor does not start.
    """
    if new_session:
        os.setsid()
    else:
        os.setpgid(0, 0)
    pid = os.getpid()
    reader, writer = os.pipe()
    program = fork()
    if program != 0:
        _become_supervisor(writer, launcher, program)
    close_unwatched(writer)  # an open writer here would hide the supervisor's death
    # Without this wait the launcher could end before the supervisor watches it, and the program
    # would survive.
    if os.read(reader, 1) != supervisor.READY:
        raise OSError(errno.ECHILD, "the supervisor of the program did not start", sys.executable)
    close_unwatched(reader)
    return pid


def end_with(parent: int) -> None:
    """Have the kernel kill this OS process, and the program it executes, when *parent* ends."""
    supervisor.set_property(supervisor.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # the parent ended before the property was set


def _become_supervisor(ready: int, launcher: int, program: int) -> NoReturn:
    try:
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 2)
        os.dup2(ready, supervisor.READY_NUMBER)
        # Includes the program's pipe ends, whose readers wait for end-of-file.
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        arguments = ["-I", "-S", supervisor.__file__, str(launcher), str(program)]
        os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 -- no shell is needed
    finally:
        os._exit(NOT_STARTED)  # closes the pipe, so the program reads end-of-file and fails
