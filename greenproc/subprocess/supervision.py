"""Putting a supervisor above a child. All of it runs in the child, before its program begins."""

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
    """Become the child of a supervisor, which has this pid from now on, and return it.

    The supervisor is a program of its own: a mere fork would hold on to the memory of the
    launcher and to the pipe by which Popen waits for the program.

    Source: libprocess src/subprocess.cpp, Subprocess::ChildHook::SUPERVISOR.
    Differs: that is a fork, exits with 1 when a signal has killed the program, and takes SIGTERM
    for the end of the launcher.

    Raises:
        OSError: there is no supervisor.
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
    close_unwatched(writer)  # or its end would not be seen
    # Without this wait the program might run, and the launcher end, before anybody watches.
    if os.read(reader, 1) != supervisor.READY:
        raise OSError(errno.ECHILD, "the supervisor of the program did not start", sys.executable)
    close_unwatched(reader)
    return pid


def end_with(parent: int) -> None:
    """Let this OS process, which goes on as the program, be killed when *parent* ends."""
    supervisor.set_property(supervisor.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # it has ended before


def _become_supervisor(ready: int, launcher: int, program: int) -> NoReturn:
    try:
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 2)
        os.dup2(ready, supervisor.READY_NUMBER)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # the streams of the program among them
        arguments = ["-I", "-S", supervisor.__file__, str(launcher), str(program)]
        os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 -- no shell is meant
    finally:
        os._exit(NOT_STARTED)  # the program sees the end of the pipe
