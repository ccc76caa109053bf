"""The handle of a program that was started."""

from __future__ import annotations

import os
import signal
from functools import partial

from greenproc.future import Future
from greenproc.subprocess.pipes import PipeEnd
from greenproc.subprocess.tree import kill_tree
from greenproc.subprocess.watch import peek


class Subprocess:
    """A program that was started by `launch`.

    Dropping it neither kills nor detaches the program. The pipe ends on this side are closed once
    the program has ended and nobody holds this or them.

    Source: libprocess include/process/subprocess.hpp, class Subprocess.
    """

    pid: int
    """Its number; another program may get it once this one has ended. That of the supervisor if
    it has one."""
    stdin: PipeEnd | None
    """Where to write what it reads, if that is a `PIPE`."""
    stdout: PipeEnd | None
    """Where to read what it writes, if that is a `PIPE`."""
    stderr: PipeEnd | None
    """Where to read its errors, if that is a `PIPE`."""
    status: Future[int | None]
    """The future of its status as ``os.waitpid`` has it, for ``os.WIFEXITED`` and its kin; None
    if somebody else took it. A discard request does nothing. It is abandoned when the runtime that
    the program was started in stops before."""

    def __init__(
        self,
        pid: int,
        stdin: PipeEnd | None,
        stdout: PipeEnd | None,
        stderr: PipeEnd | None,
        *,
        status: Future[int | None],
    ) -> None:
        self.pid = pid
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self.status = status
        # The callback does nothing: that it exists until the end is what keeps the pipes.
        status.add_done_callback(partial(_let_go, (stdin, stdout, stderr)))

    @property
    def returncode(self) -> int | None:
        """The exit code, or minus the number of the signal that killed it; None if not known."""
        status = self.status.value
        return None if status is None else os.waitstatus_to_exitcode(status)

    def send_signal(self, number: int) -> bool:
        """Send it a signal; return whether it was still there."""
        if not self._is_there():
            return False
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True

    def terminate(self) -> bool:
        """Send it SIGTERM; return whether it was still there."""
        return self.send_signal(signal.SIGTERM)

    def kill(self) -> bool:
        """Send it SIGKILL; return whether it was still there."""
        return self.send_signal(signal.SIGKILL)

    def kill_tree(self, number: int = signal.SIGKILL) -> tuple[int, ...]:
        """Send a signal to it and all its descendants, and return who got it. See `kill_tree`.

        Once it has ended, nothing is done: nothing leads to its descendants any more.
        """
        return kill_tree(self.pid, number) if self._is_there() else ()

    def close(self) -> None:
        """Close the pipe ends on this side."""
        for end in (self.stdin, self.stdout, self.stderr):
            if end is not None:
                end.close()

    def _is_there(self) -> bool:
        """Tell whether it has not ended, so that the number is still its own."""
        if not self.status.is_pending:
            return False
        try:
            # The status comes a little later, or never if the runtime has stopped.
            return peek(self.pid) is None
        except ChildProcessError:
            return False

    def __repr__(self) -> str:
        state = "running"
        if not self.status.is_pending:
            state = f"ended with {self.returncode}"
        elif self.status.is_abandoned:
            state = "not awaited any more"
        return f"<Subprocess {self.pid} {state}>"


def _let_go(ends: tuple[PipeEnd | None, ...], status: Future[int | None]) -> None:
    """Let go of *ends*."""
